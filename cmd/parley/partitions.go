package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"parley/domain"
	"parley/domain/fence"
	"parley/ingest/shard"
)

// A partition's shard, projections and reactors run on the node that the ring names. Its feed is on every node: filled by the shard where that is,
// from the log elsewhere.

// lookEvery is how often a node looks whether a partition has come or gone. That projections start a moment late, or run a moment too long on
// two nodes, changes nothing: their writes are idempotent.
const lookEvery = 50 * time.Millisecond

// until looks from time to time, and returns true when cond is true, false when ctx ends before.
func until(ctx context.Context, every time.Duration, cond func() bool) bool {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for ctx.Err() == nil {
		if cond() {
			return true
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	return false
}

// while runs f, and ends it when cond is no longer true. It returns f's error, unless f was ended.
func while(ctx context.Context, cond func() bool, f func(context.Context) error) error {
	ctx, end := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer end()
	wg.Go(func() {
		until(ctx, lookEvery, func() bool { return !cond() })
		end()
	})
	if err := f(ctx); ctx.Err() == nil {
		return err
	}
	return nil // it was ended
}

// whenHere runs f while the shard of a partition runs on this node, again and again until ctx ends or f fails.
func (n *node) whenHere(ctx context.Context, p domain.Partition, f func(context.Context) error) error {
	if n.cluster == nil {
		return f(ctx)
	}
	here := func() bool { here, _ := n.owners.Here(p); return here }
	for until(ctx, lookEvery, here) {
		if err := while(ctx, here, f); err != nil {
			return err
		}
	}
	return nil
}

// follow fills a partition's feed from the log while another node owns the partition.
func (n *node) follow(ctx context.Context, p domain.Partition, from fence.Reader) error {
	owned := func() bool { _, owns := n.owners.Here(p); return owns }
	elsewhere := func() bool { return !owned() }
	for until(ctx, lookEvery, elsewhere) {
		if err := while(ctx, elsewhere, func(ctx context.Context) error { return n.feeds[p].Follow(ctx, from) }); err != nil {
			return err
		}
	}
	return nil
}

// startPartitions starts what belongs to partitions, besides their shards and routers.
func (n *node) startPartitions(ctx context.Context, wg *sync.WaitGroup) {
	for p, f := range n.feeds {
		n.start(ctx, wg, fmt.Sprintf("projections of partition %d", p), as(roleProjections, func(ctx context.Context) error {
			return n.whenHere(ctx, p, func(ctx context.Context) error { return n.runner.Run(ctx, f) })
		}))
		n.start(ctx, wg, fmt.Sprintf("reactors of partition %d", p), as(roleReactors, func(ctx context.Context) error {
			return n.whenHere(ctx, p, func(ctx context.Context) error { return n.reactors.Run(ctx, f) })
		}))
		if n.cluster != nil {
			n.start(ctx, wg, fmt.Sprintf("feed of partition %d", p), as(roleFollow, func(ctx context.Context) error {
				return n.follow(ctx, p, n.places[p])
			}))
		}
	}
}

// loadPlaces reads where each partition's checkpoint stands: what routers and feeds of a node among others begin with.
func (n *node) loadPlaces(ctx context.Context) error {
	n.places = make(map[domain.Partition]fence.Reader, len(n.feeds))
	for p := range n.feeds {
		at, err := shard.SavedPlace(ctx, n.store, p)
		if err != nil {
			return fmt.Errorf("partition %d: %w", p, err)
		}
		n.places[p] = at
	}
	return nil
}
