package projections_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

	"parley/domain"
	"parley/domain/conversation"
	"parley/projections/feed"
	"parley/projections/queries"
	"parley/projections/timeline"
	"parley/schemas/event"
	"parley/schemas/table"
)

func TestEntriesNeverSkip(t *testing.T) {
	h := open(t)
	rapid.Check(t, func(rt *rapid.T) {
		w := h.world(rt)
		w.Random(rt, rapid.IntRange(1, 150).Draw(rt, "steps"))
		stream := rapid.SampledFrom(streams).Draw(rt, "stream")
		from := domain.Seq(rapid.IntRange(1, 40).Draw(rt, "from"))
		to := domain.Seq(rapid.IntRange(1, 40).Draw(rt, "to"))
		missing := from + domain.Seq(rapid.IntRange(0, 8).Draw(rt, "missing"))
		hole := slices.IndexFunc(w.Accepted, func(a domain.Accepted) bool { // whose row is missing
			return a.Commit.Stream == stream && slices.ContainsFunc(a.Commit.Events, func(ev domain.Event) bool { return ev.Seq == missing })
		})
		stored := rapid.IntRange(0, len(w.Accepted)).Draw(rt, "stored")
		ringFrom := rapid.IntRange(0, len(w.Accepted)).Draw(rt, "ring from")
		tl := timeline.New(1)
		var writes []table.Write
		for i := range w.Accepted[:stored] {
			if i != hole {
				writes, _ = tl.Apply(writes, &w.Accepted[i])
			}
		}
		if err := h.store.Write(t.Context(), writes); err != nil {
			rt.Fatalf("write: %v", err)
		}
		f := feed.New(w.Partition, h.log, feed.DefaultSettings(), feed.NewMetrics(prometheus.NewRegistry()))
		f.Publish(w.Accepted[ringFrom:])
		q := queries.New(h.store, f, fixed{})
		limit := rapid.IntRange(1, 30).Draw(rt, "limit")
		got, err := q.Entries(t.Context(), stream, from, to, limit, 1<<20)
		if err != nil {
			rt.Fatalf("entries: %v", err)
		}
		known := func(i int) bool { return i < stored && i != hole || i >= ringFrom }
		recalled := make(map[domain.Seq]bool)
		for i, a := range w.Accepted {
			for _, ev := range a.Commit.Events {
				if b, ok := ev.Body.(conversation.MessageRecalled); ok && a.Commit.Stream == stream && known(i) {
					recalled[b.MessageSeq] = true
				}
			}
		}
		var want []domain.Event
		for i, a := range w.Accepted {
			for _, ev := range a.Commit.Events {
				if a.Commit.Stream == stream && ev.Seq >= from && ev.Seq <= to && len(want) < limit && known(i) {
					if recalled[ev.Seq] {
						ev.Body = nil
					}
					if ev.Seq == from+domain.Seq(len(want)) {
						want = append(want, ev)
					}
				}
			}
		}
		if len(got) != len(want) {
			rt.Fatalf("entries %d..%d limit %d: got %d, want %d", from, to, limit, len(got), len(want))
		}
		for i := range got {
			if !sameEvent(&got[i], &want[i]) {
				rt.Fatalf("entry %d: got %#v, want %#v", i, got[i], want[i])
			}
		}
	})
}

// sameEvent compares what is stored of events; one without a body is a recalled message.
func sameEvent(a, b *domain.Event) bool {
	if a.Body == nil || b.Body == nil {
		return a.T == b.T && a.Seq == b.Seq && a.Body == b.Body
	}
	return bytes.Equal(event.AppendEvent(nil, a), event.AppendEvent(nil, b))
}

func TestEntriesEndAtAHole(t *testing.T) {
	h := open(t)
	w := h.world(t)
	w.Register("ann")
	w.Register("bob")
	for i := range 10 {
		w.Send("ann", "bob", fmt.Sprint(i))
	}
	all := w.Accepted
	w.Accepted = slices.Concat(all[:6], all[7:])
	if err := h.store.Write(t.Context(), applied(t, w, 1)); err != nil {
		t.Fatal(err)
	}
	missing := all[6].Commit.Events[0].Seq
	stream := all[6].Commit.Stream
	q := queries.New(h.store, queries.FeedsFunc(none), fixed{})
	got, err := q.Entries(t.Context(), stream, 1, 100, 100, 1<<20)
	if err != nil || len(got) != int(missing)-1 {
		t.Errorf("got %d entries and %v, want the %d before the hole", len(got), err, missing-1)
	}
	if got, err := q.Entries(t.Context(), stream, missing, 100, 100, 1<<20); err != nil || len(got) != 0 {
		t.Errorf("got %d entries and %v from the hole on, want none", len(got), err)
	}
	if got, err := q.Entries(t.Context(), stream, 1, 100, 100, 1); err != nil || len(got) != 1 {
		t.Errorf("got %d entries and %v with room for none, want one", len(got), err)
	}
}
