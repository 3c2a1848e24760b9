package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"parley/domain"
)

// chats and rooms are partitions that the suite uses: every log under test has at least Partitions of each.
const (
	Partitions = 4

	chats = domain.FirstChats + 1
	rooms = domain.FirstRooms + 1
)

// patience is how long the suite waits for what must come.
const patience = 10 * time.Second

// RunLog runs the contract of logs. newLog is called once per case, so every case has a log of its own, or partitions that others left clean.
func RunLog(t *testing.T, newLog func(t *testing.T) OpenLog) {
	for _, c := range []struct {
		name string
		run  func(t *testing.T, open OpenLog)
	}{
		{"appends get dense offsets", denseOffsets},
		{"reads start anywhere", readsAnywhere},
		{"maxBytes bounds a read, but not below one record", readBounds},
		{"a read at the end returns none", readAtEnd},
		{"a waiting read is woken", readWoken},
		{"a waiting read ends with its context", readCancelled},
		{"readers do not disturb each other", manyReaders},
		{"partitions are independent", manyPartitions},
		{"concurrent appends to one partition keep order and stay whole", oneBusyPartition},
		{"opened again it has the same content", reopened},
		{"a cut head is told", truncatedHead},
		{"an abandoned append is there whole or not at all", abandonedAppend},
		{"the same batch twice is there twice", plainTwice},
		{"large values", largeValues},
		{"empty keys and values", emptyParts},
		{"the control partition", controlPartition},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, newLog(t)) })
	}
}

func background(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	t.Cleanup(cancel)
	return ctx
}

// plain makes a batch of the values, with keys of their own.
func plain(values ...string) domain.Batch {
	b := domain.Batch{Plain: true}
	for _, v := range values {
		b.Keys = append(b.Keys, []byte("key of "+v))
		b.Values = append(b.Values, []byte(v))
	}
	return b
}

func mustAppend(t *testing.T, l Log, p domain.Partition, b domain.Batch) domain.Offset {
	t.Helper()
	base, err := l.Append(background(t), p, b)
	if err != nil {
		t.Fatalf("append: %v", err)
	}
	return base
}

// readAll reads from..end, as many reads as it takes.
func readAll(t *testing.T, l Log, p domain.Partition, from domain.Offset, maxBytes int) []domain.LogRecord {
	t.Helper()
	_, end, err := l.Bounds(background(t), p)
	if err != nil {
		t.Fatalf("bounds: %v", err)
	}
	var all []domain.LogRecord
	for from < end {
		got, err := l.Read(background(t), p, from, maxBytes, 0)
		if err != nil {
			t.Fatalf("read at %d: %v", from, err)
		}
		if len(got) == 0 {
			t.Fatalf("read at %d below the end %d returned none", from, end)
		}
		for _, r := range got {
			if r.Offset != from {
				t.Fatalf("record at offset %d, want %d", r.Offset, from)
			}
			from++
		}
		all = append(all, got...)
	}
	return all
}

func wantValues(t *testing.T, got []domain.LogRecord, want ...string) {
	t.Helper()
	values := make([]string, len(got))
	for i, r := range got {
		values[i] = string(r.Value)
		if k := "key of " + values[i]; string(r.Key) != k {
			t.Errorf("offset %d has the key %q, want %q", r.Offset, r.Key, k)
		}
	}
	if !slices.Equal(values, want) {
		t.Fatalf("values %.200q, want %.200q", values, want)
	}
}

func denseOffsets(t *testing.T, open OpenLog) {
	l := open()
	var want []string
	next := domain.Offset(0)
	for size := 1; size < 20; size++ {
		var values []string
		for i := range size {
			values = append(values, fmt.Sprintf("%d.%d", size, i))
		}
		if base := mustAppend(t, l, chats, plain(values...)); base != next {
			t.Fatalf("base %d, want %d", base, next)
		}
		next += domain.Offset(size)
		want = append(want, values...)
	}
	start, end, err := l.Bounds(background(t), chats)
	if err != nil || start != 0 || end != next {
		t.Fatalf("bounds %d..%d, %v; want 0..%d", start, end, err, next)
	}
	wantValues(t, readAll(t, l, chats, 0, 1<<20), want...)
}

func readsAnywhere(t *testing.T, open OpenLog) {
	l := open()
	var want []string
	for i := range 10 {
		values := []string{fmt.Sprint("a", i), fmt.Sprint("b", i), fmt.Sprint("c", i)}
		mustAppend(t, l, chats, plain(values...))
		want = append(want, values...)
	}
	for from := range want {
		wantValues(t, readAll(t, l, chats, domain.Offset(from), 1<<20), want[from:]...)
	}
}

func readBounds(t *testing.T, open OpenLog) {
	l := open()
	value := string(bytes.Repeat([]byte("x"), 1000))
	for range 20 {
		mustAppend(t, l, chats, plain(value))
	}
	for _, maxBytes := range []int{0, 1, 1500, 5000} {
		got, err := l.Read(background(t), chats, 3, maxBytes, 0)
		if err != nil || len(got) == 0 || got[0].Offset != 3 {
			t.Fatalf("at most %d bytes: %d records, %v", maxBytes, len(got), err)
		}
		if n := max(1, maxBytes/1000); len(got) > n {
			t.Errorf("at most %d bytes: %d records, want at most %d", maxBytes, len(got), n)
		}
	}
	if got := readAll(t, l, chats, 0, 1); len(got) != 20 {
		t.Errorf("%d records one by one, want 20", len(got))
	}
}

func readAtEnd(t *testing.T, open OpenLog) {
	l := open()
	for range 2 {
		_, end, err := l.Bounds(background(t), chats)
		if err != nil {
			t.Fatal(err)
		}
		for _, beyond := range []domain.Offset{0, 1, 1000} {
			began := time.Now()
			got, err := l.Read(background(t), chats, end+beyond, 1<<20, 50*time.Millisecond)
			if err != nil || len(got) != 0 {
				t.Fatalf("%d beyond the end: %d records, %v", beyond, len(got), err)
			}
			if took := time.Since(began); took > patience/2 {
				t.Errorf("%d beyond the end: waited %v", beyond, took)
			}
		}
		mustAppend(t, l, chats, plain("one", "two"))
	}
}

func readWoken(t *testing.T, open OpenLog) {
	l := open()
	mustAppend(t, l, chats, plain("before"))
	type result struct {
		records []domain.LogRecord
		err     error
	}
	done := make(chan result, 1)
	ctx := background(t)
	go func() {
		records, err := l.Read(ctx, chats, 1, 1<<20, patience)
		done <- result{records, err}
	}()
	select {
	case r := <-done:
		t.Fatalf("the read did not wait: %v", r)
	case <-time.After(100 * time.Millisecond):
	}
	began := time.Now()
	mustAppend(t, l, chats, plain("after"))
	r := <-done
	if r.err != nil {
		t.Fatal(r.err)
	}
	wantValues(t, r.records, "after")
	if took := time.Since(began); took > patience/2 {
		t.Errorf("woken after %v", took)
	}
}

func readCancelled(t *testing.T, open OpenLog) {
	l := open()
	mustAppend(t, l, chats, plain("one"))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	began := time.Now()
	got, err := l.Read(ctx, chats, 1, 1<<20, time.Hour)
	if len(got) != 0 {
		t.Fatalf("%d records", len(got))
	}
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want none or that of the context", err)
	}
	if took := time.Since(began); took > patience {
		t.Errorf("the read ended after %v", took)
	}
}

func manyReaders(t *testing.T, open OpenLog) {
	l := open()
	const records, readers = 300, 8
	ctx := background(t)
	var wg sync.WaitGroup
	for range readers {
		wg.Go(func() {
			for from := domain.Offset(0); from < records; {
				got, err := l.Read(ctx, chats, from, 2000, patience)
				if err != nil || len(got) == 0 {
					t.Errorf("read at %d: %d records, %v", from, len(got), err)
					return
				}
				for _, r := range got {
					if want := fmt.Sprint("v", from); r.Offset != from || string(r.Value) != want {
						t.Errorf("offset %d holds %q, want %q at %d", r.Offset, r.Value, want, from)
						return
					}
					from++
				}
			}
		})
	}
	for i := 0; i < records; i += 3 {
		mustAppend(t, l, chats, plain(fmt.Sprint("v", i), fmt.Sprint("v", i+1), fmt.Sprint("v", i+2)))
	}
	wg.Wait()
}

func manyPartitions(t *testing.T, open OpenLog) {
	l := open()
	ctx := background(t)
	var partitions []domain.Partition
	for i := range domain.Partition(Partitions) {
		partitions = append(partitions, domain.FirstChats+i, domain.FirstRooms+i)
	}
	const batches = 40
	var wg sync.WaitGroup
	for _, p := range partitions {
		wg.Go(func() {
			for i := range batches {
				base, err := l.Append(ctx, p, plain(fmt.Sprint(p, "/", 2*i), fmt.Sprint(p, "/", 2*i+1)))
				if want := domain.Offset(2 * i); err != nil || base != want {
					t.Errorf("partition %d: base %d, %v; want %d", p, base, err, want)
					return
				}
			}
		})
	}
	wg.Wait()
	for _, p := range partitions {
		for i, r := range readAll(t, l, p, 0, 1<<20) {
			if want := fmt.Sprint(p, "/", i); string(r.Value) != want {
				t.Fatalf("partition %d holds %q at %d, want %q", p, r.Value, i, want)
			}
		}
	}
}

func oneBusyPartition(t *testing.T, open OpenLog) {
	l := open()
	const writers, batches = 8, 25
	ctx := background(t)
	var mu sync.Mutex
	bases := make(map[domain.Offset]string)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			last := domain.Offset(-1)
			for i := range batches {
				name := fmt.Sprint(w, "/", i)
				base, err := l.Append(ctx, chats, plain(name+"/0", name+"/1", name+"/2"))
				if err != nil || base <= last {
					t.Errorf("writer %d: base %d after %d, %v", w, base, last, err)
					return
				}
				last = base
				mu.Lock()
				bases[base] = name
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	all := readAll(t, l, chats, 0, 1<<20)
	if len(all) != 3*writers*batches || len(bases) != writers*batches {
		t.Fatalf("%d records at %d offsets, want %d at %d", len(all), len(bases), 3*writers*batches, writers*batches)
	}
	for base, name := range bases {
		for i := range 3 {
			if got, want := string(all[int(base)+i].Value), fmt.Sprint(name, "/", i); got != want {
				t.Errorf("offset %d holds %q, want %q", int(base)+i, got, want)
			}
		}
	}
}
