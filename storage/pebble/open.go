package pebble

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
)

// database is an open Pebble with the disk under it and its end.
type database struct {
	*pebble.DB // nil when closed
	disk       *disk
	failure    *failure
	use        sync.RWMutex // held for reading by whoever uses the DB, for writing to close it
	crashed    atomic.Bool  // Pebble panicked: it can no longer be closed
}

// formatKey holds the name of the format of the database's keys and values, so that another one is refused.
var formatKey = []byte{0}

func openDatabase(dir, name, format string, o Options, merger *pebble.Merger) (*database, error) {
	d := newDisk(dir, o)
	f := newFailure(name, o.Logger)
	db := &database{disk: d, failure: f}
	cache := pebble.NewCache(o.CacheBytes)
	defer cache.Unref()
	crashed, err := f.guard(func() (err error) {
		if db.DB, err = pebble.Open(dir, pebbleOptions(o, d, f, cache, merger)); err != nil {
			return err
		}
		return db.checkFormat(format)
	})
	if err == nil {
		return db, nil
	}
	err = fmt.Errorf("open %s in %s: %w", name, dir, err)
	db.crashed.Store(crashed)
	if crashed || db.DB != nil {
		err = errors.Join(err, db.close())
	}
	return nil, err
}

func pebbleOptions(o Options, d *disk, f *failure, cache *pebble.Cache, m *pebble.Merger) *pebble.Options {
	opts := &pebble.Options{
		FS:                          d,
		Cache:                       cache,
		MemTableSize:                uint64(o.MemTableBytes),
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       2,
		L0StopWritesThreshold:       1000,
		MaxOpenFiles:                1000,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 2 },
		FormatMajorVersion:          pebble.FormatWALSyncChunks,
		BytesPerSync:                512 << 10,
		Logger:                      logger{f},
		EventListener:               f.listener(),
		Merger:                      m,
	}
	for i := range opts.Levels {
		opts.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	return opts
}

func (d *database) checkFormat(format string) error {
	v, closer, err := d.Get(formatKey)
	switch {
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
	d.use.RLock()
	if d.DB == nil {
		d.use.RUnlock()
		return nil, ErrClosed
	}
	return d.use.RUnlock, nil
}

// close waits for whoever holds the database and closes it, or gives it up when it can no longer be closed.
func (d *database) close() error {
	d.disk.stopWaiting()
	d.use.Lock()
	defer d.use.Unlock()
	if d.DB == nil {
		return nil
	}
	defer func() { d.DB = nil }()
	if !d.crashed.Load() {
		crashed, err := d.failure.guard(d.DB.Close)
		if !crashed {
			return err
		}
	}
	return errors.Join(d.failure.get(), d.disk.seal())
}
