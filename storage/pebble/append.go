package pebble

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"parley/domain"
)

// request is an append that waits for its group.
type request struct {
	partition domain.Partition
	batch     domain.Batch
	answer    chan answer // has room for one

	mu   sync.Mutex // held while the batch is copied: afterwards it belongs to the caller again
	gone bool       // the caller does not wait any more, and the batch was not copied before
}

// leave tells that the caller no longer waits. The batch is not touched any more when it returns.
func (r *request) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gone = true
}

type answer struct {
	base domain.Offset
	err  error
}

// group is what is committed at once: whole requests, in the order in which they came.
type group struct {
	batch    *pebble.Batch
	requests []*request
	bases    []domain.Offset // one per request
	ends     map[*partition]domain.Offset
	err      error // why it was not committed, if it was not
}

// groupBytes ends a group: enough to make the cost of a sync small.
const groupBytes = 1 << 20

// Append writes b at the end of p, whole or not at all, and returns the offset of its first record when it is synced. After an error,
// ctx's included, the batch may be there or may still come, and comes at most once.
func (l *Log) Append(ctx context.Context, p domain.Partition, b domain.Batch) (domain.Offset, error) {
	base, err := l.append(ctx, p, b)
	if err != nil {
		l.metrics.refused(err)
		return 0, fmt.Errorf("append to partition %d: %w", p, err)
	}
	return base, nil
}

var errBadBatch = errors.New("a batch has one key per value and at least one of them")

func (l *Log) append(ctx context.Context, p domain.Partition, b domain.Batch) (domain.Offset, error) {
	if len(b.Values) == 0 || len(b.Keys) != len(b.Values) {
		return 0, errBadBatch
	}
	if err := l.ready(ctx); err != nil {
		return 0, err
	}
	r := &request{partition: p, batch: b, answer: make(chan answer, 1)}
	select {
	case l.requests <- r:
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-l.closing:
		return 0, ErrClosed
	}
	select {
	case a := <-r.answer:
		return a.base, a.err
	case <-ctx.Done():
		r.leave()
		return 0, ctx.Err()
	case <-l.closing:
		return l.lastAnswer(r)
	}
}

// lastAnswer takes the answer that may have come while the log was closed.
func (l *Log) lastAnswer(r *request) (domain.Offset, error) {
	l.idle.Wait()
	select {
	case a := <-r.answer:
		return a.base, a.err
	default:
		return 0, ErrClosed
	}
}

// ready refuses an append before it can have any effect.
func (l *Log) ready(ctx context.Context) error {
	select {
	case <-l.closing:
		return ErrClosed
	default:
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := l.db.failure.get(); err != nil {
		return err
	}
	return l.db.disk.room()
}

// A sync costs as much CPU as twenty appends, so appends share one: each append that shared the last lets the next group gather for groupStep
// longer, up to groupMost. A few senders wait for little more than the disk; many wait, on average, for half of groupMost more.
const (
	groupStep = 200 * time.Microsecond
	groupMost = 2 * time.Millisecond
)

// commitGroups forms groups of what waits and commits them, until the log is closed.
func (l *Log) commitGroups() {
	defer l.idle.Done()
	defer close(l.groups)
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		<-pause.C
		select {
		case r := <-l.requests:
			g := l.commit(l.gather(r))
			pause.Reset(g.pause())
			l.groups <- g
		case <-l.closing:
			return
		}
	}
}

// pause is how long the next group waits for more to come: not at all after a lone append, whose sender may be the only one.
func (g *group) pause() time.Duration {
	return min(time.Duration(max(0, len(g.requests)-1))*groupStep, groupMost)
}

// gather takes what waits behind r, up to a group's size.
func (l *Log) gather(r *request) []*request {
	requests, size := []*request{r}, r.size()
	for size < groupBytes {
		select {
		case r := <-l.requests:
			requests, size = append(requests, r), size+r.size()
		default:
			return requests
		}
	}
	return requests
}

func (r *request) size() (n int) {
	for i, v := range r.batch.Values {
		n += recordKeySize + len(r.batch.Keys[i]) + len(v)
	}
	return n
}

// commit writes the requests as one batch, and leaves out those whose callers have gone.
func (l *Log) commit(requests []*request) *group {
	g := &group{ends: make(map[*partition]domain.Offset), batch: l.db.NewBatch()}
	for _, r := range requests {
		if err := l.add(g, r); err != nil {
			r.answer <- answer{err: err}
		}
	}
	if g.err = l.db.failure.get(); g.err == nil && !g.batch.Empty() {
		g.err = l.db.apply(g.batch)
	}
	return g
}

// add puts r into the group at the end of its partition.
func (l *Log) add(g *group, r *request) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone {
		return context.Canceled
	}
	part, err := l.partition(r.partition)
	if err != nil {
		return err
	}
	base := part.next
	for i, v := range r.batch.Values {
		op := g.batch.SetDeferred(recordKeySize, recordSize(r.batch.Keys[i], v))
		appendRecordKey(op.Key[:0], r.partition, base+domain.Offset(i))
		putRecord(op.Value, r.batch.Keys[i], v)
		if err := op.Finish(); err != nil {
			return l.db.failure.set(err) // part of it is in the group
		}
	}
	part.next += domain.Offset(len(r.batch.Values))
	g.requests, g.bases = append(g.requests, r), append(g.bases, base)
	g.ends[part] = part.next
	return nil
}

// answerGroups waits for the groups' syncs in order, lets readers see them, and answers.
func (l *Log) answerGroups() {
	defer l.idle.Done()
	for g := range l.groups {
		l.finish(g)
	}
}

func (l *Log) finish(g *group) {
	if g.err == nil && !g.batch.Empty() {
		g.err = l.db.sync(g.batch)
	}
	if g.err != nil {
		for _, r := range g.requests {
			r.answer <- answer{err: g.err}
		}
		return
	}
	for part, end := range g.ends {
		part.raiseEnd(end)
	}
	for i, r := range g.requests {
		r.answer <- answer{base: g.bases[i]}
	}
	l.metrics.committed(g)
}
