package gateway_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"parley/delivery/gateway"
	"parley/delivery/lease"
	"parley/delivery/room"
	"parley/domain"
	"parley/domain/conversation"
	"parley/schemas/msync"
)

// local is the gateway of a rig, which is made after its leases.
type local struct{ *rig }

func (l local) Ended(room lease.Room, app domain.AppID, u domain.UserID) {
	l.gateway.Ended(room, app, u)
}

func (l local) Added(room lease.Room, app domain.AppID, u domain.UserID, inc domain.Incarnation) {
	l.gateway.Added(room, app, u, inc)
}

// newNodes starts two nodes for one app, whose leases tell one another.
func newNodes(t *testing.T) (a, b *rig) {
	t.Helper()
	a = newRig(t)
	a.stop()
	b = &rig{t: t, app: a.app, leaseSet: lease.DefaultSettings(), roomSet: room.DefaultSettings()}
	nodes := []*rig{a, b}
	facts := []chan []byte{make(chan []byte, 10_000), make(chan []byte, 10_000)}
	for i, r := range nodes {
		r.cluster = func(c *lease.Config) {
			c.Self, c.Number = domain.Node{Name: domain.NodeName("ab"[i : i+1]), Life: 1}, i
			c.Tell, c.Local = func(fact []byte) { facts[i] <- fact }, local{r}
		}
		r.start()
	}
	var wg sync.WaitGroup
	for i, r := range nodes {
		other, self := nodes[1-i], domain.Node{Name: domain.NodeName("ab"[i : i+1]), Life: 1}
		other.leases.Begin(self)
		r.leases.Snapshot(func(fact []byte) { require.NoError(t, other.leases.Apply(self, fact)) })
		other.leases.End(self)
		wg.Go(func() {
			for fact := range facts[i] {
				if err := other.leases.Apply(self, fact); err != nil {
					t.Errorf("apply: %v", err)
				}
			}
		})
	}
	t.Cleanup(func() {
		a.stop()
		b.stop()
		close(facts[0])
		close(facts[1])
		wg.Wait()
	})
	return a, b
}

func (r *rig) viewing(t *testing.T, stream domain.StreamID, who string, want bool) {
	t.Helper()
	eventually(t, func() bool { return r.leases.Viewing(stream, domain.UserID(who)) == want }, func() string {
		return who + " is not where it should be"
	})
}

// Viewers of a room on two nodes are shown the same, who comes and goes on the other node too.
func TestRoomOverNodes(t *testing.T) {
	a, b := newNodes(t)
	a.register("ann", "bob", "cid")
	a.room("1", "ann")
	stream := domain.RoomStream(a.app, "1")
	bob := a.dial("bob", "web")
	bob.joins("1")
	b.viewing(t, stream, "bob", true)
	cid := b.dial("cid", "web")
	require.Equal(t, 3, cid.joins("1").Members)
	a.viewing(t, stream, "cid", true)
	bob.speaks("1", "hello")
	cid.hearsSaid("hello")
	cid.speaks("1", "hello yourself")
	bob.hearsSaid("hello yourself")
	bob.hears("PRESENCE cid 3", "hello yourself")
	cid.leaves("1")
	a.viewing(t, stream, "cid", false)
	bob.hears("PRESENCE cid 3", "hello yourself", "ABSENCE cid 2")
}

// What REST does on one node happens to sessions on the other.
func TestRoomRESTOnAnotherNode(t *testing.T) {
	a, b := newNodes(t)
	a.register("ann", "bob", "cid")
	a.room("1", "ann")
	stream := domain.RoomStream(a.app, "1")
	bob, cid, pad := b.dial("bob", "web"), a.dial("cid", "web"), a.dial("bob", "pad")
	cid.joins("1")
	p := a.persons("bob")[0]
	join := gateway.RoomJoin{App: a.app, User: p.User, Incarnation: p.Incarnation, Room: "1"}
	shown := func(text string) {
		t.Helper()
		eventually(t, func() bool {
			return b.leases.Views(stream, "bob", "web") && a.leases.Views(stream, "bob", "pad") && b.rooms.Viewers(stream) == 1
		}, func() string { return "bob does not view on both nodes" })
		cid.speaks("1", text)
		bob.hearsSaid(text)
		pad.hearsSaid(text)
	}
	_, err := a.gateway.JoinRoom(within(t), join)
	require.NoError(t, err)
	shown("one")
	require.NoError(t, b.gateway.LeaveRoom(within(t), a.app, "bob", "1"))
	a.viewing(t, stream, "bob", false)
	b.viewing(t, stream, "bob", false)
	eventually(t, func() bool { return a.rooms.Viewers(stream) == 1 && b.rooms.Viewers(stream) == 0 }, func() string { return "bob is shown the room" })
	require.Equal(t, msync.Status_OK, cid.speaks("1", "not for bob").Code)
	_, err = b.gateway.JoinRoom(within(t), join)
	require.NoError(t, err)
	eventually(t, func() bool { return a.leases.Views(stream, "bob", "pad") && a.rooms.Viewers(stream) == 2 }, func() string { return "the pad does not view" })
	removed, err := a.gateway.RemoveFromRoom(within(t), a.app, "1", []domain.UserID{"bob"}, conversation.Doer{User: "ann"})
	require.NoError(t, err)
	require.Equal(t, []domain.UserID{"bob"}, removed)
	eventually(t, func() bool { return a.rooms.Viewers(stream) == 1 && b.rooms.Viewers(stream) == 0 }, func() string { return "bob is shown the room" })
	b.viewing(t, stream, "bob", false)
}

// A viewer that comes back on another node goes on there, whether its end was noticed or not, and views there when the old node notices.
func TestRoomBackOnAnotherNode(t *testing.T) {
	a, b := newNodes(t)
	a.register("ann", "bob", "cid")
	a.room("1", "ann")
	stream := domain.RoomStream(a.app, "1")
	cid := b.dial("cid", "web")
	cid.joins("1")
	bob := a.dial("bob", "web")
	bob.joins("1")
	b.viewing(t, stream, "bob", true)
	cid.speaks("1", "one")
	bob.hearsSaid("one")
	bob.alive()
	bob.Cut()
	a.gone("bob")
	cid.speaks("1", "two")
	eventually(t, func() bool { return !b.leases.RoomsOf(a.app, "bob")[0].Until.IsZero() }, func() string { return "the cut is not told" })
	back := b.dial("bob", "web")
	back.hearsSaid("two")
	// Another socket of the device on the first node: the second one's end is not noticed yet.
	eventually(t, func() bool { return len(a.leases.RoomsOf(a.app, "bob")[0].Devices) == 1 }, func() string { return "the return is not told" })
	again := a.dial("bob", "web")
	again.hearsSaid("one", "two") // nobody knows what arrived there: clients drop what they have
	cid.speaks("1", "three")
	again.hearsSaid("one", "two", "three")
	back.Cut()
	b.gone("bob")
	time.Sleep(20 * time.Millisecond)
	cid.speaks("1", "four")
	again.hearsSaid("one", "two", "three", "four")
	for _, r := range []*rig{a, b} {
		require.Equal(t, []domain.Resource{"web"}, r.leases.RoomsOf(a.app, "bob")[0].Devices)
	}
}
