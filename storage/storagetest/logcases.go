package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"parley/domain"
)

// again closes the log and opens it again.
func again(t *testing.T, l Log, open OpenLog) Log {
	t.Helper()
	if c, ok := l.(closer); ok {
		if err := c.Close(); err != nil {
			t.Fatalf("close: %v", err)
		}
	}
	return open()
}

func reopened(t *testing.T, open OpenLog) {
	l := open()
	var want []string
	for round := range 3 {
		if base := mustAppend(t, l, chats, plain(fmt.Sprint("a", round), fmt.Sprint("b", round))); base != domain.Offset(2*round) {
			t.Fatalf("round %d: base %d", round, base)
		}
		mustAppend(t, l, rooms, plain(fmt.Sprint("r", round)))
		want = append(want, fmt.Sprint("a", round), fmt.Sprint("b", round))
		l = again(t, l, open)
		wantValues(t, readAll(t, l, chats, 0, 1<<20), want...)
		if n := len(readAll(t, l, rooms, 0, 1<<20)); n != round+1 {
			t.Fatalf("round %d: %d records in rooms", round, n)
		}
	}
}

func truncatedHead(t *testing.T, open OpenLog) {
	l := open()
	if _, ok := l.(Trimmer); !ok {
		t.Skipf("NOT TESTED: %T cannot be trimmed", l)
	}
	trim := func(p domain.Partition, before domain.Offset) {
		t.Helper()
		if err := l.(Trimmer).Trim(background(t), p, before); err != nil {
			t.Fatalf("trim: %v", err)
		}
	}
	for i := range 6 {
		mustAppend(t, l, chats, plain(fmt.Sprint("v", i)))
		mustAppend(t, l, rooms, plain(fmt.Sprint("v", i)))
	}
	trim(chats, 4)
	trim(chats, 2) // no step back
	trim(rooms, 6)
	for range 2 {
		wantStart(t, l, chats, 4, 6)
		wantStart(t, l, rooms, 6, 6)
		wantValues(t, readAll(t, l, chats, 4, 1<<20), "v4", "v5")
		l = again(t, l, open)
	}
	if base := mustAppend(t, l, rooms, plain("next")); base != 6 {
		t.Errorf("a log trimmed to its end goes on at %d, want 6", base)
	}
	wantValues(t, readAll(t, l, rooms, 6, 1<<20), "next")
}

// wantStart checks the bounds and that reads below the start are refused.
func wantStart(t *testing.T, l Log, p domain.Partition, start, end domain.Offset) {
	t.Helper()
	gotStart, gotEnd, err := l.Bounds(background(t), p)
	if err != nil || gotStart != start || gotEnd != end {
		t.Fatalf("bounds %d..%d, %v; want %d..%d", gotStart, gotEnd, err, start, end)
	}
	_, err = l.Read(background(t), p, start-1, 1<<20, 0)
	var truncated *domain.TruncatedError
	if !errors.As(err, &truncated) || !errors.Is(err, domain.ErrTruncated) {
		t.Fatalf("read below the start: %v", err)
	}
	if want := (domain.TruncatedError{Partition: p, Wanted: start - 1, Start: start}); *truncated != want {
		t.Errorf("error %+v, want %+v", *truncated, want)
	}
}

// abandonedAppend gives appends less and less time, and finds each batch whole or not at all: at the offset that a good answer told, else
// anywhere once or nowhere.
func abandonedAppend(t *testing.T, open OpenLog) {
	l := open()
	const attempts = 60
	answered := make(map[int]domain.Offset)
	for i := range attempts {
		ctx, cancel := context.WithCancel(t.Context())
		timer := time.AfterFunc(time.Duration(i%20)*25*time.Microsecond, cancel)
		if base, err := l.Append(ctx, chats, plain(fmt.Sprint(i, "/0"), fmt.Sprint(i, "/1"), fmt.Sprint(i, "/2"))); err == nil {
			answered[i] = base
		}
		timer.Stop()
		cancel()
	}
	mustAppend(t, l, chats, plain("last"))
	l = again(t, l, open)
	found := wholeBatches(t, readAll(t, l, chats, 0, 1<<20))
	for i, base := range answered {
		if at, ok := found[i]; !ok || at != base {
			t.Errorf("batch %d was acknowledged at %d and is at %d (%v)", i, base, at, ok)
		}
	}
}

// wholeBatches returns where the batches of three "<i>/<n>" are, and fails when one is there in part or twice.
func wholeBatches(t *testing.T, all []domain.LogRecord) map[int]domain.Offset {
	t.Helper()
	found := make(map[int]domain.Offset)
	for at := 0; at < len(all); {
		var i, n int
		if _, err := fmt.Sscanf(string(all[at].Value), "%d/%d", &i, &n); err != nil {
			at++
			continue
		}
		if _, twice := found[i]; twice || n != 0 || at+3 > len(all) {
			t.Fatalf("batch %d twice or in part at %d", i, at)
		}
		for n := range 3 {
			if got, want := string(all[at+n].Value), fmt.Sprint(i, "/", n); got != want {
				t.Fatalf("batch %d in part: %q at %d", i, got, at+n)
			}
		}
		found[i] = all[at].Offset
		at += 3
	}
	return found
}

func plainTwice(t *testing.T, open OpenLog) {
	l := open()
	b := plain("x", "y")
	if first, second := mustAppend(t, l, chats, b), mustAppend(t, l, chats, b); first != 0 || second != 2 {
		t.Fatalf("bases %d and %d, want 0 and 2", first, second)
	}
	wantValues(t, readAll(t, l, chats, 0, 1<<20), "x", "y", "x", "y")
}

func largeValues(t *testing.T, open OpenLog) {
	l := open()
	var values []string
	for i := range 4 {
		values = append(values, string(bytes.Repeat([]byte{byte('a' + i)}, 100_000+i)))
	}
	mustAppend(t, l, chats, plain("small"))
	mustAppend(t, l, chats, plain(values...))
	mustAppend(t, l, chats, plain("small"))
	for _, maxBytes := range []int{1, 250_000, 10 << 20} {
		wantValues(t, readAll(t, l, chats, 1, maxBytes)[:4], values...)
	}
}

func emptyParts(t *testing.T, open OpenLog) {
	l := open()
	b := domain.Batch{Plain: true, Keys: [][]byte{nil, []byte("k"), {}}, Values: [][]byte{[]byte("v"), {}, nil}}
	mustAppend(t, l, chats, b)
	for i, r := range readAll(t, l, chats, 0, 1<<20) {
		if !bytes.Equal(r.Key, b.Keys[i]) || !bytes.Equal(r.Value, b.Values[i]) {
			t.Errorf("offset %d: %q = %q, want %q = %q", i, r.Key, r.Value, b.Keys[i], b.Values[i])
		}
	}
}

func controlPartition(t *testing.T, open OpenLog) {
	l := open()
	mustAppend(t, l, domain.Control, plain("one"))
	mustAppend(t, l, chats, plain("elsewhere"))
	mustAppend(t, l, domain.Control, plain("two"))
	l = again(t, l, open)
	wantValues(t, readAll(t, l, domain.Control, 0, 1<<20), "one", "two")
}
