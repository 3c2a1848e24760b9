package owners_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"parley/domain"
	"parley/domain/user"
	"parley/ingest/control"
	"parley/ingest/owners"
	"parley/ingest/shard"
	"parley/storage/pebble"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const app = domain.AppID("demo#chat")

type feeds struct {
	mu sync.Mutex
	n  map[domain.Partition]int
}

type oneFeed struct {
	*feeds
	p domain.Partition
}

func (f oneFeed) Publish(batch []domain.Accepted) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n[f.p] += len(batch)
}

// node starts everything over a folder; stop ends it.
func node(t *testing.T, dir string) (o *owners.Owners, c *control.Control, f *feeds, stop func()) {
	t.Helper()
	log, err := pebble.OpenLog(filepath.Join(dir, "log"), pebble.Options{})
	require.NoError(t, err)
	store, err := pebble.OpenStore(filepath.Join(dir, "store"), pebble.Options{})
	require.NoError(t, err)
	c = control.New(log, slog.New(slog.DiscardHandler), time.Now)
	require.NoError(t, c.Load(t.Context()))
	_, err = c.EnsureSlotMap(t.Context(), control.DefaultChats, control.DefaultRooms)
	require.NoError(t, err)
	f = &feeds{n: make(map[domain.Partition]int)}
	o, err = owners.New(owners.Config{
		Node: "n1", Control: c, Log: log, Store: store, Metrics: prometheus.NewRegistry(), AnchorEvery: 20 * time.Millisecond,
		Feed: func(p domain.Partition) shard.Feed { return oneFeed{f, p} },
		Rules: func(k domain.Kind) domain.Rules {
			if k == domain.KindUser {
				return user.Rules{}
			}
			return nil
		},
	})
	require.NoError(t, err)
	return o, c, f, run(t, o, log, store)
}

// run runs the owners until the returned function is called.
func run(t testing.TB, o *owners.Owners, log *pebble.Log, store *pebble.Store) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- o.Run(ctx) }()
	return func() {
		cancel()
		require.NoError(t, <-done)
		require.NoError(t, log.Close())
		require.NoError(t, store.Close())
	}
}

func TestStreamsGoToTheirPartitions(t *testing.T) {
	dir := t.TempDir()
	o, c, f, stop := node(t, dir)
	const users = 200
	ids := make([]domain.StreamID, users)
	answers := make(chan domain.Result, users)
	for i := range ids {
		ids[i] = domain.UserStream(app, domain.UserID(fmt.Sprintf("u%d", i)))
		o.Submit(domain.Request{Stream: ids[i], Command: user.Register{UUID: fmt.Sprint(i)}, Done: func(r domain.Result) { answers <- r }})
	}
	seen := make(map[domain.Partition]int)
	for range ids {
		r := <-answers
		require.NoError(t, r.Err)
		seen[r.Position.Partition]++
	}
	require.Len(t, seen, control.DefaultChats)
	f.mu.Lock()
	require.Equal(t, seen, f.n)
	f.mu.Unlock()
	require.Eventually(t, func() bool { return o.Ready() == nil }, 10*time.Second, time.Millisecond)
	require.Len(t, o.Positions(), control.DefaultChats+control.DefaultRooms)
	for _, p := range o.Positions() {
		require.Equal(t, seen[p.Partition], int(p.Index))
	}
	require.Eventually(t, func() bool {
		a, ok := c.Anchor(0)
		return ok && int(a.Index) == seen[0] && a.T != 0
	}, 10*time.Second, time.Millisecond)
	stop()

	o, _, _, stop = node(t, dir)
	defer stop()
	rows, err := o.Heads(t.Context(), append(slices.Clone(ids), domain.UserStream(app, "nobody")))
	require.NoError(t, err)
	for i := range ids {
		require.Equal(t, fmt.Sprint(i), rows[i].(*user.Head).UUID)
	}
	require.Nil(t, rows[users])
	parts, err := o.Rows(t.Context(), ids[0], []domain.PartID{domain.PartHead, "x"})
	require.NoError(t, err)
	require.Equal(t, rows[0], parts[0])
	require.Nil(t, parts[1])
}

func TestMalformedStreamIsRefused(t *testing.T) {
	o, _, _, stop := node(t, t.TempDir())
	defer stop()
	answer := make(chan domain.Result, 1)
	o.Submit(domain.Request{Stream: "x", Command: user.Delete{}, Done: func(r domain.Result) { answer <- r }})
	require.Equal(t, domain.BadRequest, domain.CodeOf((<-answer).Err))
	_, err := o.Heads(t.Context(), []domain.StreamID{"x", "y"})
	require.Equal(t, domain.BadRequest, domain.CodeOf(err))
}
