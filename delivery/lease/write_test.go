package lease

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"parley/domain"
	"parley/schemas/table"
)

// A restart in order goes on with what was seen, a kill with the last heartbeat.
func TestRestart(t *testing.T) {
	r := newRig(t)
	for _, d := range []domain.Resource{"web", "pad"} {
		_, _, err := r.joins("bob", d, "1")
		require.NoError(t, err)
	}
	r.Detach(app, "bob", "web", map[Room]domain.Seq{one: 5})
	cut := r.micro()
	r.clock.pass(time.Second)
	r.save(t.Context(), false) // and the first heartbeat
	alive := r.clock.now()
	r.clock.pass(5 * time.Second)
	r.save(t.Context(), false)
	r.kill()
	require.Equal(t, 2, r.Count(one))
	require.Equal(t, alive.Add(2*time.Minute), r.Roster(one, "", 1)[0].Until.UTC())
	require.Equal(t, []Resumed{{Room: one, Seen: 5, After: at(cut)}}, r.Attach(app, "bob", 1, "web"))
	require.Equal(t, []Resumed{{Room: one, After: domain.TAt(alive)}}, r.Attach(app, "bob", 1, "pad"))
	require.Empty(t, r.heard.take(one))
	r.save(t.Context(), true)
	r.kill()
	r.pass(2 * time.Minute)
	require.Equal(t, "-bob 1", r.heard.take(one))
	r.save(t.Context(), false)
	r.kill()
	require.Empty(t, r.Rooms())
	require.Equal(t, []uint32{0}, r.buckets[Bucket(app, "bob")].free)
}

// Who was taken off the allow list right before a kill does not stay for ever: the rooms say who is on it.
func TestAllowListAfterKill(t *testing.T) {
	r := newRig(t)
	for who, change := range map[domain.UserID]func(*Join){"bob": stays, "carol": func(*Join) {}, "alice": stays} {
		_, _, err := r.joins(who, "web", "1", change)
		require.NoError(t, err)
	}
	r.save(t.Context(), true)
	r.SetStays(one, "bob", false)
	r.SetStays(one, "carol", true)
	r.kill()
	r.SetOwner(one, "alice")
	r.SetAllowed(one, []domain.UserID{"carol", "dave"})
	r.pass(time.Hour)
	require.True(t, r.Viewing(one, "alice"), "the owner")
	require.True(t, r.Viewing(one, "carol"))
	require.False(t, r.Viewing(one, "bob"))
	r.SetAllowed("org#app/r/none", nil)
	require.Equal(t, []Room{one}, r.Rooms())
}

// A second kill does not let live on what ended with the first.
func TestTwoKills(t *testing.T) {
	r := newRig(t)
	_, _, err := r.joins("bob", "web", "1")
	require.NoError(t, err)
	r.save(t.Context(), false)
	until := r.clock.now().Add(2 * time.Minute)
	for range 5 {
		r.clock.pass(20 * time.Second)
		r.kill()
		require.Equal(t, until, r.Roster(one, "", 1)[0].Until.UTC())
		r.save(t.Context(), true)
	}
}

// While the store fails nobody waits, and memory holds no more than the leases there are and the rows there were.
func TestStoreFails(t *testing.T) {
	r := newRig(t)
	_, _, err := r.joins("old", "web", "1")
	require.NoError(t, err)
	r.save(t.Context(), false)
	r.store.fault = refuses
	for i := range 1000 {
		who := domain.UserID(fmt.Sprint("u", i))
		_, _, err := r.joins(who, "web", "1")
		require.NoError(t, err)
		if i == 500 {
			r.save(t.Context(), false)
		}
		require.True(t, r.Leave(app, who, one, ""))
	}
	r.Leave(app, "old", one, "")
	r.save(t.Context(), false)
	require.Equal(t, int64(2), r.waiting.Load(), "old, whose row is there, and the one whose row might be")
	require.InDelta(t, 3, r.metric("parley_lease_rows_total", "failed"), 0)
	r.store.fault = none
	r.save(t.Context(), false)
	require.Zero(t, r.waiting.Load())
	r.kill()
	require.Empty(t, r.Rooms())
}

// stalled is a store that does not answer.
type stalled struct{ memory }

func (s *stalled) Write(ctx context.Context, _ []table.Write) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestStoreStalls(t *testing.T) {
	l := New(Config{Store: &stalled{}, Settings: DefaultSettings()})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- l.Run(ctx) }()
	start := time.Now()
	for i := range 200 {
		who := domain.UserID(fmt.Sprint("u", i))
		_, _, err := l.Join(Join{App: app, User: who, Device: "web", Room: one})
		require.NoError(t, err)
		time.Sleep(100 * time.Microsecond)
		l.Detach(app, who, "web", nil)
		require.True(t, l.Leave(app, who, one, ""))
	}
	require.Less(t, time.Since(start), writeTimeout)
	cancel()
	require.NoError(t, <-done)
}

// ticking counts what is written.
type ticking struct {
	memory
	rows atomic.Int64
}

func (s *ticking) Write(ctx context.Context, writes []table.Write) error {
	if writes[0].Table == Rows {
		s.rows.Add(int64(len(writes)))
	}
	return s.memory.Write(ctx, writes)
}

// Run writes soon, and what is left at the end; leases that run out end by themselves.
func TestRun(t *testing.T) {
	s, h := &ticking{}, &heard{}
	set := DefaultSettings()
	set.Keep, set.Heartbeat = 300*time.Millisecond, 100*time.Millisecond
	l := New(Config{Store: s, Settings: set, Sink: h, Registerer: prometheus.NewPedanticRegistry()})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- l.Run(ctx) }()
	_, _, err := l.Join(Join{App: app, User: "bob", Device: "web", Room: one, Owner: "alice"})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return s.rows.Load() == 1 }, 5*time.Second, time.Millisecond)
	l.Detach(app, "bob", "web", nil)
	require.Eventually(t, func() bool { return !l.Viewing(one, "bob") }, 5*time.Second, time.Millisecond)
	require.Eventually(t, func() bool { return l.waiting.Load() == 0 }, 5*time.Second, time.Millisecond)
	_, _, err = l.Join(Join{App: app, User: "carol", Device: "web", Room: one, Owner: "alice"})
	require.NoError(t, err)
	cancel()
	require.NoError(t, <-done)
	require.Equal(t, "+bob 2, -bob 1, +carol 2", h.take(one))
	s.kill(0)
	l = New(Config{Store: s, Settings: set})
	require.NoError(t, l.Load(t.Context()))
	require.True(t, l.Viewing(one, "carol"))
}

// A row that cannot be read keeps Load from going on.
func TestLoadBadRows(t *testing.T) {
	for name, w := range map[string]table.Write{
		"malformed":    {Table: Rows, Partition: bucketPartition(0), Cluster: table.Key(nil).Uint64(0), Cells: []table.Cell{{Value: []byte("?")}}},
		"other bucket": {Table: Rows, Partition: bucketPartition(0), Cluster: table.Key(nil).Uint64(0), Cells: []table.Cell{{Value: encodeUser(sampleUser(), "")}}},
		"number":       {Table: Rows, Partition: bucketPartition(0), Cluster: table.Key(nil).Uint64(1 << 50), Cells: []table.Cell{{Value: []byte{}}}},
		"node":         {Table: Nodes, Partition: nodesPartition(), Cluster: table.Key(nil).Text("0"), Cells: []table.Cell{{Value: []byte("?")}}},
	} {
		t.Run(name, func(t *testing.T) {
			w.T = 1
			s := &memory{batches: [][]table.Write{{w}}}
			require.Error(t, New(Config{Store: s, Settings: DefaultSettings()}).Load(t.Context()))
		})
	}
	require.ErrorIs(t, New(Config{Store: unreadable{}, Settings: DefaultSettings()}).Load(t.Context()), io.ErrUnexpectedEOF)
}

type unreadable struct{ Store }

func (unreadable) Scan(context.Context, table.Query) ([]table.Row, error) {
	return nil, io.ErrUnexpectedEOF
}
