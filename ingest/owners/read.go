package owners

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"parley/domain"
	"parley/ingest/shard"
)

// Heads returns the acknowledged head rows of streams, nil for a stream that has none, in the order of ids. What is not in memory is asked
// of its owner, once each and all at the same time. The rows must not be changed.
func (o *Owners) Heads(ctx context.Context, ids []domain.StreamID) ([]domain.Row, error) {
	out := make([]domain.Row, len(ids))
	asks, err := o.divide(ids, out)
	if err != nil {
		return nil, err
	}
	errs := make([]error, len(asks))
	var wg sync.WaitGroup
	for i, a := range asks {
		wg.Go(func() { errs[i] = a.run(ctx, out) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return out, nil
}

// Warm returns the acknowledged head row of a stream when it is at hand: ok tells. It never waits. The row must not be changed.
func (o *Owners) Warm(id domain.StreamID) (head domain.Row, ok bool) {
	s, err := o.shard(id)
	if err != nil {
		return nil, false
	}
	return s.Warm(id)
}

// ask is what one owner is asked.
type ask struct {
	shard *shard.Shard
	ids   []domain.StreamID
	at    []int // where their rows go
}

func (a *ask) run(ctx context.Context, out []domain.Row) error {
	rows, err := a.shard.Heads(ctx, a.ids)
	if err != nil {
		return fmt.Errorf("heads of partition %d: %w", a.shard.Partition(), err)
	}
	for i, row := range rows {
		out[a.at[i]] = row
	}
	return nil
}

// divide fills in the heads that are in memory and says whom to ask for the others.
func (o *Owners) divide(ids []domain.StreamID, out []domain.Row) ([]*ask, error) {
	var asks []*ask
	var of map[*shard.Shard]*ask
	for i, id := range ids {
		s, err := o.shard(id)
		if err != nil {
			return nil, err
		}
		row, warm := s.Warm(id)
		if warm {
			out[i] = row
			continue
		}
		a := of[s]
		if a == nil {
			if of == nil {
				of = make(map[*shard.Shard]*ask)
			}
			a = &ask{shard: s}
			of[s] = a
			asks = append(asks, a)
		}
		a.ids, a.at = append(a.ids, id), append(a.at, i)
	}
	return asks, nil
}

// Rows returns acknowledged rows of one stream, nil for those that are not there.
func (o *Owners) Rows(ctx context.Context, stream domain.StreamID, parts []domain.PartID) ([]domain.Row, error) {
	s, err := o.shard(stream)
	if err != nil {
		return nil, err
	}
	return s.Rows(ctx, stream, parts)
}
