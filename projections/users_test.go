package projections_test

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"parley/domain"
	"parley/domain/conversation"
	"parley/projections/logtest"
	"parley/projections/memberships"
	"parley/projections/queries"
)

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

func TestUsersRefusesAForeignCursor(t *testing.T) {
	h := open(t)
	q := queries.New(h.store, queries.FeedsFunc(none), fixed{})
	for _, cursor := range []string{"x", "!!!", "AAAA", string(make([]byte, 4096))} {
		if _, _, err := q.Users(t.Context(), logtest.App, cursor, 10); domain.CodeOf(err) != domain.BadRequest {
			t.Errorf("cursor %.10q: %v", cursor, err)
		}
	}
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
