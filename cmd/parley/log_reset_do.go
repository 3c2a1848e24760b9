package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"parley/delivery/gateway"
	"parley/domain"
	"parley/domain/fence"
	"parley/ingest/control"
	"parley/ingest/shard"
	"parley/projections"
	"parley/projections/reactor"
	"parley/schemas/event"
	"parley/schemas/table"
)

var errClock = errors.New("the clock stands before ids that were given out: set it right, or wait")

// reset lets the partitions go on. It can be broken off at any point and run again: control says that it was begun.
func (n *node) reset(ctx context.Context, c *control.Control, cuts []cut) error {
	now := time.Now()
	for i := range cuts {
		if domain.TAt(now) <= cuts[i].t {
			return fmt.Errorf("partition %d has seen %s: %w", cuts[i].partition, cuts[i].t.Time().UTC().Format(time.RFC3339Nano), errClock)
		}
	}
	for i := range cuts {
		t := &cuts[i]
		r := control.Reset{
			Partition: t.partition, At: now.UTC(), End: t.end, Index: t.at.Index, Beyond: t.beyond, Lost: t.lost(),
			Goes: max(t.end+1, t.beyond+resetMargin), Term: t.term + 1,
		}
		if err := c.PutReset(ctx, r); err != nil {
			return err
		}
		if err := n.resume(ctx, c, t, r); err != nil {
			return fmt.Errorf("partition %d: %w", t.partition, err)
		}
	}
	if err := n.forget(ctx); err != nil {
		return err
	}
	for _, r := range c.Resets() {
		if r.Done {
			continue
		}
		r.Done = true
		if err := c.PutReset(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// unfinishedReset keeps a node from starting between the halves of a reset: rows may be gone whose checkpoints are there.
func unfinishedReset(c *control.Control) error {
	for _, r := range c.Resets() {
		if !r.Done {
			return fmt.Errorf("a reset of partition %d was begun at %s and not finished: run parley log reset --yes again", r.Partition, r.At.Format(time.RFC3339))
		}
	}
	return nil
}

// resume writes the log on until it is above all that was lost, with a claim that ends every term before it, and records that are void. Then
// the anchor and the reactors' checkpoint are put there. What reactors did for commits that are lost stays done.
func (n *node) resume(ctx context.Context, c *control.Control, t *cut, r control.Reset) error {
	end, err := n.fill(ctx, t, r)
	if err != nil {
		return err
	}
	at := fence.Reader{Next: end, Term: r.Term, Index: t.at.Index, Prev: t.at.Prev}
	anchor := control.Anchor{Partition: t.partition, Offset: at.Next, Term: at.Term, Index: at.Index, Prev: at.Prev, T: t.logT}
	if err := c.PutAnchor(ctx, anchor); err != nil {
		return err
	}
	if !t.reactors {
		return nil
	}
	return reactor.SavePlace(ctx, n.store, t.partition, at)
}

// fillBatch is how many records are written at once.
const fillBatch = 2000

// fill appends the same claim until the log ends where it goes on: the first is in force, the others are void.
func (n *node) fill(ctx context.Context, t *cut, r control.Reset) (domain.Offset, error) {
	claim := event.AppendClaim(fence.AppendHeader(nil, fence.Header{Term: r.Term}), "parley log reset", uint64(r.At.UnixNano()))
	end := t.end
	for end < r.Goes {
		count := int(min(fillBatch, r.Goes-end))
		b := domain.Batch{Plain: true, Keys: make([][]byte, count), Values: make([][]byte, count)}
		for i := range count {
			b.Values[i] = claim
		}
		base, err := n.logs.Append(ctx, t.partition, b)
		if err != nil {
			return 0, err
		}
		if base != end {
			return 0, fmt.Errorf("a record is at offset %d, expected was %d: %w", base, end, errWritten)
		}
		end += domain.Offset(count)
	}
	return end, nil
}

// forget removes what is derived from the log, and how far devices have come: they may have come further than the log goes now. Which version of
// a read model is read stays, as do the reactors' checkpoints. Checkpoints go last.
func (n *node) forget(ctx context.Context) error {
	kept := map[string]bool{"projection_versions": true}
	for _, t := range reactor.Tables() {
		kept[t.Name] = true
	}
	last := map[string]bool{shard.Checkpoints.Name: true, "projections": true}
	var first, then []*table.Table
	for _, t := range append(append(shard.Tables(), projections.Tables()...), gateway.Cursors) {
		switch {
		case kept[t.Name]:
		case last[t.Name]:
			then = append(then, t)
		default:
			first = append(first, t)
		}
	}
	for _, t := range append(first, then...) {
		if err := n.store.Drop(ctx, t); err != nil {
			return err
		}
	}
	return n.store.Sync(ctx)
}
