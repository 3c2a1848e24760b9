package shard_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"parley/domain"
	"parley/domain/conversation"
	"parley/ingest/shard"
	"parley/schemas/table"
)

// mortal is a log and a store that a process loses from one moment on.
type mortal struct {
	log   shard.Log
	store shard.Store
	dead  atomic.Bool
}

type mortalLog struct{ *mortal }

func (m mortalLog) Append(ctx context.Context, p domain.Partition, b domain.Batch) (domain.Offset, error) {
	if m.dead.Load() {
		return 0, errBroken
	}
	at, err := m.log.Append(ctx, p, b)
	if m.dead.Load() {
		return 0, errBroken // it is in, and nobody is told
	}
	return at, err
}

func (m mortalLog) Read(
	ctx context.Context, p domain.Partition, from domain.Offset, maxBytes int, wait time.Duration,
) ([]domain.LogRecord, error) {
	if m.dead.Load() {
		return nil, errBroken
	}
	return m.log.Read(ctx, p, from, maxBytes, wait)
}

func (m mortalLog) Bounds(ctx context.Context, p domain.Partition) (start, end domain.Offset, err error) {
	return m.log.Bounds(ctx, p)
}

type mortalStore struct{ *mortal }

func (m mortalStore) Write(ctx context.Context, w []table.Write) error {
	if m.dead.Load() {
		return errBroken
	}
	return m.store.Write(ctx, w)
}

func (m mortalStore) Get(ctx context.Context, t *table.Table, k []table.RowKey) ([]table.Row, error) {
	if m.dead.Load() {
		return nil, errBroken
	}
	return m.store.Get(ctx, t, k)
}

// sent is a message on its way, tried again with the same client id until it is acknowledged.
type sent struct {
	stream domain.StreamID
	cmd    conversation.SendMessage
	first  domain.Result
}

// TestCrashesLoseAndDoubleNothing kills a shard at random moments under load. Senders try again with the same client id, as the SDK does.
func TestCrashesLoseAndDoubleNothing(t *testing.T) {
	t.Parallel()
	d := newDisk(t)
	const senders, rounds = 10, 12
	var mu sync.Mutex
	var acked []sent
	var next [senders]uint64
	open := make([]*sent, senders) // the send of each that has no answer yet
	for round := range rounds {
		m := &mortal{log: d.log, store: d.store}
		r := start(t, d, func(c *shard.Config) {
			c.Log, c.Store = mortalLog{m}, mortalStore{m}
			c.Settings.StopTimeout = time.Millisecond
			c.Settings.CacheRows = 20
			c.Settings.FlushRows = 7
			if round%2 == 1 {
				c.Settings.CheckpointLag = 15 * time.Millisecond
			}
		})
		var wg sync.WaitGroup
		for i := range senders {
			wg.Go(func() {
				from, to := domain.UserID(fmt.Sprintf("u%d", i)), domain.UserID(fmt.Sprintf("u%d", (i+1)%senders))
				for {
					if open[i] == nil {
						next[i]++
						open[i] = &sent{stream: direct(from, to), cmd: send(from, to, next[i])}
					}
					res := r.wait(r.submit(open[i].stream, open[i].cmd))
					if res.Err != nil {
						return
					}
					open[i].first = res
					mu.Lock()
					acked = append(acked, *open[i])
					mu.Unlock()
					open[i] = nil
				}
			})
		}
		time.Sleep(time.Duration(10+rand.IntN(60)) * time.Millisecond)
		m.dead.Store(true)
		r.stop()
		wg.Wait()
	}

	r := start(t, d, nil)
	defer r.stop()
	r.ready()
	h := requireFold(t, d, r)
	require.NotEmpty(t, acked)
	found := make(map[string]domain.T)
	for _, a := range h.commits {
		for _, ev := range a.Commit.Events {
			if m, ok := ev.Body.(conversation.MessageSent); ok {
				key := string(a.Commit.Stream) + "/" + string(m.Body)
				require.Zero(t, found[key], "twice: %s", key)
				found[key] = ev.T
			}
		}
	}
	for _, s := range acked {
		require.Equal(t, s.first.T, found[string(s.stream)+"/"+string(s.cmd.Body)])
	}
	t.Logf("%d acknowledged over %d crashes, %d in the log", len(acked), rounds, len(found))
}

// TestModel drives random commands, repeats, restarts and faults, one command at a time, against a model of what must be answered.
func TestModel(t *testing.T) {
	t.Parallel()
	d := newDisk(t)
	epoch := 0
	rapid.Check(t, func(rt *rapid.T) {
		epoch++ // streams of its own for each run, on one disk
		users := []domain.UserID{}
		for i := range 4 {
			users = append(users, domain.UserID(fmt.Sprintf("e%d-u%d", epoch, i)))
		}
		r := start(t, d, nil)
		defer func() { r.stop() }()
		seqs := make(map[domain.StreamID]domain.Seq)
		type key struct {
			stream domain.StreamID
			from   domain.UserID
			id     uint64
		}
		firsts := make(map[key]domain.Result)
		rt.Repeat(map[string]func(*rapid.T){
			"send": func(rt *rapid.T) {
				from, to := rapid.SampledFrom(users).Draw(rt, "from"), rapid.SampledFrom(users).Draw(rt, "to")
				id := rapid.Uint64Range(1, 12).Draw(rt, "id")
				stream := direct(from, to)
				res := r.ok(stream, send(from, to, id))
				k := key{stream, from, id}
				if first, ok := firsts[k]; ok {
					require.True(rt, res.Repeat)
					require.Equal(rt, first.Seq, res.Seq)
					require.Equal(rt, first.T, res.T)
					return
				}
				require.False(rt, res.Repeat)
				seqs[stream]++
				require.Equal(rt, seqs[stream], res.Seq)
				firsts[k] = res
			},
			"heads": func(rt *rapid.T) {
				var ids []domain.StreamID
				for _, a := range users {
					for _, b := range users {
						ids = append(ids, direct(a, b))
					}
				}
				rows, err := r.Heads(t.Context(), ids)
				require.NoError(rt, err)
				for i, id := range ids {
					if seqs[id] == 0 {
						require.Nil(rt, rows[i])
						continue
					}
					require.Equal(rt, seqs[id], rows[i].(*conversation.Head).Seq)
				}
			},
			"restart": func(*rapid.T) {
				r.stop()
				r = start(t, d, func(c *shard.Config) { c.Settings.CacheRows = 5 })
			},
			"lose answers": func(rt *rapid.T) { r.log.loseAnswers.Store(rapid.Int32Range(1, 6).Draw(rt, "answers")) },
		})
	})
	r := start(t, d, nil)
	defer r.stop()
	r.ready()
	requireFold(t, d, r)
}

// TestManyStreamsThroughASmallCache has rows leave the memory and come back all the time, with readers beside.
func TestManyStreamsThroughASmallCache(t *testing.T) {
	t.Parallel()
	d := newDisk(t)
	r := start(t, d, func(c *shard.Config) { c.Settings.CacheRows = 50 })
	const pairs, messages = 100, 8
	stream := func(i int) (a, b domain.UserID) {
		return domain.UserID(fmt.Sprintf("a%d", i)), domain.UserID(fmt.Sprintf("b%d", i))
	}
	ctx, cancel := context.WithCancel(t.Context())
	var readers, writers sync.WaitGroup
	readers.Go(func() {
		for ctx.Err() == nil {
			var ids []domain.StreamID
			for i := range pairs {
				ids = append(ids, direct(stream(i)))
			}
			rows, err := r.Heads(t.Context(), ids)
			if err != nil || len(rows) != pairs {
				t.Error(len(rows), err)
				return
			}
		}
	})
	for w := range 4 {
		writers.Go(func() {
			for m := range messages {
				var answers []<-chan domain.Result
				for i := w; i < pairs; i += 4 {
					a, b := stream(i)
					answers = append(answers, r.submit(direct(a, b), send(a, b, uint64(m+1))))
				}
				for _, a := range answers {
					if res := r.wait(a); res.Err != nil || res.Seq != domain.Seq(m+1) {
						t.Error(m, res)
					}
				}
			}
		})
	}
	writers.Wait()
	cancel()
	readers.Wait()
	require.Len(t, requireFold(t, d, r).commits, pairs*messages)
	require.Positive(t, r.store.gets.Load())
	r.stop()
}

// TestStopAnswersEverything stops under load: each command is answered exactly once, and what was acknowledged is there.
func TestStopAnswersEverything(t *testing.T) {
	d := newDisk(t)
	r := start(t, d, nil)
	r.ready()
	r.log.delay.Store(int64(5 * time.Millisecond))
	const n = 500
	var answers, accepted atomic.Int32
	for i := range n {
		r.Submit(domain.Request{Stream: direct("ann", "ben"), Command: send("ann", "ben", uint64(i+1)), Done: func(res domain.Result) {
			answers.Add(1)
			if res.Err == nil {
				accepted.Add(1)
			} else if c := domain.CodeOf(res.Err); c != domain.Stopping {
				t.Error(res.Err)
			}
		}})
		if i == n/2 {
			time.Sleep(time.Millisecond)
			r.cancel()
		}
	}
	r.stop()
	require.Equal(t, int32(n), answers.Load())
	r.Submit(domain.Request{Stream: direct("ann", "ben"), Command: send("ann", "ben", 1), Done: func(res domain.Result) {
		require.Equal(t, domain.Stopping, domain.CodeOf(res.Err))
	}})
	require.Len(t, replay(t, d).commits, int(accepted.Load()))
}
