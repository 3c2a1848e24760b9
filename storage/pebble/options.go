package pebble

import (
	"errors"
	"log/slog"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
)

// Errors of the log and the store. Whatever the error of a write, its outcome counts as unknown, except ErrFull of an append that waited
// for nothing: that one was not written.
var (
	ErrFull   = errors.New("the disk is full")
	ErrLocked = errors.New("the folder is in use by another process")
	ErrFailed = errors.New("the disk has failed, the database must be opened again")
	ErrClosed = errors.New("the database is closed")
)

// Options of a database. The zero value stands for the defaults.
type Options struct {
	Reserve       int64 // free bytes on the disk below which writes are refused; 0: 64 MiB, negative: no reserve
	CacheBytes    int64 // block cache; 0: 64 MiB for the store, 16 MiB for the log
	MemTableBytes int64 // 0: 16 MiB. At most four exist at once
	ReadOnly      bool  // change nothing in the folder, which must be there; writes fail
	Logger        *slog.Logger
	Metrics       prometheus.Registerer // nil: none
	FS            vfs.FS                // nil: the operating system's
}

func (o Options) withDefaults(cache int64) Options {
	if o.Reserve == 0 {
		o.Reserve = 64 << 20
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = cache
	}
	if o.MemTableBytes == 0 {
		o.MemTableBytes = 16 << 20
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.FS == nil {
		o.FS = vfs.Default
	}
	return o
}
