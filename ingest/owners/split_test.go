package owners_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/fence"
	"parley/domain/message"
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
	var senders sync.WaitGroup
	sent := make([]sent, 6)
	for i := range sent {
		senders.Go(func() { sent[i] = f.persist(f.nodes[i%2], i, 4, stop) })
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
	senders.Wait()

	for _, p := range parts {
		n := during[p] - before[p]
		t.Logf("partition %d: %d claims in %v", p, n, split.Round(time.Millisecond))
		require.LessOrEqual(t, n, int(split/settle)+1, "nobody takes a partition back at once")
	}
	for i, s := range sent {
		t.Logf("sender %d on %s: %d messages, the longest wait was %v", i, f.nodes[i%2].name, s.n, s.longest.Round(time.Millisecond))
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

// sent is what a sender has seen.
type sent struct {
	n       int           // messages that were accepted
	longest time.Duration // that one waited for it, with all that was sent again
}

// persist sends messages from one user to another through a node until stop is closed, a window of them at once. What has an unknown outcome, or comes
// while there is no owner, is sent again with what came behind it, as a gateway does, when all of it is answered. It checks that each is answered once
// each time it is sent, and that they are accepted in their order, each once.
func (f *fleet) persist(node *member, i, window int, stop <-chan struct{}) (s sent) {
	from, to := domain.UserID(fmt.Sprintf("a%d", i)), domain.UserID(fmt.Sprintf("b%d", i))
	began := make(map[int]time.Time)
	for {
		select {
		case <-stop:
			return s
		default:
		}
		results := make([]domain.Result, window)
		var answered sync.WaitGroup
		answered.Add(window)
		for k := range window {
			n := s.n + k + 1
			if began[n].IsZero() {
				began[n] = time.Now()
			}
			body := fmt.Appendf(nil, "%d", n)
			node.Owners.Submit(domain.Request{
				Stream: domain.DirectStream(app, from, to), Deadline: time.Now().Add(20 * time.Second),
				Command: conversation.SendMessage{
					Sender:   conversation.Sender{User: from, Incarnation: 1, Resource: "web", ClientID: uint64(n), Hash: message.Hash(body)},
					To:       conversation.Recipient{User: to, Incarnation: 1},
					Envelope: message.Envelope{Kind: message.Text, Size: len(body)}, Body: body,
				},
				Done: func(r domain.Result) {
					results[k] = r
					answered.Done() // panics at the second answer
				},
			})
		}
		answered.Wait()
		for k, r := range results {
			if code := domain.CodeOf(r.Err); code == domain.Unknown || code == domain.Stopping || code == domain.Busy {
				break
			}
			if n := s.n + 1; r.Err != nil || r.Seq != domain.Seq(n) {
				f.t.Errorf("message %d of %s, %d in its window: seq %d, %v", n, from, k, r.Seq, r.Err)
				return s
			}
			s.n++
			s.longest = max(s.longest, time.Since(began[s.n]))
			delete(began, s.n)
		}
		if len(began) > 0 {
			time.Sleep(5 * time.Millisecond)
		}
	}
}
