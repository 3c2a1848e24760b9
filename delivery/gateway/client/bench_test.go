package client

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"parley/schemas/msync"
)

// canned feeds frames to a client's handler without a socket.
func canned(opts Options) *Client {
	return &Client{opts: opts, pending: make(map[uint64]func(Ack, error))}
}

func TestReceivingVolatileEntriesDoesNotAllocate(t *testing.T) {
	n := 0
	c := canned(Options{OnMeta: func(Delivery) { n++ }})
	frame := page(bob, 0, true, 1, 2, 3)
	require.NoError(t, c.handle(t.Context(), frame))
	require.Zero(t, testing.AllocsPerRun(100, func() {
		clear(c.reader.seen)
		_ = c.handle(t.Context(), frame)
	}))
	require.Greater(t, n, 300)
}

func BenchmarkHandlePage(b *testing.B) {
	c := canned(Options{OnMeta: func(Delivery) {}})
	frame := page(bob, 0, true, 1)
	b.ReportAllocs()
	for b.Loop() {
		clear(c.reader.seen)
		if err := c.handle(b.Context(), frame); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAnswer(b *testing.B) {
	c := canned(Options{MaxPending: 8})
	frame := msync.AppendAck(nil, &msync.Ack{MetaID: 1, ServerID: 2, Timestamp: 3})
	then := func(Ack, error) {}
	b.ReportAllocs()
	for b.Loop() {
		if err := c.expect(1, then); err != nil {
			b.Fatal(err)
		}
		if err := c.handle(b.Context(), frame); err != nil {
			b.Fatal(err)
		}
	}
}

// TestIdleClientsAreSmall bounds what a bench of thousands of connections costs in its own process; the test server's share, about two thirds, is in it too.
func TestIdleClientsAreSmall(t *testing.T) {
	const clients, limit = 100, 96 << 10
	url := serve(t, func(p *peer) { p.hello() })
	all := make([]*Client, 0, clients)
	before := inUse()
	for range clients {
		all = append(all, dial(t, url, func(o *Options) { o.OnMeta = func(Delivery) {} }))
	}
	each := (inUse() - before) / clients
	t.Logf("%d bytes each, both sides", each)
	require.Less(t, each, int64(limit))
	for _, c := range all {
		require.NoError(t, c.Cut())
	}
}

func inUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}
