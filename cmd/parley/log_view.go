package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"parley/domain"
	"parley/domain/fence"
	"parley/ingest/control"
	"parley/schemas/event"
)

// logReads is what looking at a log takes.
type logReads interface {
	Read(ctx context.Context, p domain.Partition, from domain.Offset, maxBytes int, wait time.Duration) ([]domain.LogRecord, error)
	Bounds(ctx context.Context, p domain.Partition) (start, end domain.Offset, err error)
}

// logView is a log as the commands for operators and analysts see it: a running server's own, or one that they have opened to read.
type logView struct {
	log        logReads
	partitions []domain.Partition
	anchor     func(domain.Partition) (control.Anchor, bool)
}

// readOnly keeps control from compacting a log that is only looked at.
type readOnly struct{ logReads }

var errReadOnly = errors.New("the log is open for reading only")

// Append implements control.Log.
func (readOnly) Append(context.Context, domain.Partition, domain.Batch) (domain.Offset, error) {
	return 0, errReadOnly
}

var errNoSlotMap = errors.New("the log is empty: no parley has ever served from it")

func viewOf(c *control.Control, log logReads) (*logView, error) {
	slots := c.SlotMap()
	if slots == nil {
		return nil, errNoSlotMap
	}
	return &logView{log: log, partitions: slots.Partitions(), anchor: c.Anchor}, nil
}

// only returns the partition that is asked for, all when none is (negative).
func (v *logView) only(p int) ([]domain.Partition, error) {
	if p < 0 {
		return v.partitions, nil
	}
	if p > int(domain.Control) || !slices.Contains(v.partitions, domain.Partition(p)) {
		return nil, badRequest(fmt.Errorf("there is no partition %d: chats are numbered from 0, rooms from %d", p, domain.FirstRooms))
	}
	return []domain.Partition{domain.Partition(p)}, nil
}

// start is where the reader rule can begin for whoever wants what comes from a mark on: an anchor that is not after it, else offset 0.
func (v *logView) start(p domain.Partition, from mark) fence.Reader {
	a, ok := v.anchor(p)
	if !ok || a.Offset > from.offset && !from.isTime || from.isTime && a.T >= from.t {
		return fence.Reader{}
	}
	return fence.Reader{Next: a.Offset, Term: a.Term, Index: a.Index, Prev: a.Prev}
}

// judged is a record with what the reader rule says of it.
type judged struct {
	partition domain.Partition
	record    domain.LogRecord
	verdict   fence.Verdict
	before    fence.Reader // the place before the record
	after     fence.Reader
	content   event.Record
}

// walkBytes bounds one read.
const walkBytes = 1 << 20

// errEnough ends a walk in order.
var errEnough = errors.New("enough")

// walk shows every record from a place of the reader rule up to an offset. With a wait it goes on beyond the offset, until ctx ends, and
// tells (idle) when it has seen all there is. What is shown is valid until the next one; the error of a log that halts readers is a
// *fence.HaltError, or an *event.DecodeError, in the chain.
func (v *logView) walk(
	ctx context.Context, p domain.Partition, from fence.Reader, to domain.Offset, wait time.Duration, show func(*judged) error, idle func() error,
) error {
	for at := from; at.Next < to || wait > 0; {
		atEnd := time.Duration(0)
		if at.Next >= to {
			atEnd = wait
		}
		records, err := v.log.Read(ctx, p, at.Next, walkBytes, atEnd)
		if err != nil {
			return err
		}
		if len(records) == 0 && wait == 0 {
			return nil // the engine keeps the last offsets for itself
		}
		if len(records) == 0 {
			to = min(to, at.Next)
			if err := idle(); err != nil {
				return err
			}
		}
		err = v.judge(p, &at, to, wait > 0, records, show)
		if errors.Is(err, errEnough) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (v *logView) judge(
	p domain.Partition, at *fence.Reader, to domain.Offset, beyond bool, records []domain.LogRecord, show func(*judged) error,
) error {
	for _, rec := range records {
		if rec.Offset < at.Next {
			continue // some logs answer with the whole batch around the wanted offset
		}
		if rec.Offset >= to && !beyond {
			return errEnough
		}
		j := judged{partition: p, record: rec, before: *at}
		var err error
		if j.verdict, err = at.Read(rec.Offset, rec.Value); err != nil {
			return fmt.Errorf("partition %d: %w", p, err)
		}
		j.after = *at
		if j.content, err = event.DecodeRecord(rec.Value); err != nil {
			return fmt.Errorf("partition %d, offset %d: %w", p, rec.Offset, err)
		}
		if err := show(&j); err != nil {
			return err
		}
	}
	return nil
}

// why says why a record has no effect.
func (j *judged) why() string {
	h := j.content.Header
	switch {
	case j.verdict == fence.Void && h.IsClaim():
		return fmt.Sprintf("claim of term %d by %s, when term %d was claimed already", h.Term, j.content.Claim.Node, j.before.Term)
	case j.verdict == fence.Void:
		return fmt.Sprintf("commit %d of term %d, whose owner was deposed by term %d", h.Index, h.Term, j.before.Term)
	case j.verdict == fence.Repeat:
		return fmt.Sprintf("commit %d of term %d was accepted before; the last one is %d", h.Index, h.Term, j.before.Index)
	default:
		return ""
	}
}

func isUndecodable(err error) bool {
	var d *event.DecodeError
	return errors.As(err, &d)
}
