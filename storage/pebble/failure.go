package pebble

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// failure remembers the first error that ends a database.
type failure struct {
	log  *slog.Logger
	name string
	once sync.Once
	done chan struct{}
	err  error

	tasks   chan task     // taken by workers that have nothing to do
	closed  chan struct{} // ends the idle workers
	closing sync.Once
	idle    atomic.Int32
}

// task is work of Pebble, and where its error goes.
type task struct {
	work func() error
	done chan error // has room for one
}

// idleWorkers is how many workers wait for the next task at most; those beyond end. They are kept because the stack of a new goroutine has to
// grow on its way into Pebble.
const idleWorkers = 8

func newFailure(name string, log *slog.Logger) *failure {
	return &failure{log: log, name: name, done: make(chan struct{}), tasks: make(chan task), closed: make(chan struct{})}
}

// close lets the idle workers end. Work is still done afterwards.
func (f *failure) close() { f.closing.Do(func() { close(f.closed) }) }

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
	t := task{work, make(chan error, 1)}
	select {
	case f.tasks <- t:
	default:
		go f.worker(t)
	}
	select {
	case err := <-t.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-f.done:
		return f.err
	}
}

// worker does a task and then others, while there are not too many like it.
func (f *failure) worker(t task) {
	for {
		f.do(t)
		if f.idle.Add(1) > idleWorkers {
			f.idle.Add(-1)
			return
		}
		select {
		case t = <-f.tasks:
			f.idle.Add(-1)
		case <-f.closed:
			return
		}
	}
}

func (f *failure) do(t task) {
	defer func() {
		if r := recover(); r != nil {
			t.done <- f.set(fmt.Errorf("pebble gave up: %v", r))
		}
	}()
	t.done <- t.work()
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
