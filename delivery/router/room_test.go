package router_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"parley/delivery/directory"
	"parley/delivery/lease"
	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/user"
)

const roomStream = domain.StreamID("org#app/r/7")

// shown remembers what rooms are to show.
type shown struct {
	entries  []string
	volatile int
	notices  []string
}

func (s *shown) Entry(id domain.StreamID, _ domain.Stream, ev *domain.Event) {
	s.entries = append(s.entries, string(id)+" "+ev.Body.EventName())
}

func (s *shown) Volatile(domain.StreamID, domain.Stream, *domain.Event) { s.volatile++ }

func (s *shown) Tell(id domain.StreamID, users []domain.UserID, meta []byte) {
	s.notices = append(s.notices, fmt.Sprint(id, users, string(meta)))
}

// views gives a user a lease without devices.
func (r *rig) views(t *testing.T, room domain.StreamID, u domain.UserID) {
	t.Helper()
	_, _, err := r.leases.Join(lease.Join{App: app, User: u, Incarnation: 1, Room: room, Owner: "ann"})
	require.NoError(t, err)
}

// Entries of a room go to those who show it, in order, and to no session; asides go nowhere.
func TestRoomEntries(t *testing.T) {
	r := newRig()
	ann := r.attach("ann", directory.Info{})
	r.commit(roomStream, entry(1, conversation.RoomCreated{}), said("ann", 2))
	r.commit(roomStream, domain.Event{T: 3 << 12, Body: conversation.ConversationRead{By: "ann"}}, said("bob", 3))
	ev := said("ann", 0)
	r.router.Volatile(roomStream, &ev)
	r.run(t)
	require.Equal(t, []string{"org#app/r/7 RoomCreated", "org#app/r/7 MessageSent", "org#app/r/7 MessageSent"}, r.rooms.entries)
	require.Equal(t, 1, r.rooms.volatile)
	require.Empty(t, ann.got)
	require.Zero(t, ann.volatile)
}

// What happens to a room happens to its leases: who is on the allow list stays, the owner is counted, nobody views what has ended.
func TestRoomLeases(t *testing.T) {
	r := newRig()
	const other = domain.StreamID("org#app/r/8")
	for _, u := range []domain.UserID{"bob", "cid"} {
		r.views(t, roomStream, u)
		r.views(t, other, u)
	}
	person := func(u domain.UserID) conversation.Person { return conversation.Person{User: u, Incarnation: 1} }
	r.commit(roomStream, entry(1, conversation.UsersAllowed{Users: []conversation.Person{person("bob"), person("cid")}}))
	r.commit(roomStream, entry(2, conversation.UsersDisallowed{Users: []conversation.Person{person("bob")}}))
	r.commit(roomStream, entry(3, conversation.RoomTransferred{Old: person("ann"), Owner: person("bob")}))
	r.commit(other, entry(1, conversation.RoomDestroyed{}))
	r.commit(domain.UserStream(app, "cid"), domain.Event{T: 9 << 12, Body: user.Deleted{Incarnation: 1}})
	allowed, mid := r.feedUpTo(1)
	allowed(t)
	require.True(t, r.leases.Stays(roomStream, "bob"))
	require.True(t, r.leases.Stays(roomStream, "cid"))
	require.Equal(t, 3, r.leases.Count(roomStream))
	mid(t)
	require.True(t, r.leases.Stays(roomStream, "bob"), "as the owner")
	require.Equal(t, 1, r.leases.Count(roomStream), "the new owner; the old one and a deleted account no more")
	require.Empty(t, r.leases.Roster(other, "", 10))
}

// feedUpTo returns what routes the first n commits, and what routes the rest.
func (r *rig) feedUpTo(n int) (first, rest func(*testing.T)) {
	first = func(t *testing.T) {
		t.Helper()
		some := make(feed, n)
		for range n {
			some <- <-r.feed
		}
		close(some)
		require.ErrorIs(t, r.router.Run(t.Context(), 5, 0, some), errEnd)
	}
	return first, r.run
}
