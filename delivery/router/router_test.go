package router_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"parley/delivery/directory"
	"parley/delivery/lease"
	"parley/delivery/router"
	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/user"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const app = domain.AppID("org#app")

// session remembers what it was handed.
type session struct {
	info     directory.Info
	deliver  func(*directory.Delivery)
	mu       sync.Mutex
	got      []domain.Seq
	volatile int
	kicked   []directory.KickReason
}

func (s *session) Info() directory.Info { return s.info }

func (s *session) Deliver(d *directory.Delivery) {
	if s.deliver != nil {
		s.deliver(d)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(s.got, d.Event.Seq)
}

func (s *session) DeliverVolatile(*directory.Delivery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.volatile++
}

func (s *session) Kick(r directory.KickReason, _ string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kicked = append(s.kicked, r)
}

// feed hands out what it is given, and then ends.
type feed chan []domain.Accepted

var errEnd = errors.New("the feed has ended")

func (f feed) Next(ctx context.Context, _ int) ([]domain.Accepted, error) {
	select {
	case a, ok := <-f:
		if !ok {
			return nil, errEnd
		}
		return a, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

type rig struct {
	dir    *directory.Directory
	router *router.Router
	rooms  *shown
	leases *lease.Leases
	index  domain.Index
	feed   feed
}

func newRig() *rig {
	r := &rig{dir: directory.New(), rooms: &shown{}, leases: lease.New(lease.Config{Settings: lease.DefaultSettings()}), feed: make(feed, 100)}
	r.router = router.New(r.dir, r.rooms, r.leases, []domain.Partition{3, 5}, router.NewMetrics(prometheus.NewRegistry()))
	return r
}

func (r *rig) attach(u domain.UserID, i directory.Info) *session {
	s := &session{info: i}
	r.dir.Attach(directory.Key{App: app, User: u}, s, 100, "")
	return s
}

// commit puts one commit of some events into the feed.
func (r *rig) commit(stream domain.StreamID, events ...domain.Event) {
	r.index++
	r.feed <- []domain.Accepted{{Position: domain.Position{Partition: 5, Index: r.index}, Commit: &domain.Commit{Stream: stream, Events: events}}}
}

// run routes all that is in the feed.
func (r *rig) run(t *testing.T) {
	close(r.feed)
	require.ErrorIs(t, r.router.Run(t.Context(), 5, 0, r.feed), errEnd)
}

func sent(from, to domain.UserID, seq domain.Seq) domain.Event {
	return domain.Event{T: domain.T(seq) << 12, Seq: seq, Body: conversation.MessageSent{From: from, To: to, SyncOwn: true, Body: []byte{8, 1}}}
}

// Both users' sessions are handed every entry, in order, those of others nothing; asides are not handed to anybody.
func TestEntriesGoToBothUsers(t *testing.T) {
	r := newRig()
	a, b, c := r.attach("a", directory.Info{}), r.attach("b", directory.Info{}), r.attach("c", directory.Info{})
	b2 := r.attach("b", directory.Info{Resource: "phone"})
	ab := domain.DirectStream(app, "a", "b")
	r.commit(ab, domain.Event{T: 1, Body: conversation.MemberAdded{User: "a"}}, sent("a", "b", 1))
	r.commit(ab, sent("b", "a", 2))
	r.commit(domain.DirectStream("org#other", "a", "b"), sent("a", "b", 1))
	r.commit(domain.DirectStream(app, "c", "c"), sent("c", "c", 1))
	r.commit(domain.StreamID(app)+"/g/1", sent("a", "b", 1)) // nobody is subscribed
	r.commit("nonsense", sent("a", "b", 1))
	r.run(t)
	for _, s := range []*session{a, b, b2} {
		require.Equal(t, []domain.Seq{1, 2}, s.got)
	}
	require.Equal(t, []domain.Seq{1}, c.got, "once, talking to oneself")
	require.Equal(t, map[domain.Partition]domain.Index{3: 0, 5: 6}, r.router.Positions())
}

// The position passes a commit before the commit looks for sessions: who attached too late to be found waits for its effects.
func TestPositionIsNotedBeforeRouting(t *testing.T) {
	r := newRig()
	a := r.attach("a", directory.Info{})
	var during []domain.Index
	a.deliver = func(*directory.Delivery) { during = append(during, r.router.Position(5)) }
	ab := domain.DirectStream(app, "a", "b")
	r.commit(ab, sent("a", "b", 1))
	r.commit(ab, sent("a", "b", 2))
	r.run(t)
	require.Equal(t, []domain.Index{1, 2}, during)
}

// Run starts where it is told, and stops without error when asked to.
func TestRunStops(t *testing.T) {
	r := newRig()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.router.Run(ctx, 3, 41, r.feed) }()
	require.Eventually(t, func() bool { return r.router.Position(3) == 41 }, 5e9, 1e6)
	cancel()
	require.NoError(t, <-done)
}

// A new password ends the sessions of lower epochs; a deletion those of the account and of earlier ones of the name.
func TestAccountsEndSessions(t *testing.T) {
	r := newRig()
	stale, fresh := r.attach("a", directory.Info{AuthEpoch: 1, Incarnation: 1}), r.attach("a", directory.Info{AuthEpoch: 2, Incarnation: 1})
	other := r.attach("b", directory.Info{AuthEpoch: 1})
	r.commit(domain.UserStream(app, "a"), domain.Event{T: 1, Body: user.PasswordSet{AuthEpoch: 2}})
	next := r.attach("c", directory.Info{Incarnation: 2})
	gone := r.attach("c", directory.Info{Incarnation: 1})
	r.commit(domain.UserStream(app, "c"), domain.Event{T: 2, Body: user.Deleted{Incarnation: 1}})
	r.run(t)
	require.Equal(t, []directory.KickReason{directory.KickPasswordChanged}, stale.kicked)
	require.Equal(t, []directory.KickReason{directory.KickRemoved}, gone.kicked)
	for _, s := range []*session{fresh, other, next} {
		require.Empty(t, s.kicked)
	}
}

// What is not logged goes to those who are to see it, and to nobody else.
func TestVolatile(t *testing.T) {
	r := newRig()
	own, pad := r.attach("a", directory.Info{Resource: "web"}), r.attach("a", directory.Info{Resource: "pad"})
	b := r.attach("b", directory.Info{Resource: "web"})
	ev := domain.Event{T: 1, Body: conversation.MessageSent{From: "a", FromResource: "web", To: "b", SyncOwn: true, Body: []byte{8, 1}}}
	r.router.Volatile(domain.DirectStream(app, "a", "b"), &ev)
	r.router.Volatile("nonsense", &ev)
	r.router.Volatile(domain.DirectStream(app, "a", "b"), &domain.Event{T: 1, Body: conversation.MemberAdded{User: "a"}}) // no wire form
	require.Equal(t, []int{0, 1, 1}, []int{own.volatile, pad.volatile, b.volatile})
}

func BenchmarkRoute(b *testing.B) {
	r := newRig()
	r.attach("a", directory.Info{})
	r.attach("b", directory.Info{})
	ab := domain.DirectStream(app, "a", "b")
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- r.router.Run(ctx, 5, 0, r.feed) }()
	b.ReportAllocs()
	for b.Loop() {
		r.commit(ab, sent("a", "b", 1))
	}
	close(r.feed)
	<-done
}
