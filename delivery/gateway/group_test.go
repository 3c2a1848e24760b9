package gateway_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"parley/delivery/gateway"
	"parley/delivery/gateway/client"
	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/user"
	"parley/schemas/msync"
)

// byApp is the app itself.
var byApp = conversation.Actor{App: true}

func (r *rig) persons(names ...string) []conversation.Person {
	out := make([]conversation.Person, len(names))
	for i, name := range names {
		out[i] = conversation.Person{User: domain.UserID(name), Incarnation: r.account(name).Incarnation}
	}
	return out
}

// group makes a group of an owner and members.
func (r *rig) group(id, owner string, members ...string) domain.StreamID {
	r.t.Helper()
	stream := domain.GroupStream(r.app, id)
	r.submit(stream, conversation.CreateGroup{
		By: byApp, Owner: r.persons(owner)[0], Members: r.persons(members...),
		Settings: conversation.GroupSettings{Name: "group " + id, MaxUsers: 3000, MemberInvites: true},
	})
	return stream
}

func (r *rig) add(stream domain.StreamID, names ...string) {
	r.t.Helper()
	r.submit(stream, conversation.AddMembers{By: byApp, Users: r.persons(names...)})
}

func (r *rig) remove(stream domain.StreamID, names ...string) {
	r.t.Helper()
	r.submit(stream, conversation.RemoveMembers{By: byApp, Users: r.persons(names...)})
}

func groupQueue(r *rig, id string) msync.Queue {
	return msync.Queue{AppKey: string(r.app), Name: id, Domain: msync.GroupDomain}
}

func (d *device) say(group, text string) client.Ack {
	d.t.Helper()
	a, err := d.SendGroupText(within(d.t), group, text)
	require.NoError(d.t, err)
	require.Equal(d.t, msync.Status_OK, a.Code, a.Reason)
	return a
}

// sendTo sends a meta to a group.
func (d *device) sendTo(group string, body []byte, change ...func(*msync.Outgoing)) client.Ack {
	d.t.Helper()
	o := msync.Outgoing{To: group, ToDomain: msync.GroupDomain, Payload: body, NS: msync.Meta_CHAT}
	for _, f := range change {
		f(&o)
	}
	a, err := d.SendMeta(within(d.t), o)
	require.NoError(d.t, err)
	return a
}

// story is what a device was shown, in short: texts, and the events of groups.
func (d *device) story() []string {
	out := []string{}
	for _, g := range d.received() {
		switch {
		case g.op != "":
			out = append(out, g.op)
		case g.kind == msync.MessageBody_GROUPCHAT || g.kind == msync.MessageBody_CHAT:
			out = append(out, g.text)
		default:
			out = append(out, g.kind.String())
		}
	}
	return out
}

// after waits for n entries and returns the story of all.
func (d *device) after(n int) []string {
	d.t.Helper()
	d.wait(n)
	return d.story()
}

// A message to a group reaches all devices of its members but the one that sent it, live or later, once, in the group's queue; others nothing.
func TestGroupDelivery(t *testing.T) {
	r := newRig(t)
	r.register("ann", "bob", "cid", "eve")
	r.group("7", "ann", "bob", "cid")
	r.settled()
	ann, pad, bob, eve := r.dial("ann", "web"), r.dial("ann", "pad"), r.dial("bob", "web"), r.dial("eve", "web")
	require.Equal(t, []string{"CREATE", "PRESENCE"}, ann.after(2))
	require.Equal(t, []string{"DIRECT_JOINED"}, bob.after(1))
	a := ann.say("7", "one")
	bob.say("7", "two")
	g := bob.wait(2)[1]
	require.Equal(t, a.ServerID, g.id)
	require.Equal(t, "ann", g.from)
	require.Equal(t, groupQueue(r, "7"), g.queue)
	require.Equal(t, []string{"CREATE", "PRESENCE", "two"}, ann.after(3))
	require.Equal(t, []string{"one", "two"}, pad.after(2), "a new device is not told of what is older than it")
	require.Empty(t, eve.after(0))
	r.settled()
	cid := r.dial("cid", "web")
	require.Equal(t, []msync.UnreadQueue{{Queue: groupQueue(r, "7"), N: 3}}, cid.listed())
	require.Equal(t, []string{"DIRECT_JOINED", "one", "two"}, cid.after(3))
	require.NoError(t, cid.Sync(within(t), groupQueue(r, "7")))
	require.NoError(t, cid.Close())
	cid = r.dial("cid", "web")
	require.Empty(t, cid.listed())
	ann.say("7", "three")
	require.Equal(t, []string{"three"}, cid.after(1))
}

// Who is added is told so and sees what follows; who is removed is told so and sees nothing after it; the others are told of both.
func TestMembersComeAndGo(t *testing.T) {
	r := newRig(t)
	r.register("ann", "bob", "cid")
	stream := r.group("7", "ann", "cid")
	r.settled()
	ann, bob, phone := r.dial("ann", "web"), r.dial("bob", "web"), r.dial("bob", "phone")
	ann.after(2)
	ann.say("7", "before")
	r.add(stream, "bob")
	bob.after(1)
	ann.say("7", "in")
	bob.after(2)
	require.NoError(t, phone.Cut())
	ann.say("7", "phone is away")
	r.remove(stream, "bob")
	ann.say("7", "out")
	require.Equal(t, []string{"DIRECT_JOINED", "in", "phone is away", "KICK"}, bob.after(4))
	a := bob.sendTo("7", must(client.GroupTextBody("bob", "7", "may I?")))
	require.Equal(t, msync.Status_FAIL, a.Code)
	require.Equal(t, "not in group or chatroom", a.Reason)
	require.Equal(t, []string{"CREATE", "PRESENCE", "PRESENCE", "ABSENCE"}, ann.after(4))
	// The phone, which was away, comes as far.
	r.settled()
	seen := len(phone.received())
	phone = r.dial("bob", "phone")
	require.Equal(t, []string{"DIRECT_JOINED", "in", "phone is away", "KICK"}[seen:], phone.after(4-seen))
	require.NoError(t, phone.Close())
	// Again a member: what was between is not for bob.
	r.add(stream, "bob")
	ann.say("7", "again")
	require.Equal(t, []string{"DIRECT_JOINED", "again"}, bob.after(6)[4:])
	r.settled()
	phone = r.dial("bob", "phone")
	require.Equal(t, []string{"DIRECT_JOINED", "again"}, phone.after(2))
	// Leaving by oneself is told to the own other device like to all.
	r.submit(stream, conversation.LeaveGroup{By: conversation.Actor{User: "bob", Incarnation: 1, Resource: "web"}})
	ann.say("7", "alone")
	require.Equal(t, []string{"DIRECT_JOINED", "again", "ABSENCE"}, phone.after(3))
	bob.wait(6)
}

// A device that was away over several memberships gets the entries of all of them, and none in between.
func TestSpansWhileAway(t *testing.T) {
	r := newRig(t)
	r.register("ann", "bob")
	stream := r.group("7", "ann")
	r.settled()
	bob, ann := r.dial("bob", "web"), r.dial("ann", "web")
	r.add(stream, "bob")
	bob.after(1)
	require.NoError(t, bob.Sync(within(t), groupQueue(r, "7")))
	require.NoError(t, bob.Close())
	for i := range 3 {
		ann.say("7", fmt.Sprint("in ", i))
		r.remove(stream, "bob")
		ann.say("7", fmt.Sprint("out ", i))
		r.add(stream, "bob")
	}
	ann.say("7", "end")
	r.settled()
	bob = r.dial("bob", "web")
	require.Equal(t, []string{
		"in 0", "KICK", "DIRECT_JOINED", "in 1", "KICK", "DIRECT_JOINED", "in 2", "KICK", "DIRECT_JOINED", "end",
	}, bob.after(10))
}

// A group that ends tells all, those who were away too, and says no to what comes later.
func TestGroupEnds(t *testing.T) {
	r := newRig(t)
	r.register("ann", "bob", "cid")
	stream := r.group("7", "ann", "bob", "cid")
	r.settled()
	ann, bob := r.dial("ann", "web"), r.dial("bob", "web")
	bob.after(1)
	r.submit(stream, conversation.DestroyGroup{By: conversation.Actor{User: "ann", Incarnation: 1, Resource: "web"}})
	require.Equal(t, []string{"DIRECT_JOINED", "DESTROY"}, bob.after(2))
	require.Empty(t, r.users.Subscribers(stream))
	a := ann.sendTo("7", must(client.GroupTextBody("ann", "7", "hello?")))
	require.Equal(t, "group not found", a.Reason)
	r.settled()
	cid := r.dial("cid", "web")
	require.Equal(t, []string{"DIRECT_JOINED", "DESTROY"}, cid.after(2))
	require.NoError(t, cid.Sync(within(t), groupQueue(r, "7")))
	require.NoError(t, cid.Close())
	require.Empty(t, r.dial("cid", "web").listed())
	require.Empty(t, r.users.Subscribers(stream))
}

// A session that ends leaves no subscription.
func TestSubscriptionsEnd(t *testing.T) {
	r := newRig(t)
	r.register("ann", "bob")
	stream := r.group("7", "ann", "bob")
	r.settled()
	ann, bob := r.dial("ann", "web"), r.dial("bob", "web")
	require.Len(t, r.users.Subscribers(stream), 2)
	require.NoError(t, ann.Cut())
	bob.logout()
	eventually(t, func() bool { return len(r.users.Subscribers(stream)) == 0 }, func() string { return "still subscribed" })
}

// Notices about groups that a user is not in come in the system queue, to all devices, live and later. Another account of the name is not told.
func TestNotices(t *testing.T) {
	r := newRig(t)
	r.register("bob")
	web, phone := r.dial("bob", "web"), r.dial("bob", "phone")
	require.NoError(t, phone.Close())
	n := uint32(0)
	notify := func(kind user.NoticeKind) {
		n++
		r.submit(domain.UserStream(r.app, "bob"), user.Notify{Kind: kind, Group: "7", Name: "seven", By: "ann", Cause: domain.Cause{Partition: 1, Offset: 1, N: n}})
	}
	notify(user.GroupInvited)
	notify(user.GroupDeclined)
	require.Equal(t, []string{"INVITE", "APPLY_DECLINE"}, web.after(2))
	require.Equal(t, queueOf(r, ""), web.received()[0].queue)
	require.NoError(t, web.Sync(within(t), queueOf(r, "")))
	r.settled()
	phone = r.dial("bob", "phone")
	require.Equal(t, []msync.UnreadQueue{{Queue: queueOf(r, ""), N: 2}}, phone.listed())
	require.Equal(t, []string{"INVITE", "APPLY_DECLINE"}, phone.after(2))
	pad := r.dial("bob", "pad") // of before its first log-in it is told nothing
	require.Empty(t, pad.listed())
	require.NoError(t, web.Cut())
	notify(user.GroupInvited)
	require.Equal(t, []string{"INVITE"}, pad.after(1))
	r.settled()
	web = r.dial("bob", "web")
	require.Equal(t, []string{"INVITE"}, web.after(1))
	require.NoError(t, pad.Close())
	require.Empty(t, r.dial("bob", "pad").listed())
	r.submit(domain.UserStream(r.app, "bob"), user.Delete{})
	r.register("bob")
	r.settled()
	require.Empty(t, r.dial("bob", "web").after(0))
}

// An invitation reaches the invited, the answer who invited; who asks to join is answered.
func TestInvitationsAndApplications(t *testing.T) {
	r := newRig(t)
	r.register("ann", "bob", "cid")
	stream := domain.GroupStream(r.app, "7")
	by := func(name string) conversation.Actor {
		return conversation.Actor{User: domain.UserID(name), Incarnation: 1, Resource: "web"}
	}
	ann, bob, cid := r.dial("ann", "web"), r.dial("bob", "web"), r.dial("cid", "web")
	r.submit(stream, conversation.CreateGroup{By: by("ann"), Owner: r.persons("ann")[0], Settings: conversation.GroupSettings{
		Name: "seven", MaxUsers: 10, InviteConfirm: true, Public: true, Approval: true,
	}})
	r.submit(stream, conversation.InviteUsers{By: by("ann"), Users: r.persons("bob")})
	require.Equal(t, []string{"INVITE"}, bob.after(1))
	r.submit(stream, conversation.AnswerInvitation{By: by("bob"), Accept: true})
	eventually(t, func() bool { return len(ann.received()) > 1 }, func() string { return "the inviter hears nothing" })
	r.submit(stream, conversation.ApplyToJoin{By: by("cid"), Reason: "please"})
	r.submit(stream, conversation.AnswerApplication{By: by("ann"), User: "cid"})
	require.Equal(t, []string{"APPLY_DECLINE"}, cid.after(1))
	require.Equal(t, queueOf(r, ""), cid.received()[0].queue)
	ann.say("7", "welcome")
	eventually(t, func() bool { return slices.Contains(bob.story(), "welcome") }, func() string { return fmt.Sprint(bob.story()) })
	require.ElementsMatch(t, []string{"INVITE_ACCEPT", "PRESENCE", "APPLY"}, ann.story())
	require.NotContains(t, cid.story(), "welcome")
}

// A message for some members reaches them and the sender's other devices, and no other waits for it.
func TestDirectedMessage(t *testing.T) {
	r := newRig(t)
	r.register("ann", "bob", "cid")
	r.group("7", "ann", "bob", "cid")
	r.settled()
	ann, pad, bob, cid := r.dial("ann", "web"), r.dial("ann", "pad"), r.dial("bob", "web"), r.dial("cid", "web")
	send := func(text string, to ...string) client.Ack {
		return ann.sendTo("7", must(client.GroupTextBody("ann", "7", text)), func(o *msync.Outgoing) {
			o.RouteType, o.Directed = msync.Meta_ROUTE_DIRECT, to
		})
	}
	require.Equal(t, msync.Status_OK, send("psst", "Bob").Code)
	require.Equal(t, msync.Status_PERMISSION_DENIED_EXTERNAL, send("to nobody").Code)
	require.Equal(t, "limit directed users", send("to many", make([]string, 21)...).Reason)
	ann.say("7", "all")
	require.Equal(t, []string{"DIRECT_JOINED", "psst", "all"}, bob.after(3))
	require.Equal(t, []string{"DIRECT_JOINED", "all"}, cid.after(2))
	require.Equal(t, []string{"psst", "all"}, pad.after(2))
}

// Online-only messages reach the members who are there.
func TestOnlineOnlyInAGroup(t *testing.T) {
	r := newRig(t)
	r.register("ann", "bob", "cid", "eve")
	r.group("7", "ann", "bob", "cid")
	r.settled()
	ann, bob, eve := r.dial("ann", "web"), r.dial("bob", "web"), r.dial("eve", "web")
	bob.after(1)
	online := func(o *msync.Outgoing) { o.RouteType = msync.Meta_ROUTE_ONLINE }
	a := ann.sendTo("7", must(client.GroupTextBody("ann", "7", "now")), online)
	require.Equal(t, msync.Status_OK, a.Code, a.Reason)
	require.Equal(t, a.ServerID, bob.wait(2)[1].id)
	require.Equal(t, groupQueue(r, "7"), bob.received()[1].queue)
	require.Equal(t, "not in group or chatroom", eve.sendTo("7", must(client.GroupTextBody("eve", "7", "now")), online).Reason)
	require.Equal(t, "group not found", eve.sendTo("8", must(client.GroupTextBody("eve", "8", "now")), online).Reason)
	r.settled()
	require.Equal(t, []string{"DIRECT_JOINED"}, r.dial("cid", "web").after(1))
}

// A member who shields a group gets its events and no messages, also after a reconnect, until the shield is taken away.
func TestShield(t *testing.T) {
	r := newRig(t)
	r.register("ann", "bob")
	stream := r.group("7", "ann", "bob")
	r.settled()
	ann, bob := r.dial("ann", "web"), r.dial("bob", "web")
	bob.after(1)
	shield := func(on bool) {
		r.submit(stream, conversation.ShieldGroup{By: conversation.Actor{User: "bob", Incarnation: 1}, On: on})
	}
	shield(true)
	ann.say("7", "hidden")
	r.submit(stream, conversation.AddAdmin{By: byApp, User: "bob"})
	require.Equal(t, []string{"DIRECT_JOINED", "ADD_ADMIN"}, bob.after(2))
	require.NoError(t, bob.Cut())
	ann.say("7", "hidden, too")
	r.settled()
	bob = r.dial("bob", "web")
	require.Empty(t, bob.after(0))
	shield(false)
	ann.say("7", "shown")
	require.Equal(t, []string{"shown"}, bob.after(1))
}

// A recalled message is not shown any more to who comes later; its recall is, to all but the device that recalled.
func TestRecall(t *testing.T) {
	r := newRig(t)
	r.register("ann", "bob", "cid")
	r.group("7", "ann", "bob", "cid")
	r.settled()
	ann, pad, bob := r.dial("ann", "web"), r.dial("ann", "pad"), r.dial("bob", "web")
	bob.after(1)
	recall := func(d *device, to, domainOf string, id uint64) client.Ack {
		a, err := d.SendMeta(within(t), msync.Outgoing{
			To: to, ToDomain: domainOf, NS: msync.Meta_CHAT, Payload: must(client.ReceiptBody(msync.MessageBody_RECALL, d.user, to, id)),
		})
		require.NoError(t, err)
		return a
	}
	id := ann.say("7", "oops").ServerID
	bob.after(2)
	require.Equal(t, "Sorry, You do not have permission", recall(bob, "7", msync.GroupDomain, id).Reason)
	a := recall(ann, "7", msync.GroupDomain, id)
	require.Equal(t, msync.Status_OK, a.Code, a.Reason)
	require.Equal(t, "Sorry, message does not exist", recall(ann, "7", msync.GroupDomain, id).Reason)
	require.Equal(t, id, bob.wait(3)[2].ack)
	require.Equal(t, []string{"oops", "RECALL"}, pad.after(2))
	ann.wait(2)
	// By the owner, somebody else's.
	id = bob.say("7", "rude").ServerID
	require.Equal(t, msync.Status_OK, recall(ann, "7", msync.GroupDomain, id).Code)
	// In a direct conversation.
	id = ann.send("bob", "private").ServerID
	require.Equal(t, "Sorry, message does not exist", recall(ann, "cid", "", id).Reason)
	require.Equal(t, "Sorry, You do not have permission", recall(bob, "ann", "", id).Reason)
	require.Equal(t, msync.Status_OK, recall(ann, "bob", "", id).Code)
	require.Equal(t, []string{"DIRECT_JOINED", "oops", "RECALL", "RECALL", "private", "RECALL"}, bob.after(6))
	r.settled()
	require.Equal(t, []string{"DIRECT_JOINED", "RECALL", "RECALL"}, r.dial("cid", "web").after(3))
}

// Recall ends with its time, and where it is off it is refused.
func TestRecallWindow(t *testing.T) {
	for _, c := range []struct {
		window time.Duration
		reason string
	}{{0, "message recall disabled"}, {time.Millisecond, "exceed recall time limit"}} {
		t.Run(c.reason, func(t *testing.T) {
			r := newRig(t, func(g *gateway.Config) { g.Settings.RecallWindow = c.window })
			r.register("ann", "bob")
			ann := r.dial("ann", "web")
			id := ann.send("bob", "hi").ServerID
			time.Sleep(3 * time.Millisecond)
			a, err := ann.Send(within(t), "bob", must(client.ReceiptBody(msync.MessageBody_RECALL, "ann", "bob", id)))
			require.NoError(t, err)
			require.Equal(t, msync.Status_FAIL, a.Code)
			require.Equal(t, c.reason, a.Reason)
		})
	}
}

// What a group does not take is refused with what SDKs know.
func TestGroupRefusals(t *testing.T) {
	r := newRig(t)
	r.register("ann", "eve")
	r.group("7", "ann")
	r.settled()
	ann, eve := r.dial("ann", "web"), r.dial("eve", "web")
	id := ann.say("7", "hello").ServerID
	receipt := func(k msync.MessageBody_Type) []byte { return must(client.ReceiptBody(k, "eve", "7", id)) }
	hello := must(client.GroupTextBody("eve", "7", "hello"))
	for _, c := range []struct {
		name, to string
		body     []byte
		code     msync.Status_ErrorCode
		reason   string
	}{
		{"no member", "7", hello, msync.Status_FAIL, "not in group or chatroom"},
		{"no group", "8", hello, msync.Status_FAIL, "group not found"},
		{"no name of a group", "a/b", hello, msync.Status_FAIL, "group not found"},
		{"reading as no member", "7", receipt(msync.MessageBody_CHANNEL_ACK), msync.Status_FAIL, "not in group or chatroom"},
		{"recall as no member", "7", receipt(msync.MessageBody_RECALL), msync.Status_FAIL, "not in group or chatroom"},
		{"receipt of a message", "7", receipt(msync.MessageBody_READ_ACK), msync.Status_PERMISSION_DENIED_EXTERNAL, "receipts of messages are not offered in groups"},
		{"direct message", "7", text("eve", "7", "hello"), msync.Status_PERMISSION_DENIED_EXTERNAL, "the message type is not one of groups"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := eve.sendTo(c.to, c.body)
			require.Equal(t, c.code, a.Code)
			require.Equal(t, c.reason, a.Reason)
		})
	}
}

// Who reads a group on one device has read it on the others; nobody else is told.
func TestReadGroup(t *testing.T) {
	r := newRig(t)
	r.register("ann", "bob")
	stream := r.group("7", "ann", "bob")
	r.settled()
	ann, bob, pad := r.dial("ann", "web"), r.dial("bob", "web"), r.dial("bob", "pad")
	ann.say("7", "read me")
	pad.after(1)
	bob.after(2)
	a := bob.sendTo("7", must(client.ReceiptBody(msync.MessageBody_CHANNEL_ACK, "bob", "7", 0)))
	require.Equal(t, msync.Status_OK, a.Code, a.Reason)
	require.Equal(t, []string{"read me", "CHANNEL_ACK"}, pad.after(2))
	require.Equal(t, []string{"DIRECT_JOINED", "read me"}, bob.after(2))
	ann.wait(2)
	r.settled()
	m, err := shared.queries.Memberships(t.Context(), r.app, "bob", 1)
	require.NoError(t, err)
	require.Equal(t, stream, m[0].Stream)
	require.Zero(t, m[0].Unread(1))
}

// What waits for a user in groups counts as undelivered: what is for the user, of the time as a member, that no device has.
func TestUndeliveredInGroups(t *testing.T) {
	r := newRig(t)
	r.register("ann", "bob", "cid")
	stream := r.group("7", "ann", "bob", "cid")
	r.settled()
	ann := r.dial("ann", "web")
	ann.say("7", "one")
	ann.say("7", "two")
	ann.sendTo("7", must(client.GroupTextBody("ann", "7", "for cid")), func(o *msync.Outgoing) {
		o.RouteType, o.Directed = msync.Meta_ROUTE_DIRECT, []string{"cid"}
	})
	r.remove(stream, "bob")
	ann.say("7", "three")
	r.settled()
	for name, want := range map[string]int{"ann": 0, "bob": 2, "cid": 4} {
		n, err := r.gateway.Undelivered(t.Context(), r.app, domain.UserID(name), 1)
		require.NoError(t, err)
		require.Equal(t, want, n, name)
	}
}
