package projections_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/message"
	"parley/projections/logtest"
	"parley/projections/queries"
)

func TestHistoryPages(t *testing.T) {
	h := open(t)
	rapid.Check(t, func(rt *rapid.T) {
		w := h.world(rt)
		w.Random(rt, rapid.IntRange(1, 150).Draw(rt, "steps"))
		stream := rapid.SampledFrom(streams).Draw(rt, "stream")
		if err := h.store.Write(t.Context(), applied(rt, w, 1)); err != nil {
			rt.Fatalf("write: %v", err)
		}
		q := queries.New(h.store, queries.FeedsFunc(none), fixed{})
		hq := queries.HistoryQuery{
			Stream: stream, User: rapid.SampledFrom(logtest.Users[:2]).Draw(rt, "user"),
			From: domain.Seq(rapid.IntRange(1, 5).Draw(rt, "from")), Until: w.Head(stream),
			Backward: rapid.Bool().Draw(rt, "backward"), Limit: rapid.IntRange(1, 6).Draw(rt, "limit"),
		}
		if rapid.Bool().Draw(rt, "kinds") {
			hq.Kinds = []message.Kind{message.Text, message.Custom}
		}
		if rapid.IntRange(0, 3).Draw(rt, "by one") == 0 {
			hq.Sender = "bob"
		}
		if rapid.Bool().Draw(rt, "range") {
			some := func(name string) domain.T {
				return w.Accepted[rapid.IntRange(0, len(w.Accepted)-1).Draw(rt, name)].Commit.LastT()
			}
			if len(w.Accepted) > 0 {
				hq.After, hq.Before = some("after"), some("before")
			}
		}
		want := reference(w, hq)
		var got []domain.T
		for pages := 0; ; pages++ {
			if pages > 200 {
				rt.Fatalf("more than 200 pages of history %+v", hq)
			}
			page, err := q.History(t.Context(), hq)
			if err != nil {
				rt.Fatalf("history: %v", err)
			}
			for _, ev := range page.Events {
				got = append(got, ev.T)
			}
			if len(page.Events) > hq.Limit || (!page.Last && len(page.Events) < hq.Limit) {
				rt.Fatalf("a page of %d with limit %d, last %v", len(page.Events), hq.Limit, page.Last)
			}
			if page.Last {
				break
			}
			hq.Start = page.Next
		}
		if !slices.Equal(got, want) {
			rt.Fatalf("history %+v: got %v, want %v", hq, got, want)
		}
	})
}

func reference(w *logtest.World, hq queries.HistoryQuery) (out []domain.T) {
	recalled := w.Recalled(hq.Stream)
	for _, a := range w.Accepted {
		for i := range a.Commit.Events {
			ev := &a.Commit.Events[i]
			b, ok := ev.Body.(conversation.MessageSent)
			if recalled[ev.Seq] || hq.Sender != "" && b.From != hq.Sender {
				continue
			}
			if a.Commit.Stream != hq.Stream || !ok || !conversation.ShownTo(ev, hq.User) || ev.Seq < hq.From || ev.Seq > hq.Until ||
				(hq.Kinds != nil && !slices.Contains(hq.Kinds, b.Kind)) || (hq.After != 0 && ev.T < hq.After) || (hq.Before != 0 && ev.T >= hq.Before) {
				continue
			}
			out = append(out, ev.T)
		}
	}
	if hq.Backward {
		slices.Reverse(out)
	}
	return out
}

func TestHistoryLooksAtABoundedNumberOfEntries(t *testing.T) {
	h := open(t)
	w := h.world(t)
	stream := domain.DirectStream(logtest.App, "ann", "bob")
	add := func(seq domain.Seq, body domain.Body) {
		w.Accepted = append(w.Accepted, domain.Accepted{Commit: &domain.Commit{
			Stream: stream, Events: []domain.Event{{T: domain.T(seq) << 12, Seq: seq, Body: body}},
		}})
	}
	const head = 9000
	add(1, conversation.MessageSent{From: "ann", To: "bob", History: true, Kind: message.Text, Body: message.Bytes("first")})
	for seq := domain.Seq(2); seq < head; seq++ {
		add(seq, conversation.MessageDelivered{By: "bob", To: "ann", Message: 4096})
	}
	add(head, conversation.MessageSent{From: "ann", To: "bob", History: true, Kind: message.Text, Body: message.Bytes("last")})
	if err := h.store.Write(t.Context(), applied(t, w, 1)); err != nil {
		t.Fatal(err)
	}
	q := queries.New(h.store, queries.FeedsFunc(none), fixed{})
	for _, backward := range []bool{true, false} {
		hq := queries.HistoryQuery{Stream: stream, User: "ann", From: 1, Until: head, Backward: backward, Limit: 20}
		pages, found := 0, 0
		for last := false; !last && pages < 10; pages++ {
			page, err := q.History(t.Context(), hq)
			if err != nil {
				t.Fatal(err)
			}
			found, last, hq.Start = found+len(page.Events), page.Last, page.Next
		}
		if found != 2 || pages < 3 || pages > 6 {
			t.Errorf("backward %v: %d messages in %d pages, want 2 in 3 to 6", backward, found, pages)
		}
	}
	events, err := q.Entries(t.Context(), stream, 1990, 2010, 100, 1<<20) // across buckets
	if err != nil || len(events) != 21 || events[20].Seq != 2010 {
		t.Errorf("entries across buckets: %d, %v", len(events), err)
	}
}

// late is a feed that has nothing at first, as one has that follows from afar.
type late struct {
	queries.Feeds
	from time.Time
}

func (l late) Recent(stream domain.StreamID, from, to domain.Seq) []domain.Event {
	if time.Now().Before(l.from) {
		return nil
	}
	return l.Feeds.Recent(stream, from, to)
}

// The last entry that is asked for was acknowledged: a page waits for it a moment, and then does without.
func TestHistoryWaitsForWhatIsOnItsWay(t *testing.T) {
	h := open(t)
	stream := domain.DirectStream("org#app", "ann", "bob")
	said := func(seq domain.Seq) domain.Event {
		return domain.Event{Seq: seq, T: domain.T(seq) << 12, Body: conversation.MessageSent{From: "ann", To: "bob", Kind: message.Text, History: true, Body: []byte{8, 1}}}
	}
	all := []domain.Event{said(1), said(2)}
	feed := queries.FeedsFunc(func(_ domain.StreamID, from, to domain.Seq) []domain.Event {
		return all[min(int(from)-1, len(all)):min(int(to), len(all))]
	})
	for _, backward := range []bool{false, true} {
		hq := queries.HistoryQuery{Stream: stream, User: "bob", From: 1, Until: 2, Backward: backward, Limit: 10}
		q := queries.New(h.store, late{feed, time.Now().Add(30 * time.Millisecond)}, fixed{})
		page, err := q.History(t.Context(), hq)
		require.NoError(t, err)
		require.Len(t, page.Events, 2)
		hq.Until = 3
		begin := time.Now()
		page, err = queries.New(h.store, feed, fixed{}).History(t.Context(), hq)
		require.NoError(t, err)
		require.Len(t, page.Events, 2)
		require.Greater(t, time.Since(begin), 200*time.Millisecond)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = queries.New(h.store, feed, fixed{}).History(ctx, hq)
		require.ErrorIs(t, err, context.Canceled)
	}
}
