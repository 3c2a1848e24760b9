package gateway_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"parley/delivery/gateway"
	"parley/delivery/gateway/client"
	"parley/domain"
	"parley/domain/conversation"
	"parley/schemas/msync"
)

// Who joins is told of the room, not of itself; the others are told who came, with what it says, and who went, with how many are left.
func TestRoomJoinAndLeave(t *testing.T) {
	r := newRig(t)
	r.register("ann", "bob", "cid")
	stream := r.room("70", "ann")
	bob, cid := r.dial("bob", "web"), r.dial("cid", "web")
	info := bob.joins("70")
	require.Equal(t, 2, info.Members, "the owner is counted")
	require.False(t, info.Allowed)
	require.False(t, info.AllMuted)
	require.InDelta(t, time.Now().UnixMilli(), info.Created, 60_000)
	info, a, err := cid.JoinRoom(within(t), "70", "hi")
	require.NoError(t, err)
	require.Equal(t, msync.Status_OK, a.Code)
	require.Equal(t, 3, info.Members)
	bob.hears("PRESENCE cid 3 hi")
	require.Equal(t, 3, cid.joins("70").Members, "twice is no error")
	cid.speaks("70", "one")
	bob.hears("PRESENCE cid 3 hi", "one")
	cid.leaves("70")
	bob.hears("PRESENCE cid 3 hi", "one", "ABSENCE cid 2")
	bob.speaks("70", "two")
	require.Equal(t, 2, r.leases.Count(stream))
	cid.hears()
}

// Whoever joins is shown the newest messages, in order, before what is new; with history on, nothing of before.
func TestRoomNewestOnJoin(t *testing.T) {
	for _, c := range []struct {
		name   string
		onJoin int
		want   []string
	}{
		{name: "two", onJoin: 2, want: []string{"two", "three"}},
		{name: "none", onJoin: 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, func(g *gateway.Config) { g.OnJoin = c.onJoin })
			r.register("ann", "bob")
			stream := r.room("71", "ann")
			for _, text := range []string{"one", "two", "three"} {
				r.broadcast(stream, "ann", text)
			}
			r.settled()
			bob := r.dial("bob", "web")
			bob.joins("71")
			bob.hears(c.want...)
			r.broadcast(stream, "ann", "four")
			bob.hears(append(c.want, "four")...)
		})
	}
}

// What a client may not do is refused with the texts that the SDKs map to their errors.
func TestRoomRefusals(t *testing.T) {
	r := newRig(t)
	r.leaseSet.MaxJoined = 2
	r.stop()
	r.start()
	r.register("ann", "bob", "cid", "dan")
	r.room("72", "ann", func(s *conversation.RoomSettings) { s.MaxUsers = 1 })
	r.room("73", "ann")
	r.room("74", "ann")
	r.room("75", "ann")
	r.group("7", "ann", "bob")
	gone := r.room("76", "ann")
	r.submit(gone, conversation.DestroyRoom{By: byApp})
	r.settled()
	bob, cid, dan, ann := r.dial("bob", "web"), r.dial("cid", "web"), r.dial("dan", "web"), r.dial("ann", "web")
	cid.joins("72")
	ann.joins("72") // the owner may in any case
	dan.joins("73")
	dan.joins("74")
	join := func(d *device, room string) func() client.Ack {
		return func() client.Ack {
			_, a, err := d.JoinRoom(within(t), room, "")
			require.NoError(t, err)
			return a
		}
	}
	leave := func(d *device, room string) func() client.Ack {
		return func() client.Ack {
			a, err := d.LeaveRoom(within(t), room)
			require.NoError(t, err)
			return a
		}
	}
	send := func(d *device, room string) func() client.Ack {
		return func() client.Ack {
			a, err := d.SendRoom(within(t), room, "x", conversation.PriorityNormal)
			require.NoError(t, err)
			return a
		}
	}
	receipt := func(d *device, kind msync.MessageBody_Type) func() client.Ack {
		return func() client.Ack { return d.sendTo("73", must(client.ReceiptBody(kind, "dan", "73", 5))) }
	}
	for _, c := range []struct {
		name string
		do   func() client.Ack
		want msync.Status_ErrorCode
		text string
	}{
		{"join of a room that is not there", join(bob, "999"), msync.Status_FAIL, "grpID 999 does not exist!"},
		{"join of a group", join(bob, "7"), msync.Status_FAIL, "grpID 7 does not exist!"},
		{"join of a room that has ended", join(bob, "76"), msync.Status_FAIL, "grpID 76 does not exist!"},
		{"join without an id", join(bob, ""), msync.Status_FAIL, "grpID  does not exist!"},
		{"join of an id that none can have", join(bob, "a/b"), msync.Status_FAIL, "grpID a/b does not exist!"},
		{"join of an id with a zero byte", join(bob, "73\x00"), msync.Status_FAIL, "grpID 73\x00 does not exist!"},
		{"join of a full room", join(bob, "72"), msync.Status_FAIL, "group member list is full!"},
		{"join of too many", join(dan, "75"), msync.Status_FAIL, "has joined too many chatrooms"},
		{"leave of a room that is not viewed", leave(bob, "73"), msync.Status_FAIL, "not in group or chatroom"},
		{"leave of a room that is not there", leave(bob, "999"), msync.Status_FAIL, "grpID 999 does not exist!"},
		{"message to a room that is not viewed", send(bob, "73"), msync.Status_FAIL, "not in group or chatroom"},
		{"message to a room that is not there", send(bob, "999"), msync.Status_FAIL, "grpID 999 does not exist!"},
		{"message to an id with a zero byte", send(bob, "73\x00"), msync.Status_FAIL, "grpID 73\x00 does not exist!"},
		{"message to a room that has ended", send(bob, "76"), msync.Status_FAIL, "grpID 76 does not exist!"},
		{"room's message to a group", send(bob, "7"), msync.Status_FAIL, "grpID 7 does not exist!"},
		{"read receipt", receipt(dan, msync.MessageBody_READ_ACK), msync.Status_PERMISSION_DENIED_EXTERNAL, "receipts of messages are not offered in groups"},
		{"delivery receipt", receipt(dan, msync.MessageBody_DELIVER_ACK), msync.Status_PERMISSION_DENIED_EXTERNAL, "receipts of messages are not offered in groups"},
		{"conversation receipt", receipt(dan, msync.MessageBody_CHANNEL_ACK), msync.Status_FAIL, "group not found"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := c.do()
			require.Equal(t, c.want, a.Code)
			require.Equal(t, c.text, a.Reason)
		})
	}
	dan.leaves("73")
	a := leave(dan, "73")()
	require.Equal(t, "not in group or chatroom", a.Reason, "twice")
	dan.joins("75")
}

// A user counts once however many devices view; each device joins and leaves for itself.
func TestRoomDevices(t *testing.T) {
	r := newRig(t)
	r.register("ann", "bob", "cid")
	stream := r.room("77", "ann")
	cid := r.dial("cid", "web")
	cid.joins("77")
	web, pad := r.dial("bob", "web"), r.dial("bob", "pad")
	require.Equal(t, 3, web.joins("77").Members)
	require.Equal(t, 3, pad.joins("77").Members)
	cid.hears("PRESENCE bob 3")
	web.speaks("77", "from web")
	pad.hears("from web")
	web.leaves("77")
	cid.speaks("77", "after")
	pad.hears("from web", "after")
	web.hears()
	pad.leaves("77")
	cid.hears("PRESENCE bob 3", "from web", "ABSENCE bob 2")
	require.Equal(t, 2, r.leases.Count(stream))
}

// The owner may speak without viewing.
func TestRoomOwnerSpeaks(t *testing.T) {
	r := newRig(t)
	r.register("ann", "bob")
	r.room("78", "ann")
	ann, bob := r.dial("ann", "web"), r.dial("bob", "web")
	bob.joins("78")
	ann.speaks("78", "hear")
	bob.hears("hear")
	ann.hears()
	require.Equal(t, msync.Status_OK, ann.online(t, "78", "now").Code)
	bob.hears("hear", "now")
}

// online sends a text to those who view a room now.
func (d *device) online(t *testing.T, room, text string) client.Ack {
	t.Helper()
	body, err := client.RoomTextBody(d.user, room, text)
	require.NoError(t, err)
	return d.sendTo(room, body, func(o *msync.Outgoing) { o.RouteType = msync.Meta_ROUTE_ONLINE })
}

// A directed message reaches only whom it names, in order with the rest; an online one is not kept; a recalled one is told to all.
func TestRoomKindsOfMessages(t *testing.T) {
	r := newRig(t)
	r.register("ann", "bob", "cid", "dan")
	r.room("79", "ann")
	bob, cid, dan := r.dial("bob", "web"), r.dial("cid", "web"), r.dial("dan", "web")
	bob.joins("79")
	cid.joins("79")
	a := bob.speaks("79", "one")
	body, err := client.RoomTextBody("bob", "79", "psst")
	require.NoError(t, err)
	require.Equal(t, msync.Status_OK, bob.sendTo("79", body, func(o *msync.Outgoing) {
		o.RouteType, o.Directed = msync.Meta_ROUTE_DIRECT, []string{"cid", "dan"}
	}).Code)
	cid.hearsSaid("one", "psst")
	require.Equal(t, msync.Status_OK, bob.online(t, "79", "now").Code)
	require.Equal(t, msync.Status_FAIL, dan.online(t, "79", "no").Code)
	cid.hearsSaid("one", "psst", "now")
	dan.joins("79")
	dan.hearsSaid("one", "psst")
	require.Equal(t, msync.Status_OK, bob.sendTo("79", must(client.ReceiptBody(msync.MessageBody_RECALL, "bob", "79", a.ServerID))).Code)
	cid.hearsSaid("one", "psst", "now", "RECALL")
	eve := r.dial("ann", "web")
	eve.joins("79")
	require.NotContains(t, eve.said(), "one", "who comes later is not shown what was recalled")
	no := cid.sendTo("79", must(client.ReceiptBody(msync.MessageBody_RECALL, "cid", "79", 1)))
	require.Equal(t, "Sorry, message does not exist", no.Reason)
}

// Over its rate a room sheds low priority first, then normal, never high. Those who stay in the room count as high.
func TestRoomSheds(t *testing.T) {
	r := newRig(t)
	r.roomSet.Rate = 10
	r.stop()
	r.start()
	r.register("ann", "bob", "cid")
	stream := r.room("80", "ann")
	r.submit(stream, conversation.AllowUsers{By: byApp, Users: r.persons("cid")})
	bob, cid := r.dial("bob", "web"), r.dial("cid", "web")
	bob.joins("80")
	require.True(t, cid.joins("80").Allowed)
	send := func(d *device, p conversation.Priority) (shed bool) {
		a, err := d.SendRoom(within(t), "80", "x", p)
		require.NoError(t, err)
		if a.Code != msync.Status_OK {
			require.Equal(t, msync.Status_PERMISSION_DENIED, a.Code)
			require.Equal(t, "traffic limit", a.Reason)
		}
		return a.Code != msync.Status_OK
	}
	shedOf := func(p conversation.Priority) (shed int) {
		for range 30 {
			if send(bob, p) {
				shed++
			}
		}
		return shed
	}
	require.Positive(t, shedOf(conversation.PriorityLow))
	require.Positive(t, shedOf(conversation.PriorityNormal))
	require.Zero(t, shedOf(conversation.PriorityHigh))
	require.True(t, send(bob, conversation.PriorityNormal))
	require.False(t, send(cid, conversation.PriorityLow), "on the allow list")
	require.Positive(t, r.metric("parley_room_shed_total", "low"))
	require.Zero(t, r.metric("parley_room_shed_total", "high"))
}

// All see the messages of several senders in one order, none left out and none twice.
func TestRoomOneOrder(t *testing.T) {
	const senders, each = 5, 100
	r := newRig(t)
	names := []string{"u0", "u1", "u2", "u3", "u4", "w"}
	r.register(append(names, "ann")...)
	r.room("81", "ann")
	var all []*device
	for _, name := range names {
		d := r.dial(name, "web")
		d.joins("81")
		all = append(all, d)
	}
	done := make(chan struct{})
	for i := range senders {
		go func() {
			defer func() { done <- struct{}{} }()
			for n := range each {
				if _, err := all[i].SendRoom(within(t), "81", names[i]+"-"+itoa(int64(n)), conversation.PriorityHigh); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	for range senders {
		<-done
	}
	order := func(d *device) (ids []uint64) {
		for _, g := range d.received() {
			if g.kind == msync.MessageBody_CHATROOM {
				ids = append(ids, g.id)
			}
		}
		return ids
	}
	for _, d := range all {
		eventually(t, func() bool { return len(order(d)) >= senders*each }, func() string { return d.user + " is short of some" })
		require.Equal(t, order(all[0]), order(d), d.user)
	}
	require.IsIncreasing(t, order(all[0]))
	require.Len(t, order(all[0]), senders*each)
}

// What an ended or given away room means to those who view it.
func TestRoomChanges(t *testing.T) {
	r := newRig(t)
	r.register("ann", "bob", "cid")
	stream := r.room("82", "ann")
	bob, cid := r.dial("bob", "web"), r.dial("cid", "web")
	bob.joins("82")
	cid.joins("82")
	r.submit(stream, conversation.AllowUsers{By: byApp, Users: r.persons("cid")})
	cid.hearsSaid("ADD_USER_WHITE_LIST @ppAdmin")
	r.submit(stream, conversation.TransferRoom{By: byApp, To: r.persons("bob")[0]})
	bob.hearsSaid("ASSIGN_OWNER @ppAdmin")
	eventually(t, func() bool { return r.leases.Count(stream) == 2 }, func() string { return "the old owner is counted" })
	r.submit(stream, conversation.DestroyRoom{By: byApp})
	bob.hearsSaid("ASSIGN_OWNER @ppAdmin", "DESTROY @ppAdmin")
	cid.hearsSaid("ADD_USER_WHITE_LIST @ppAdmin", "ASSIGN_OWNER @ppAdmin", "DESTROY @ppAdmin")
	eventually(t, func() bool { return len(r.leases.RoomsOf(r.app, domain.UserID("bob"))) == 0 }, func() string { return "leases are left" })
	a, err := bob.SendRoom(within(t), "82", "x", conversation.PriorityHigh)
	require.NoError(t, err)
	require.Equal(t, "grpID 82 does not exist!", a.Reason)
	a, err = bob.LeaveRoom(within(t), "82")
	require.NoError(t, err)
	require.Equal(t, "grpID 82 does not exist!", a.Reason, "nobody is in it")
}
