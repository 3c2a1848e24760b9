package owners_test

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"parley/domain"
	"parley/ingest/shard"
)

// move gives a partition to another node, and tells all nodes of it, in any order, some late.
func (f *fleet) move(r *rand.Rand, p domain.Partition, to domain.NodeName) {
	before, _ := f.nodes[0].Owner(p)
	for _, i := range r.Perm(len(f.nodes)) {
		f.nodes[i].learn(p, to, before)
		time.Sleep(time.Duration(r.IntN(3)) * time.Millisecond)
	}
}

// TestPartitionsMoveInOrder has senders on all nodes keep many messages under way while partitions are handed from node to node: each message is
// accepted once, without an error, and those of a sender in its order. No command waits long.
func TestPartitionsMoveInOrder(t *testing.T) {
	const senders, each, window = 9, 2000, 16
	f := newFleet(t, 3)
	require.Eventually(t, func() bool { return f.nodes[0].Ready() == nil }, 10*time.Second, time.Millisecond)
	var wg sync.WaitGroup
	longest := make([]time.Duration, senders)
	for i := range senders {
		wg.Go(func() { longest[i] = f.send(i, each, window) })
	}
	stop, moved := make(chan struct{}), make(chan int)
	go func() {
		r := rand.New(rand.NewPCG(1, 2))
		n := 0
		for ; ; n++ {
			select {
			case <-stop:
				moved <- n
				return
			case <-time.After(time.Duration(20+r.IntN(60)) * time.Millisecond):
			}
			p, to := domain.Partition(r.IntN(3)), f.nodes[r.IntN(3)]
			f.move(r, p, to.name)
			require.Eventually(f.t, func() bool { _, owns := to.Here(p); return owns }, 10*time.Second, time.Millisecond)
		}
	}()
	wg.Wait()
	close(stop)
	n := <-moved
	var worst time.Duration
	for _, d := range longest {
		worst = max(worst, d)
	}
	t.Logf("%d moves, the longest wait was %s", n, worst.Round(time.Millisecond))
	require.Greater(t, n, 5)
}

// TestOldUnknownOutcomeIsForgotten leaves an outcome unknown, and long after moves the partition while messages are under way: none of them comes back.
func TestOldUnknownOutcomeIsForgotten(t *testing.T) {
	const hearing = 50 * time.Millisecond
	s := newStuckShard(t, shard.Settings{Hearing: hearing})
	answer := s.submit(time.Now().Add(hearing))
	require.Equal(t, domain.Unknown, domain.CodeOf((<-answer).Err))
	close(s.open)
	time.Sleep(2 * hearing)
	require.Eventually(t, func() bool { return s.nodes[0].Ready() == nil }, 10*time.Second, time.Millisecond)

	var senders sync.WaitGroup
	for i := range 6 {
		senders.Go(func() { s.send(i, 200, 16) })
	}
	r := rand.New(rand.NewPCG(3, 4))
	time.Sleep(50 * time.Millisecond)
	for _, p := range s.nodes[0].Partitions() {
		s.move(r, p, "n1")
	}
	senders.Wait()
}
