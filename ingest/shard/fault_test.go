package shard_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/fence"
	"parley/ingest/shard"
)

func TestLostAnswersDoubleNothing(t *testing.T) {
	t.Parallel()
	for _, lost := range []int32{1, 3, 12} {
		d := newDisk(t)
		r := start(t, d, nil)
		r.ready()
		ab := direct("ann", "ben")
		r.log.loseAnswers.Store(lost)
		var answers []<-chan domain.Result
		for i := range 20 {
			answers = append(answers, r.submit(ab, send("ann", "ben", uint64(i+1))))
		}
		for i, a := range answers {
			res := r.wait(a)
			require.NoError(t, res.Err)
			require.Equal(t, domain.Seq(i+1), res.Seq)
		}
		h := requireFold(t, d, r)
		require.Len(t, h.commits, 20)
		fed := r.feed.all(t)
		require.Len(t, fed, 20)
		for i := range fed {
			require.Equal(t, h.commits[i].Position, fed[i].Position)
		}
		r.stop()
	}
}

// TestRefusedIsNeverSentAgain has the log refuse a batch for good: it is sent once, a claim settles it, and its commands are decided again. When
// an earlier attempt has landed all the same, reading finds it and its senders have their answer without a claim. A batch that is refused twice fails as moved.
func TestRefusedIsNeverSentAgain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		rejects int32
		landed  bool
		sent    int32 // appends of commits, after the first message
		claims  domain.Term
		want    domain.Code
	}{
		{"refused", 1, false, 2, 2, ""},
		{"refused, and an earlier attempt landed", 1, true, 1, 1, ""},
		{"refused whoever sends it", 2, false, 2, 3, domain.Unknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := newDisk(t)
			r := start(t, d, nil)
			defer r.stop()
			ab := direct("ann", "ben")
			r.ok(ab, send("ann", "ben", 1))
			before := r.log.commits.Load()
			r.log.rejectLate.Store(c.landed)
			r.log.reject.Store(c.rejects)
			res := r.do(ab, send("ann", "ben", 2))
			require.Equal(t, c.want, domain.CodeOf(res.Err))
			require.Equal(t, c.sent, r.log.commits.Load()-before)
			r.ready()
			next := r.do(ab, send("ann", "ben", 3))
			for domain.CodeOf(next.Err) == domain.Unknown { // it came while what was refused was given back, with all of its stream
				next = r.do(ab, send("ann", "ben", 3))
			}
			require.NoError(t, next.Err)
			require.Equal(t, c.claims, next.Position.Term)
			h := requireFold(t, d, r)
			if c.want == "" {
				require.Equal(t, domain.Seq(2), res.Seq)
			}
			require.Len(t, h.commits, int(next.Seq))
		})
	}
}

// TestWhatWasGivenUpKeepsItsPlace lets a command reach its deadline in a batch that the log does not take, and a later one of the same sender not.
// When the log takes batches again, the later one may not overtake the earlier one, which the sender's gateway sends again.
func TestWhatWasGivenUpKeepsItsPlace(t *testing.T) {
	t.Parallel()
	for _, decided := range []string{"in flight", "in the batch that forms"} {
		r := start(t, newDisk(t), func(c *shard.Config) { c.Settings.Deadline = 600 * time.Millisecond })
		ab := direct("ann", "ben")
		r.ok(ab, send("ann", "ben", 1))
		r.log.refuse.Store(true)
		var others []<-chan domain.Result
		if decided != "in flight" {
			others = append(others, r.submit(ab, send("ben", "ann", 1)))
			time.Sleep(20 * time.Millisecond)
		}
		early := r.submit(ab, send("ann", "ben", 2))
		time.Sleep(450 * time.Millisecond)
		late := r.submit(ab, send("ann", "ben", 3))
		require.Equal(t, domain.Unknown, domain.CodeOf(r.wait(early).Err), decided)
		r.log.refuse.Store(false)
		res := r.wait(late)
		require.NoError(t, res.Err, decided)
		again := r.ok(ab, send("ann", "ben", 2))
		require.Less(t, again.Seq, res.Seq, decided)
		for _, o := range others {
			require.Equal(t, domain.Unknown, domain.CodeOf(r.wait(o).Err))
		}
		r.stop()
	}
}

func TestFullDiskStopsAndGoesOn(t *testing.T) {
	t.Parallel()
	d := newDisk(t)
	r := start(t, d, func(c *shard.Config) { c.Settings.Deadline = time.Second })
	defer r.stop()
	ab := direct("ann", "ben")
	r.ok(ab, send("ann", "ben", 1))
	r.log.refuse.Store(true)
	sent := r.submit(ab, send("ann", "ben", 2))
	require.Equal(t, domain.Unknown, domain.CodeOf(r.wait(sent).Err), "it was decided: nobody knows")
	require.ErrorContains(t, r.Ready(), "log: ")
	require.Len(t, r.feed.all(t), 1, "nothing acknowledged")
	head := r.head(ab).(*conversation.Head)
	require.Equal(t, domain.Seq(1), head.Seq, "nothing shown that is not acknowledged")

	r.log.refuse.Store(false)
	r.ready()
	res := r.do(ab, send("ann", "ben", 2))
	for domain.CodeOf(res.Err) == domain.Unknown { // it rested on the batch in flight, and a claim voided that
		res = r.do(ab, send("ann", "ben", 2))
	}
	require.NoError(t, res.Err)
	require.Equal(t, domain.Seq(2), res.Seq)
	require.Len(t, requireFold(t, d, r).commits, 2)
}

func TestMailboxIsBounded(t *testing.T) {
	t.Parallel()
	r := start(t, newDisk(t), func(c *shard.Config) {
		c.Settings.Mailbox = 10
		c.Settings.BatchCommits = 5
		c.Settings.TailCommits = 100
		c.Settings.Deadline = time.Second
	})
	defer r.stop()
	r.ready()
	r.log.refuse.Store(true)
	codes := make(map[domain.Code]int)
	var answers []<-chan domain.Result
	for i := range 100 {
		answers = append(answers, r.submit(direct("ann", "ben"), send("ann", "ben", uint64(i+1))))
		time.Sleep(100 * time.Microsecond)
	}
	for _, a := range answers {
		codes[domain.CodeOf(r.wait(a).Err)]++
	}
	require.Equal(t, 100, codes[domain.Busy]+codes[domain.Unknown], codes)
	require.LessOrEqual(t, codes[domain.Unknown], 10, "a batch in flight and one that formed")
	r.log.refuse.Store(false)
	r.ready()
	r.ok(direct("ann", "ben"), send("ann", "ben", 1000))
}

func TestStoreDownWarmStreamsFlow(t *testing.T) {
	t.Parallel()
	d := newDisk(t)
	r := start(t, d, func(c *shard.Config) { c.Settings.Deadline = time.Second })
	warm, cold := direct("ann", "ben"), direct("cat", "dan")
	r.ok(warm, send("ann", "ben", 1))
	r.store.broken.Store(true)
	for i := range 50 {
		r.ok(warm, send("ann", "ben", uint64(i+2)))
	}
	began := time.Now()
	require.Equal(t, domain.Busy, domain.CodeOf(r.do(cold, send("cat", "dan", 1)).Err))
	require.GreaterOrEqual(t, time.Since(began), 900*time.Millisecond)
	_, err := r.Heads(t.Context(), []domain.StreamID{warm, cold})
	require.Equal(t, domain.Busy, domain.CodeOf(err))
	require.NoError(t, r.Ready())

	r.store.broken.Store(false)
	res := r.ok(cold, send("cat", "dan", 1))
	require.Equal(t, domain.Seq(1), res.Seq)
	r.stop()

	r = start(t, d, nil)
	defer r.stop()
	require.Len(t, requireFold(t, d, r).commits, 52)
	require.Empty(t, r.feed.all(t), "everything was flushed")
}

func TestStoreDownAtStart(t *testing.T) {
	t.Parallel()
	d := newDisk(t)
	r := start(t, d, func(c *shard.Config) {
		c.Store.(*faultyStore).broken.Store(true)
		c.Settings.Deadline = time.Second
	})
	defer r.stop()
	require.Equal(t, domain.Busy, domain.CodeOf(r.do(direct("a", "b"), send("a", "b", 1)).Err))
	require.ErrorContains(t, r.Ready(), "store: ")
	r.store.broken.Store(false)
	r.ready()
	r.ok(direct("a", "b"), send("a", "b", 1))
}

func TestTailIsBounded(t *testing.T) {
	t.Parallel()
	d := newDisk(t)
	r := start(t, d, func(c *shard.Config) {
		c.Settings.BatchCommits = 5
		c.Settings.TailCommits = 30
	})
	ab := direct("ann", "ben")
	r.ok(ab, send("ann", "ben", 1))
	r.store.broken.Store(true)
	full := 0
	for i := range 60 {
		if res := r.do(ab, send("ann", "ben", uint64(i+2))); res.Err != nil {
			require.Equal(t, domain.Busy, domain.CodeOf(res.Err))
			full++
		}
	}
	require.GreaterOrEqual(t, full, 30)
	require.Eventually(t, func() bool { return r.Ready() != nil }, 5*time.Second, time.Millisecond)
	r.store.broken.Store(false)
	r.ready()
	r.ok(ab, send("ann", "ben", 100))
	requireFold(t, d, r)
	r.stop()
}

func TestTakeOver(t *testing.T) {
	t.Parallel()
	d := newDisk(t)
	var named atomic.Bool
	named.Store(true)
	old := start(t, d, func(c *shard.Config) {
		c.Ring = func() fence.Ring {
			if named.Load() {
				return fence.NamedAtOnce
			}
			return fence.NotNamed
		}
	})
	ab := direct("ann", "ben")
	old.ok(ab, send("ann", "ben", 1))
	old.log.delay.Store(int64(500 * time.Millisecond))
	waiting := make(chan domain.Result, 1)
	old.Submit(domain.Request{
		Stream: ab, Command: send("ann", "ben", 2), Deadline: time.Now().Add(time.Minute), Done: func(res domain.Result) { waiting <- res },
	})
	time.Sleep(20 * time.Millisecond)
	named.Store(false)

	heir := start(t, d, func(c *shard.Config) { c.Node = "node-2" })
	res := heir.ok(ab, send("ben", "ann", 1))
	require.Equal(t, domain.Seq(2), res.Seq)
	require.Eventually(t, func() bool { return old.Ready() != nil }, 5*time.Second, time.Millisecond)
	old.log.delay.Store(0)
	again := heir.ok(ab, send("ann", "ben", 2))
	require.Equal(t, domain.Seq(3), again.Seq)
	require.Len(t, requireFold(t, d, heir).commits, 3)

	// The old one follows, and takes the partition back when the ring says so.
	require.Eventually(t, func() bool { return old.Position().Index == 3 }, 5*time.Second, time.Millisecond)
	heir.stop()
	named.Store(true)
	back := old.ok(ab, send("ann", "ben", 3))
	require.Equal(t, domain.Seq(4), back.Seq)
	kept := old.wait(waiting)
	require.NoError(t, kept.Err)
	require.True(t, kept.Repeat, "what the other one has decided meanwhile")
	require.Len(t, old.feed.all(t), 4)
	requireFold(t, d, old)
	old.stop()
}

func TestClockThatJumpsBack(t *testing.T) {
	d := newDisk(t)
	var back atomic.Int64
	now := func() time.Time { return time.Now().Add(-time.Duration(back.Load())) }
	r := start(t, d, func(c *shard.Config) { c.Now = now })
	ab := direct("ann", "ben")
	one := r.ok(ab, send("ann", "ben", 1))
	back.Store(int64(24 * time.Hour))
	two := r.ok(ab, send("ann", "ben", 2))
	require.Greater(t, two.T, one.T)
	r.stop()

	r = start(t, d, func(c *shard.Config) { c.Now = now })
	defer r.stop()
	three := r.ok(ab, send("ann", "ben", 3))
	require.Greater(t, three.T, two.T)
	requireFold(t, d, r)
}

func TestCutLogHalts(t *testing.T) {
	d := newDisk(t)
	r := start(t, d, func(c *shard.Config) { c.Settings.FlushEvery = time.Hour })
	for i := range 10 {
		r.ok(direct("ann", "ben"), send("ann", "ben", uint64(i+1)))
	}
	r.stop()
	require.NoError(t, d.store.Drop(t.Context(), shard.Checkpoints))
	require.NoError(t, d.log.Trim(t.Context(), partition, 5))
	r = start(t, d, nil)
	require.Eventually(t, func() bool {
		err := r.Ready()
		return err != nil && domain.CodeOf(r.do(direct("ann", "ben"), send("ann", "ben", 99)).Err) == domain.Busy
	}, 5*time.Second, 10*time.Millisecond)
	require.ErrorContains(t, r.Ready(), "halted")
	r.stop()
}

func TestCheckpointTrailsByTheLag(t *testing.T) {
	d := newDisk(t)
	lag := func(c *shard.Config) { c.Settings.CheckpointLag = 300 * time.Millisecond }
	r := start(t, d, lag)
	ab := direct("ann", "ben")
	for i := range 10 {
		r.ok(ab, send("ann", "ben", uint64(i+1)))
	}
	r.stop()
	r = start(t, d, nil)
	defer r.stop()
	r.ready()
	requireFold(t, d, r)
	require.Equal(t, domain.Index(10), r.Position().Index, "the tail was replayed from the log")
	res := r.ok(ab, send("ann", "ben", 5))
	require.True(t, res.Repeat)
}
