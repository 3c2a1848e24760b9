package shard

import (
	"slices"
	"sync/atomic"

	"parley/domain"
	"parley/domain/fence"
)

// entry is an accepted commit after the checkpoint.
type entry struct {
	stream *stream
	commit *domain.Commit
	after  fence.Reader // where a checkpoint that passes it stands
	bytes  int
	rows   []*row // those that it changed, once all of them are loaded; nil before
}

// tail is the accepted commits after the checkpoint, in order. The first `flushed` of them wait only for the checkpoint to follow.
type tail struct {
	entries []*entry // from first on
	first   int
	flushed int // entries from first whose rows are in the store
	bytes   int
	budget  *Budget
}

// Budget bounds the bytes of all tails of a node together. The zero Budget, and none, bound nothing.
type Budget struct {
	limit int64
	used  atomic.Int64
}

// NewBudget returns a budget of so many bytes in the log.
func NewBudget(limit int64) *Budget { return &Budget{limit: limit} }

func (b *Budget) add(n int) {
	if b != nil {
		b.used.Add(int64(n))
	}
}

func (b *Budget) full() bool { return b != nil && b.limit > 0 && b.used.Load() >= b.limit }

func (t *tail) len() int        { return len(t.entries) - t.first }
func (t *tail) at(i int) *entry { return t.entries[t.first+i] }

// add takes an accepted commit in.
func (t *tail) add(e *entry) {
	t.entries = append(t.entries, e)
	t.bytes += e.bytes
	t.budget.add(e.bytes)
	e.stream.tail = append(e.stream.tail, e)
}

// cut removes the first n entries, which a checkpoint has passed, and calls left for streams that may have nothing left.
func (t *tail) cut(n int, left func(*stream)) {
	for range n {
		e := t.entries[t.first]
		t.entries[t.first] = nil
		t.first++
		t.bytes -= e.bytes
		t.budget.add(-e.bytes)
		s := e.stream
		s.tail[0] = nil
		if s.tail = s.tail[1:]; len(s.tail) == 0 {
			s.tail = nil
			left(s)
		}
	}
	t.flushed -= n
	if t.first > len(t.entries)/2 {
		k := copy(t.entries, t.entries[t.first:])
		clear(t.entries[k:])
		t.entries, t.first = t.entries[:k], 0
	}
}

// fold applies the stream's tail to a version of one of its rows that was stored, and is not in memory. What an entry changed whose rows have
// all been in memory is in the store: a row goes only when it is. That spares looking through a commit of 1,000 members for each of the next.
func (s *stream) fold(part domain.PartID, v *version, touched []domain.PartID) *version {
	for _, e := range s.tail {
		if e.rows != nil {
			continue
		}
		v, touched = s.foldCommit(part, v, e.commit, touched)
	}
	return v
}

func (s *stream) foldCommit(part domain.PartID, v *version, c *domain.Commit, touched []domain.PartID) (*version, []domain.PartID) {
	for i := range c.Events {
		ev := &c.Events[i]
		if ev.T <= v.asof {
			continue
		}
		touched = s.rules.Touches(touched[:0], s.parsed, ev)
		if slices.Contains(touched, part) {
			v = &version{row: s.rules.Evolve(s.parsed, part, v.row, ev), asof: ev.T}
		}
	}
	return v, touched
}
