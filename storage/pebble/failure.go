package pebble

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// failure remembers the first error that ends a database.
type failure struct {
	log  *slog.Logger
	name string
	once sync.Once
	done chan struct{}
	err  error
}

func newFailure(name string, log *slog.Logger) *failure {
	return &failure{log: log, name: name, done: make(chan struct{})}
}

// set ends the database because of err and returns what its callers get.
func (f *failure) set(err error) error {
	f.once.Do(func() {
		f.err = fmt.Errorf("%w: %w", ErrFailed, err)
		f.log.Error("database failed", "database", f.name, "error", err)
		close(f.done)
	})
	return f.get()
}

// get returns the error that ended the database, or nil.
func (f *failure) get() error {
	select {
	case <-f.done:
		return f.err
	default:
		return nil
	}
}

// run does work of Pebble and returns its error. When ctx ends, the work goes on without the caller; when the database ends, the work may never
// end. Pebble's panics end the database.
func (f *failure) run(ctx context.Context, work func() error) error {
	done := make(chan error, 1)
	go func() {
		defer func() {
			if r := recover(); r != nil {
				done <- f.set(fmt.Errorf("pebble gave up: %v", r))
			}
		}()
		done <- work()
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-f.done:
		return f.err
	}
}

// logger passes Pebble's own words on. Pebble does not expect Fatalf to return: in our goroutines the panic is caught by run, in Pebble's
// it ends the process.
type logger struct{ *failure }

var _ pebble.Logger = logger{}

// Infof implements pebble.Logger. Pebble tells of every flush and compaction; nobody reads that.
func (l logger) Infof(string, ...any) {}

// Errorf implements pebble.Logger.
func (l logger) Errorf(format string, args ...any) {
	l.log.Error("pebble error", "database", l.name, "error", fmt.Sprintf(format, args...))
}

// Fatalf implements pebble.Logger.
func (l logger) Fatalf(format string, args ...any) {
	panic(l.set(fmt.Errorf(format, args...)))
}

// listener reports what happens in the background. Corruption is returned to whoever reads it and is not fatal in itself.
func (f *failure) listener() *pebble.EventListener {
	return &pebble.EventListener{
		BackgroundError: func(err error) {
			f.log.Error("pebble background error", "database", f.name, "error", err)
		},
		DataCorruption: func(i pebble.DataCorruptionInfo) {
			f.log.Error("pebble data corruption", "database", f.name, "path", i.Path, "error", i.Details)
		},
		WriteStallBegin: func(i pebble.WriteStallBeginInfo) {
			f.log.Warn("pebble stalls writes", "database", f.name, "reason", i.Reason)
		},
	}
}
