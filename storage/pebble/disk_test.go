package pebble

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"parley/domain"
	"parley/schemas/table"
)

// weakDisk is a real disk that can run full, in the middle of a write too, or fail to sync.
type weakDisk struct {
	vfs.FS
	free  atomic.Int64 // what statfs tells
	full  atomic.Bool  // writes of any file are cut in half and fail with ENOSPC
	fail  atomic.Bool  // syncs of write-ahead logs fail with EIO
	files atomic.Int64 // writes and creations that failed
}

func newWeakDisk() *weakDisk {
	d := &weakDisk{}
	d.free.Store(1 << 40)
	d.FS = errorfs.Wrap(vfs.Default, errorfs.InjectorFunc(func(op errorfs.Op) error {
		takesRoom := op.Kind == errorfs.OpCreate || op.Kind == errorfs.OpReuseForWrite || op.Kind == errorfs.OpFilePreallocate
		if takesRoom && d.full.Load() {
			d.files.Add(1)
			return &os.PathError{Op: "write", Path: op.Path, Err: syscall.ENOSPC}
		}
		return nil
	}))
	return d
}

func (d *weakDisk) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: uint64(d.free.Load())}, nil
}

func (d *weakDisk) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := d.FS.Create(name, c)
	return d.file(name, f, err)
}

func (d *weakDisk) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := d.FS.ReuseForWrite(from, to, c)
	return d.file(to, f, err)
}

func (d *weakDisk) file(name string, f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &weakFile{File: f, disk: d, log: strings.HasSuffix(name, ".log")}, nil
}

type weakFile struct {
	vfs.File
	disk *weakDisk
	log  bool
}

func (f *weakFile) broken() error {
	if f.log && f.disk.fail.Load() {
		return &os.PathError{Op: "sync", Err: syscall.EIO}
	}
	return nil
}

func (f *weakFile) Sync() error     { return cmp.Or(f.broken(), f.File.Sync()) }
func (f *weakFile) SyncData() error { return cmp.Or(f.broken(), f.File.SyncData()) }

// Write writes half when the disk is full, as a file system with a few free blocks does.
func (f *weakFile) Write(p []byte) (int, error) {
	if !f.disk.full.Load() {
		return f.File.Write(p)
	}
	f.disk.files.Add(1)
	if n, err := f.File.Write(p[:len(p)/2]); err != nil {
		return n, err
	}
	return len(p) / 2, &os.PathError{Op: "write", Err: syscall.ENOSPC}
}

func batch(values ...string) domain.Batch {
	b := domain.Batch{}
	for _, v := range values {
		b.Keys, b.Values = append(b.Keys, []byte("k")), append(b.Values, []byte(v))
	}
	return b
}

func contents(t *testing.T, l *Log, p domain.Partition) (values []string) {
	t.Helper()
	_, end, err := l.Bounds(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	for from := domain.Offset(0); from < end; {
		records, err := l.Read(t.Context(), p, from, 1<<20, 0)
		if err != nil || len(records) == 0 {
			t.Fatalf("read at %d: %d records, %v", from, len(records), err)
		}
		for _, r := range records {
			values = append(values, string(r.Value))
		}
		from += domain.Offset(len(records))
	}
	return values
}

// eventually appends until it succeeds.
func eventually(t *testing.T, l *Log, b domain.Batch) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		_, err := l.Append(t.Context(), 1, b)
		if err == nil {
			return
		}
		if !errors.Is(err, ErrFull) || time.Now().After(deadline) {
			t.Fatalf("append when there is room again: %v", err)
		}
	}
}

func TestLogReserve(t *testing.T) {
	d := newWeakDisk()
	l := openLog(t, t.TempDir(), Options{FS: d, Reserve: 1 << 20})
	if _, err := l.Append(t.Context(), 1, batch("one")); err != nil {
		t.Fatal(err)
	}
	d.free.Store(1<<20 - 1)
	time.Sleep(ampleFor) // there was ample room: until it is asked for again
	if _, err := l.Append(t.Context(), 1, batch("refused")); !errors.Is(err, ErrFull) {
		t.Fatalf("append below the reserve: %v", err)
	}
	if got := fmt.Sprint(contents(t, l, 1)); got != "[one]" {
		t.Errorf("the log holds %s", got)
	}
	d.free.Store(1 << 20)
	if base, err := l.Append(t.Context(), 1, batch("two")); err != nil || base != 1 {
		t.Fatalf("append with room again: %d, %v", base, err)
	}
}

// TestLogFull lets the disk run full in the middle of appends, below any reserve, again and again. Nothing acknowledged may be lost, every batch
// is there whole or not at all, and appends go on by themselves.
func TestLogFull(t *testing.T) {
	d, dir := newWeakDisk(), t.TempDir()
	o := Options{FS: d, MemTableBytes: 64 << 10} // so small that files are made all the time
	l := openLog(t, dir, o)
	acked := make(map[string]bool)
	filler := strings.Repeat("x", 8<<10)
	for round := range 4 {
		d.full.Store(false)
		eventually(t, l, batch(fmt.Sprint(round, " room")))
		patience := 10 * time.Second // while there is room
		for i := range 12 {
			if i == 4 {
				d.full.Store(true)
				patience = 60 * time.Millisecond
			}
			name := fmt.Sprint(round, "/", i)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			if _, err := l.Append(ctx, 1, batch(name+" a"+filler, name+" b"+filler)); err == nil {
				acked[name] = true
			} else if !errors.Is(err, ErrFull) && !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("append to a full disk: %v", err)
			}
			cancel()
		}
		if _, err := l.Append(t.Context(), 1, batch("refused")); !errors.Is(err, ErrFull) {
			t.Fatalf("append while another waits for room: %v", err)
		}
	}
	if len(acked) < 16 || d.files.Load() == 0 {
		t.Fatalf("%d acknowledged, %d writes failed: nothing was tested", len(acked), d.files.Load())
	}
	d.full.Store(false)
	eventually(t, l, batch("last"))
	before := contents(t, l, 1)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	after := contents(t, openLog(t, dir, o), 1)
	if strings.Join(before, "\n") != strings.Join(after, "\n") {
		t.Errorf("%d records before, %d after opening again", len(before), len(after))
	}
	wantWhole(t, after, acked)
}

// wantWhole checks that every acknowledged batch "<name> a", "<name> b" is there and none in part.
func wantWhole(t *testing.T, values []string, acked map[string]bool) {
	t.Helper()
	found := make(map[string]bool)
	for i := 0; i < len(values); i++ {
		name, rest, _ := strings.Cut(values[i], " ")
		if !strings.HasPrefix(rest, "a") {
			continue
		}
		if i+1 == len(values) || !strings.HasPrefix(values[i+1], name+" b") || found[name] {
			t.Errorf("batch %s is there twice or in part", name)
		}
		found[name] = true
		i++
	}
	for name := range acked {
		if !found[name] {
			t.Errorf("batch %s was acknowledged and is lost", name)
		}
	}
}

// TestLogSyncFails ends the log by a failed sync: nobody knows what is on the disk until it is opened again.
func TestLogSyncFails(t *testing.T) {
	if !inChild(t) {
		return
	}
	for _, appends := range []int{1, 40} { // one finds the sync's error, many run into the broken write-ahead log
		t.Run(fmt.Sprint("appends=", appends), func(t *testing.T) {
			d, dir := newWeakDisk(), t.TempDir()
			l := openLog(t, dir, Options{FS: d, MemTableBytes: 64 << 10})
			acked := make(map[string]bool)
			for i := range 5 {
				name := fmt.Sprint("good", i)
				if _, err := l.Append(t.Context(), 1, batch(name+" a", name+" b")); err != nil {
					t.Fatal(err)
				}
				acked[name] = true
			}
			d.fail.Store(true)
			results := make(chan error, appends)
			for i := range appends {
				go func() {
					filler := strings.Repeat("x", 20<<10)
					_, err := l.Append(t.Context(), domain.Partition(1+i%2), batch(fmt.Sprint("bad", i, " a", filler), fmt.Sprint("bad", i, " b")))
					results <- err
				}()
			}
			for range appends {
				if err := <-results; !errors.Is(err, ErrFailed) {
					t.Errorf("append whose sync fails: %v", err)
				}
			}
			<-l.Failed()
			if got := contents(t, l, 1); len(got) != 10 {
				t.Errorf("readers see %d records, want the 10 that were synced", len(got))
			}
			_ = l.Close() // tells of the failure
			d.fail.Store(false)
			l = openLog(t, dir, Options{FS: d})
			wantWhole(t, contents(t, l, 1), acked)
			if _, err := l.Append(t.Context(), 1, batch("next")); err != nil {
				t.Errorf("append after opening again: %v", err)
			}
		})
	}
}

// TestCloseWhileFull closes the log while an append waits for room.
func TestCloseWhileFull(t *testing.T) {
	if !inChild(t) {
		return
	}
	d, dir := newWeakDisk(), t.TempDir()
	l := openLog(t, dir, Options{FS: d})
	if _, err := l.Append(t.Context(), 1, batch("good a", "good b")); err != nil {
		t.Fatal(err)
	}
	d.full.Store(true)
	result := make(chan error, 1)
	go func() {
		_, err := l.Append(t.Context(), 1, batch("bad a", "bad b"))
		result <- err
	}()
	for l.db.disk.stalled.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	if err := l.Close(); !errors.Is(err, ErrFailed) {
		t.Errorf("close: %v", err)
	}
	if err := <-result; !errors.Is(err, ErrFailed) && !errors.Is(err, ErrClosed) {
		t.Errorf("append: %v", err)
	}
	d.full.Store(false)
	wantWhole(t, contents(t, openLog(t, dir, Options{FS: d}), 1), map[string]bool{"good": true})
}

// TestStoreSyncFails breaks the store under its writes: it says so, and what is there after opening it again is what was written up to some point.
func TestStoreSyncFails(t *testing.T) {
	if !inChild(t) {
		return
	}
	d, dir := newWeakDisk(), t.TempDir()
	o := Options{FS: d, MemTableBytes: 64 << 10}
	s := openStore(t, dir, o)
	var err error
	for i := range 2000 {
		if i == 500 {
			d.fail.Store(true)
		}
		if err = s.Write(t.Context(), testWrites(10, uint64(i)*10)); err != nil {
			break
		}
	}
	if !errors.Is(err, ErrFailed) {
		t.Fatalf("write to a broken disk: %v", err)
	}
	_ = s.Close() // tells of the failure
	d.fail.Store(false)
	s = openStore(t, dir, o)
	var found []bool
	for i := range 2000 {
		for _, w := range testWrites(10, uint64(i)*10) {
			rows, err := s.Get(t.Context(), w.Table, []table.RowKey{{Partition: w.Partition, Cluster: w.Cluster}})
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, rows[0].Found())
		}
	}
	if end := slices.Index(found, false); end%10 != 0 || slices.Contains(found[end:], true) {
		t.Errorf("rows up to %d are there, and some after them", end)
	}
}

func TestStoreFull(t *testing.T) {
	d := newWeakDisk()
	s := openStore(t, t.TempDir(), Options{FS: d, Reserve: 1 << 20})
	w := testWrites(1, 0)
	d.free.Store(0)
	if err := s.Write(t.Context(), w); !errors.Is(err, ErrFull) {
		t.Fatalf("write below the reserve: %v", err)
	}
	d.free.Store(1 << 30)
	if err := s.Write(t.Context(), w); err != nil {
		t.Fatal(err)
	}
}

// TestLockedByAnotherProcess holds the folders in a child process.
func TestLockedByAnotherProcess(t *testing.T) {
	if dir := os.Getenv("PARLEY_TEST_HOLD"); dir != "" {
		if _, err := OpenLog(dir, Options{}); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("held")
		_, _ = os.Stdin.Read(make([]byte, 1)) // until the parent ends it
		os.Exit(0)
	}
	dir := t.TempDir()
	child := exec.Command(os.Args[0], "-test.run=^TestLockedByAnotherProcess$")
	child.Env = append(os.Environ(), "PARLEY_TEST_HOLD="+dir)
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 4)
	if _, err := out.Read(line); err != nil || string(line) != "held" {
		t.Fatalf("the child says %q, %v", line, err)
	}
	if _, err := OpenLog(dir, Options{}); !errors.Is(err, ErrLocked) {
		t.Errorf("open a folder held by another process: %v", err)
	}
	_ = in.Close()
	_ = child.Wait()
	first := openLog(t, dir, Options{})
	if _, err := OpenLog(dir, Options{}); !errors.Is(err, ErrLocked) {
		t.Errorf("open a folder held by this process: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenStore(dir, Options{}); err == nil || !strings.Contains(err.Error(), "merger") && !strings.Contains(err.Error(), "parley log 1") {
		t.Errorf("a store opened a log's folder %s: %v", filepath.Base(dir), err)
	}
}
