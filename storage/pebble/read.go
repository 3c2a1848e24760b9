package pebble

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"parley/domain"
)

// Read returns records of p from offset from on: at least one if there is one, else about as many as maxBytes hold. At the end it waits up to
// wait for the first one and then returns none. Below the start the error is a *domain.TruncatedError. The records belong to the caller.
func (l *Log) Read(
	ctx context.Context, p domain.Partition, from domain.Offset, maxBytes int, wait time.Duration,
) ([]domain.LogRecord, error) {
	records, err := l.read(ctx, p, from, maxBytes, wait)
	if err != nil {
		return nil, fmt.Errorf("read partition %d: %w", p, err)
	}
	return records, nil
}

func (l *Log) read(
	ctx context.Context, p domain.Partition, from domain.Offset, maxBytes int, wait time.Duration,
) ([]domain.LogRecord, error) {
	part, err := l.partition(p)
	if err != nil {
		return nil, err
	}
	patience := newPatience(wait)
	defer patience.stop()
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		start, end, moved := part.bounds()
		if from < start {
			return nil, &domain.TruncatedError{Partition: p, Wanted: from, Start: start}
		}
		if from < end {
			records, err := l.records(p, from, end, maxBytes)
			if !errors.Is(err, errMissing) {
				return records, err
			}
			if now, _, _ := part.bounds(); now == start {
				return nil, err
			}
			continue // the head was cut off under the reader
		}
		if more, err := l.await(ctx, moved, patience); err != nil || !more {
			return nil, err
		}
	}
}

// patience is a timer that is made when it is needed first.
type patience struct {
	wait  time.Duration
	timer *time.Timer
}

func newPatience(wait time.Duration) *patience { return &patience{wait: wait} }

func (p *patience) over() <-chan time.Time {
	if p.timer == nil {
		p.timer = time.NewTimer(p.wait)
	}
	return p.timer.C
}

func (p *patience) stop() {
	if p.timer != nil {
		p.timer.Stop()
	}
}

// await waits until the partition moves. more is false when the patience is over.
func (l *Log) await(ctx context.Context, moved <-chan struct{}, p *patience) (more bool, err error) {
	if p.wait <= 0 {
		return false, nil
	}
	select {
	case <-moved:
		return true, nil
	case <-p.over():
		return false, nil
	case <-ctx.Done():
		return false, ctx.Err()
	case <-l.closing:
		return false, ErrClosed
	}
}

// errMissing tells of a record that is not where it must be.
var errMissing = errors.New("the log has a hole")

// records reads from..end, which are known to be synced.
func (l *Log) records(p domain.Partition, from, end domain.Offset, maxBytes int) (out []domain.LogRecord, err error) {
	release, err := l.db.hold()
	if err != nil {
		return nil, err
	}
	defer release()
	it, err := l.db.NewIter(&pebble.IterOptions{LowerBound: recordKey(p, from), UpperBound: recordKey(p, end)})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	size := 0
	for ok := it.First(); ok; ok = it.Next() {
		r, n, err := recordAt(it, from+domain.Offset(len(out)))
		if err != nil {
			return nil, err
		}
		if size += n; size > maxBytes && len(out) > 0 {
			break
		}
		out = append(out, r)
	}
	if len(out) == 0 && it.Error() == nil {
		return nil, fmt.Errorf("%w at offset %d", errMissing, from)
	}
	return out, it.Error()
}

func recordAt(it *pebble.Iterator, want domain.Offset) (r domain.LogRecord, size int, err error) {
	if got := offsetOf(it.Key()); got != want {
		return r, 0, fmt.Errorf("%w at offset %d", errMissing, want)
	}
	v, err := it.ValueAndErr()
	if err != nil {
		return r, 0, err
	}
	r.Offset = want
	r.Key, r.Value, err = cutRecord(bytes.Clone(v))
	return r, len(v), err
}
