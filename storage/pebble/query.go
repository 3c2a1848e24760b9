package pebble

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"parley/schemas/table"
)

// Get returns one row per key, in the order of the keys. A row that is not there has no cells (table.Row.Found).
func (s *Store) Get(ctx context.Context, t *table.Table, keys []table.RowKey) ([]table.Row, error) {
	rows, err := s.get(ctx, t, keys)
	if err != nil {
		return nil, fmt.Errorf("get %d rows of %s: %w", len(keys), t.Name, err)
	}
	return rows, nil
}

func (s *Store) get(ctx context.Context, t *table.Table, keys []table.RowKey) ([]table.Row, error) {
	if err := errors.Join(ctx.Err(), check(t)); err != nil {
		return nil, err
	}
	release, err := s.db.hold()
	if err != nil {
		return nil, err
	}
	defer release()
	rows := make([]table.Row, len(keys))
	var key []byte
	for i, k := range keys {
		key = appendRowKey(key[:0], t, k.Partition, k.Cluster)
		rows[i].Cluster = k.Cluster
		if rows[i].Cells, err = s.db.row(t, key); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// row returns the cells under key, nil when there is no such row.
func (d *database) row(t *table.Table, key []byte) (cells []table.Value, err error) {
	stored, closer, err := d.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closer.Close()) }()
	return decodeRow(t, stored)
}

// Scan returns the rows that q asks for, in order.
func (s *Store) Scan(ctx context.Context, q table.Query) ([]table.Row, error) {
	rows, err := s.scan(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("scan %s: %w", q.Table.Name, err)
	}
	return rows, nil
}

// checkEvery is the number of rows after which a scan looks whether somebody still waits for it.
const checkEvery = 1000

func (s *Store) scan(ctx context.Context, q table.Query) (rows []table.Row, err error) {
	if err := errors.Join(ctx.Err(), check(q.Table)); err != nil {
		return nil, err
	}
	if q.Limit < 1 {
		return nil, errBadQuery
	}
	prefix := appendRowKey(nil, q.Table, q.Partition, nil)
	bounds := &pebble.IterOptions{LowerBound: append(bytes.Clone(prefix), q.From...), UpperBound: table.Key(prefix).After()}
	if len(q.To) > 0 {
		bounds.UpperBound = append(bytes.Clone(prefix), q.To...)
	}
	if bytes.Compare(bounds.LowerBound, bounds.UpperBound) >= 0 {
		return nil, nil
	}
	release, err := s.db.hold()
	if err != nil {
		return nil, err
	}
	defer release()
	it, err := s.db.NewIterWithContext(ctx, bounds)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	first, next := it.First, it.Next
	if q.Reverse {
		first, next = it.Last, it.Prev
	}
	for ok := first(); ok && len(rows) < q.Limit; ok = next() {
		r, err := rowAt(it, q.Table, len(prefix))
		if err != nil {
			return nil, err
		}
		if rows = append(rows, r); len(rows)%checkEvery == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	return rows, it.Error()
}

func rowAt(it *pebble.Iterator, t *table.Table, prefix int) (r table.Row, err error) {
	stored, err := it.ValueAndErr()
	if err != nil {
		return r, err
	}
	r.Cluster = bytes.Clone(it.Key()[prefix:])
	r.Cells, err = decodeRow(t, stored)
	return r, err
}
