package cassandra

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/gocql/gocql"

	"parley/schemas/cql"
	"parley/schemas/table"
)

const (
	getRows  = 100  // keys of one partition that are asked for at once
	pageRows = 1000 // rows that come at once
)

// Get returns one row per key, in the order of the keys.
func (s *Store) Get(ctx context.Context, t *table.Table, keys []table.RowKey) ([]table.Row, error) {
	asks := make(map[string][]int) // places in keys by partition
	for i, k := range keys {
		asks[string(k.Partition)] = append(asks[string(k.Partition)], i)
	}
	out := make([]table.Row, len(keys))
	for i, k := range keys {
		out[i].Cluster = k.Cluster
	}
	var mu sync.Mutex
	var errs []error
	var wg sync.WaitGroup
	some := make(chan struct{}, cap(s.places))
	for p, places := range asks {
		for len(places) > 0 {
			part := places[:min(len(places), getRows)]
			places = places[len(part):]
			some <- struct{}{}
			wg.Go(func() {
				if err := s.getSome(ctx, t, p, keys, part, out); err != nil {
					mu.Lock()
					errs = append(errs, err)
					mu.Unlock()
				}
				<-some
			})
		}
	}
	wg.Wait()
	if len(errs) > 0 {
		return nil, fmt.Errorf("get from %s: %w", t.Name, errors.Join(errs...))
	}
	return out, nil
}

// getSome fills the rows of some keys of one partition: out at these places, which are nobody else's.
func (s *Store) getSome(ctx context.Context, t *table.Table, partition string, keys []table.RowKey, places []int, out []table.Row) error {
	wanted := make([][]byte, len(places))
	for i, at := range places {
		wanted[i] = present(keys[at].Cluster)
	}
	rows, err := s.rows(ctx, t, len(places), cql.Get(s.o.Keyspace, t), []byte(partition), wanted)
	if err != nil {
		return err
	}
	found := make(map[string][]table.Value, len(rows))
	for _, r := range rows {
		found[string(r.Cluster)] = r.Cells
	}
	for _, at := range places {
		out[at].Cells = found[string(keys[at].Cluster)]
	}
	return nil
}

// Scan returns rows of one partition in order.
func (s *Store) Scan(ctx context.Context, q table.Query) ([]table.Row, error) {
	values := []any{[]byte(q.Partition)}
	if len(q.From) > 0 {
		values = append(values, []byte(q.From))
	}
	if len(q.To) > 0 {
		values = append(values, []byte(q.To))
	}
	values = append(values, q.Limit)
	text := cql.Scan(s.o.Keyspace, q.Table, len(q.From) > 0, len(q.To) > 0, q.Reverse)
	rows, err := s.rows(ctx, q.Table, q.Limit, text, values...)
	if err != nil {
		return nil, fmt.Errorf("scan %s: %w", q.Table.Name, err)
	}
	return rows, nil
}

// rows runs a statement and takes all its rows, page by page.
func (s *Store) rows(ctx context.Context, t *table.Table, limit int, text string, values ...any) (rows []table.Row, err error) {
	err = s.again(ctx, func(ctx context.Context) error {
		rows = rows[:0]
		iter := s.session.Query(text, values...).WithContext(ctx).Idempotent(true).PageSize(min(limit, pageRows)).Iter()
		for {
			row, ok := next(iter, t)
			if !ok {
				return iter.Close()
			}
			if row.Cells != nil {
				rows = append(rows, row)
			}
		}
	})
	return rows, err
}

// next takes one row. Its cells are nil when it has none.
func next(iter *gocql.Iter, t *table.Table) (row table.Row, ok bool) {
	n := len(t.Cells)
	var cluster []byte
	values, times := make([][]byte, n), make([]*int64, n)
	into := append(make([]any, 0, 1+2*n), &cluster)
	for i := range n {
		into = append(into, &values[i], &times[i])
	}
	if !iter.Scan(into...) {
		return table.Row{}, false
	}
	row.Cluster = cluster
	for i, at := range times {
		if at == nil {
			continue
		}
		if row.Cells == nil {
			row.Cells = make([]table.Value, n)
		}
		row.Cells[i] = table.Value{Value: present(values[i]), T: uint64(*at)}
	}
	return row, true
}
