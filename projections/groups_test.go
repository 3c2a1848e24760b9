package projections_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"parley/domain"
	"parley/domain/conversation"
	"parley/projections/groups"
	"parley/projections/logtest"
	"parley/projections/members"
	"parley/projections/queries"
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
