package ring

import (
	"context"
	"fmt"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"parley/domain"
	"parley/domain/fence"
)

// sameOwners checks that all rings name the same owners, and that each partition's owner is the only one that is named.
func sameOwners(t *testing.T, rings []*Ring) map[domain.NodeName]int {
	t.Helper()
	share := map[domain.NodeName]int{}
	for p := range domain.FirstNode {
		want, ok := rings[0].Owner(p)
		require.True(t, ok)
		share[want.Name]++
		for _, r := range rings {
			got, ok := r.Owner(p)
			require.True(t, ok)
			require.Equal(t, want, got)
			require.Equal(t, want.Name == r.Self().Name, r.Standing(p) != fence.NotNamed, "%s, %d", r.Self().Name, p)
		}
	}
	return share
}

func TestNodesFindEachOther(t *testing.T) {
	t.Parallel()
	rings := serving(t, "a", "b", "c")
	share := sameOwners(t, rings)
	require.Len(t, share, 3)
	for _, n := range share {
		require.InEpsilon(t, int(domain.FirstNode)/3, n, 0.1)
	}
	m, ok := rings[2].Member("a")
	require.True(t, ok)
	require.Equal(t, rings[0].Self(), m)
	_, ok = rings[2].Member("d")
	require.False(t, ok)
	_, ok = rings[0].Owner(domain.FirstNode)
	require.False(t, ok)
	require.Equal(t, fence.NotNamed, rings[0].Standing(domain.Control))
	_, ok = rings[0].From(domain.Control)
	require.False(t, ok)
	rings[0].HandedOver(domain.Control)
	for p := range domain.FirstNode { // c came last, and asks those that were there
		if from, ok := rings[2].From(p); ok {
			require.NotEqual(t, domain.NodeName("c"), from.Name)
			require.Equal(t, fence.Named, rings[2].Standing(p))
		}
	}
}

// TestDeathIsKnown kills a node. That it is known within about 2 s is the point. Another process may have the machine's processors for a while:
// one time of three must do.
func TestDeathIsKnown(t *testing.T) {
	t.Parallel()
	for _, n := range []int{2, 3, 5} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			var took []time.Duration
			for len(took) < 3 {
				took = append(took, killOne(t, []string{"a", "b", "c", "d", "e"}[:n]))
				t.Logf("known by all after %v", took[len(took)-1].Round(time.Millisecond))
				if slices.Min(took) <= 3*time.Second {
					return
				}
			}
			t.Errorf("known after %v", took)
		})
	}
}

// killOne kills the last of these nodes, and returns when the others know.
func killOne(t *testing.T, names []string) time.Duration {
	t.Helper()
	rings := servingWith(t, func(cfg *Config) { cfg.Settings = Settings{} }, names...)
	time.Sleep(time.Second) // probes are under way
	last := len(names) - 1
	at := time.Now()
	kill(rings[last])
	for _, r := range rings[:last] {
		until(t, r, func() bool { _, there := r.Member(domain.NodeName(names[last])); return !there }, "the death")
	}
	took := time.Since(at)
	for _, r := range rings {
		kill(r)
	}
	return took
}

func TestTheDeadOwnNothing(t *testing.T) {
	t.Parallel()
	rings := serving(t, "a", "b", "c")
	rest, owned := rings[:2], partitionsOf(rings[2])
	kill(rings[2])
	agree(t, rest, Serving, "a", "b")
	sameOwners(t, rest)
	for _, p := range owned {
		o, _ := rest[0].Owner(p)
		r := rest[slices.Index([]domain.NodeName{"a", "b"}, o.Name)]
		require.Equal(t, fence.NamedAtOnce, r.Standing(p))
		_, ok := r.From(p)
		require.False(t, ok)
	}
}

func partitionsOf(r *Ring) (out []domain.Partition) {
	for p := range domain.FirstNode {
		if r.Standing(p) != fence.NotNamed {
			out = append(out, p)
		}
	}
	return out
}

func TestDrain(t *testing.T) {
	t.Parallel()
	rings := serving(t, "a", "b", "c")
	a, rest := rings[0], rings[1:]
	owned := partitionsOf(a)
	at := time.Now()
	a.Drain()
	require.Empty(t, partitionsOf(a))
	for _, r := range rest {
		until(t, r, func() bool { m, _ := r.Member("a"); return m.State == Draining }, "that a drains")
	}
	t.Logf("told to all after %v", time.Since(at).Round(time.Millisecond))
	sameOwners(t, rest)
	for i, p := range owned {
		o, _ := a.Owner(p)
		r := rest[0]
		if o.Name == "c" {
			r = rest[1]
		}
		require.Equal(t, fence.Named, r.Standing(p))
		from, ok := r.From(p)
		require.True(t, ok)
		require.Equal(t, a.Self(), from)
		if i%10 == 0 {
			changed := r.Changed()
			r.HandedOver(p)
			<-changed
			require.Equal(t, fence.NamedAtOnce, r.Standing(p))
			_, ok = r.From(p)
			require.False(t, ok)
		}
	}
	require.NoError(t, a.Leave(t.Context()))
	require.NoError(t, a.Leave(t.Context()))
	agree(t, rest, Serving, "b", "c")
	for _, p := range owned {
		o, _ := rest[0].Owner(p)
		r := rest[0]
		if o.Name == "c" {
			r = rest[1]
		}
		require.Equal(t, fence.NamedAtOnce, r.Standing(p))
	}
	for _, r := range rest {
		noneLost(t, r)
	}
	a.Serve() // nothing happens after the end
}

// noneLost checks that who has left is not tried again.
func noneLost(t *testing.T, r *Ring) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	require.Empty(t, r.lost)
}

func TestLeaveWithoutDrain(t *testing.T) {
	t.Parallel()
	rings := serving(t, "a", "b")
	at := time.Now()
	require.NoError(t, rings[1].Leave(t.Context()))
	agree(t, rings[:1], Serving, "a")
	t.Logf("left after %v", time.Since(at).Round(time.Millisecond))
	noneLost(t, rings[0])
}

func TestLeaveInTime(t *testing.T) {
	t.Parallel()
	rings := serving(t, "a", "b")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, rings[1].Leave(gone), context.Canceled)
	agree(t, rings[:1], Serving, "a")
}

func TestCutHeals(t *testing.T) {
	t.Parallel()
	net := newNetwork()
	names := []string{"a", "b", "c"}
	rings := servingWith(t, func(cfg *Config) { cfg.wrap = net.wrap }, names...)
	a, b, c := rings[0], rings[1], rings[2]
	var p domain.Partition // a's, which b or c takes in its half
	for o, _ := a.Owner(p); o.Name != "a"; o, _ = a.Owner(p) {
		p++
	}
	net.set(true, a, b)
	net.set(true, a, c)
	agree(t, []*Ring{a}, Serving, "a")
	agree(t, []*Ring{b, c}, Serving, "b", "c")
	require.NotEqual(t, fence.NotNamed, a.Standing(p))
	other, ok := b.Owner(p)
	require.True(t, ok)
	require.NotEqual(t, domain.NodeName("a"), other.Name, "each side names one of its own")

	net.set(false, a, b)
	net.set(false, a, c)
	at := time.Now()
	agree(t, rings, Serving, names...)
	t.Logf("healed after %v", time.Since(at).Round(time.Millisecond))
	sameOwners(t, rings)
}

// TestOneWireCut cuts one of three wires: both ends are still reached by way of the third node, and nobody dies.
func TestOneWireCut(t *testing.T) {
	t.Parallel()
	net := newNetwork()
	rings := servingWith(t, func(cfg *Config) { cfg.wrap = net.wrap }, "a", "b", "c")
	net.set(true, rings[1], rings[2])
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		for _, r := range rings {
			require.Len(t, r.Members(), 3)
		}
	}
}

// TestRestart kills a node and starts it again before the others know that it is dead.
func TestRestart(t *testing.T) {
	t.Parallel()
	for name, sameAddress := range map[string]bool{"at the same address": true, "elsewhere": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rings := serving(t, "a", "b", "c")
			owned := partitionsOf(rings[2])
			kill(rings[2])
			cfg := config("c", 2, rings[0].Address(), rings[1].Address())
			if sameAddress {
				cfg.Listen = rings[2].Address()
			}
			at := time.Now()
			c := start(t, cfg)
			t.Logf("started after %v", time.Since(at).Round(time.Millisecond))
			rest := rings[:2]
			for _, r := range rest {
				until(t, r, func() bool { m, ok := r.Member("c"); return ok && m == c.Self() }, "the new life")
			}
			for _, p := range owned {
				o, _ := rest[0].Owner(p)
				require.NotEqual(t, domain.NodeName("c"), o.Name)
				r := rest[slices.Index([]domain.NodeName{"a", "b"}, o.Name)]
				require.Equal(t, fence.NamedAtOnce, r.Standing(p), "the life that owned it is dead")
			}
			c.Serve()
			all := []*Ring{rings[0], rings[1], c}
			agree(t, all, Serving, "a", "b", "c")
			sameOwners(t, all)
			for _, p := range owned {
				from, ok := c.From(p)
				require.True(t, ok, "who took it meanwhile is asked")
				require.NotEqual(t, domain.NodeName("c"), from.Name)
			}
		})
	}
}

func TestNameIsTaken(t *testing.T) {
	t.Parallel()
	var log lines
	cfg := config("a", 1)
	cfg.Logger = log.logger()
	a := start(t, cfg)
	b := start(t, config("b", 1, a.Address()))
	agree(t, []*Ring{a, b}, Starting, "a", "b")
	_, err := Start(config("a", 2, b.Address()))
	require.ErrorIs(t, err, ErrNameTaken)
	_, err = Start(config("a", 2, a.Address()))
	require.ErrorIs(t, err, ErrNameTaken)
	require.Eventually(t, func() bool { return log.has("two processes have the name of one node") }, patience, 10*time.Millisecond)
	m, _ := b.Member("a")
	require.Equal(t, uint64(1), m.Life)
	a.Serve()
	until(t, b, func() bool { m, ok := b.Member("a"); return ok && m == a.Self() && m.State == Serving }, "that a serves")
}

// TestNameIsLost cuts a node off, lets another process take its name, and heals the cut: the first owns nothing any more.
func TestNameIsLost(t *testing.T) {
	t.Parallel()
	net := newNetwork()
	cfg := config("b", 1)
	cfg.wrap = net.wrap
	b := start(t, cfg)
	cfg = config("a", 1, b.Address())
	cfg.wrap = net.wrap
	a := start(t, cfg)
	a.Serve()
	b.Serve()
	agree(t, []*Ring{a, b}, Serving, "a", "b")
	net.set(true, a, b)
	agree(t, []*Ring{b}, Serving, "b")
	again := start(t, config("a", 2, b.Address()))
	again.Serve()
	agree(t, []*Ring{b, again}, Serving, "a", "b")
	net.set(false, a, b)
	until(t, a, func() bool { return a.Self().State == Draining }, "the loss of its name")
	m, ok := b.Member("a")
	require.True(t, ok)
	require.Equal(t, again.Self(), m)
}

func TestJoinIsTriedAgain(t *testing.T) {
	t.Parallel()
	gone := start(t, config("x", 1))
	address := gone.Address()
	require.NoError(t, gone.Leave(t.Context()))

	b := start(t, config("b", 1, address))
	b.Serve()
	require.Equal(t, fence.Named, b.Standing(5), "somebody may be there")
	cfg := config("a", 1, address) // itself
	cfg.Listen = address
	a := start(t, cfg)
	a.Serve()
	require.Contains(t, []fence.Ring{fence.NamedAtOnce, fence.NotNamed}, a.Standing(5), "there is nobody else to join")
	agree(t, []*Ring{a, b}, Serving, "a", "b")
}

func TestAnotherKey(t *testing.T) {
	t.Parallel()
	a := start(t, config("a", 1))
	cfg := config("b", 1, a.Address())
	cfg.Key = slices.Repeat([]byte{8}, 32)
	b := start(t, cfg)
	time.Sleep(time.Second)
	require.Len(t, a.Members(), 1)
	require.Len(t, b.Members(), 1)
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	cfg := config("a", 1)
	reg := prometheus.NewRegistry()
	cfg.Registerer, cfg.Partitions = reg, []domain.Partition{0, 1, 2, 2048}
	a := start(t, cfg)
	require.Zero(t, metric(t, reg, "parley_ring_partitions_named"))
	a.Serve()
	require.Equal(t, fence.NamedAtOnce, a.Standing(1))
	require.InDelta(t, 4, metric(t, reg, "parley_ring_partitions_named"), 0)
	require.InDelta(t, 1, metric(t, reg, "parley_ring_members"), 0)
	require.GreaterOrEqual(t, metric(t, reg, "parley_ring_changes_total"), 2.0)
}

// metric returns the sum of a metric's values.
func metric(t *testing.T, reg *prometheus.Registry, name string) (sum float64) {
	t.Helper()
	families, err := reg.Gather()
	require.NoError(t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name {
				sum += m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

func TestPortIsTaken(t *testing.T) {
	t.Parallel()
	a := start(t, config("a", 1))
	cfg := config("b", 1)
	cfg.Listen = a.Address()
	_, err := Start(cfg)
	require.ErrorContains(t, err, "listen")
}

func BenchmarkOwner(b *testing.B) {
	r, err := Start(config("a", 1))
	require.NoError(b, err)
	defer func() { _ = r.Leave(context.WithoutCancel(b.Context())) }()
	r.Serve()
	b.ResetTimer()
	for b.Loop() {
		r.Owner(17)
		r.Standing(17)
	}
}

// A node may be told to others by the name of its machine, as in a network of containers: its address is looked up when it starts.
func TestAdvertisedByName(t *testing.T) {
	a := config("a", 1)
	a.Listen, a.Advertise, a.Join = "0.0.0.0:0", "localhost:0", nil
	first := start(t, a)
	host, port, err := net.SplitHostPort(first.Address())
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1", host, "an address that is listened on")
	second := start(t, config("b", 1, "localhost:"+port))
	agree(t, []*Ring{first, second}, Starting, "a", "b")
	nowhere := config("c", 1)
	nowhere.Advertise = "no-such-machine.invalid:1"
	_, err = Start(nowhere)
	require.ErrorContains(t, err, "no-such-machine.invalid")
}
