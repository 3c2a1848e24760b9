package pebble

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"parley/domain"
	"parley/schemas/table"
)

func oneRecord(text string) domain.Batch {
	return domain.Batch{Keys: [][]byte{[]byte("k")}, Values: [][]byte{[]byte(text)}, Plain: true}
}

// A checkpoint of a log that is written to has what was acknowledged before it, without a hole, and is a log of its own.
func TestCheckpointOfALogUnderLoad(t *testing.T) {
	dir := t.TempDir()
	log, err := OpenLog(filepath.Join(dir, "log"), Options{MemTableBytes: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for p := range domain.Partition(4) {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := log.Append(t.Context(), p, oneRecord(fmt.Sprint(i, strings.Repeat("x", 300)))); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for round := range 5 {
		var before [4]domain.Offset
		for p := range before {
			for before[p] == 0 {
				_, before[p], _ = log.Bounds(t.Context(), domain.Partition(p))
			}
		}
		at := filepath.Join(dir, fmt.Sprint("copy", round))
		if err := log.Checkpoint(t.Context(), at); err != nil {
			t.Fatal(err)
		}
		copied, err := OpenLog(at, Options{ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		for p := range before {
			_, end, err := copied.Bounds(t.Context(), domain.Partition(p))
			if err != nil || end < before[p] {
				t.Fatalf("partition %d ends at %d, %d were acknowledged: %v", p, end, before[p], err)
			}
			n := 0
			for next := domain.Offset(0); next < end; {
				records, err := copied.Read(t.Context(), domain.Partition(p), next, 1<<20, 0)
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range records {
					if want := fmt.Sprint(n); !strings.HasPrefix(string(r.Value), want+"x") {
						t.Fatalf("partition %d, offset %d: %.20q", p, r.Offset, r.Value)
					}
					n++
				}
				next = records[len(records)-1].Offset + 1
			}
		}
		if _, err := copied.Append(t.Context(), 0, oneRecord("x")); err == nil {
			t.Error("an append to a log that is open for reading only succeeded")
		}
		if err := copied.Close(); err != nil {
			t.Fatal(err)
		}
		again, err := OpenLog(at, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := again.Append(t.Context(), 0, oneRecord("goes on")); err != nil {
			t.Error(err)
		}
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	wg.Wait()
	if err := log.Checkpoint(t.Context(), filepath.Join(dir, "copy0")); err == nil {
		t.Error("a checkpoint into a folder that is there succeeded")
	}
}

// Rows are not synced by themselves: a checkpoint has them all the same.
func TestCheckpointOfAStore(t *testing.T) {
	dir := t.TempDir()
	store := openStore(t, filepath.Join(dir, "store"), Options{})
	tab := &table.Table{ID: 7, Name: "t", Partition: []table.Field{{Name: "p", Type: table.String}}, Cells: []table.Field{{Name: "c", Type: table.Bytes}}}
	key := table.Key(nil).Text("a")
	if err := store.Write(t.Context(), []table.Write{{Table: tab, Partition: key, T: 1, Cells: []table.Cell{{Value: []byte("x")}}}}); err != nil {
		t.Fatal(err)
	}
	if err := store.Checkpoint(t.Context(), filepath.Join(dir, "copy")); err != nil {
		t.Fatal(err)
	}
	copied := openStore(t, filepath.Join(dir, "copy"), Options{ReadOnly: true})
	rows, err := copied.Get(t.Context(), tab, []table.RowKey{{Partition: key}})
	if err != nil || !rows[0].Found() || string(rows[0].Cells[0].Value) != "x" {
		t.Errorf("row %v: %v", rows, err)
	}
}

// A disk that fails under the copy, or is full, fails the copy only.
func TestCheckpointThatFailsLeavesTheDatabase(t *testing.T) {
	for _, cause := range []error{syscall.EIO, syscall.ENOSPC} {
		t.Run(cause.Error(), func(t *testing.T) {
			dir := t.TempDir()
			fs := errorfs.Wrap(vfs.Default, errorfs.InjectorFunc(func(op errorfs.Op) error {
				if op.Kind == errorfs.OpFileWrite && strings.Contains(op.Path, "copy") {
					return &os.PathError{Op: "write", Path: op.Path, Err: cause}
				}
				return nil
			}))
			log, err := OpenLog(filepath.Join(dir, "log"), Options{FS: fs})
			if err != nil {
				t.Fatal(err)
			}
			defer log.Close()
			if _, err := log.Append(t.Context(), 0, oneRecord("before")); err != nil {
				t.Fatal(err)
			}
			if err := log.Checkpoint(t.Context(), filepath.Join(dir, "copy")); !errors.Is(err, cause) {
				t.Fatalf("checkpoint: %v", err)
			}
			if _, err := log.Append(t.Context(), 0, oneRecord("after")); err != nil {
				t.Errorf("append after a checkpoint that failed: %v", err)
			}
			select {
			case <-log.Failed():
				t.Error("the log has given up")
			default:
			}
		})
	}
}

func TestReadOnlyMakesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	if _, err := OpenLog(dir, Options{ReadOnly: true}); err == nil {
		t.Error("a log that is not there was opened")
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("a folder was made")
	}
}
