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
	"parley/domain/user"
	"parley/projections/groups"
	"parley/projections/logtest"
	"parley/projections/queries"
	"parley/projections/roles"
)

// TestRoomsAreListedNewestFirst makes rooms on up to 130 days, so that pages go over the days of one call.
func TestRoomsAreListedNewestFirst(t *testing.T) {
	h := open(t)
	rapid.Check(t, func(rt *rapid.T) {
		w := h.world(rt)
		w.Random(rt, rapid.IntRange(1, 60).Draw(rt, "steps"))
		w.Register("eve")
		var ids []string
		for i := range rapid.IntRange(0, 130).Draw(rt, "rooms") {
			w.Sleep(time.Duration(rapid.IntRange(1, 30).Draw(rt, "hours")) * time.Hour)
			ids = append(ids, fmt.Sprint(1000+i))
			w.CreateRoom(ids[i], "eve")
			if i%7 == 0 {
				w.Do(domain.RoomStream(logtest.App, ids[i]), conversation.DestroyRoom{By: conversation.Actor{App: true}})
			}
		}
		w.Random(rt, rapid.IntRange(1, 60).Draw(rt, "more steps"))
		if err := h.store.Write(t.Context(), applied(rt, w, 1)); err != nil {
			rt.Fatalf("write: %v", err)
		}
		var want []groups.Group
		for _, id := range append(ids, logtest.RoomIDs...) {
			if r := w.Room(domain.RoomStream(logtest.App, id)); r.Open() {
				want = append(want, groups.Group{
					ID: id, Name: r.Settings.Name, Owner: r.Owner.User, Created: r.Created, Changed: r.Modified,
				})
			}
		}
		slices.SortFunc(want, func(a, b groups.Group) int { return -cmp.Compare(a.Created, b.Created) })
		if got := allRooms(rt, h, rapid.IntRange(1, 40).Draw(rt, "limit")); !slices.Equal(got, want) {
			rt.Fatalf("rooms:\ngot  %+v\nwant %+v", got, want)
		}
	})
}

func allRooms(rt *rapid.T, h *house, limit int) (out []groups.Group) {
	q := queries.New(h.store, queries.FeedsFunc(none), fixed{})
	for cursor := ""; ; {
		page, next, err := q.Rooms(context.Background(), logtest.App, cursor, limit)
		if err != nil || len(page) > limit {
			rt.Fatalf("a page of %d with limit %d: %v", len(page), limit, err)
		}
		out = append(out, page...)
		if cursor = next; next == "" {
			return out
		}
	}
}

// TestRolesAreWhatTheOwnersHave compares what ends with an account with the rows of groups and rooms.
func TestRolesAreWhatTheOwnersHave(t *testing.T) {
	h := open(t)
	rapid.Check(t, func(rt *rapid.T) {
		w := h.world(rt)
		w.Random(rt, rapid.IntRange(1, 200).Draw(rt, "steps"))
		if err := h.store.Write(t.Context(), applied(rt, w, 1)); err != nil {
			rt.Fatalf("write: %v", err)
		}
		q := queries.New(h.store, queries.FeedsFunc(none), fixed{})
		gone, err := q.Gone(t.Context(), logtest.App, logtest.Users)
		if err != nil {
			rt.Fatalf("gone: %v", err)
		}
		for _, u := range logtest.Users {
			got, next, err := q.RolesOf(t.Context(), logtest.App, u, "")
			if want := rolesOf(w, u); err != nil || next != "" || !slices.Equal(got, want) {
				rt.Fatalf("roles of %s: got %+v %q %v, want %+v", u, got, next, err, want)
			}
			if want := lastGone(w, u); gone[u] != want {
				rt.Fatalf("%s: incarnation %d is gone, want %d", u, gone[u], want)
			}
			for inc := domain.Incarnation(1); inc <= lastGone(w, u)+1; inc++ {
				in, next, err := q.GroupsIn(t.Context(), logtest.App, u, inc, "")
				if want := groupsIn(w, u, inc); err != nil || next != "" || !slices.Equal(in, want) {
					rt.Fatalf("groups of %s %d: got %v %q %v, want %v", u, inc, in, next, err, want)
				}
			}
		}
	})
}

func rolesOf(w *logtest.World, u domain.UserID) (out []roles.Role) {
	for _, id := range logtest.RoomIDs {
		r := roles.Role{Room: domain.RoomStream(logtest.App, id)}
		head := w.Room(r.Room)
		if head == nil {
			continue
		}
		if head.Owner.User == u {
			r.Owner = head.Owner.Incarnation
		}
		for _, p := range head.Allowed {
			if p.User == u {
				r.Allowed = p.Incarnation
			}
		}
		if r.Owner != 0 || r.Allowed != 0 {
			out = append(out, r)
		}
	}
	return out
}

func groupsIn(w *logtest.World, u domain.UserID, inc domain.Incarnation) (out []domain.StreamID) {
	for _, id := range logtest.GroupIDs {
		stream := domain.GroupStream(logtest.App, id)
		for _, m := range w.Members(stream) {
			if m.User == u && m.Incarnation == inc && m.Until == 0 {
				out = append(out, stream)
			}
		}
	}
	return out
}

func lastGone(w *logtest.World, u domain.UserID) (last domain.Incarnation) {
	for _, a := range w.Accepted {
		for _, ev := range a.Commit.Events {
			if b, ok := ev.Body.(user.Deleted); ok && a.Commit.Stream == domain.UserStream(logtest.App, u) {
				last = b.Incarnation
			}
		}
	}
	return last
}

// TestRolesOfManyRooms pages over the rooms of one owner.
func TestRolesOfManyRooms(t *testing.T) {
	h := open(t)
	w := h.world(t)
	w.Register("ann")
	const rooms = 2500
	for i := range rooms {
		if _, ok := w.CreateRoom(fmt.Sprint(1000+i), "ann"); !ok {
			t.Fatal("no room")
		}
	}
	if err := h.store.Write(t.Context(), applied(t, w, 1)); err != nil {
		t.Fatal(err)
	}
	q := queries.New(h.store, queries.FeedsFunc(none), fixed{})
	found, pages := 0, 0
	for after := domain.StreamID(""); pages == 0 || after != ""; pages++ {
		page, next, err := q.RolesOf(t.Context(), logtest.App, "ann", after)
		if err != nil {
			t.Fatal(err)
		}
		found, after = found+len(page), next
	}
	if found != rooms || pages != 3 {
		t.Errorf("%d rooms in %d pages, want %d in 3", found, pages, rooms)
	}
}
