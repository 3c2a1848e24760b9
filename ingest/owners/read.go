package owners

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"parley/domain"
	"parley/ingest/shard"
)

// Heads returns the acknowledged head rows of streams, nil for a stream that has none, in the order of ids. What is not in memory is asked
// of its owners, each node once and all at the same time. The rows must not be changed.
func (o *Owners) Heads(ctx context.Context, ids []domain.StreamID) ([]domain.Row, error) {
	out := make([]domain.Row, len(ids))
	asks, err := o.divide(ids, out, o.whereIs)
	if err != nil {
		return nil, err
	}
	return out, o.askAll(ctx, asks, out, o.askHeads)
}

// HeadsHere is Heads for another node, of what is here.
func (o *Owners) HeadsHere(ctx context.Context, ids []domain.StreamID) ([]domain.Row, error) {
	out := make([]domain.Row, len(ids))
	asks, err := o.divide(ids, out, func(domain.Partition) domain.NodeName { return "" })
	if err != nil {
		return nil, err
	}
	return out, o.askAll(ctx, asks, out, o.headsHere)
}

// askAll asks all at the same time, and fills their answers in.
func (o *Owners) askAll(ctx context.Context, asks []*ask, out []domain.Row, rowsOf func(context.Context, *ask) ([]domain.Row, error)) error {
	errs := make([]error, len(asks))
	var wg sync.WaitGroup
	for i, a := range asks {
		wg.Go(func() {
			rows, err := rowsOf(ctx, a)
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
	return errors.Join(errs...)
}

// Warm returns the acknowledged head row of a stream when it is at hand: ok tells. It never waits. The row must not be changed.
func (o *Owners) Warm(id domain.StreamID) (head domain.Row, ok bool) {
	t, err := o.tenure(id)
	if err != nil {
		return nil, false
	}
	s := o.current(t)
	if s == nil {
		return nil, false
	}
	return s.Warm(id)
}

// current returns the shard to read a partition from, nil when it is not here. While the ring names another node, what is here may have been
// deposed without knowing it yet, and what it knows may be old: the other one holds reads until it owns.
func (o *Owners) current(t *tenure) *shard.Shard {
	if o.peers != nil {
		if node, ok := o.ring.Owner(t.p); ok && node != o.name {
			return nil
		}
	}
	return t.at.Load()
}

// ask is what one shard here, or one other node, is asked.
type ask struct {
	node      domain.NodeName  // "": this one
	partition domain.Partition // of the first stream; of all when it is asked here
	ids       []domain.StreamID
	at        []int // where their rows go
}

// asked names an ask: the partition matters here only.
type asked struct {
	node      domain.NodeName
	partition domain.Partition
}

// divide fills in the heads that are in memory and says what to ask for the others.
func (o *Owners) divide(ids []domain.StreamID, out []domain.Row, where func(domain.Partition) domain.NodeName) ([]*ask, error) {
	var asks []*ask
	var of map[asked]*ask
	for i, id := range ids {
		t, refused := o.tenure(id)
		if refused != nil {
			return nil, refused
		}
		if s := o.current(t); s != nil {
			if row, warm := s.Warm(id); warm {
				out[i] = row
				continue
			}
		}
		key := asked{node: where(t.p)}
		if key.node == "" {
			key.partition = t.p
		}
		a := of[key]
		if a == nil {
			if of == nil {
				of = make(map[asked]*ask)
			}
			a = &ask{node: key.node, partition: t.p}
			of[key] = a
			asks = append(asks, a)
		}
		a.ids, a.at = append(a.ids, id), append(a.at, i)
	}
	return asks, nil
}

func (o *Owners) headsHere(ctx context.Context, a *ask) ([]domain.Row, error) {
	s := o.current(o.tenures[a.partition])
	if s == nil {
		return nil, errMoved
	}
	return s.Heads(ctx, a.ids)
}

// askHeads asks a shard here, or another node. What has moved is divided anew and asked again.
func (o *Owners) askHeads(ctx context.Context, a *ask) ([]domain.Row, error) {
	return o.found(ctx, func(ctx context.Context) ([]domain.Row, error) {
		out := make([]domain.Row, len(a.ids))
		asks, err := o.divide(a.ids, out, o.whereIs)
		if err != nil {
			return nil, err
		}
		return out, o.askAll(ctx, asks, out, func(ctx context.Context, a *ask) ([]domain.Row, error) {
			if a.node == "" {
				return o.headsHere(ctx, a)
			}
			return o.peers.Heads(ctx, a.node, a.ids)
		})
	})
}

// Rows returns acknowledged rows of one stream, nil for those that are not there.
func (o *Owners) Rows(ctx context.Context, stream domain.StreamID, parts []domain.PartID) ([]domain.Row, error) {
	t, refused := o.tenure(stream)
	if refused != nil {
		return nil, refused
	}
	return o.found(ctx, func(ctx context.Context) ([]domain.Row, error) {
		if node := o.whereIs(t.p); node != "" {
			return o.peers.Rows(ctx, node, stream, parts)
		}
		return o.RowsHere(ctx, stream, parts)
	})
}

// RowsHere is Rows for another node, of what is here.
func (o *Owners) RowsHere(ctx context.Context, stream domain.StreamID, parts []domain.PartID) ([]domain.Row, error) {
	t, refused := o.tenure(stream)
	if refused != nil {
		return nil, refused
	}
	s := o.current(t)
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

// found calls read, again while what it looks for turns out to have moved.
func (o *Owners) found(ctx context.Context, read func(context.Context) ([]domain.Row, error)) ([]domain.Row, error) {
	giveUp := time.Now().Add(findLimit)
	for {
		rows, err := read(ctx)
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
	if o.peers == nil {
		return ""
	}
	node, ok := o.ring.Owner(p)
	if !ok || node == o.name {
		return ""
	}
	return node
}
