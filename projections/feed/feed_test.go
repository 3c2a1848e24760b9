package feed_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/fence"
	"parley/projections/feed"
	"parley/projections/logtest"
	"parley/storage/pebble"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func openLog(t *testing.T) *pebble.Log {
	t.Helper()
	log, err := pebble.OpenLog(t.TempDir(), pebble.Options{})
	if err != nil {
		t.Fatalf("open log: %v", err)
	}
	t.Cleanup(func() {
		if err := log.Close(); err != nil {
			t.Errorf("close log: %v", err)
		}
	})
	return log
}

func small() feed.Settings { return feed.Settings{Commits: 64, Bytes: 1 << 20, Fetch: 1 << 10} }

func newFeed(p domain.Partition, log feed.Log, s feed.Settings) *feed.Feed {
	return feed.New(p, log, s, feed.NewMetrics(prometheus.NewRegistry()))
}

// partitions hands each run of a property a partition of its own.
type partitions struct{ next domain.Partition }

func (p *partitions) take() domain.Partition { p.next++; return p.next - 1 }

// read reads n commits and describes them.
func read(ctx context.Context, r *feed.Reader, n int) ([]string, error) {
	var out []string
	for len(out) < n {
		batch, err := r.Next(ctx, 7)
		if err != nil {
			return out, err
		}
		for _, a := range batch {
			out = append(out, describe(a))
		}
	}
	return out, nil
}

func describe(a domain.Accepted) string {
	return fmt.Sprintf("%d@%d/%d/%x %s %v", a.Index, a.Offset, a.Term, a.Prev, a.Commit.Stream, a.Commit.Events[0].T)
}

func describeAll(all []domain.Accepted) []string {
	out := make([]string, len(all))
	for i, a := range all {
		out[i] = describe(a)
	}
	return out
}

// place returns where a reader stands after n commits of the world.
func place(w *logtest.World, n int) fence.Reader {
	if n == 0 {
		return fence.Reader{}
	}
	a := w.Accepted[n-1]
	return fence.Reader{Next: a.Offset + 1, Term: a.Term, Index: a.Index, Prev: a.Prev}
}

func TestReadersSeeEachCommitOnce(t *testing.T) {
	log := openLog(t)
	ids := &partitions{}
	rapid.Check(t, func(rt *rapid.T) {
		w := logtest.NewWorld(rt, log, ids.take())
		w.Random(rt, rapid.IntRange(1, 150).Draw(rt, "before"))
		f := newFeed(w.Partition, log, small())
		known := len(w.Accepted)
		w.Random(rt, rapid.IntRange(0, 150).Draw(rt, "after"))
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()

		start := rapid.IntRange(0, known).Draw(rt, "start")
		follow := rapid.Bool().Draw(rt, "follow")
		late := rapid.IntRange(0, len(w.Accepted)).Draw(rt, "late")
		var wg sync.WaitGroup
		inner, stop := context.WithCancel(ctx)
		defer wg.Wait()
		defer stop()
		if follow {
			from := place(w, rapid.IntRange(0, known).Draw(rt, "follow from"))
			wg.Go(func() { _ = f.Follow(inner, from) })
		}
		wg.Go(func() { // the shard, which has been here from `late` on
			for part := range slices.Chunk(w.Accepted[late:], 5) {
				f.Publish(part)
			}
		})
		got, err := read(ctx, f.Reader(place(w, start)), len(w.Accepted)-start)
		if err != nil {
			rt.Fatalf("read: %v after %d", err, len(got))
		}
		if want := describeAll(w.Accepted[start:]); !slices.Equal(got, want) {
			rt.Fatalf("got\n%v\nwant\n%v", got, want)
		}
	})
}

func TestRecentIsTheLogsTail(t *testing.T) {
	log := openLog(t)
	ids := &partitions{}
	rapid.Check(t, func(rt *rapid.T) {
		w := logtest.NewWorld(rt, log, ids.take())
		w.Random(rt, rapid.IntRange(1, 200).Draw(rt, "steps"))
		f := newFeed(w.Partition, log, small())
		f.Publish(w.Accepted)
		inRing := w.Accepted[max(0, len(w.Accepted)-small().Commits):]
		stream := domain.DirectStream(logtest.App, "ann", "bob")
		from := domain.Seq(rapid.IntRange(0, 30).Draw(rt, "from"))
		to := domain.Seq(rapid.IntRange(0, 40).Draw(rt, "to"))
		var want []domain.T
		next := from
		for _, a := range inRing {
			for _, ev := range a.Commit.Events {
				if a.Commit.Stream == stream && ev.Seq == next && ev.Seq != 0 && ev.Seq <= to {
					want = append(want, ev.T)
					next++
				}
			}
		}
		var got []domain.T
		for _, ev := range f.Recent(stream, from, to) {
			got = append(got, ev.T)
		}
		if !slices.Equal(got, want) {
			rt.Fatalf("recent %d..%d: got %v, want %v", from, to, got, want)
		}
	})
}

func TestAGapInWhatIsPublishedIsReadFromTheLog(t *testing.T) {
	log := openLog(t)
	w := logtest.NewWorld(t, log, 3)
	for _, u := range logtest.Users {
		w.Register(u)
	}
	for i := range 300 {
		w.Send("ann", "bob", fmt.Sprint(i))
	}
	f := newFeed(3, log, small())
	r := f.Reader(fence.Reader{})
	f.Publish(w.Accepted[:10])
	if got, err := read(t.Context(), r, 10); err != nil || len(got) != 10 {
		t.Fatalf("read %d: %v", len(got), err)
	}
	f.Publish(w.Accepted[250:]) // the shard was away, and is back
	got, err := read(t.Context(), r, len(w.Accepted)-10)
	if err != nil {
		t.Fatal(err)
	}
	if want := describeAll(w.Accepted[10:]); !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
}

func TestPublishWakesAReader(t *testing.T) {
	log := openLog(t)
	w := logtest.NewWorld(t, log, 0)
	w.Register("ann")
	f := newFeed(0, log, small())
	f.Publish(w.Accepted)
	r := f.Reader(w.At())
	got := make(chan error, 1)
	go func() {
		_, err := r.Next(t.Context(), 1)
		got <- err
	}()
	select {
	case err := <-got:
		t.Fatalf("Next returned before there was something: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	w.Register("bob")
	f.Publish(w.Accepted)
	select {
	case err := <-got:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("Next did not return")
	}
}

func TestHalts(t *testing.T) {
	tests := []struct {
		name   string
		damage func(t *testing.T, log *pebble.Log, w *logtest.World)
		is     func(error) bool
	}{
		{"undecodable", func(_ *testing.T, _ *pebble.Log, w *logtest.World) {
			w.Raw(append(fence.AppendHeader(nil, fence.Header{Term: w.At().Term, Index: w.At().Index + 1, Prev: w.At().Prev}), 0xff))
		}, func(err error) bool { return err != nil }},
		{"gap", func(_ *testing.T, _ *pebble.Log, w *logtest.World) {
			w.Raw(append(fence.AppendHeader(nil, fence.Header{Term: w.At().Term, Index: w.At().Index + 2, Prev: w.At().Prev}), 0xff))
		}, isReason(fence.Gap)},
		{"no header", func(_ *testing.T, _ *pebble.Log, w *logtest.World) { w.Raw([]byte("x")) }, isReason(fence.Malformed)},
		{"truncated head", func(t *testing.T, log *pebble.Log, w *logtest.World) {
			if err := log.Trim(t.Context(), w.Partition, w.At().Next); err != nil {
				t.Fatal(err)
			}
		}, func(err error) bool { return errors.Is(err, domain.ErrTruncated) }},
	}
	log := openLog(t)
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := logtest.NewWorld(t, log, domain.Partition(i))
			w.Register("ann")
			tt.damage(t, log, w)
			f := newFeed(w.Partition, log, small())
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			_, err := read(ctx, f.Reader(fence.Reader{}), 2)
			if !tt.is(err) || ctx.Err() != nil {
				t.Fatalf("a reader of the log ended with %v", err)
			}
			if err := f.Follow(ctx, fence.Reader{}); !tt.is(err) || ctx.Err() != nil {
				t.Fatalf("Follow ended with %v", err)
			}
			if _, err := f.Reader(w.At()).Next(ctx, 1); !errors.Is(err, feed.ErrHalted) {
				t.Fatalf("a reader of the halted partition ended with %v", err)
			}
		})
	}
}

func isReason(r fence.Reason) func(error) bool {
	return func(err error) bool {
		var halt *fence.HaltError
		return errors.As(err, &halt) && halt.Reason == r
	}
}

func TestASavedPlaceBeyondTheLogHalts(t *testing.T) {
	log := openLog(t)
	w := logtest.NewWorld(t, log, 0)
	w.Register("ann")
	at := w.At()
	f := newFeed(0, log, small())
	if err := f.Check(t.Context(), at); err != nil {
		t.Fatalf("a good place: %v", err)
	}
	at.Next++
	if err := f.Check(t.Context(), at); !errors.Is(err, feed.ErrHalted) {
		t.Fatalf("a place beyond the log: %v", err)
	}
	if _, err := f.Reader(fence.Reader{}).Next(t.Context(), 1); !errors.Is(err, feed.ErrHalted) {
		t.Fatalf("a reader after that: %v", err)
	}
}

func TestTheSameIndexWithOtherContentHalts(t *testing.T) {
	log := openLog(t)
	w := logtest.NewWorld(t, log, 0)
	w.Register("ann")
	f := newFeed(0, log, small())
	f.Publish(w.Accepted)
	other := w.Accepted[0]
	other.Prev++
	f.Publish([]domain.Accepted{other})
	if _, err := f.Reader(fence.Reader{}).Next(t.Context(), 1); !errors.Is(err, feed.ErrHalted) {
		t.Fatalf("got %v", err)
	}
}

func BenchmarkPublishAndNext(b *testing.B) {
	log, err := pebble.OpenLog(b.TempDir(), pebble.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	w := logtest.NewWorld(b, log, 0)
	w.Register("ann")
	w.Register("bob")
	w.Send("ann", "bob", "hello")
	a := w.Accepted[len(w.Accepted)-1]
	f := newFeed(0, log, feed.DefaultSettings())
	f.Publish(w.Accepted)
	r := f.Reader(w.At())
	batch := make([]domain.Accepted, 50)
	b.ReportAllocs()
	index := a.Index
	for b.Loop() {
		for i := range batch {
			index++
			batch[i] = a
			batch[i].Index = index
		}
		f.Publish(batch)
		for n := 0; n < len(batch); {
			got, err := r.Next(b.Context(), 1000)
			if err != nil {
				b.Fatal(err)
			}
			n += len(got)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(batch)), "ns/commit")
}

// TestRecallsAndFindKnowWhatTheRingHas compares with the last commits of a ring that forgets.
func TestRecallsAndFindKnowWhatTheRingHas(t *testing.T) {
	log := openLog(t)
	var parts partitions
	rapid.Check(t, func(rt *rapid.T) {
		w := logtest.NewWorld(rt, log, parts.take())
		w.Random(rt, rapid.IntRange(1, 250).Draw(rt, "steps"))
		f := newFeed(w.Partition, log, small())
		n := rapid.IntRange(0, len(w.Accepted)).Draw(rt, "published")
		f.Publish(w.Accepted[:n])
		ring := w.Accepted[max(0, n-small().Commits):n]
		from := domain.Seq(rapid.IntRange(1, 20).Draw(rt, "from"))
		to := from + domain.Seq(rapid.IntRange(0, 20).Draw(rt, "more"))
		recalled := make(map[domain.StreamID][]domain.Seq)
		for i, a := range w.Accepted {
			in := i < n && i >= n-small().Commits
			for _, ev := range a.Commit.Events {
				if b, ok := ev.Body.(conversation.MessageRecalled); ok && in && b.MessageSeq >= from && b.MessageSeq <= to {
					recalled[a.Commit.Stream] = append(recalled[a.Commit.Stream], b.MessageSeq)
				}
				if got, ok := f.Find(a.Commit.Stream, ev.T); ok != (in && ev.Seq != 0) || ok && (got.T != ev.T || got.Seq != ev.Seq) {
					rt.Fatalf("find %d of %s: got %+v %v, in the ring: %v", ev.T, a.Commit.Stream, got, ok, in)
				}
			}
		}
		for _, a := range ring {
			if got := f.Recalled(a.Commit.Stream, from, to); !slices.Equal(got, recalled[a.Commit.Stream]) {
				rt.Fatalf("recalled in %s: got %v, want %v", a.Commit.Stream, got, recalled[a.Commit.Stream])
			}
		}
	})
}
