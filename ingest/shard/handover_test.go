package shard_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"parley/domain"
	"parley/ingest/shard"
)

// TestUncertaintyEnds hands a shard over with a command that it has not decided, after another's outcome was left unknown. What was sent before the sender
// knew of it may have to go back; what was sent long after goes on.
func TestUncertaintyEnds(t *testing.T) {
	t.Parallel()
	const hearing = 200 * time.Millisecond
	warm, cold := direct("ann", "ben"), direct("cat", "dan")
	for _, c := range []struct {
		name                 string
		unknown              bool
		before, after, leave time.Duration // when the undecided command comes: before the answer or after it; and when the hand-over does
		want                 bool
	}{
		{name: "nothing is unknown"},
		{name: "it came before the answer", unknown: true, before: 50 * time.Millisecond, leave: 2 * hearing, want: true},
		{name: "it came with the answer", unknown: true, leave: 2 * hearing, want: true},
		{name: "the answer has just been given", unknown: true, after: hearing / 4, want: true},
		{name: "the answer was given long ago", unknown: true, after: 3 * hearing / 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := start(t, newDisk(t), func(c *shard.Config) {
				c.Settings.Hearing = hearing
				c.Settings.StopTimeout = time.Second
			})
			defer r.cancel()
			r.ok(warm, send("ann", "ben", 1))
			r.store.broken.Store(true)
			undecided := domain.Request{Stream: cold, Command: send("cat", "dan", 1), Deadline: time.Now().Add(time.Minute), Done: func(domain.Result) {}}
			if c.unknown {
				r.log.refuse.Store(true)
				answer := make(chan domain.Result, 1)
				r.Submit(domain.Request{
					Stream: warm, Command: send("ann", "ben", 2), Deadline: time.Now().Add(100 * time.Millisecond), Done: func(res domain.Result) { answer <- res },
				})
				if c.before > 0 {
					time.Sleep(c.before)
					r.Submit(undecided)
				}
				require.Equal(t, domain.Unknown, domain.CodeOf(r.wait(answer).Err))
				r.log.refuse.Store(false)
				r.ready()
			}
			time.Sleep(c.after)
			if c.before == 0 {
				r.Submit(undecided)
			}
			time.Sleep(c.leave)
			var gone []domain.Request
			<-r.HandOver(func(req domain.Request) { gone = append(gone, req) })
			require.Equal(t, c.want, r.Uncertain())
			require.Len(t, gone, 1)
			require.Equal(t, undecided.Deadline, gone[0].Deadline)
			require.NoError(t, <-r.done)
		})
	}
}

// TestDeposedKeepsTheOrder deposes a shard that goes on being named, with one message in flight, one decided behind it, and one that comes while it does not own. When it owns again
// all of them happen in order, whose senders have heard nothing.
func TestDeposedKeepsTheOrder(t *testing.T) {
	t.Parallel()
	d := newDisk(t)
	old := start(t, d, func(c *shard.Config) {
		c.Settings.Fence.Settle = 300 * time.Millisecond
		c.Settings.Deadline = time.Minute
	})
	defer old.stop()
	ab := direct("ann", "ben")
	old.ok(ab, send("ann", "ben", 1))
	for round := range 3 { // each is void as often
		old.log.delay.Store(int64(150 * time.Millisecond))
		first := uint64(2 + 3*round)
		answers := []<-chan domain.Result{old.submit(ab, send("ann", "ben", first))}
		time.Sleep(20 * time.Millisecond)
		answers = append(answers, old.submit(ab, send("ann", "ben", first+1)))
		for range 2 {
			heir := start(t, d, func(c *shard.Config) { c.Node = "node-2" })
			heir.ready()
			heir.stop()
			require.Eventually(t, func() bool { return !old.Owns() }, 10*time.Second, time.Millisecond)
			if len(answers) == 2 {
				answers = append(answers, old.submit(ab, send("ann", "ben", first+2)))
			}
			require.Eventually(t, old.Owns, 10*time.Second, time.Millisecond)
			time.Sleep(20 * time.Millisecond) // it has sent them again
		}
		old.log.delay.Store(0)
		for i, a := range answers {
			res := old.wait(a)
			require.NoError(t, res.Err)
			require.Equal(t, domain.Seq(int(first)+i), res.Seq)
			require.False(t, res.Repeat)
		}
	}
	requireFold(t, d, old)
}
