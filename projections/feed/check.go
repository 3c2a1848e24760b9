package feed

import (
	"context"
	"fmt"

	"parley/domain"
	"parley/domain/fence"
	"parley/schemas/event"
)

// Check halts the partition when the log ends below, or starts above, a place that was saved: it has been truncated since. A log that does
// not answer is asked again.
func (f *Feed) Check(ctx context.Context, saved fence.Reader) error {
	pause := firstPause
	for {
		start, end, err := f.log.Bounds(ctx, f.partition)
		switch {
		case err == nil && (saved.Next > end || saved.Next < start):
			err := fmt.Errorf("partition %d: the saved place is offset %d, the log has %d to %d", f.partition, saved.Next, start, end)
			f.Halt(err)
			return fmt.Errorf("%w: %w", ErrHalted, err)
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		}
		f.metrics.failures.Inc()
		if err := waitFor(ctx, nil, pause); err != nil {
			return err
		}
		pause = min(2*pause, lastPause)
	}
}

// HeadIndex returns the index of the last commit in the ring, 0 when it has none.
func (f *Feed) HeadIndex() domain.Index {
	head, _ := f.Head()
	return head.Index
}

// Commit reads again one commit that was accepted before, by its offset, term and index.
func (f *Feed) Commit(ctx context.Context, at domain.Position) (*domain.Commit, error) {
	records, err := f.log.Read(ctx, f.partition, at.Offset, 1, 0)
	if err != nil {
		return nil, fmt.Errorf("read partition %d at %d: %w", f.partition, at.Offset, err)
	}
	for _, rec := range records {
		if rec.Offset != at.Offset {
			continue
		}
		dec, err := event.DecodeRecord(rec.Value)
		if err != nil {
			return nil, fmt.Errorf("partition %d, offset %d: %w", f.partition, rec.Offset, err)
		}
		if dec.Commit == nil || dec.Header.Term != at.Term || dec.Header.Index != at.Index {
			return nil, fmt.Errorf("partition %d, offset %d: not the commit with index %d", f.partition, at.Offset, at.Index)
		}
		return dec.Commit, nil
	}
	return nil, fmt.Errorf("partition %d has no record at %d", f.partition, at.Offset)
}
