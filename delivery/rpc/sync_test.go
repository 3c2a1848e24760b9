package rpc_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"parley/delivery/rpc"
)

// What was told before Sync is applied when it returns.
func TestSync(t *testing.T) {
	p := newPair(t, settings())
	p.a.links.Sync(t.Context()) // nobody is there
	p.meet()
	p.hears()
	eventually(t, func() error {
		if p.a.value("up", "told") == 0 {
			return fmt.Errorf("no link")
		}
		return nil
	})
	for i := range 300 {
		word := fmt.Sprint("w", i)
		p.ta.set(word, true)
		p.a.links.Sync(t.Context())
		require.Contains(t, p.tb.knows(p.a.Node), word)
	}
	require.Zero(t, p.a.value("late_total", ""))
	eventually(t, func() error {
		if n := p.a.value("queue_bytes", ""); n != 0 {
			return fmt.Errorf("%v bytes wait", n)
		}
		return nil
	})
}

// Sync waits for a slow node, until the node has applied all, or cannot be waited for any more.
func TestSyncWaits(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(p *pair, cancel context.CancelFunc, heal func())
		late float64
		set  func(*rpc.Settings)
	}{
		{name: "it has applied all", do: func(_ *pair, _ context.CancelFunc, heal func()) { heal() }},
		{name: "nobody wants to know", do: func(_ *pair, cancel context.CancelFunc, _ func()) { cancel() }},
		{name: "the link is cut", do: func(p *pair, _ context.CancelFunc, _ func()) { p.to.cut(true) }},
		{name: "the node is gone", do: func(p *pair, _ context.CancelFunc, heal func()) { p.a.links.Members(nil) }},
		{name: "too much waits", do: func(p *pair, _ context.CancelFunc, _ func()) {
			for range 3 {
				p.ta.set(string(make([]byte, 1<<20)), true)
			}
		}, set: func(s *rpc.Settings) { s.Queue = 2 << 20 }},
		{name: "it takes too long", set: func(s *rpc.Settings) { s.Sync = 50 * time.Millisecond }, late: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			set := settings()
			set.Sync = time.Minute
			if c.set != nil {
				c.set(&set)
			}
			p := newPair(t, set)
			p.meet()
			p.ta.set("x", true)
			p.hears("x")
			slow := make(chan struct{})
			heal := func() { close(slow) }
			p.tb.slowly(slow)
			p.ta.set("y", true)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			done := make(chan struct{})
			go func() { defer close(done); p.a.links.Sync(ctx) }()
			if c.do != nil {
				select {
				case <-done:
					t.Fatal("Sync returns before y is applied")
				case <-time.After(30 * time.Millisecond):
				}
				c.do(p, cancel, heal)
			}
			select {
			case <-done:
			case <-time.After(10 * time.Second):
				t.Fatal("Sync does not return")
			}
			require.InDelta(t, c.late, p.a.value("late_total", ""), 0)
			if c.name != "it has applied all" {
				heal()
			} else {
				require.Equal(t, []string{"x", "y"}, p.tb.knows(p.a.Node))
			}
		})
	}
}
