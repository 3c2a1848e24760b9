package feed

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"parley/domain"
	"parley/domain/fence"
	"parley/schemas/event"
)

// Pauses before a read of the log that failed is tried again.
const (
	firstPause = 50 * time.Millisecond
	lastPause  = 2 * time.Second
	// followWait is how long a read at the log's end waits for more.
	followWait = time.Second
)

// Reader is one consumer's place in the partition. It is for one goroutine.
type Reader struct {
	feed    *Feed
	at      fence.Reader
	batch   []domain.Accepted // the memory of what Next returns
	pending []domain.Accepted // read from the log, not yet returned
	inRing  bool
}

// Reader returns a reader that goes on from a place of the reader rule: the zero value is the log's start.
func (f *Feed) Reader(from fence.Reader) *Reader { return &Reader{feed: f, at: from} }

// Next returns the next 1 to limit accepted commits, waiting for the first. The slice is valid until the next call; the commits are shared
// and must not be changed. An error is final: ctx's, or the partition halted.
func (r *Reader) Next(ctx context.Context, limit int) ([]domain.Accepted, error) {
	for {
		if len(r.pending) > 0 {
			n := min(limit, len(r.pending))
			out := r.pending[:n]
			r.pending = r.pending[n:]
			return out, nil
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		changed, err := r.fromRing(limit)
		if err != nil || len(r.batch) > 0 {
			return r.batch, err
		}
		if changed == nil {
			continue
		}
		if err := r.fromLog(ctx, changed); err != nil {
			return nil, err
		}
	}
}

// fromRing fills batch. When the ring cannot serve the reader's position it returns the channel that tells of a change.
func (r *Reader) fromRing(limit int) (<-chan struct{}, error) {
	f := r.feed
	r.batch = r.batch[:0]
	f.mu.RLock()
	r.take(limit)
	halted := f.halted
	f.mu.RUnlock()
	if halted != nil || len(r.batch) > 0 {
		return nil, halted
	}

	f.mu.Lock()
	defer f.mu.Unlock()
	if f.halted != nil || f.ring.has(r.at.Index+1) {
		return nil, f.halted
	}
	f.waiting = true
	return f.changed, nil
}

// take copies what the ring has from the reader's position on. The caller holds the feed's lock.
func (r *Reader) take(limit int) {
	ring := &r.feed.ring
	for len(r.batch) < limit && ring.has(r.at.Index+1) {
		a := ring.at(r.at.Index + 1).Accepted
		r.at = fence.Reader{Next: a.Offset + 1, Term: a.Term, Index: a.Index, Prev: a.Prev}
		r.inRing = true
		if a.Commit != nil {
			r.batch = append(r.batch, a)
		}
	}
}

// fromLog reads on in the log; at its end it waits for the ring to change. Whoever stands at the ring's head does not read.
func (r *Reader) fromLog(ctx context.Context, changed <-chan struct{}) error {
	if head, ok := r.feed.Head(); ok && r.at.Index >= head.Index {
		return waitFor(ctx, changed, 0)
	}
	if r.inRing {
		r.inRing = false
		r.feed.metrics.behind.Inc()
	}
	read, accepted, err := r.feed.fetch(ctx, &r.at, 0)
	if err != nil {
		return err
	}
	r.pending = slices.DeleteFunc(accepted, func(a domain.Accepted) bool { return a.Commit == nil })
	if read > 0 {
		return nil
	}
	if head, ok := r.feed.Head(); ok && head.Index > r.at.Index {
		// The ring has commits that the log does not show yet: look again shortly.
		return waitFor(ctx, nil, firstPause)
	}
	return waitFor(ctx, changed, 0)
}

// Follow fills the feed from the log while the partition's shard is elsewhere. from is where to start when the ring is empty: the lowest
// place of the consumers, or an anchor. It returns ctx's error, or why the partition halted.
func (f *Feed) Follow(ctx context.Context, from fence.Reader) error {
	at := from
	for {
		if head, ok := f.Head(); ok && head.Index > at.Index {
			at = fence.Reader{Next: head.Offset + 1, Term: head.Term, Index: head.Index, Prev: head.Prev}
		}
		_, accepted, err := f.fetch(ctx, &at, followWait)
		if err != nil {
			if ctx.Err() == nil {
				f.Halt(err)
			}
			return err
		}
		f.Publish(accepted)
	}
}

// fetch reads and judges what comes after at, moving it on. A read that fails is tried again until it succeeds, the log turns out to be
// truncated, or ctx ends. read counts the records, accepted or not.
func (f *Feed) fetch(ctx context.Context, at *fence.Reader, wait time.Duration) (read int, accepted []domain.Accepted, err error) {
	pause := firstPause
	for {
		records, err := f.log.Read(ctx, f.partition, at.Next, f.settings.Fetch, wait)
		switch {
		case err == nil:
			accepted, err := f.judge(at, records)
			return len(records), accepted, err
		case ctx.Err() != nil:
			return 0, nil, ctx.Err()
		case errors.Is(err, domain.ErrTruncated):
			return 0, nil, fmt.Errorf("read partition %d from %d: %w", f.partition, at.Next, err)
		}
		f.metrics.failures.Inc()
		if err := waitFor(ctx, nil, pause); err != nil {
			return 0, nil, err
		}
		pause = min(2*pause, lastPause)
	}
}

// judge applies the reader rule and decodes what it accepts. Markers of slots have an index and no commit.
func (f *Feed) judge(at *fence.Reader, records []domain.LogRecord) ([]domain.Accepted, error) {
	var out []domain.Accepted
	for _, rec := range records {
		if rec.Offset < at.Next {
			continue // some logs answer with the whole batch around the wanted offset
		}
		v, err := at.Read(rec.Offset, rec.Value)
		if err != nil {
			return nil, fmt.Errorf("partition %d: %w", f.partition, err)
		}
		f.metrics.fetched.WithLabelValues(v.String()).Inc()
		if v != fence.Accepted {
			continue
		}
		dec, err := event.DecodeRecord(rec.Value)
		if err != nil {
			return nil, fmt.Errorf("partition %d, offset %d: %w", f.partition, rec.Offset, err)
		}
		out = append(out, domain.Accepted{
			Position: domain.Position{Partition: f.partition, Offset: rec.Offset, Term: at.Term, Index: at.Index, Prev: at.Prev},
			Commit:   dec.Commit,
		})
	}
	return out, nil
}

// waitFor waits until changed is closed, or d has passed when it is not 0.
func waitFor(ctx context.Context, changed <-chan struct{}, d time.Duration) error {
	var after <-chan time.Time
	if d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		after = timer.C
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-changed:
		return nil
	case <-after:
		return nil
	}
}
