package pebble

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
)

// database is an open Pebble with the disk under it and its end.
type database struct {
	*pebble.DB
	disk    *disk
	failure *failure
	use     sync.RWMutex // held for reading by whoever uses the DB, for writing to close it
	closed  atomic.Bool
}

// formatKey holds the name of the format of the database's keys and values, so that another one is refused.
var formatKey = []byte{0}

func openDatabase(dir, name, format string, o Options, tune func(*pebble.Options)) (*database, error) {
	f := newFailure(name, o.Logger)
	db := &database{disk: newDisk(dir, f, o), failure: f}
	err := f.run(context.Background(), func() (err error) {
		cache := pebble.NewCache(o.CacheBytes)
		defer cache.Unref()
		db.DB, err = pebble.Open(dir, pebbleOptions(o, db.disk, f, cache, tune))
		return err
	})
	if err != nil {
		f.close()
		return nil, fmt.Errorf("open %s in %s: %w", name, dir, errors.Join(err, db.disk.seal()))
	}
	if err := f.run(context.Background(), func() error { return db.checkFormat(format, o.ReadOnly) }); err != nil {
		return nil, fmt.Errorf("open %s in %s: %w", name, dir, errors.Join(err, db.close()))
	}
	return db, nil
}

func pebbleOptions(o Options, d *disk, f *failure, cache *pebble.Cache, tune func(*pebble.Options)) *pebble.Options {
	opts := &pebble.Options{
		FS:                          d,
		Cache:                       cache,
		MemTableSize:                uint64(o.MemTableBytes),
		MemTableStopWritesThreshold: 4,
		MaxOpenFiles:                1000,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 2 },
		FormatMajorVersion:          pebble.FormatWALSyncChunks,
		Logger:                      logger{f},
		EventListener:               f.listener(),
		ReadOnly:                    o.ReadOnly,
	}
	for i := range opts.Levels {
		opts.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	tune(opts)
	return opts
}

func (d *database) checkFormat(format string, readOnly bool) error {
	v, closer, err := d.Get(formatKey)
	switch {
	case errors.Is(err, pebble.ErrNotFound) && readOnly:
		return fmt.Errorf("the folder is empty, wanted is %q", format)
	case errors.Is(err, pebble.ErrNotFound):
		return d.Set(formatKey, []byte(format), pebble.Sync)
	case err != nil:
		return fmt.Errorf("read format: %w", err)
	}
	defer func() { _ = closer.Close() }()
	if !bytes.Equal(v, []byte(format)) {
		return fmt.Errorf("the folder holds %q, wanted is %q", v, format)
	}
	return nil
}

// hold keeps the database open until release.
func (d *database) hold() (release func(), err error) {
	if d.closed.Load() {
		return nil, ErrClosed
	}
	d.use.RLock()
	if d.closed.Load() {
		d.use.RUnlock()
		return nil, ErrClosed
	}
	return d.use.RUnlock, nil
}

// close waits for whoever holds the database and closes it. After a failure it is given up: what Pebble still does in the background can no
// longer change the folder, and its memory is lost to the process.
func (d *database) close() error {
	if d.closed.Swap(true) {
		return nil
	}
	defer d.failure.close()
	d.disk.stopWaiting()
	err := d.failure.get()
	if err == nil {
		err = d.failure.run(context.Background(), func() error {
			d.use.Lock()
			defer d.use.Unlock()
			return d.DB.Close()
		})
	}
	if d.failure.get() != nil {
		err = errors.Join(err, d.disk.seal())
	}
	return err
}
