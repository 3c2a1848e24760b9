package pebble

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"parley/schemas/table"
)

const storeFormat = "parley rows 1"

// Store keeps rows of state and read models. A write is seen by every later read, and is answered before it is synced: after a crash the
// writes up to some point are there, whole and in their order, so a checkpoint is never there without the rows that were written before it
// or with it. Close syncs. After ErrFailed the process must not go on with what it believes to have written.
type Store struct {
	db *database
}

// OpenStore opens the store in dir, or makes a new one. The folder belongs to this process alone until Close (ErrLocked).
func OpenStore(dir string, o Options) (*Store, error) {
	db, err := openDatabase(dir, "store", storeFormat, o.withDefaults(64<<20), tuneStore)
	if err != nil {
		return nil, err
	}
	return &Store{db: db}, nil
}

func tuneStore(o *pebble.Options) { o.Merger = lastWriteWins }

// Failed is closed when the disk has failed: nothing can be written until the store is opened again.
func (s *Store) Failed() <-chan struct{} { return s.db.failure.done }

// Close waits for reads and writes, syncs, and closes the store.
func (s *Store) Close() error {
	if err := s.db.close(); err != nil {
		return fmt.Errorf("close store: %w", err)
	}
	return nil
}

// Write applies all writes at once: after a crash all of them are there or none. While the disk is full it returns ErrFull and has no effect.
// When ctx ends first the outcome is unknown; writing the same again is harmless.
func (s *Store) Write(ctx context.Context, writes []table.Write) error {
	if len(writes) == 0 {
		return nil
	}
	if err := s.write(ctx, func(b *pebble.Batch) error { return addWrites(b, writes) }); err != nil {
		return fmt.Errorf("write %d rows: %w", len(writes), err)
	}
	return nil
}

// Drop removes all rows of a table.
func (s *Store) Drop(ctx context.Context, t *table.Table) error {
	if err := s.write(ctx, func(b *pebble.Batch) error {
		if err := check(t); err != nil {
			return err
		}
		return b.DeleteRange([]byte{t.ID}, []byte{t.ID + 1}, nil)
	}); err != nil {
		return fmt.Errorf("drop table %s: %w", t.Name, err)
	}
	return nil
}

// write commits what fill puts into a batch.
func (s *Store) write(ctx context.Context, fill func(*pebble.Batch) error) error {
	if err := errors.Join(ctx.Err(), s.db.failure.get()); err != nil {
		return err
	}
	if err := s.db.disk.room(); err != nil {
		return err
	}
	release, err := s.db.hold()
	if err != nil {
		return err
	}
	b := s.db.NewBatch()
	if err := fill(b); err != nil {
		release()
		return errors.Join(err, b.Close())
	}
	return s.db.failure.run(ctx, func() error {
		defer release()
		if err := s.db.Apply(b, pebble.NoSync); err != nil {
			return err
		}
		return b.Close()
	})
}

func addWrites(b *pebble.Batch, writes []table.Write) error {
	var key, value []byte
	var scratch []cell
	for _, w := range writes {
		if err := checkWrite(w); err != nil {
			return err
		}
		if len(w.Cells) == 0 {
			continue // changes nothing, and makes no row
		}
		key = appendRowKey(key[:0], w.Table, w.Partition, w.Cluster)
		value, scratch = appendWrite(value[:0], w, scratch)
		if err := b.Merge(key, value, nil); err != nil {
			return err
		}
	}
	return nil
}

var (
	errBadTable = errors.New("a table's id is 1 to 254")
	errBadCell  = errors.New("a cell's column is not in its table")
	errBadQuery = errors.New("a query's limit is at least 1")
)

// check keeps tables away from the format key and from the end of the key space.
func check(t *table.Table) error {
	if t.ID == 0 || t.ID == 255 {
		return fmt.Errorf("table %s: %w", t.Name, errBadTable)
	}
	return nil
}

func checkWrite(w table.Write) error {
	if err := check(w.Table); err != nil {
		return err
	}
	for _, c := range w.Cells {
		if int(c.Column) >= len(w.Table.Cells) {
			return fmt.Errorf("table %s: column %d: %w", w.Table.Name, c.Column, errBadCell)
		}
	}
	return nil
}

// appendRowKey appends a row's key: table, partition key, cluster key. Partition keys of one table have the same fields, so none is the
// beginning of another, and a partition is the keys that begin with it.
func appendRowKey(b []byte, t *table.Table, partition, cluster table.Key) []byte {
	b = append(b, t.ID)
	b = append(b, partition...)
	return append(b, cluster...)
}
