package cassandra

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/gocql/gocql"

	"parley/schemas/cql"
	"parley/schemas/table"
)

// A batch holds writes of one partition of one table.
const (
	batchRows  = 100
	batchBytes = 48 << 10 // Cassandra warns from 64 KiB on
)

var errTime = errors.New("write timestamp above 63 bits")

// Write writes all rows at once, and the last one when all others are acknowledged.
func (s *Store) Write(ctx context.Context, writes []table.Write) error {
	if len(writes) == 0 {
		return ctx.Err()
	}
	for i := range writes {
		if writes[i].T > math.MaxInt64 {
			return fmt.Errorf("write to %s: %w", writes[i].Table.Name, errTime)
		}
	}
	last := len(writes) - 1
	if err := s.writeAll(ctx, divide(writes[:last])); err != nil {
		return err
	}
	return s.writeAll(ctx, [][]*table.Write{{&writes[last]}})
}

// divide puts writes of the same partition together, as much as a batch may hold.
func divide(writes []table.Write) (batches [][]*table.Write) {
	type place struct {
		table     *table.Table
		partition string
	}
	type filling struct{ batch, bytes int }
	open := make(map[place]filling)
	for i := range writes {
		w := &writes[i]
		at, size := place{w.Table, string(w.Partition)}, sizeOf(w)
		f, ok := open[at]
		if !ok || len(batches[f.batch]) >= batchRows || f.bytes+size > batchBytes {
			f = filling{batch: len(batches)}
			batches = append(batches, nil)
		}
		batches[f.batch] = append(batches[f.batch], w)
		f.bytes += size
		open[at] = f
	}
	return batches
}

func sizeOf(w *table.Write) int {
	n := len(w.Partition) + len(w.Cluster) + 64
	for _, c := range w.Cells {
		n += len(c.Value) + 8
	}
	return n
}

func (s *Store) writeAll(ctx context.Context, batches [][]*table.Write) error {
	if len(batches) == 1 {
		return s.writeBatch(ctx, batches[0])
	}
	errs := make([]error, len(batches))
	var wg sync.WaitGroup
	some := make(chan struct{}, cap(s.places))
	for i, b := range batches {
		some <- struct{}{} // no more goroutines than statements
		wg.Go(func() {
			errs[i] = s.writeBatch(ctx, b)
			<-some
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (s *Store) writeBatch(ctx context.Context, writes []*table.Write) error {
	err := s.again(ctx, func(ctx context.Context) error {
		if len(writes) == 1 {
			text, values := s.insert(writes[0])
			return s.session.Query(text, values...).WithContext(ctx).Idempotent(true).Exec()
		}
		b := s.session.NewBatch(gocql.UnloggedBatch).WithContext(ctx)
		for _, w := range writes {
			text, values := s.insert(w)
			b.Entries = append(b.Entries, gocql.BatchEntry{Stmt: text, Args: values, Idempotent: true})
		}
		return s.session.ExecuteBatch(b)
	})
	if err != nil {
		return fmt.Errorf("write to %s: %w", writes[0].Table.Name, err)
	}
	s.metrics.rows.Add(float64(len(writes)))
	return nil
}

// insert returns the statement of a write and its values. Of cells that are there twice the greater is written, as with equal timestamps.
func (s *Store) insert(w *table.Write) (text string, values []any) {
	var mask uint32
	var cells [32][]byte
	for _, c := range w.Cells {
		if bit := uint32(1) << c.Column; mask&bit == 0 || string(c.Value) > string(cells[c.Column]) {
			mask |= bit
			cells[c.Column] = present(c.Value)
		}
	}
	values = append(make([]any, 0, len(w.Cells)+3), []byte(w.Partition), present(w.Cluster))
	for i := range w.Table.Cells {
		if mask&(1<<i) != 0 {
			values = append(values, cells[i])
		}
	}
	return cql.Insert(s.o.Keyspace, w.Table, mask), append(values, int64(w.T))
}

// present makes nothing an empty value: null would be a tombstone.
func present(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
