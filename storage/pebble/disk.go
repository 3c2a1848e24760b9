package pebble

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// retryPause is how long a write that found the disk full waits before it tries again.
const retryPause = 50 * time.Millisecond

// disk is the file system under one database. It holds writes while the disk is full instead of failing them (see the package comment),
// and it can be sealed, so that a database given up changes nothing any more while its folder is opened again.
type disk struct {
	vfs.FS
	dir     string
	reserve int64
	failure *failure

	stalled atomic.Int64 // writes that wait for room
	ample   atomic.Int64 // until when there is room for certain, in ns since start
	start   time.Time
	hasty   chan struct{}
	hurry   sync.Once
	sealed  atomic.Bool

	mu   sync.Mutex
	lock io.Closer // the folder's lock
}

func newDisk(dir string, f *failure, o Options) *disk {
	return &disk{FS: o.FS, dir: dir, failure: f, reserve: o.Reserve, hasty: make(chan struct{}), start: time.Now()}
}

// With ampleRoom beyond the reserve the free space is not asked for again for ampleFor, in which no disk can write so much.
const (
	ampleRoom = 1 << 30
	ampleFor  = 20 * time.Millisecond
)

// room returns ErrFull when a write must not start now.
func (d *disk) room() error {
	if d.stalled.Load() > 0 {
		return ErrFull
	}
	now := time.Since(d.start)
	if d.reserve < 0 || int64(now) < d.ample.Load() {
		return nil
	}
	usage, err := d.FS.GetDiskUsage(d.dir)
	switch {
	case errors.Is(err, vfs.ErrUnsupported):
		return nil
	case err != nil:
		return fmt.Errorf("ask for free space: %w", err)
	case usage.AvailBytes < uint64(d.reserve):
		return fmt.Errorf("%w: %d bytes are free, %d are kept in reserve", ErrFull, usage.AvailBytes, d.reserve)
	case usage.AvailBytes >= uint64(d.reserve)+ampleRoom:
		d.ample.Store(int64(now + ampleFor))
	}
	return nil
}

// stopWaiting lets writes that wait for room fail from now on.
func (d *disk) stopWaiting() { d.hurry.Do(func() { close(d.hasty) }) }

// seal parks whoever wants to change something from now on, and gives up the folder's lock.
func (d *disk) seal() error {
	d.sealed.Store(true)
	d.stopWaiting()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lock == nil {
		return nil
	}
	err := d.lock.Close()
	d.lock = nil
	return err
}

// park holds the goroutine for ever.
func park() { select {} }

// vital tells of files whose errors Pebble does not survive: write-ahead logs, the MANIFEST, and what names them. Those of a checkpoint
// lie elsewhere: when one fails, the checkpoint does, and the database goes on.
func (d *disk) vital(name string) bool {
	if !d.ours(name) {
		return false
	}
	base := filepath.Base(name)
	return strings.HasSuffix(base, ".log") || strings.HasPrefix(base, "MANIFEST") || strings.HasPrefix(base, "marker.")
}

// ours tells whether a file lies in the database's folder. Pebble makes no folders in it.
func (d *disk) ours(name string) bool { return filepath.Dir(name) == filepath.Clean(d.dir) }

// survive ends the database when something vital has failed, instead of telling Pebble.
func (d *disk) survive(name string, err error) error {
	if err != nil && d.vital(name) {
		_ = d.failure.set(err)
		park()
	}
	return err
}

// patiently does op until it no longer fails for want of room.
func (d *disk) patiently(name string, op func() error) error {
	if d.sealed.Load() {
		park()
	}
	err := op()
	if isFull(err) && (name == "" || d.ours(name)) {
		err = d.retry(op, err)
	}
	return d.survive(name, err)
}

func (d *disk) retry(op func() error, err error) error {
	d.stalled.Add(1)
	defer d.stalled.Add(-1)
	d.failure.log.Warn("the disk is full: waiting for room", "database", d.failure.name, "error", err)
	for isFull(err) {
		select {
		case <-d.hasty:
			return err
		case <-time.After(retryPause):
		}
		err = op()
	}
	return err
}

func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

func (d *disk) file(name string, open func() (vfs.File, error)) (f vfs.File, err error) {
	err = d.patiently(name, func() error { f, err = open(); return err })
	if err != nil {
		return nil, err
	}
	return &diskFile{File: f, disk: d, name: name}, nil
}

// Create implements vfs.FS.
func (d *disk) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return d.file(name, func() (vfs.File, error) { return d.FS.Create(name, c) })
}

// OpenReadWrite implements vfs.FS.
func (d *disk) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return d.file(name, func() (vfs.File, error) { return d.FS.OpenReadWrite(name, c, opts...) })
}

// ReuseForWrite implements vfs.FS.
func (d *disk) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return d.file(to, func() (vfs.File, error) { return d.FS.ReuseForWrite(from, to, c) })
}

// OpenDir implements vfs.FS. A folder that cannot be synced is as bad as a log that cannot.
func (d *disk) OpenDir(name string) (vfs.File, error) {
	f, err := d.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &diskFile{File: f, disk: d, name: filepath.Join(name, "marker.folder")}, nil
}

// Link implements vfs.FS.
func (d *disk) Link(from, to string) error {
	return d.patiently(to, func() error { return d.FS.Link(from, to) })
}

// Rename implements vfs.FS.
func (d *disk) Rename(from, to string) error {
	return d.patiently(to, func() error { return d.FS.Rename(from, to) })
}

// Remove implements vfs.FS.
func (d *disk) Remove(name string) error {
	return d.patiently("", func() error { return d.FS.Remove(name) })
}

// RemoveAll implements vfs.FS.
func (d *disk) RemoveAll(name string) error {
	return d.patiently("", func() error { return d.FS.RemoveAll(name) })
}

// MkdirAll implements vfs.FS.
func (d *disk) MkdirAll(dir string, perm os.FileMode) error {
	return d.patiently("", func() error { return d.FS.MkdirAll(dir, perm) })
}

// Lock implements vfs.FS. It keeps the lock, so that seal can give it up for a database that can no longer be closed.
func (d *disk) Lock(name string) (io.Closer, error) {
	c, err := d.FS.Lock(name)
	if err != nil {
		if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EACCES) || err.Error() == "lock held by current process" {
			return nil, fmt.Errorf("%w: %s (%w)", ErrLocked, name, err)
		}
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lock = c
	return unlocker{d}, nil
}

type unlocker struct{ d *disk }

// Close implements io.Closer.
func (u unlocker) Close() error {
	u.d.mu.Lock()
	defer u.d.mu.Unlock()
	if u.d.lock == nil {
		return nil
	}
	err := u.d.lock.Close()
	u.d.lock = nil
	return err
}

// Unwrap lets Pebble see the file system below.
func (d *disk) Unwrap() vfs.FS { return d.FS }

// diskFile holds writes while the disk is full. A failed sync is not tried again: the kernel may have dropped what was to be synced.
type diskFile struct {
	vfs.File
	disk *disk
	name string
}

// Write implements io.Writer. After a partial write only the rest is tried again.
func (f *diskFile) Write(p []byte) (n int, err error) {
	err = f.disk.patiently(f.name, func() error {
		m, err := f.File.Write(p[n:])
		n += m
		return err
	})
	return n, err
}

// WriteAt implements io.WriterAt.
func (f *diskFile) WriteAt(p []byte, off int64) (n int, err error) {
	err = f.disk.patiently(f.name, func() error {
		m, err := f.File.WriteAt(p[n:], off+int64(n))
		n += m
		return err
	})
	return n, err
}

// Preallocate implements vfs.File. Without room nothing is preallocated, which is allowed; the write that follows waits.
func (f *diskFile) Preallocate(off, n int64) error {
	err := f.File.Preallocate(off, n)
	if isFull(err) {
		return nil
	}
	return f.disk.survive(f.name, err)
}

// Sync implements vfs.File.
func (f *diskFile) Sync() error { return f.disk.survive(f.name, f.File.Sync()) }

// SyncData implements vfs.File.
func (f *diskFile) SyncData() error { return f.disk.survive(f.name, f.File.SyncData()) }

// SyncTo implements vfs.File.
func (f *diskFile) SyncTo(n int64) (full bool, err error) {
	full, err = f.File.SyncTo(n)
	return full, f.disk.survive(f.name, err)
}

// Close implements io.Closer.
func (f *diskFile) Close() error { return f.disk.survive(f.name, f.File.Close()) }
