package shard

import (
	"context"
	"sync/atomic"
	"time"

	"parley/domain"
)

// read is a request for rows of which some are not in memory. The loop fills it; done is closed when it is whole or has failed.
type read struct {
	names []rowName
	out   []domain.Row
	left  int
	err   error
	done  chan struct{}
	gone  atomic.Bool // nobody waits any more
}

func (r *read) fill(at int, v *version) {
	if r.err != nil {
		return
	}
	r.out[at] = v.row
	if r.left--; r.left == 0 {
		close(r.done)
	}
}

func (r *read) fail(err error) {
	if r.err == nil && r.left > 0 {
		r.err = err
		close(r.done)
	}
}

// Heads returns the acknowledged head rows of streams of this partition, nil for a stream that has none. Warm rows cost a map look-up each
// and do not trouble the loop; cold ones are loaded together. The rows must not be changed.
func (s *Shard) Heads(ctx context.Context, ids []domain.StreamID) ([]domain.Row, error) {
	names := make([]rowName, len(ids))
	for i, id := range ids {
		names[i] = rowName{id, domain.PartHead}
	}
	return s.read(ctx, names)
}

// Rows returns acknowledged rows of one stream, nil for those that are not there.
func (s *Shard) Rows(ctx context.Context, stream domain.StreamID, parts []domain.PartID) ([]domain.Row, error) {
	names := make([]rowName, len(parts))
	for i, id := range parts {
		names[i] = rowName{stream, id}
	}
	return s.read(ctx, names)
}

// Warm returns the acknowledged head row of a stream when it is in memory: ok tells. It never waits.
func (s *Shard) Warm(id domain.StreamID) (head domain.Row, ok bool) {
	if !s.serving.Load() {
		return nil, false
	}
	v := s.cache.acked(rowName{id, domain.PartHead})
	if v == nil {
		return nil, false
	}
	return v.row, true
}

func (s *Shard) read(ctx context.Context, names []rowName) ([]domain.Row, error) {
	out := make([]domain.Row, len(names))
	var cold []int
	owned := s.serving.Load()
	for i, n := range names {
		if v := s.cache.acked(n); v != nil && owned {
			out[i] = v.row
		} else {
			cold = append(cold, i)
		}
	}
	if len(cold) == 0 {
		return out, nil
	}
	r := &read{names: make([]rowName, len(cold)), out: make([]domain.Row, len(cold)), left: len(cold), done: make(chan struct{})}
	for i, at := range cold {
		r.names[i] = names[at]
	}
	if err := s.await(ctx, r); err != nil {
		return nil, err
	}
	for i, at := range cold {
		out[at] = r.out[i]
	}
	return out, nil
}

// await lets the loop answer the read, within the context and the shard's default deadline.
func (s *Shard) await(ctx context.Context, r *read) error {
	if err := s.mail.putRead(r); err != nil {
		return err
	}
	timer := time.NewTimer(s.set.Deadline)
	defer timer.Stop()
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		r.gone.Store(true)
		return ctx.Err()
	case <-timer.C:
		r.gone.Store(true)
		return errExpired
	}
}

// maxLoads bounds the rows that readers can make wait for the store, in loads of Settings.LoadRows.
const maxLoads = 64

// answerRead fills in what is loaded and asks for the rest.
func (s *Shard) answerRead(r *read) {
	if r.gone.Load() {
		return
	}
	if len(s.loads)+len(r.names) > maxLoads*s.set.LoadRows {
		r.fail(errReadsFull)
		return
	}
	for i, n := range r.names {
		st, err := s.streamOf(n.stream)
		if err != nil {
			r.fail(err)
			return
		}
		if row := st.row(n.part); row != nil {
			r.fill(i, row.acked.Load())
			continue
		}
		if there, err := s.loaded(st, []domain.PartID{n.part}); err != nil || there {
			r.fail(err)
			return
		}
		l := s.want(n)
		l.readers = append(l.readers, readSlot{r, i})
	}
}
