package shard

import (
	"time"

	"parley/domain"
	"parley/domain/fence"
)

// change is a new version of a row.
type change struct {
	row *row
	v   *version
}

// waiter is a command whose answer waits for the batch.
type waiter struct {
	p      *pending
	result domain.Result
	commit int // the commit in the batch that it made; -1: it made none and rests on an earlier one
}

// batch is the commits that are appended at once, and what waits for them.
type batch struct {
	id      fence.BatchID
	first   domain.Index // of its first commit
	entries []*entry
	changes []change // of all commits, in order
	upto    []int    // where each commit's changes end
	waiters []waiter // in the order of decision
	buf     []byte   // the values, one after the other
	ends    []int    // where each value ends
	began   time.Time
	sent    time.Time
	tries   int
}

func (b *batch) len() int { return len(b.entries) }

// records cuts the buffer into keys and values. The buffer must not change afterwards.
func (b *batch) records() (keys, values [][]byte) {
	keys, values = make([][]byte, len(b.entries)), make([][]byte, len(b.entries))
	at := 0
	for i, end := range b.ends {
		keys[i] = b.entries[i].stream.key
		values[i] = b.buf[at:end:end]
		at = end
	}
	return keys, values
}

// drop forgets what the batch's commits made of their rows.
func (b *batch) drop() {
	for _, c := range b.changes {
		c.row.drop()
	}
	for _, e := range b.entries {
		e.stream.spec = e.stream.last.Index
	}
}

// reset empties the batch for the next commits. The buffer is used again only when nobody can still hold it.
func (b *batch) reset(keepBuffer bool) {
	clear(b.entries)
	clear(b.changes)
	clear(b.waiters)
	buf := b.buf[:0]
	if !keepBuffer || cap(buf) > 1<<20 {
		buf = nil
	}
	*b = batch{entries: b.entries[:0], changes: b.changes[:0], upto: b.upto[:0], waiters: b.waiters[:0], buf: buf, ends: b.ends[:0]}
}
