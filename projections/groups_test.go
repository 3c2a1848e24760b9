package projections_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/message"
	"parley/projections/feed"
	"parley/projections/groups"
	"parley/projections/logtest"
	"parley/projections/members"
	"parley/projections/memberships"
	"parley/projections/queries"
	"parley/projections/timeline"
	"parley/schemas/table"
)

func TestMembersAreWhatTheOwnerHas(t *testing.T) {
	h := open(t)
	rapid.Check(t, func(rt *rapid.T) {
		w := h.world(rt)
		w.Random(rt, rapid.IntRange(1, 200).Draw(rt, "steps"))
		if err := h.store.Write(t.Context(), applied(rt, w, 1)); err != nil {
			rt.Fatalf("write: %v", err)
		}
		q := queries.New(h.store, queries.FeedsFunc(none), fixed{})
		limit := rapid.IntRange(1, 5).Draw(rt, "limit")
		for _, id := range logtest.GroupIDs {
			stream := domain.GroupStream(logtest.App, id)
			var want []members.Member
			for _, m := range w.Members(stream) {
				if m.Until == 0 {
					want = append(want, members.Member{User: m.User, Incarnation: m.Incarnation, Joined: m.Joined, From: m.From})
				}
			}
			byName := func(a, b members.Member) int { return cmp.Compare(a.User, b.User) }
			slices.SortFunc(want, byName)
			if got := allByName(rt, q, stream, limit); !slices.Equal(got, want) {
				rt.Fatalf("members of %s by name: got %+v, want %+v", id, got, want)
			}
			slices.SortFunc(want, func(a, b members.Member) int { return -cmp.Or(cmp.Compare(a.Joined, b.Joined), byName(a, b)) })
			if got := allByTime(rt, q, stream, limit); !slices.Equal(got, want) {
				rt.Fatalf("members of %s by time: got %+v, want %+v", id, got, want)
			}
			skip := rapid.IntRange(0, 5).Draw(rt, "skip")
			got, _, err := q.Members(t.Context(), stream, "", skip, limit)
			if want = want[min(skip, len(want)):]; err != nil || !slices.Equal(got, want[:min(limit, len(want))]) {
				rt.Fatalf("members of %s after %d: got %+v and %v, want %+v", id, skip, got, err, want)
			}
		}
	})
}

func allByName(rt logtest.TB, q *queries.Queries, stream domain.StreamID, limit int) (out []members.Member) {
	for after := domain.UserID(""); ; {
		page, next, err := q.MembersByName(context.Background(), stream, after, limit)
		if err != nil || len(page) > limit {
			rt.Fatalf("a page of %d by name with limit %d: %v", len(page), limit, err)
		}
		out = append(out, page...)
		if after = next; next == "" {
			return out
		}
	}
}

func allByTime(rt logtest.TB, q *queries.Queries, stream domain.StreamID, limit int) (out []members.Member) {
	for cursor := ""; ; {
		page, next, err := q.Members(context.Background(), stream, cursor, 0, limit)
		if err != nil || len(page) > limit || next != "" && len(page) < limit {
			rt.Fatalf("a page of %d with limit %d, next %q: %v", len(page), limit, next, err)
		}
		out = append(out, page...)
		if cursor = next; next == "" {
			return out
		}
	}
}

func TestGroupsAreListedInOrder(t *testing.T) {
	h := open(t)
	rapid.Check(t, func(rt *rapid.T) {
		w := h.world(rt)
		w.Random(rt, rapid.IntRange(1, 60).Draw(rt, "steps"))
		w.Register("eve")
		for i := range rapid.IntRange(0, 130).Draw(rt, "days") {
			w.Sleep(time.Duration(rapid.IntRange(1, 30).Draw(rt, "hours")) * time.Hour)
			stream := domain.GroupStream(logtest.App, fmt.Sprint(1000+i))
			w.Do(stream, conversation.CreateGroup{
				By: conversation.Actor{App: true}, Owner: w.Person("eve"),
				Settings: conversation.GroupSettings{Name: fmt.Sprint("N", i), Public: i%3 != 0, MaxUsers: 200},
			})
			if i%7 == 0 {
				w.Do(stream, conversation.DestroyGroup{By: conversation.Actor{App: true}})
			}
		}
		w.Random(rt, rapid.IntRange(1, 60).Draw(rt, "more steps"))
		if err := h.store.Write(t.Context(), applied(rt, w, 1)); err != nil {
			rt.Fatalf("write: %v", err)
		}
		q := queries.New(h.store, queries.FeedsFunc(none), fixed{})
		limit := rapid.IntRange(1, 40).Draw(rt, "limit")
		for _, list := range []groups.List{groups.All, groups.Public} {
			var got []groups.Group
			for cursor := ""; ; {
				page, next, err := q.Groups(t.Context(), logtest.App, list, cursor, limit)
				if err != nil || len(page) > limit {
					rt.Fatalf("a page of %d with limit %d: %v", len(page), limit, err)
				}
				got = append(got, page...)
				if cursor = next; next == "" {
					break
				}
			}
			if want := heads(w, list); !slices.Equal(got, want) {
				rt.Fatalf("list %d:\ngot  %+v\nwant %+v", list, got, want)
			}
		}
	})
}

// heads returns a list of groups as their owners have it.
func heads(w *logtest.World, list groups.List) (out []groups.Group) {
	since := make(map[domain.StreamID]domain.T)
	for _, a := range w.Accepted {
		for _, ev := range a.Commit.Events {
			switch b := ev.Body.(type) {
			case conversation.GroupCreated:
				if b.Settings.Public {
					since[a.Commit.Stream] = ev.T
				} else {
					since[a.Commit.Stream] = 0
				}
			case conversation.GroupChanged:
				if b.Change.Public != nil && *b.Change.Public {
					since[a.Commit.Stream] = ev.T
				}
			}
		}
	}
	for stream, t := range since {
		h := w.Group(stream)
		if st, _ := stream.Parse(); h.Open() && (list == groups.All || h.Settings.Public) {
			out = append(out, groups.Group{
				ID: st.A, Name: h.Settings.Name, Owner: h.Owner, Public: h.Settings.Public, Created: h.Created, Changed: h.Modified,
				Count: h.Count, PublicSince: t,
			})
		}
	}
	slices.SortFunc(out, func(a, b groups.Group) int {
		if list == groups.Public {
			return cmp.Compare(a.PublicSince, b.PublicSince)
		}
		return cmp.Compare(a.Created, b.Created)
	})
	return out
}

// TestRecalledContentIsGone applies a message and its recall in both orders, and with the recall known to the feed alone.
func TestRecalledContentIsGone(t *testing.T) {
	h := open(t)
	for _, group := range []bool{false, true} {
		for _, way := range []string{"in order", "recall first", "by the feed", "feed alone"} {
			t.Run(fmt.Sprintf("group %v, %s", group, way), func(t *testing.T) {
				w := h.world(t)
				w.Register("ann")
				w.Register("bob")
				sent := send(t, w, group, "a secret")
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

func scan(t *testing.T, h *house, q table.Query) []table.Row {
	t.Helper()
	rows, err := h.store.Scan(t.Context(), q)
	if err != nil || len(rows) == 0 {
		t.Fatalf("scan: %d rows, %v", len(rows), err)
	}
	return rows
}

func send(t *testing.T, w *logtest.World, group bool, text string) domain.Accepted {
	t.Helper()
	if !group {
		sent, ok := w.Send("ann", "bob", text)
		if !ok {
			t.Fatal("not sent")
		}
		return sent
	}
	stream := domain.GroupStream(logtest.App, "7")
	w.Do(stream, conversation.CreateGroup{
		By: conversation.Actor{App: true}, Owner: w.Person("ann"), Members: []conversation.Person{w.Person("bob")},
		Settings: conversation.GroupSettings{Name: "seven", MaxUsers: 200},
	})
	sent, ok := w.Do(stream, conversation.SendGroupMessage{
		Sender:   conversation.Sender{User: "ann", Incarnation: 1, Resource: "web"},
		Envelope: message.Envelope{Kind: message.Text, Size: len(text)}, Body: message.Bytes(text), SyncOwn: true,
	})
	if !ok {
		t.Fatal("not sent")
	}
	return sent
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
	w := h.world(t)
	w.Register("ann")
	w.Register("bob")
	sent := send(t, w, true, "text")
	stream, ev := sent.Commit.Stream, sent.Commit.Events[0]
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

// TestALargeGroup lists a group of 100,000 members, of whom every tenth has left and half of those joined again.
func TestALargeGroup(t *testing.T) {
	h := open(t)
	const size, bulk = 100_000, 1000
	stream := domain.GroupStream(logtest.App, "9")
	st := domain.T(1)
	seq := domain.Seq(0)
	p := members.New(1)
	apply := func(body domain.Body) {
		seq, st = seq+1, st+4096
		writes, err := p.Apply(nil, &domain.Accepted{Commit: &domain.Commit{Stream: stream, Events: []domain.Event{{T: st, Seq: seq, Body: body}}}})
		if err != nil {
			t.Fatal(err)
		}
		if err := h.store.Write(t.Context(), writes); err != nil {
			t.Fatal(err)
		}
	}
	add := func(from, to, step int) {
		var all []conversation.Joiner
		for i := from; i < to; i += step {
			all = append(all, conversation.Joiner{User: name(i), Incarnation: 1})
		}
		apply(conversation.MembersAdded{Members: all, From: seq + 1})
	}
	for i := 0; i < size; i += bulk {
		add(i, i+bulk, 1)
	}
	for i := 0; i < size; i += bulk {
		var gone []domain.UserID
		for j := i; j < i+bulk; j += 10 {
			gone = append(gone, name(j))
		}
		apply(conversation.MembersRemoved{Users: gone})
	}
	for i := 0; i < size; i += bulk {
		add(i, i+bulk, 20)
	}
	const want = size - size/10 + size/20
	q := queries.New(h.store, queries.FeedsFunc(none), fixed{})
	begin := time.Now()
	if got := len(allByName(t, q, stream, queries.MaxNames)); got != want {
		t.Errorf("%d members by name, want %d", got, want)
	}
	t.Logf("all by name: %s", time.Since(begin))
	begin = time.Now()
	if got := len(allByTime(t, q, stream, 1000)); got != want {
		t.Errorf("%d members by time, want %d", got, want)
	}
	t.Logf("all by time: %s", time.Since(begin))
	begin = time.Now()
	page, next, err := q.Members(t.Context(), stream, "", want-10, 50)
	if err != nil || len(page) != 10 || next != "" {
		t.Errorf("the last page: %d, %q, %v", len(page), next, err)
	}
	t.Logf("the last page by number: %s", time.Since(begin))
	begin = time.Now()
	page, next, err = q.Members(t.Context(), stream, "", 0, 50)
	if err != nil || len(page) != 50 || next == "" || page[0].User != name(size-20) {
		t.Errorf("the first page: %d, %q, %v", len(page), next, err)
	}
	t.Logf("the first page: %s", time.Since(begin))
}

func name(i int) domain.UserID { return domain.UserID(fmt.Sprintf("u%06d", i)) }

func TestListsRefuseForeignCursors(t *testing.T) {
	h := open(t)
	q := queries.New(h.store, queries.FeedsFunc(none), fixed{})
	for _, cursor := range []string{"x", "!!!", "AAAA", string(make([]byte, 4096))} {
		if _, _, err := q.Groups(t.Context(), logtest.App, groups.All, cursor, 10); domain.CodeOf(err) != domain.BadRequest {
			t.Errorf("groups with cursor %.10q: %v", cursor, err)
		}
		if _, _, err := q.Members(t.Context(), domain.GroupStream(logtest.App, "7"), cursor, 0, 10); domain.CodeOf(err) != domain.BadRequest {
			t.Errorf("members with cursor %.10q: %v", cursor, err)
		}
	}
}

// BenchmarkMemberships reads what a log-in of a user in 2,000 groups reads.
func BenchmarkMemberships(b *testing.B) {
	h := open(b)
	p := memberships.New(1)
	for i := range 2000 {
		stream := domain.GroupStream(logtest.App, fmt.Sprint(1_000_000+i))
		writes, err := p.Apply(nil, &domain.Accepted{Commit: &domain.Commit{Stream: stream, Events: []domain.Event{{
			T: domain.T(i+1) << 12, Seq: 2, Body: conversation.MembersAdded{
				Members: []conversation.Joiner{{User: "ann", Incarnation: 1, Earlier: []conversation.Span{{From: 1, Until: 1}}}}, From: 2, HistoryFrom: 1,
			},
		}}}})
		if err != nil {
			b.Fatal(err)
		}
		if err := h.store.Write(b.Context(), writes); err != nil {
			b.Fatal(err)
		}
	}
	q := queries.New(h.store, queries.FeedsFunc(none), fixed{})
	b.ReportAllocs()
	for b.Loop() {
		if all, err := q.Memberships(b.Context(), logtest.App, "ann", 1); err != nil || len(all) != 2000 {
			b.Fatalf("%d memberships, %v", len(all), err)
		}
	}
}
