package router_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"parley/delivery/directory"
	"parley/delivery/router"
	"parley/domain"
	"parley/domain/conversation"
)

var east = domain.Node{Name: "east", Life: 1}

// newTelling makes a rig whose router tells others, and what it has told.
func newTelling() (*rig, *[][]byte) {
	r, facts := newRig(), new([][]byte)
	r.router = router.New(r.dir, r.rooms, r.leases, []domain.Partition{3}, router.NewMetrics(prometheus.NewRegistry()),
		router.Telling(func(f []byte) { *facts = append(*facts, f) }))
	return r, facts
}

// online makes a user online on another node.
func (r *rig) online(t *testing.T, u domain.UserID, i directory.Info) {
	r.dir.Begin(east)
	far := directory.New(directory.Telling(func(f []byte) { require.NoError(t, r.dir.Apply(east, f)) }))
	far.Attach(directory.Key{App: app, User: u}, &session{info: i}, 4, "")
}

func message(from, to domain.UserID) *domain.Event {
	return &domain.Event{T: 1, Body: conversation.MessageSent{From: from, FromResource: "web", To: to, SyncOwn: true, Body: []byte{8, 1}}}
}

// Other nodes are told what somebody there may see, and hand it to their sessions as if it had come from there.
func TestVolatileElsewhere(t *testing.T) {
	ab, ev := domain.DirectStream(app, "a", "b"), message("a", "b")
	here, facts := newTelling()
	there, answers := newTelling()
	here.router.Volatile(ab, ev)
	require.Empty(t, *facts, "nobody is there")
	own := here.attach("a", directory.Info{Resource: "web"})
	pad, b := there.attach("a", directory.Info{Resource: "pad"}), there.attach("b", directory.Info{Resource: "web"})
	other := there.attach("c", directory.Info{Resource: "web"})
	here.online(t, "b", directory.Info{Resource: "web"})
	there.online(t, "a", directory.Info{Resource: "web"})
	here.router.Volatile(ab, ev)
	here.router.Volatile("nonsense", ev)
	require.Len(t, *facts, 1)
	require.NoError(t, there.router.Apply(east, (*facts)[0]))
	require.Equal(t, []int{0, 1, 1, 0}, []int{own.volatile, pad.volatile, b.volatile, other.volatile})
	require.Empty(t, *answers, "what was told is not told on")
	there.router.Snapshot(func([]byte) { t.Error("there is nothing that lasts") })
}

// Who is subscribed to a group elsewhere, or views a room, is not known: all are told.
func TestVolatileToGroupsAndRoomsElsewhere(t *testing.T) {
	here, facts := newTelling()
	there, answers := newTelling()
	ann := there.attach("ann", directory.Info{})
	there.dir.Subscribe(groupStream, ann)
	ev := said("bob", 0)
	here.router.Volatile(groupStream, &ev)
	here.router.Volatile(roomStream, message("bob", ""))
	require.Len(t, *facts, 2)
	for _, f := range *facts {
		require.NoError(t, there.router.Apply(east, f))
	}
	require.Equal(t, 1, ann.volatile)
	require.Equal(t, 1, there.rooms.volatile)
	require.Empty(t, *answers)
}

// That a group was read is shown to the only device here when whoever read it has another elsewhere.
func TestReadElsewhere(t *testing.T) {
	read := domain.Event{T: 1, Body: conversation.ConversationRead{By: "a", ByResource: "web", Body: []byte{8, 1}}}
	r := newRig()
	pad := r.attach("a", directory.Info{Resource: "pad"})
	c := &domain.Commit{Stream: groupStream, Events: []domain.Event{read}}
	r.router.Route(c)
	require.Zero(t, pad.volatile)
	r.online(t, "a", directory.Info{Resource: "web"})
	r.router.Route(c)
	require.Equal(t, 1, pad.volatile)
}

func TestFactsThatAreNone(t *testing.T) {
	r, _ := newTelling()
	for _, fact := range []string{"\xff", "", "\x0a\x01x", "\x0a\x0eorg#app/d/a/b\x12\x01x"} {
		require.Error(t, r.router.Apply(east, []byte(fact)))
	}
}

func FuzzApply(f *testing.F) {
	r, facts := newTelling()
	ev := said("bob", 0)
	r.router.Volatile(groupStream, &ev)
	f.Add((*facts)[0])
	r.dir.Subscribe(groupStream, &quiet{})
	r.attach("a", directory.Info{})
	f.Fuzz(func(_ *testing.T, fact []byte) { _ = r.router.Apply(east, fact) })
}

// A notice to viewers of a room reaches those on other nodes, in whatever hands it on; nobody is told who is not elsewhere.
func TestNoticeElsewhere(t *testing.T) {
	here, facts := newTelling()
	there, answers := newTelling()
	here.router.Notify(roomStream, []domain.UserID{"bob"}, []byte("kick"))
	require.Empty(t, *facts, "bob is nowhere else")
	here.online(t, "bob", directory.Info{Resource: "web"})
	here.router.Notify(roomStream, []domain.UserID{"ann", "bob"}, []byte("kick"))
	require.Len(t, *facts, 1)
	require.NoError(t, there.router.Apply(east, (*facts)[0]))
	require.Equal(t, []string{"org#app/r/7[bob]kick", "org#app/r/7[ann bob]kick"}, here.rooms.notices)
	require.Equal(t, []string{"org#app/r/7[ann bob]kick"}, there.rooms.notices)
	require.Zero(t, there.rooms.volatile)
	require.Empty(t, *answers)
}
