package shard_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/fence"
	"parley/ingest/shard"
)

// TestTwoNodesTakeTurns moves a partition to and fro between two shards on one log, with lost answers and slow appends, while senders try again
// with the same client id wherever the ring points, and sometimes elsewhere.
func TestTwoNodesTakeTurns(t *testing.T) {
	t.Parallel()
	d := newDisk(t)
	var named atomic.Int32
	var nodes [2]*rig
	for i := range nodes {
		nodes[i] = start(t, d, func(c *shard.Config) {
			c.Node = fmt.Sprintf("node-%d", i)
			c.Settings.Fence.Settle = 5 * time.Millisecond
			c.Settings.Deadline = 100 * time.Millisecond
			c.Settings.CacheRows = 30
			c.Ring = func() fence.Ring {
				if int(named.Load()) == i {
					return fence.Named
				}
				return fence.NotNamed
			}
		})
	}
	const senders = 8
	end := time.Now().Add(2500 * time.Millisecond)
	var wg sync.WaitGroup
	acked := make([]map[uint64]domain.Result, senders)
	for i := range senders {
		acked[i] = make(map[uint64]domain.Result)
		wg.Go(func() {
			from, to := domain.UserID(fmt.Sprintf("s%d", i)), domain.UserID(fmt.Sprintf("t%d", i))
			for id := uint64(1); ; {
				at := int(named.Load())
				if rand.IntN(10) == 0 {
					at = 1 - at
				}
				res := nodes[at].do(direct(from, to), send(from, to, id))
				if res.Err == nil {
					acked[i][id] = res
					id++
				}
				if time.Now().After(end) {
					return
				}
			}
		})
	}
	for time.Now().Before(end) {
		time.Sleep(time.Duration(150+rand.IntN(250)) * time.Millisecond)
		old := nodes[named.Load()]
		if rand.IntN(2) == 0 {
			old.log.delay.Store(int64(rand.IntN(60)) * int64(time.Millisecond))
		}
		old.log.loseAnswers.Store(rand.Int32N(4))
		named.Store(1 - named.Load())
		time.Sleep(time.Duration(rand.IntN(100)) * time.Millisecond)
		old.log.delay.Store(0)
	}
	wg.Wait()
	owner, other := nodes[named.Load()], nodes[1-named.Load()]
	owner.ready()
	h := requireFold(t, d, owner)
	require.Eventually(t, func() bool { return other.Position() == owner.Position() }, 5*time.Second, time.Millisecond)
	requireAcked(t, h, acked)
	requireSameOrder(t, h, owner)
	requireSameOrder(t, h, other)
	owner.stop()
	other.stop()

	r := start(t, d, nil)
	defer r.stop()
	requireFold(t, d, r)
	t.Logf("%d commits, term %d", len(h.commits), h.commits[len(h.commits)-1].Term)
}

// requireAcked checks that each sender's acknowledged messages are in the log once, under the id that was told.
func requireAcked(t *testing.T, h history, acked []map[uint64]domain.Result) {
	t.Helper()
	type key struct {
		from domain.UserID
		id   uint64
	}
	found := make(map[key]domain.T)
	for _, a := range h.commits {
		for _, ev := range a.Commit.Events {
			if m, ok := ev.Body.(conversation.MessageSent); ok {
				k := key{m.From, m.ClientID}
				require.Zero(t, found[k], "twice: %v", k)
				found[k] = ev.T
			}
		}
	}
	total := 0
	for i, ids := range acked {
		for id, res := range ids {
			require.Equal(t, res.T, found[key{domain.UserID(fmt.Sprintf("s%d", i)), id}])
			total++
		}
	}
	require.Greater(t, total, 100)
}

// requireSameOrder checks that the node's feed carried a part of the history without a gap, up to its end.
func requireSameOrder(t *testing.T, h history, r *rig) {
	t.Helper()
	fed := r.feed.all(t)
	require.NotEmpty(t, fed)
	want := h.commits[len(h.commits)-len(fed):]
	for i := range fed {
		require.Equal(t, want[i].Position, fed[i].Position)
		require.Equal(t, want[i].Commit, fed[i].Commit)
	}
}
