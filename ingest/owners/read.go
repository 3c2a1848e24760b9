package owners

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"parley/domain"
)

// Heads returns the acknowledged head rows of streams, nil for a stream that has none, in the order of ids. What is not in memory is asked
// of its owner, once each and all at the same time. The rows must not be changed.
func (o *Owners) Heads(ctx context.Context, ids []domain.StreamID) ([]domain.Row, error) {
	return o.heads(ctx, ids, o.askHeads)
}

// HeadsHere is Heads for another node, of what is here.
func (o *Owners) HeadsHere(ctx context.Context, ids []domain.StreamID) ([]domain.Row, error) {
	return o.heads(ctx, ids, o.headsHere)
}

func (o *Owners) heads(
	ctx context.Context, ids []domain.StreamID, of func(context.Context, domain.Partition, []domain.StreamID) ([]domain.Row, error),
) ([]domain.Row, error) {
	out := make([]domain.Row, len(ids))
	asks, err := o.divide(ids, out)
	if err != nil {
		return nil, err
	}
	errs := make([]error, len(asks))
	var wg sync.WaitGroup
	for i, a := range asks {
		wg.Go(func() {
			rows, err := of(ctx, a.partition, a.ids)
			if err != nil {
				errs[i] = fmt.Errorf("heads of partition %d: %w", a.partition, err)
				return
			}
			for i, row := range rows {
				out[a.at[i]] = row
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return out, nil
}

// Warm returns the acknowledged head row of a stream when it is at hand: ok tells. It never waits. The row must not be changed.
func (o *Owners) Warm(id domain.StreamID) (head domain.Row, ok bool) {
	t, err := o.tenure(id)
	if err != nil {
		return nil, false
	}
	s := t.at.Load()
	if s == nil {
		return nil, false
	}
	return s.Warm(id)
}

// ask is what the owner of one partition is asked.
type ask struct {
	partition domain.Partition
	ids       []domain.StreamID
	at        []int // where their rows go
}

// divide fills in the heads that are in memory and says what to ask for the others.
func (o *Owners) divide(ids []domain.StreamID, out []domain.Row) ([]*ask, error) {
	var asks []*ask
	var of map[domain.Partition]*ask
	for i, id := range ids {
		t, refused := o.tenure(id)
		if refused != nil {
			return nil, refused
		}
		if s := t.at.Load(); s != nil {
			if row, warm := s.Warm(id); warm {
				out[i] = row
				continue
			}
		}
		a := of[t.p]
		if a == nil {
			if of == nil {
				of = make(map[domain.Partition]*ask)
			}
			a = &ask{partition: t.p}
			of[t.p] = a
			asks = append(asks, a)
		}
		a.ids, a.at = append(a.ids, id), append(a.at, i)
	}
	return asks, nil
}

func (o *Owners) headsHere(ctx context.Context, p domain.Partition, ids []domain.StreamID) ([]domain.Row, error) {
	s := o.tenures[p].at.Load()
	if s == nil {
		return nil, errMoved
	}
	return s.Heads(ctx, ids)
}

// askHeads asks the owner, and asks again while the partition moves.
func (o *Owners) askHeads(ctx context.Context, p domain.Partition, ids []domain.StreamID) ([]domain.Row, error) {
	return o.found(ctx, p, func(ctx context.Context, node domain.NodeName) ([]domain.Row, error) {
		if node == "" {
			return o.headsHere(ctx, p, ids)
		}
		return o.peers.Heads(ctx, node, ids)
	})
}

// Rows returns acknowledged rows of one stream, nil for those that are not there.
func (o *Owners) Rows(ctx context.Context, stream domain.StreamID, parts []domain.PartID) ([]domain.Row, error) {
	t, refused := o.tenure(stream)
	if refused != nil {
		return nil, refused
	}
	return o.found(ctx, t.p, func(ctx context.Context, node domain.NodeName) ([]domain.Row, error) {
		if node == "" {
			return o.RowsHere(ctx, stream, parts)
		}
		return o.peers.Rows(ctx, node, stream, parts)
	})
}

// RowsHere is Rows for another node, of what is here.
func (o *Owners) RowsHere(ctx context.Context, stream domain.StreamID, parts []domain.PartID) ([]domain.Row, error) {
	t, refused := o.tenure(stream)
	if refused != nil {
		return nil, refused
	}
	s := t.at.Load()
	if s == nil {
		return nil, errMoved
	}
	return s.Rows(ctx, stream, parts)
}

// How long a read looks for an owner that moves, and between tries.
const (
	findLimit = 5 * time.Second
	findPause = 25 * time.Millisecond
)

// found calls read with the node that has a partition, "" for this one, again while it turns out to have moved.
func (o *Owners) found(
	ctx context.Context, p domain.Partition, read func(context.Context, domain.NodeName) ([]domain.Row, error),
) ([]domain.Row, error) {
	giveUp := time.Now().Add(findLimit)
	for {
		rows, err := read(ctx, o.whereIs(p))
		code := domain.CodeOf(err)
		if err == nil || o.peers == nil || code != domain.Unknown && code != domain.Stopping || time.Now().After(giveUp) {
			return rows, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(findPause):
		}
	}
}

// whereIs returns the node to ask about a partition, "" for this one.
func (o *Owners) whereIs(p domain.Partition) domain.NodeName {
	if o.peers == nil || o.tenures[p].at.Load() != nil {
		return ""
	}
	node, ok := o.ring.Owner(p)
	if !ok || node == o.name {
		return ""
	}
	return node
}
