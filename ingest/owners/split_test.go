package owners_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"parley/domain"
	"parley/domain/fence"
	"parley/ingest/shard"
)

// TestSplitViewIsCalm has two nodes that both reach the log each believe that it owns everything alone. The fence paces them: who has lost a partition
// claims it again no sooner than it has been without for Settle. So they take turns, both sides are served, and nothing is decided twice or out of
// its order. When they see each other again, the one that is named keeps what it has.
func TestSplitViewIsCalm(t *testing.T) {
	const settle, turns = 300 * time.Millisecond, 8
	f := newFleetWith(t, 2, shard.Settings{Fence: fence.Config{Settle: settle, Follow: settle / 3}})
	a, b := f.nodes[0], f.nodes[1]
	require.Eventually(t, func() bool { return a.Ready() == nil }, 10*time.Second, time.Millisecond)
	parts := slices.Clone(a.Partitions())
	before := f.claims(parts)

	begin := time.Now()
	for _, p := range parts {
		b.learn(p, b.name, "") // a is dead, as b sees it
	}
	stop := make(chan struct{})
	var running sync.WaitGroup
	senders := make([]*sender, 6)
	for i := range senders {
		senders[i] = f.sender(f.nodes[i%2], i)
		running.Go(func() { senders[i].run(4, stop) })
	}
	time.Sleep(turns * settle)
	split := time.Since(begin)
	during := f.claims(parts)
	for _, p := range parts { // the split heals
		b.learn(p, a.name, b.name)
		a.learn(p, a.name, b.name)
	}
	require.Eventually(t, func() bool {
		return a.Ready() == nil && !slices.ContainsFunc(parts, func(p domain.Partition) bool { _, owns := a.Here(p); return !owns })
	}, 10*time.Second, time.Millisecond)
	close(stop)
	running.Wait()

	for _, p := range parts {
		n := during[p] - before[p]
		t.Logf("partition %d: %d claims in %v", p, n, split.Round(time.Millisecond))
		require.LessOrEqual(t, n, int(split/settle)+1, "nobody takes a partition back at once")
	}
	for i, s := range senders {
		t.Logf("sender %d on %s: %d messages, the longest wait was %v", i, s.node.name, s.n, s.longest.Round(time.Millisecond))
		require.Greater(t, s.n, 20, "both sides are served")
	}
	time.Sleep(2 * settle) // it may have been deposed last without having read so
	healed := f.claims(parts)
	time.Sleep(2 * settle)
	require.Equal(t, healed, f.claims(parts), "and it is over")
}

// claims counts the claims in the log.
func (f *fleet) claims(parts []domain.Partition) map[domain.Partition]int {
	out := make(map[domain.Partition]int)
	for _, p := range parts {
		_, end, err := f.log.Bounds(f.t.Context(), p)
		require.NoError(f.t, err)
		for at := domain.Offset(0); at < end; {
			records, err := f.log.Read(f.t.Context(), p, at, 1<<20, 0)
			require.NoError(f.t, err)
			for _, r := range records {
				h, err := fence.ParseHeader(r.Value)
				require.NoError(f.t, err)
				if h.IsClaim() {
					out[p]++
				}
				at = r.Offset + 1
			}
		}
	}
	return out
}
