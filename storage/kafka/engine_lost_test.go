package kafka

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"parley/domain"
	"parley/domain/fence"
	"parley/ops/engines"
)

// lostPort is the first of the ports of the broker that loses its tail.
const lostPort = 32292

// TestEngineLostTail puts an older copy of a broker's data back: what was acknowledged later is gone. Whoever has read it halts, whether it reads
// or writes.
func TestEngineLostTail(t *testing.T) {
	if os.Getenv("ENGINES") == "" {
		t.Skip("NOT RUN: real engines are started by make engines-test")
	}
	if err := engines.Missing(); err != nil {
		t.Fatal(err)
	}
	table := rowsOf(t, "lost tail")
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	dir := t.TempDir()
	c, err := engines.Kafka(ctx, dir, 1, lostPort)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { try(t, c.Kill()) })
	start := func() {
		if err := c.Start(ctx); err != nil {
			t.Fatal(err)
		}
	}
	start()
	o := realOptions(c)
	o.Dev = true // one broker
	data, copied := filepath.Join(dir, "kafka-1", "data"), filepath.Join(dir, "copy")

	l := openLog(t, o)
	w := newWriter(t, l)
	w.write("a")
	w.write("b")
	try(t, c.Stop())
	try(t, os.CopyFS(copied, os.DirFS(data)))
	start()
	w.write("c")
	w.write("d")
	last := w.owner.Position()
	try(t, c.Kill())
	try(t, os.RemoveAll(data))
	try(t, os.Rename(copied, data))
	start()

	l = openLog(t, o)
	_, end, err := l.Bounds(t.Context(), 1)
	if err != nil || end != 3 {
		t.Fatalf("the log ends at %d, want 3: %v", end, err)
	}
	if got, err := l.Read(t.Context(), 1, last.Next, 1<<20, 100*time.Millisecond); err != nil || len(got) != 0 {
		t.Errorf("beyond the end: %d records, %v", len(got), err)
	}
	reader := fence.NewOwner(last, fence.Config{})
	reader.OnRead(0, reader.Next(0).ID, nil, end)
	halted(t, table, "end of the log below what was read", reader)

	o.Fencing = false // else the broker finds the sequence wrong
	w.log = openLog(t, o)
	w.propose("e")
	halted(t, table, "append lands below what was read", w.owner)
	table.all(t)
}

func halted(t *testing.T, table *rows, what string, o *fence.Owner) {
	t.Helper()
	if want := table.line(t, what).fence; want != "halt" || o.Err() == nil || o.Err().Reason != fence.Truncated {
		t.Errorf("%s: the table says %s, the fence %v", what, want, o.Err())
	}
	words := map[string]string{"end of the log below what was read": "ends below", "append lands below what was read": "landed below"}
	if !strings.Contains(o.Err().Error(), words[what]) {
		t.Errorf("%s: %v", what, o.Err())
	}
}

// writer is an owner that writes one record after the other.
type writer struct {
	t     *testing.T
	log   *Log
	owner *fence.Owner
}

// newWriter claims partition 1.
func newWriter(t *testing.T, l *Log) *writer {
	t.Helper()
	w := &writer{t, l, fence.NewOwner(fence.Reader{}, fence.Config{Claim: func() []byte { return []byte("claim") }})}
	w.owner.OnRing(0, fence.NamedAtOnce)
	w.run(w.owner.Idle)
	return w
}

func (w *writer) write(body string) {
	w.t.Helper()
	w.propose(body)
	if !w.owner.Idle() {
		w.t.Fatalf("%s was not taken: %v", body, w.owner.Err())
	}
}

// propose sends one record until it is in, or the fence halts.
func (w *writer) propose(body string) {
	w.t.Helper()
	value := append(make([]byte, fence.HeaderSize), body...)
	if _, err := w.owner.Propose([][]byte{nil}, [][]byte{value}); err != nil {
		w.t.Fatal(err)
	}
	w.run(func() bool { return w.owner.Idle() || w.owner.Err() != nil })
}

// run does what the fence wants, as the shard does.
func (w *writer) run(done func() bool) {
	w.t.Helper()
	began := time.Now()
	for !done() {
		now := time.Since(began)
		if now > time.Minute {
			w.t.Fatal("the fence does not come to an end")
		}
		switch a := w.owner.Next(now); a.Do {
		case fence.DoRead:
			w.read(now, a)
		case fence.DoAppend:
			base, err := w.log.Append(w.t.Context(), 1, a.Batch)
			outcome := fence.Landed
			switch {
			case errors.Is(err, domain.ErrRefused):
				outcome = fence.Refused
			case err != nil:
				outcome = fence.Unknown
			}
			w.owner.OnAppend(now, a.ID, outcome, base)
		case fence.DoRest:
			time.Sleep(max(a.Wait, time.Millisecond))
		}
	}
}

func (w *writer) read(now time.Duration, a fence.Action) {
	var records []domain.LogRecord
	_, end, err := w.log.Bounds(w.t.Context(), 1)
	if err == nil {
		records, err = w.log.Read(w.t.Context(), 1, a.From, 1<<20, a.Wait)
	}
	if err != nil {
		w.owner.OnReadFailed(now, a.ID, err)
		return
	}
	w.owner.OnRead(now, a.ID, records, end)
}
