package runner_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"parley/domain"
	"parley/projections/runner"
)

// Skipping leaves out one commit at a time, for good: neither a replay nor a restart brings it back.
func TestSkipLeavesOutOneCommit(t *testing.T) {
	h := open(t)
	w := h.world(0)
	for i := range 20 {
		w.Send("ann", "bob", fmt.Sprint(i))
	}
	var bad []domain.Index
	for _, a := range w.Accepted {
		if a.Commit.Stream == annBob {
			bad = append(bad, a.Index)
		}
	}
	bad = []domain.Index{bad[3], bad[10]}
	k, _ := kind(func(a *domain.Accepted) error {
		if a.Index == bad[0] || a.Index == bad[1] {
			return fmt.Errorf("commit %d is bad", a.Index)
		}
		return nil
	})
	p := h.start([]runner.Kind{k}, runner.DefaultSettings(), w)
	p.settle(t, w)
	held := func(first domain.Index, waiting int) {
		t.Helper()
		list, err := p.Quarantine(t.Context())
		if err != nil || len(list) != 1 {
			t.Fatalf("quarantine %v: %v", list, err)
		}
		q := list[0]
		if q.Name != "notes" || q.Version != 1 || q.Stream != annBob || q.First != first || q.Waiting != waiting ||
			!strings.Contains(q.Reason, fmt.Sprintf("commit %d is bad", first)) || q.Offset < domain.Offset(first) {
			t.Fatalf("quarantine says %+v", q)
		}
	}
	held(bad[0], len(w.Accepted)-int(bad[0])+1)
	if skipped, err := p.Skip(t.Context(), 0, "notes", annBob); err == nil || skipped != bad[0] {
		t.Fatalf("skipped %d: %v", skipped, err)
	}
	held(bad[1], len(w.Accepted)-int(bad[1])+1)
	if err := p.Replay(t.Context(), 0, "notes", annBob); err == nil {
		t.Fatal("a replay of what is still broken succeeded")
	}
	p.kill()
	p = h.start([]runner.Kind{k}, runner.DefaultSettings(), w)
	p.settle(t, w)
	held(bad[1], len(w.Accepted)-int(bad[1])+1)
	if skipped, err := p.Skip(t.Context(), 0, "notes", annBob); err != nil || skipped != bad[1] {
		t.Fatalf("skipped %d: %v", skipped, err)
	}
	if list, err := p.Quarantine(t.Context()); err != nil || len(list) != 0 {
		t.Fatalf("quarantine %v: %v", list, err)
	}
	w.Send("bob", "ann", "free")
	p.settle(t, w)
	expected := want(w, 1, annBob)
	for _, index := range bad {
		expected = strings.Replace(expected, fmt.Sprint("1 ", index, ","), "", 1)
	}
	if got := h.notesOf(1, annBob); got != expected {
		t.Errorf("got %s\nwant %s", got, expected)
	}
	p.kill()
	p = h.start([]runner.Kind{k}, runner.DefaultSettings(), w)
	w.Send("bob", "ann", "still free")
	p.settle(t, w)
	if got := h.notesOf(1, annBob); got != expected+fmt.Sprint(",1 ", w.At().Index) {
		t.Errorf("after a restart: %s", got)
	}
}

// What the checkpoint has not passed would come back after a crash.
func TestSkipWaitsForTheCheckpoint(t *testing.T) {
	h := open(t)
	w := h.world(0)
	w.Send("ann", "bob", "x")
	k, _ := kind(func(a *domain.Accepted) error {
		if a.Commit.Stream == annBob {
			return errors.New("bad")
		}
		return nil
	})
	s := runner.DefaultSettings()
	s.CheckpointLag = 100 * time.Millisecond
	p := h.start([]runner.Kind{k}, s, w)
	p.settle(t, w)
	if _, err := p.Skip(t.Context(), 0, "notes", annBob); !errors.Is(err, runner.ErrNotYet) {
		t.Fatalf("skip at once: %v", err)
	}
	for begin := time.Now(); time.Since(begin) < 10*time.Second; time.Sleep(20 * time.Millisecond) {
		w.Send("cyd", "dan", "so that the checkpoint moves")
		p.settle(t, w)
		if _, err := p.Skip(t.Context(), 0, "notes", annBob); err == nil {
			return
		} else if !errors.Is(err, runner.ErrNotYet) {
			t.Fatal(err)
		}
	}
	t.Error("never skipped")
}

// A bounded rebuild takes its time, and its progress can be seen; the version that is read goes on meanwhile.
func TestRebuildAtARate(t *testing.T) {
	h := open(t)
	w := h.world(0)
	const commits, rate = 1200, 1500
	for i := range commits {
		w.Send("ann", "bob", fmt.Sprint(i))
	}
	k, _ := kind(nil)
	s := runner.DefaultSettings()
	s.Batch = 100
	p := h.start([]runner.Kind{k}, s, w)
	for p.Wait(t.Context(), 0, w.At().Index) != nil {
		time.Sleep(time.Millisecond)
	}
	done := make(chan error, 1)
	begin := time.Now()
	go func() { done <- p.RebuildAt(t.Context(), "notes", []domain.Partition{0}, rate) }()
	seen := false
	for running := true; running; {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			running = false
		case <-time.After(5 * time.Millisecond):
			w.Send("cyd", "dan", "meanwhile")
			p.settle(t, w)
			for _, st := range p.Statuses() {
				if !st.Active && st.Version == 2 && st.Index > 0 && st.Behind() > 0 {
					seen = true
				}
			}
		}
	}
	if took, least := time.Since(begin), time.Duration(float64(commits-4*s.Batch)/rate*float64(time.Second)); took < least {
		t.Errorf("took %s, at the rate it takes %s", took, least)
	}
	if !seen {
		t.Error("the progress was never seen")
	}
	p.settle(t, w)
	if got, want := h.notesOf(2, annBob), want(w, 2, annBob); got != want {
		t.Errorf("rows differ after a rebuild at a rate")
	}
	sts := p.Statuses()
	if len(sts) != 1 || !sts[0].Active || sts[0].Version != 2 || sts[0].Behind() != 0 || sts[0].Next == 0 || sts[0].T == 0 {
		t.Errorf("statuses %+v", sts)
	}
}
