package projections_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/message"
	"parley/projections/feed"
	"parley/projections/logtest"
	"parley/projections/queries"
	"parley/projections/timeline"
)

// TestRecalledContentIsGone applies a message and its recall in both orders, and with the recall known to the feed alone.
func TestRecalledContentIsGone(t *testing.T) {
	h := open(t)
	for _, kind := range []domain.Kind{domain.KindDirect, domain.KindGroup, domain.KindRoom} {
		for _, way := range []string{"in order", "recall first", "by the feed", "feed alone"} {
			t.Run(fmt.Sprintf("%c, %s", kind, way), func(t *testing.T) {
				w := h.world(t)
				w.Register("ann")
				w.Register("bob")
				sent := send(t, w, kind, "a secret")
				stream, ev := sent.Commit.Stream, sent.Commit.Events[len(sent.Commit.Events)-1]
				recall, ok := w.Recall(stream, &ev)
				if !ok {
					t.Fatal("not recalled")
				}
				p := timeline.New(1)
				writes, err := p.Apply(nil, &recall)
				if err != nil {
					t.Fatal(err)
				}
				w.Accepted = slices.DeleteFunc(w.Accepted, func(a domain.Accepted) bool { return a.Index == recall.Index })
				rows := applied(t, w, 1)
				f := feed.New(w.Partition, h.log, feed.DefaultSettings(), feed.NewMetrics(prometheus.NewRegistry()))
				switch way {
				case "in order":
					rows = append(rows, writes...)
				case "recall first":
					rows = append(writes, rows...)
				case "by the feed":
					f.Publish([]domain.Accepted{recall})
				case "feed alone":
					f.Publish(append(slices.Clone(w.Accepted), recall))
					rows = nil
				}
				if err := h.store.Write(t.Context(), rows); err != nil {
					t.Fatal(err)
				}
				q := queries.New(h.store, f, fixed{})
				checkRecalled(t, q, stream, &ev)
				if strings.Contains(way, "feed") {
					return
				}
				for _, row := range scan(t, h, p.Query(stream, 1, 100, 100, false)) {
					for _, cell := range row.Cells {
						if bytes.Contains(cell.Value, []byte("a secret")) {
							t.Errorf("the store has the content")
						}
					}
				}
			})
		}
	}
}

func checkRecalled(t *testing.T, q *queries.Queries, stream domain.StreamID, ev *domain.Event) {
	t.Helper()
	events, err := q.Entries(t.Context(), stream, 1, 100, 100, 1<<20)
	if err != nil || domain.Seq(len(events)) != ev.Seq+1 {
		t.Fatalf("got %d entries and %v, want %d", len(events), err, ev.Seq+1)
	}
	got := events[ev.Seq-1]
	if got.T != ev.T || got.Seq != ev.Seq || got.Body != nil {
		t.Errorf("got entry %+v, want one without a body", got)
	}
	if _, ok := events[ev.Seq].Body.(conversation.MessageRecalled); !ok {
		t.Errorf("got %+v, want the recall", events[ev.Seq])
	}
	page, err := q.History(t.Context(), queries.HistoryQuery{Stream: stream, User: "bob", From: 1, Until: ev.Seq + 1, Limit: 10})
	if err != nil || len(page.Events) != 0 || !page.Last {
		t.Errorf("got history %+v and %v", page, err)
	}
	if _, _, err := q.MessageByID(t.Context(), ev.T); domain.CodeOf(err) != domain.NotFound {
		t.Errorf("the message is still there: %v", err)
	}
	at, facts, err := q.Recallable(t.Context(), stream, ev.T)
	if err != nil || at != stream || facts.From != "ann" || !facts.Recalled || facts.Kind != message.Text || facts.Seq != ev.Seq {
		t.Errorf("got %s %+v %v", at, facts, err)
	}
}

func TestRecallable(t *testing.T) {
	h := open(t)
	for _, kind := range []domain.Kind{domain.KindDirect, domain.KindGroup, domain.KindRoom} {
		t.Run(string(kind), func(t *testing.T) { findRecallable(t, h, kind) })
	}
}

func findRecallable(t *testing.T, h *house, kind domain.Kind) {
	w := h.world(t)
	w.Register("ann")
	w.Register("bob")
	sent := send(t, w, kind, "text")
	stream, ev := sent.Commit.Stream, sent.Commit.Events[len(sent.Commit.Events)-1]
	want := conversation.Recallable{Message: ev.T, Seq: ev.Seq, From: "ann", Kind: message.Text}
	f := feed.New(w.Partition, h.log, feed.DefaultSettings(), feed.NewMetrics(prometheus.NewRegistry()))
	q := queries.New(h.store, f, fixed{})
	check := func(name string, near domain.StreamID, found bool) {
		t.Helper()
		at, got, err := q.Recallable(t.Context(), near, ev.T)
		if !found {
			if domain.CodeOf(err) != domain.NotFound {
				t.Errorf("%s: %v", name, err)
			}
			return
		}
		if err != nil || at != stream || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: got %s %+v %v, want %+v", name, at, got, err, want)
		}
	}
	check("nowhere", stream, false)
	f.Publish(w.Accepted)
	check("in the feed, asked for near", stream, true)
	check("in the feed, asked for elsewhere", domain.GroupStream(logtest.App, "8"), false)
	if err := h.store.Write(t.Context(), applied(t, w, 1)); err != nil {
		t.Fatal(err)
	}
	check("stored, asked for elsewhere", domain.GroupStream(logtest.App, "8"), true)
	check("stored", "", true)
}

func TestMessageByID(t *testing.T) {
	h := open(t)
	w := h.world(t)
	w.Register("ann")
	w.Register("bob")
	a, ok := w.Send("ann", "bob", "hello")
	if !ok {
		t.Fatal("not sent")
	}
	if err := h.store.Write(t.Context(), applied(t, w, 1)); err != nil {
		t.Fatal(err)
	}
	q := queries.New(h.store, queries.FeedsFunc(none), fixed{})
	id := a.Commit.LastT()
	stream, ev, err := q.MessageByID(t.Context(), id)
	if err != nil || stream != a.Commit.Stream || ev.T != id || string(ev.Body.(conversation.MessageSent).Body) != "hello" {
		t.Errorf("got %s %v %v", stream, ev, err)
	}
	if _, _, err := q.MessageByID(t.Context(), id+1); domain.CodeOf(err) != domain.NotFound {
		t.Errorf("an unknown id: %v", err)
	}
}
