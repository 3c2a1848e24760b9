package gateway_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"parley/delivery/gateway"
	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/user"
	"parley/schemas/msync"
)

// keeps restarts the rig with leases that last so long.
func (r *rig) keeps(keep time.Duration) {
	r.leaseSet.Keep, r.leaseSet.Heartbeat = keep, keep/2
	r.stop()
	r.start()
}

// gone waits until the gateway has noticed that all sockets of users are gone.
func (r *rig) gone(names ...string) {
	r.t.Helper()
	eventually(r.t, func() bool {
		for _, name := range names {
			if r.users.Online(key(r, name)) {
				return false
			}
		}
		return true
	}, func() string { return "sockets are left" })
}

// A viewer that is cut and comes back within its lease goes on viewing without a join: it is shown what it missed, once and in order, and
// nobody is told that it was away.
func TestRoomCutAndBack(t *testing.T) {
	r := newRig(t)
	r.register("ann", "bob", "cid")
	stream := r.room("83", "ann")
	bob, cid := r.dial("bob", "web"), r.dial("cid", "web")
	bob.joins("83")
	cid.joins("83")
	cid.speaks("83", "one")
	bob.hearsSaid("one")
	for round := range 3 {
		bob.Cut()
		r.gone("bob")
		want := []string{}
		for i := range 5 {
			want = append(want, fmt.Sprintf("%d.%d", round, i))
			cid.speaks("83", want[i])
		}
		bob = r.dial("bob", "web")
		bob.hears(want...)
		cid.speaks("83", "live")
		bob.hears(append(want, "live")...)
		require.Equal(t, 3, r.leases.Count(stream))
	}
	bob.speaks("83", "back")
	eventually(t, func() bool { return len(cid.said()) == 1 }, func() string { return "not heard" })
	require.NotContains(t, cid.heard(), "ABSENCE bob 2")
	pad := r.dial("bob", "pad") // another device joins for itself
	cid.speaks("83", "more")
	pad.hears()
}

// Who comes back after the lease is over views nothing, and the others were told that it has gone.
func TestRoomCutAndLate(t *testing.T) {
	r := newRig(t)
	r.keeps(200 * time.Millisecond)
	r.register("ann", "bob", "cid")
	stream := r.room("84", "ann")
	bob, cid := r.dial("bob", "web"), r.dial("cid", "web")
	cid.joins("84")
	bob.joins("84")
	bob.Cut()
	cid.hears("PRESENCE bob 3", "ABSENCE bob 2")
	cid.speaks("84", "one")
	bob = r.dial("bob", "web")
	cid.speaks("84", "two")
	a, err := bob.SendRoom(within(t), "84", "x", conversation.PriorityHigh)
	require.NoError(t, err)
	require.Equal(t, "not in group or chatroom", a.Reason)
	bob.hears()
	require.Equal(t, 2, r.leases.Count(stream))
}

// Who is on the allow list, and the owner, stay while they are away, for as long as it takes.
func TestRoomStays(t *testing.T) {
	r := newRig(t)
	r.keeps(200 * time.Millisecond)
	r.register("ann", "bob", "cid")
	stream := r.room("85", "ann")
	ann, bob, cid := r.dial("ann", "web"), r.dial("bob", "web"), r.dial("cid", "web")
	for _, d := range []*device{ann, bob, cid} {
		d.joins("85")
	}
	r.submit(stream, conversation.AllowUsers{By: byApp, Users: r.persons("bob")})
	bob.hearsSaid("ADD_USER_WHITE_LIST @ppAdmin")
	ann.Cut()
	bob.Cut()
	r.gone("ann", "bob")
	time.Sleep(400 * time.Millisecond)
	cid.speaks("85", "one")
	require.Equal(t, 3, r.leases.Count(stream))
	r.dial("bob", "web").hears("one")
	r.dial("ann", "web").hears("one")
}

// Two tabs share a device: each views for itself, and the lease begins to run out with the last.
func TestRoomTabs(t *testing.T) {
	r := newRig(t)
	r.keeps(300 * time.Millisecond)
	r.register("ann", "bob", "cid")
	stream := r.room("86", "ann")
	cid := r.dial("cid", "web")
	cid.joins("86")
	one, two := r.dial("bob", "web"), r.dial("bob", "web")
	one.joins("86")
	two.joins("86")
	cid.speaks("86", "both")
	one.hearsSaid("both")
	two.hearsSaid("both")
	one.Cut()
	time.Sleep(500 * time.Millisecond)
	cid.speaks("86", "left")
	two.hearsSaid("both", "left")
	require.Equal(t, 3, r.leases.Count(stream))
	third := r.dial("bob", "web") // of a dead socket that nobody has noticed yet it would not know what came since it was last heard of
	cid.speaks("86", "third")
	third.hears("left", "third")
	third.leaves("86")
	cid.speaks("86", "last")
	two.hearsSaid("both", "left", "third", "last")
	third.hears("left", "third")
	two.leaves("86")
	eventually(t, func() bool { return r.leases.Count(stream) == 2 }, func() string { return "the lease lasts" })
}

// A tab that is cut while the other lives goes on where it was.
func TestRoomTabBack(t *testing.T) {
	r := newRig(t)
	r.register("ann", "bob")
	stream := r.room("94", "ann")
	one, two := r.dial("bob", "web"), r.dial("bob", "web")
	one.joins("94")
	two.joins("94")
	r.broadcast(stream, "ann", "one")
	one.hears("one")
	two.hears("one")
	one.Cut()
	eventually(t, func() bool { return r.gateway.Sessions() == 1 }, func() string { return "the socket is left" })
	r.broadcast(stream, "ann", "two")
	two.hears("one", "two")
	one = r.dial("bob", "web")
	one.hears("two")
	r.broadcast(stream, "ann", "three")
	one.hears("two", "three")
}

// Who comes back while nobody has noticed that its old socket is dead is shown what came since that was last heard of.
func TestRoomDeadSocket(t *testing.T) {
	r := newRig(t)
	r.register("ann", "bob")
	stream := r.room("96", "ann")
	old := r.dial("bob", "web")
	old.joins("96")
	r.broadcast(stream, "ann", "before")
	old.hears("before")
	time.Sleep(5 * time.Millisecond)
	old.speaks("96", "alive")
	time.Sleep(5 * time.Millisecond)
	r.broadcast(stream, "ann", "into the void")
	old.hears("before", "into the void")
	back := r.dial("bob", "web")
	back.hears("into the void")
	old.Cut()
	eventually(t, func() bool { return r.gateway.Sessions() == 1 }, func() string { return "the socket is left" })
	r.broadcast(stream, "ann", "after")
	back.hears("into the void", "after")
	back.Cut()
	r.gone("bob")
	r.dial("bob", "web").hears()
}

// A page that is loaded anew joins as if for the first time: it is shown the newest messages, and what comes meanwhile once.
func TestRoomJoinAfterReturn(t *testing.T) {
	r := newRig(t)
	r.register("ann", "bob")
	stream := r.room("95", "ann")
	bob := r.dial("bob", "web")
	bob.joins("95")
	for _, text := range []string{"one", "two"} {
		r.broadcast(stream, "ann", text)
	}
	bob.hears("one", "two")
	bob.Cut()
	r.gone("bob")
	r.broadcast(stream, "ann", "three")
	bob = r.dial("bob", "web")
	bob.hears("three")
	require.Equal(t, 2, bob.joins("95").Members)
	bob.hears("three", "one", "two") // the client has dropped what it had
	bob.joins("95")
	r.broadcast(stream, "ann", "four")
	bob.hears("three", "one", "two", "four")
}

// Leases outlast the process: who comes back to the next one is shown what was missed.
func TestRoomRestart(t *testing.T) {
	r := newRig(t)
	r.register("ann", "bob", "cid", "dan")
	stream, other := r.room("87", "ann"), r.room("88", "ann")
	bob, cid := r.dial("bob", "web"), r.dial("cid", "web")
	bob.joins("87")
	bob.joins("88")
	cid.joins("87")
	cid.speaks("87", "one")
	bob.hearsSaid("one")
	r.stop()
	r.broadcast(stream, "ann", "two")
	r.submit(other, conversation.DestroyRoom{By: byApp})
	r.submit(stream, conversation.TransferRoom{By: byApp, To: r.persons("dan")[0]})
	r.start()
	require.Empty(t, r.leases.Roster(other, "", 10), "it ended meanwhile")
	require.Equal(t, 3, r.leases.Count(stream), "the new owner instead of the old")
	bob = r.dial("bob", "web")
	bob.hears("two", "ASSIGN_OWNER @ppAdmin")
	r.broadcast(stream, "ann", "three")
	bob.hears("two", "ASSIGN_OWNER @ppAdmin", "three")
	r.dial("cid", "web").hears("two", "ASSIGN_OWNER @ppAdmin", "three")
}

// A log-out is no leave.
func TestRoomLogout(t *testing.T) {
	r := newRig(t)
	r.register("ann", "bob")
	stream := r.room("89", "ann")
	bob := r.dial("bob", "web")
	bob.joins("89")
	bob.logout()
	r.gone("bob")
	r.broadcast(stream, "ann", "one")
	r.dial("bob", "web").hears("one")
}

// leaveOtherRooms leaves what this device views, with the join.
func TestRoomLeaveOthers(t *testing.T) {
	r := newRig(t)
	r.register("ann", "bob")
	first, second := r.room("90", "ann"), r.room("91", "ann")
	bob := r.dial("bob", "web")
	bob.joins("90")
	a := bob.sendTo("91", msync.AppendRoomCall(nil, string(r.app), "bob", "91", msync.MUCBody_JOIN, "", true), func(o *msync.Outgoing) {
		o.NS, o.To, o.ToDomain = msync.Meta_MUC, "", msync.UserDomain // as the SDKs address it
	})
	require.Equal(t, msync.Status_OK, a.Code, a.Reason)
	require.Equal(t, 1, r.leases.Count(first))
	require.Equal(t, 2, r.leases.Count(second))
	r.broadcast(first, "ann", "there")
	r.broadcast(second, "ann", "here")
	bob.hears("here")
}

// Over REST all devices of a user come and go at once.
func TestRoomOverREST(t *testing.T) {
	r := newRig(t)
	r.register("ann", "bob", "cid", "dan")
	stream := r.room("92", "ann")
	web, pad, cid := r.dial("bob", "web"), r.dial("bob", "pad"), r.dial("cid", "web")
	cid.joins("92")
	join := func(name string) (gateway.RoomInfo, error) {
		return r.gateway.JoinRoom(within(t), gateway.RoomJoin{
			App: r.app, User: domain.UserID(name), Incarnation: r.account(name).Incarnation, Room: "92",
		})
	}
	info, err := join("bob")
	require.NoError(t, err)
	require.Equal(t, 3, info.Count)
	info, err = join("bob")
	require.NoError(t, err)
	require.Equal(t, 3, info.Count, "twice")
	info, err = join("dan")
	require.NoError(t, err)
	require.Equal(t, 4, info.Count, "while offline")
	cid.speaks("92", "one")
	web.hearsSaid("one")
	pad.hearsSaid("one")
	r.dial("dan", "web").hearsSaid("one")
	removed, err := r.gateway.RemoveFromRoom(within(t), r.app, "92", []domain.UserID{"bob", "eve"}, conversation.Doer{})
	require.NoError(t, err)
	require.Equal(t, []domain.UserID{"bob"}, removed)
	web.hearsSaid("one", "KICK @ppAdmin")
	pad.hearsSaid("one", "KICK @ppAdmin")
	eventually(t, func() bool { return slices.Contains(cid.heard(), "ABSENCE bob 3") }, func() string { return fmt.Sprint(cid.heard()) })
	cid.speaks("92", "two")
	require.NoError(t, r.gateway.LeaveRoom(within(t), r.app, "cid", "92"))
	a, err := cid.SendRoom(within(t), "92", "x", conversation.PriorityHigh)
	require.NoError(t, err)
	require.Equal(t, "not in group or chatroom", a.Reason)
	web.hearsSaid("one", "KICK @ppAdmin")
	require.Equal(t, domain.NotMember, domain.CodeOf(r.gateway.LeaveRoom(within(t), r.app, "cid", "92")))
	require.Equal(t, domain.RoomNotFound, domain.CodeOf(r.gateway.LeaveRoom(within(t), r.app, "cid", "999")))
	require.Equal(t, 2, r.leases.Count(stream))
	_, err = r.gateway.JoinRoom(within(t), gateway.RoomJoin{App: r.app, User: "cid", Incarnation: 1, Room: "999"})
	require.Equal(t, domain.RoomNotFound, domain.CodeOf(err))
	_, err = r.gateway.RemoveFromRoom(within(t), r.app, "999", nil, conversation.Doer{})
	require.Equal(t, domain.RoomNotFound, domain.CodeOf(err))
}

// An account that is deleted views nothing any more, nor does one of the same name.
func TestRoomDeletedUser(t *testing.T) {
	r := newRig(t)
	r.register("ann", "bob", "cid")
	stream := r.room("93", "ann")
	bob, cid := r.dial("bob", "web"), r.dial("cid", "web")
	cid.joins("93")
	bob.joins("93")
	r.submit(domain.UserStream(r.app, "bob"), user.Delete{})
	cid.hears("PRESENCE bob 3", "ABSENCE bob 2")
	r.register("bob")
	cid.speaks("93", "one")
	r.dial("bob", "web").hears()
	require.Equal(t, 2, r.leases.Count(stream))
	require.Empty(t, r.leases.Roster(stream, "cid", 10))
}
