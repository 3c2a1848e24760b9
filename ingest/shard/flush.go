package shard

import (
	"context"
	"time"

	"parley/domain"
	"parley/domain/fence"
	"parley/schemas/table"
)

// flush is one write to the store: acknowledged rows, then a checkpoint that they allow.
type flush struct {
	rows  []*row
	vs    []*version // of the rows, when the flush began
	upto  int        // entries of the tail whose rows are in the store afterwards
	place *checkpoint
}

// flushed is what came of a flush.
type flushed struct {
	flush
	err error
}

// reached is a place that the rows reached at some time; the checkpoint follows after the lag.
type reached struct {
	at time.Time
	checkpoint
}

// startFlush writes what is due, unless a flush is under way. It takes the tail's entries in order, up to a number of rows and up to the
// first whose rows are not all in memory; those are asked for.
func (s *Shard) startFlush(ctx context.Context, now time.Time) {
	if s.flushing || now.Before(s.flushAgain) {
		return
	}
	f := flush{upto: s.tail.flushed}
	s.flushes++
	for f.upto < s.tail.len() && len(f.rows) < s.set.FlushRows {
		e := s.tail.at(f.upto)
		if !s.resolve(e) {
			s.prefetch(f.upto + 1)
			break
		}
		f.take(e, s.flushes)
		f.upto++
	}
	if f.place = s.checkpointDue(f.upto, now); f.place == nil && f.upto == s.tail.flushed {
		return
	}
	s.flushing = true
	s.work.Go(func() { s.flushResults <- flushed{f, s.write(ctx, f)} })
}

// take adds the entry's rows, each once, with all that is acknowledged of them.
func (f *flush) take(e *entry, number uint64) {
	for _, r := range e.rows {
		if v := r.acked.Load(); r.flush != number && v.asof > r.stored {
			r.flush = number
			f.rows, f.vs = append(f.rows, r), append(f.vs, v)
		}
	}
}

// resolve finds the rows that an inherited commit changed, and asks for those that are not in memory.
func (s *Shard) resolve(e *entry) bool {
	if e.rows != nil {
		return true
	}
	var rows []*row
	there := true
	for i := range e.commit.Events {
		s.touches = e.stream.rules.Touches(s.touches[:0], e.stream.parsed, &e.commit.Events[i])
		for _, id := range s.touches {
			if r := e.stream.row(id); r != nil {
				rows = append(rows, r)
				continue
			}
			there = false
			s.want(rowName{e.stream.id, id}).flush = true
		}
	}
	if there {
		e.rows = rows
	}
	return there
}

// prefetch asks for the rows of the entries that come next, so that an inherited tail is loaded many rows at once.
func (s *Shard) prefetch(from int) {
	for i := from; i < s.tail.len() && len(s.wanted) < s.set.LoadRows; i++ {
		s.resolve(s.tail.at(i))
	}
}

// checkpointDue returns the checkpoint that may be written together with the rows of the first upto entries, nil when there is none. With a
// lag it is the last place that the rows reached so long ago.
func (s *Shard) checkpointDue(upto int, now time.Time) *checkpoint {
	var due *checkpoint
	if s.set.CheckpointLag == 0 {
		if c, ok := s.place(upto); ok {
			due = &c
		}
	} else {
		for i := range s.reached {
			if now.Sub(s.reached[i].at) >= s.set.CheckpointLag {
				due = &s.reached[i].checkpoint
			}
		}
	}
	if due == nil || due.Next <= s.saved.Next {
		return nil
	}
	c := *due
	return &c
}

// place is where a checkpoint stands that passes the first upto entries of the tail: behind the last of them, and behind everything that was
// read or acknowledged when these are all.
func (s *Shard) place(upto int) (checkpoint, bool) {
	switch {
	case upto == s.tail.len() && s.flight.len() == 0 && s.halted == nil:
		return checkpoint{Reader: s.owner.Position(), t: s.ackedT}, true
	case upto == 0:
		return checkpoint{}, false
	default:
		e := s.tail.at(upto - 1)
		return checkpoint{Reader: e.after, t: e.commit.LastT()}, true
	}
}

// write runs beside the loop.
func (s *Shard) write(ctx context.Context, f flush) error {
	ctx, cancel := context.WithTimeout(ctx, s.set.FlushTimeout)
	defer cancel()
	start := time.Now()
	writes := make([]table.Write, 0, len(f.rows)+1)
	for i, r := range f.rows {
		writes = append(writes, rowWrite(r.name(), f.vs[i]))
	}
	if f.place != nil {
		writes = append(writes, f.place.write(s.cfg.Partition))
	}
	err := s.cfg.Store.Write(ctx, writes)
	if err == nil {
		s.metrics.flush.Observe(time.Since(start).Seconds())
		s.metrics.flushedRows.Add(float64(len(f.rows)))
	}
	return err
}

// onFlushed notes what the store has now. A flush that failed is made anew from what is acknowledged then.
func (s *Shard) onFlushed(f flushed, now time.Time) {
	s.flushing = false
	if f.err != nil {
		s.storeFailed("flush", f.err)
		s.flushFails++
		s.flushAgain = now.Add(s.backoff(s.flushFails))
		return
	}
	s.flushFails = 0
	for i, r := range f.rows {
		r.stored = max(r.stored, f.vs[i].asof)
	}
	s.tail.flushed = max(s.tail.flushed, f.upto)
	if s.set.CheckpointLag > 0 {
		s.noteReached(now)
	}
	if f.place != nil {
		s.passCheckpoint(*f.place)
	}
	s.metrics.evicted.Add(float64(s.cache.shrink()))
}

func (s *Shard) noteReached(now time.Time) {
	c, ok := s.place(s.tail.flushed)
	if n := len(s.reached); ok && (n == 0 || s.reached[n-1].Next < c.Next) {
		s.reached = append(s.reached, reached{now, c})
	}
}

// passCheckpoint forgets what lies before the saved checkpoint.
func (s *Shard) passCheckpoint(c checkpoint) {
	s.saved = c
	n := 0
	for n < s.tail.flushed && s.tail.at(n).after.Next <= c.Next {
		n++
	}
	s.tail.cut(n, s.cache.forget)
	for len(s.reached) > 0 && s.reached[0].Next <= c.Next {
		s.reached = s.reached[1:]
	}
	s.flushedAt = position(s.cfg.Partition, c.Reader)
}

// position is that of the last record before the reader's place.
func position(p domain.Partition, r fence.Reader) domain.Position {
	return domain.Position{Partition: p, Offset: r.Next - 1, Term: r.Term, Index: r.Index, Prev: r.Prev}
}
