package projections_test

import (
	"fmt"
	"testing"
	"time"

	"parley/domain"
	"parley/domain/conversation"
	"parley/projections/logtest"
	"parley/projections/members"
	"parley/projections/queries"
)

// TestALargeGroup lists a group of 100,000 members (of 20,000 under the race detector), of whom every tenth has left and half of those joined again.
func TestALargeGroup(t *testing.T) {
	h := open(t)
	const bulk = 1000
	size := 100_000
	if raced {
		size = 20_000
	}
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
	want := size - size/10 + size/20
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
