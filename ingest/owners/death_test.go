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

// TestDeathBetweenReleaseAndClaim moves the partitions of a node to another, and kills one of the two when the first partition is released and not claimed yet. When the ring has
// noticed, and not only after the fence's wait, the messages of all that live go on: each is answered and accepted once, in order.
func TestDeathBetweenReleaseAndClaim(t *testing.T) {
	const detection = 500 * time.Millisecond
	for _, c := range []struct {
		name    string
		dies    int   // of n0, which releases, and n1, which is given
		hears   error // what n1 hears of the release
		then    int   // who is named afterwards
		senders []int
	}{
		{name: "who released, and that is known", dies: 0, then: 1, senders: []int{1, 2}},
		{name: "who released, and that is not known", dies: 0, hears: errDead, then: 1, senders: []int{1, 2}},
		{name: "who was given it", dies: 1, hears: errDead, then: 2, senders: []int{0, 2}},
		{name: "who was given it, and the old one is named again", dies: 1, hears: errDead, then: 0, senders: []int{0, 2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFleetWith(t, 3, shard.Settings{StopTimeout: 200 * time.Millisecond, Fence: fence.Config{Settle: time.Minute}})
			old, heir, next := f.nodes[0], f.nodes[1], f.nodes[c.then]
			parts := slices.Clone(old.Partitions())
			require.Eventually(t, func() bool { return old.Ready() == nil }, 10*time.Second, time.Millisecond)
			before := f.claims(parts)

			var once sync.Once
			died := make(chan domain.Partition, 1)
			heir.onReleased = func(p domain.Partition) error {
				once.Do(func() {
					f.nodes[c.dies].kill()
					died <- p
				})
				return c.hears
			}
			stop := make(chan struct{})
			var running sync.WaitGroup
			senders := make([]*sender, 6)
			for i := range senders {
				senders[i] = f.sender(f.nodes[c.senders[i%2]], i)
				running.Go(func() { senders[i].run(8, stop) })
			}
			time.Sleep(100 * time.Millisecond)
			for _, p := range parts {
				for _, m := range f.nodes {
					m.learn(p, heir.name, old.name)
				}
			}
			p := <-died
			time.Sleep(detection)
			if c.hears != nil {
				require.Equal(t, before[p], f.claims(parts)[p], "nobody has claimed what was released")
			}
			for _, p := range parts {
				for _, m := range f.nodes {
					if !m.dead() {
						m.learn(p, next.name, "")
					}
				}
			}
			require.Eventually(t, func() bool {
				return !slices.ContainsFunc(parts, func(p domain.Partition) bool { _, owns := next.Here(p); return !owns })
			}, 20*time.Second, time.Millisecond)
			time.Sleep(200 * time.Millisecond)
			close(stop)
			running.Wait()
			for _, s := range senders {
				require.Greater(t, s.n, 20)
				require.Less(t, s.longest, detection+5*time.Second)
				t.Logf("%s on %s: %d messages, the longest wait was %v", s.from, s.node.name, s.n, s.longest.Round(time.Millisecond))
			}
		})
	}
}
