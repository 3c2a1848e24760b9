package projections_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/message"
	"parley/projections"
	"parley/projections/feed"
	"parley/projections/logtest"
	"parley/projections/queries"
	"parley/projections/runner"
	"parley/projections/timeline"
	"parley/schemas/event"
	"parley/schemas/table"
	"parley/storage/pebble"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTablesHaveTheirOwnIDs(t *testing.T) {
	seen := make(map[byte]string)
	for _, tb := range projections.Tables() {
		if other, ok := seen[tb.ID]; ok {
			t.Errorf("tables %s and %s share id %d", other, tb.Name, tb.ID)
		}
		if (tb.ID < 20 || tb.ID > 39) && (tb.ID < 60 || tb.ID > 79) {
			t.Errorf("table %s has id %d, outside 20 to 39 and 60 to 79", tb.Name, tb.ID)
		}
		seen[tb.ID] = tb.Name
	}
}

type house struct {
	log   *pebble.Log
	store *pebble.Store
	next  domain.Partition
}

func open(t testing.TB) *house {
	t.Helper()
	log, err := pebble.OpenLog(t.TempDir(), pebble.Options{})
	if err != nil {
		t.Fatal(err)
	}
	store, err := pebble.OpenStore(t.TempDir(), pebble.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(log.Close(), store.Close()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return &house{log: log, store: store}
}

// world makes a partition of its own, and empties the store.
func (h *house) world(tb logtest.TB) *logtest.World {
	h.next++
	h.drop(tb)
	return logtest.NewWorld(tb, h.log, h.next-1)
}

func (h *house) drop(tb logtest.TB) {
	for _, tb2 := range projections.Tables() {
		if err := h.store.Drop(context.Background(), tb2); err != nil {
			tb.Fatalf("drop: %v", err)
		}
	}
}

// run keeps the read models until stop.
func (h *house) run(tb logtest.TB, w *logtest.World) (r *runner.Runner, f *feed.Feed, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	r, err := runner.New(ctx, h.store, projections.Kinds(), runner.DefaultSettings(),
		runner.NewMetrics(prometheus.NewRegistry()), slog.New(slog.DiscardHandler))
	if err != nil {
		tb.Fatalf("start: %v", err)
	}
	f = feed.New(w.Partition, h.log, feed.DefaultSettings(), feed.NewMetrics(prometheus.NewRegistry()))
	ended := make(chan error, 1)
	go func(r *runner.Runner, f *feed.Feed) { ended <- r.Run(ctx, f) }(r, f)
	return r, f, func() {
		cancel()
		if err := <-ended; err != nil {
			tb.Fatalf("run: %v", err)
		}
	}
}

// settle waits until all read models have passed the world's end.
func settle(tb logtest.TB, r *runner.Runner, w *logtest.World) {
	for range 1000 {
		if r.Wait(context.Background(), w.Partition, w.At().Index) == nil {
			return
		}
		time.Sleep(time.Millisecond)
	}
	tb.Fatalf("the read models are late")
}

// applied returns every write of every read model for a world, commit by commit.
func applied(tb logtest.TB, w *logtest.World, version int) (out []table.Write) {
	for _, k := range projections.Kinds() {
		p := k.New(version)
		for i := range w.Accepted {
			var err error
			if out, err = p.Apply(out, &w.Accepted[i]); err != nil {
				tb.Fatalf("apply: %v", err)
			}
		}
	}
	return out
}

// dump returns all rows of the partitions that the writes touch, as text.
func (h *house) dump(tb logtest.TB, writes []table.Write) string {
	type partition struct {
		t   *table.Table
		key string
	}
	seen := make(map[partition]bool)
	var all []partition
	for _, w := range writes {
		if p := (partition{w.Table, string(w.Partition)}); !seen[p] {
			seen[p] = true
			all = append(all, p)
		}
	}
	slices.SortFunc(all, func(a, b partition) int { return strings.Compare(a.t.Name+a.key, b.t.Name+b.key) })
	var out bytes.Buffer
	for _, p := range all {
		rows, err := h.store.Scan(context.Background(), table.Query{Table: p.t, Partition: table.Key(p.key), Limit: 100000})
		if err != nil {
			tb.Fatalf("scan: %v", err)
		}
		for _, row := range rows {
			fmt.Fprintf(&out, "%s %x %x %x\n", p.t.Name, p.key, row.Cluster, row.Cells)
		}
	}
	return out.String()
}

func TestRowsAreAFoldOfTheLog(t *testing.T) {
	h := open(t)
	rapid.Check(t, func(rt *rapid.T) {
		w := h.world(rt)
		r, f, stop := h.run(rt, w)
		w.Random(rt, rapid.IntRange(1, 40).Draw(rt, "first"))
		f.Publish(w.Accepted)
		if rapid.Bool().Draw(rt, "restart") {
			stop()
			r, f, stop = h.run(rt, w)
		}
		w.Random(rt, rapid.IntRange(1, 40).Draw(rt, "then"))
		f.Publish(w.Accepted)
		settle(rt, r, w)
		stop()
		writes := applied(rt, w, 1)
		live := h.dump(rt, writes)

		h.drop(rt) // everything, checkpoints too: the log has it all
		if h.dump(rt, writes) != "" {
			rt.Fatalf("drop left rows")
		}
		r, _, stop = h.run(rt, w)
		settle(rt, r, w)
		stop()
		if again := h.dump(rt, writes); again != live {
			rt.Fatalf("rebuilt rows differ:\n%s\nwere\n%s", again, live)
		}

		h.drop(rt)
		rnd := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		twice := append(slices.Clone(writes), writes...)
		rnd.Shuffle(len(twice), func(i, j int) { twice[i], twice[j] = twice[j], twice[i] })
		for part := range slices.Chunk(twice, 7) {
			if err := h.store.Write(t.Context(), part); err != nil {
				rt.Fatalf("write: %v", err)
			}
		}
		if shuffled := h.dump(rt, writes); shuffled != live {
			rt.Fatalf("shuffled and doubled rows differ:\n%s\nwere\n%s", shuffled, live)
		}
	})
}

func TestMembershipsAreWhatTheOwnersHave(t *testing.T) {
	h := open(t)
	rapid.Check(t, func(rt *rapid.T) {
		w := h.world(rt)
		w.Random(rt, rapid.IntRange(1, 200).Draw(rt, "steps"))
		r, _, stop := h.run(rt, w)
		defer stop()
		settle(rt, r, w)
		q := queries.New(h.store, queries.FeedsFunc(none), r)
		for _, u := range logtest.Users {
			for inc := domain.Incarnation(1); inc <= w.Incarnation(u)+2; inc++ {
				got, err := q.Memberships(t.Context(), logtest.App, u, inc)
				if err != nil {
					rt.Fatalf("memberships: %v", err)
				}
				if want := foldMemberships(w, u, inc, false); !reflect.DeepEqual(got, want) {
					rt.Fatalf("memberships of %s %d: got %+v, want %+v", u, inc, got, want)
				}
				for _, m := range foldMemberships(w, u, inc, true) {
					one, ok, err := q.Membership(t.Context(), logtest.App, u, inc, m.Stream)
					if err != nil || !ok || !reflect.DeepEqual(one, m) {
						rt.Fatalf("membership of %s %d: got %+v %v %v, want %+v", u, inc, one, ok, err, m)
					}
				}
			}
		}
	})
}

func none(domain.StreamID, domain.Seq, domain.Seq) []domain.Event { return nil }

// foldMemberships folds what the domain says of memberships, for those whose last span is of the incarnation; ends says whether the end of a
// group counts.
func foldMemberships(w *logtest.World, u domain.UserID, inc domain.Incarnation, ends bool) (out []conversation.Membership) {
	all := make(map[domain.StreamID]conversation.Membership)
	incs := make(map[domain.StreamID]domain.Incarnation)
	for _, a := range w.Accepted {
		for i := range a.Commit.Events {
			ev := &a.Commit.Events[i]
			switch b := ev.Body.(type) {
			case conversation.GroupDestroyed:
				if !ends {
					continue
				}
			case conversation.MemberAdded:
				if b.User == u {
					incs[a.Commit.Stream] = b.Incarnation
				}
			}
			m, ok := all[a.Commit.Stream]
			if !ok {
				m.Stream = a.Commit.Stream
			}
			if m, ok = conversation.ApplyMembership(m, u, ev); ok {
				all[a.Commit.Stream] = m
				incs[a.Commit.Stream] = max(incs[a.Commit.Stream], m.Incarnation)
			}
		}
	}
	for stream, m := range all {
		if incs[stream] == inc {
			out = append(out, m)
		}
	}
	slices.SortFunc(out, func(a, b conversation.Membership) int { return bytes.Compare([]byte(a.Stream), []byte(b.Stream)) })
	return out
}

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

// fixed says that version 1 is active.
type fixed struct{}

func (fixed) Active(string) int                                  { return 1 }
func (fixed) Positions(string) map[domain.Partition]domain.Index { return nil }

// streams are those of random histories in which most happens.
var streams = []domain.StreamID{
	domain.DirectStream(logtest.App, "ann", "bob"), domain.GroupStream(logtest.App, "101"), domain.GroupStream(logtest.App, "102"),
}

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

func TestUsersInOrderOfRegistration(t *testing.T) {
	h := open(t)
	rapid.Check(t, func(rt *rapid.T) {
		w := h.world(rt)
		w.Random(rt, rapid.IntRange(1, 150).Draw(rt, "steps"))
		for range rapid.IntRange(0, 130).Draw(rt, "days") {
			w.Sleep(24 * time.Hour)
			w.Register(domain.UserID("u" + fmt.Sprint(w.At().Index)))
		}
		if err := h.store.Write(t.Context(), applied(rt, w, 1)); err != nil {
			rt.Fatalf("write: %v", err)
		}
		q := queries.New(h.store, queries.FeedsFunc(none), fixed{})
		limit := rapid.IntRange(1, 40).Draw(rt, "limit")
		var got, want []string
		for cursor := ""; ; {
			page, next, err := q.Users(t.Context(), logtest.App, cursor, limit)
			if err != nil {
				rt.Fatalf("users: %v", err)
			}
			if len(page) > limit {
				rt.Fatalf("a page of %d, limit %d", len(page), limit)
			}
			for _, p := range page {
				got = append(got, fmt.Sprintf("%s %d %s %s %d %d", p.User, p.Incarnation, p.UUID, p.Nickname, p.Registered, p.Modified))
			}
			if cursor = next; cursor == "" {
				break
			}
		}
		for _, u := range w.Accounts() {
			want = append(want, fmt.Sprintf("%s %d %s %s %d %d", u.Name, u.Incarnation, u.UUID, u.Nickname, u.Registered, u.Modified))
		}
		if !slices.Equal(got, want) {
			rt.Fatalf("users: got %v\nwant %v", got, want)
		}
	})
}

func BenchmarkApplyTimeline(b *testing.B) {
	ev := domain.Event{T: 1 << 40, Seq: 77, Body: conversation.MessageSent{
		From: "ann", FromResource: "web_1234", To: "bob", Kind: message.Text, Counted: true, History: true, SyncOwn: true,
		Body: make(message.Bytes, 200), N: 70, Own: 40,
	}}
	a := domain.Accepted{Commit: &domain.Commit{Stream: domain.DirectStream(logtest.App, "ann", "bob"), Events: []domain.Event{ev}}}
	p := timeline.New(1)
	var dst []table.Write
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if dst, err = p.Apply(dst[:0], &a); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkKeepUp measures what a message costs all read models together: fetched from the log's feed, applied, coalesced and stored.
func BenchmarkKeepUp(b *testing.B) {
	h := open(b)
	w := h.world(b)
	for i := range 100 {
		w.Register(domain.UserID(fmt.Sprintf("u%02d", i)))
	}
	r, f, stop := h.run(b, w)
	f.Publish(w.Accepted)
	first := len(w.Accepted)
	for i := range 2000 {
		w.Send(domain.UserID(fmt.Sprintf("u%02d", i%50)), domain.UserID(fmt.Sprintf("u%02d", 50+i%50)), "a message of some length, as people write them")
	}
	messages := w.Accepted[first:]
	n := 0
	index := messages[0].Index
	b.ReportAllocs()
	for b.Loop() {
		batch := slices.Clone(messages)
		for i := range batch {
			batch[i].Index = index
			index++
		}
		f.Publish(batch)
		n += len(batch)
		for r.Wait(b.Context(), w.Partition, index-1) != nil {
			continue
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/message")
	stop()
}

func TestUsersRefusesAForeignCursor(t *testing.T) {
	h := open(t)
	q := queries.New(h.store, queries.FeedsFunc(none), fixed{})
	for _, cursor := range []string{"x", "!!!", "AAAA", string(make([]byte, 4096))} {
		if _, _, err := q.Users(t.Context(), logtest.App, cursor, 10); domain.CodeOf(err) != domain.BadRequest {
			t.Errorf("cursor %.10q: %v", cursor, err)
		}
	}
}
