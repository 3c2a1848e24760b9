package pebble

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"parley/domain"
	"parley/schemas/table"
)

// clones are what the power cut may leave of what was not synced, in percent.
var clones = []int{0, 30, 70, 100}

// TestLogPowerCut copies the disk as a power cut would leave it, again and again under load: what was acknowledged or read before is in every
// copy, and batches are whole.
func TestLogPowerCut(t *testing.T) {
	fs := vfs.NewCrashableMem()
	o := Options{FS: fs, Reserve: -1, MemTableBytes: 64 << 10}
	l := openLog(t, "log", o)
	ctx, stop := context.WithCancel(t.Context())
	var mu sync.Mutex
	acked := make(map[string]bool)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				name := fmt.Sprint(w, "/", i)
				if _, err := l.Append(t.Context(), 1, batch(name+" a", name+" b"+string(make([]byte, 500)))); err != nil {
					t.Errorf("append: %v", err)
					return
				}
				mu.Lock()
				acked[name] = true
				mu.Unlock()
			}
		})
	}
	for round := range 8 {
		for end := domain.Offset(0); int(end) < 100*(round+1); time.Sleep(time.Millisecond) {
			_, end, _ = l.Bounds(t.Context(), 1)
		}
		mu.Lock()
		before := make(map[string]bool, len(acked))
		for name := range acked {
			before[name] = true
		}
		mu.Unlock()
		read := contents(t, l, 1)
		cut := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: clones[round%len(clones)], RNG: rand.New(rand.NewPCG(1, uint64(round)))})
		copied := openLog(t, "log", Options{FS: cut, Reserve: -1})
		after := contents(t, copied, 1)
		wantWhole(t, after, before)
		if len(after) < len(read) {
			t.Errorf("round %d: %d records were read, %d are left", round, len(read), len(after))
		}
		if base, err := copied.Append(t.Context(), 1, batch("next")); err != nil || base != domain.Offset(len(after)) {
			t.Errorf("round %d: append after %d records: %d, %v", round, len(after), base, err)
		}
		_ = copied.Close()
	}
	stop()
	wg.Wait()
}

// TestStorePowerCut finds in every copy the writes up to some point, whole and none after it, and all of them when the store was closed.
func TestStorePowerCut(t *testing.T) {
	fs := vfs.NewCrashableMem()
	o := Options{FS: fs, Reserve: -1, MemTableBytes: 64 << 10}
	s := openStore(t, "store", o)
	check := func(percent, written int) (kept int) {
		cut := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(2, uint64(written)))})
		copied := openStore(t, "store", Options{FS: cut, Reserve: -1})
		defer func() { _ = copied.Close() }()
		for i := range written {
			found := 0
			for _, w := range testWrites(3, uint64(3*i)) {
				rows, err := copied.Get(t.Context(), w.Table, []table.RowKey{{Partition: w.Partition, Cluster: w.Cluster}})
				if err != nil {
					t.Fatal(err)
				}
				if rows[0].Found() {
					found++
				}
			}
			switch {
			case found == 3 && kept == i:
				kept++
			case found != 0:
				t.Errorf("%d%%: write %d of %d is there with %d rows of 3, the writes up to %d are there", percent, i, written, found, kept)
			}
		}
		return kept
	}
	written := 0
	for round := range 8 {
		for range 150 {
			if err := s.Write(t.Context(), testWrites(3, uint64(3*written))); err != nil {
				t.Fatal(err)
			}
			written++
		}
		check(clones[round%len(clones)], written)
	}
	if err := s.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if kept := check(0, written); kept != written {
		t.Errorf("%d of %d writes are there after a sync", kept, written)
	}
	if err := s.Write(t.Context(), testWrites(3, uint64(3*written))); err != nil {
		t.Fatal(err)
	}
	written++
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if kept := check(0, written); kept != written {
		t.Errorf("%d of %d writes are there after closing", kept, written)
	}
}
