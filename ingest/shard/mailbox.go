package shard

import (
	"sync"
	"time"

	"parley/domain"
)

// pending is a command on its way to an answer.
type pending struct {
	req      domain.Request
	stream   *stream // nil: not looked up yet
	at       time.Time
	deadline time.Time
	voided   bool // was in a batch that is void though nobody else claimed, and is decided again
	answered bool // given up at its deadline with an unknown outcome; it happens in its turn all the same, for nobody
}

// mailbox is where the loop is left something. All but ring belongs to mu.
type mailbox struct {
	bell chan struct{} // has room for one

	mu        sync.Mutex
	limit     int
	undecided int // commands here, in the loop's queue, and waiting in streams
	closed    bool
	commands  []*pending
	reads     []*read
}

func newMailbox(limit int) *mailbox {
	return &mailbox{bell: make(chan struct{}, 1), limit: limit}
}

// put takes a command in, or says with which code and reason not.
func (m *mailbox) put(p *pending) *domain.Error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.closed:
		return errStopping
	case m.undecided >= m.limit:
		return errMailboxFull
	}
	m.undecided++
	m.commands = append(m.commands, p)
	if len(m.commands) == 1 {
		m.ring()
	}
	return nil
}

// putRead takes a read of rows in.
func (m *mailbox) putRead(r *read) *domain.Error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.closed:
		return errStopping
	case len(m.reads) >= m.limit:
		return errReadsFull
	}
	m.reads = append(m.reads, r)
	m.ring()
	return nil
}

func (m *mailbox) ring() {
	select {
	case m.bell <- struct{}{}:
	default:
	}
}

// take empties the mailbox into the given slices.
func (m *mailbox) take(commands []*pending, reads []*read) ([]*pending, []*read) {
	m.mu.Lock()
	defer m.mu.Unlock()
	commands, reads = append(commands, m.commands...), append(reads, m.reads...)
	clear(m.commands)
	clear(m.reads)
	m.commands, m.reads = m.commands[:0], m.reads[:0]
	return commands, reads
}

// decided counts commands that are no longer undecided; a negative n takes some back.
func (m *mailbox) decided(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.undecided -= n
}

// size returns how many commands are undecided.
func (m *mailbox) size() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.undecided
}

// close refuses all that comes from now on.
func (m *mailbox) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
}

// queue is the loop's list of commands that are next to be decided.
type queue struct {
	items []*pending
	first int
}

func (q *queue) len() int { return len(q.items) - q.first }

// push puts a command behind all others. What was popped makes room first, so that a queue that is never empty does not grow.
func (q *queue) push(p *pending) {
	if q.first > len(q.items)/2 {
		n := copy(q.items, q.items[q.first:])
		clear(q.items[n:])
		q.items, q.first = q.items[:n], 0
	}
	q.items = append(q.items, p)
}

func (q *queue) pop() *pending {
	p := q.items[q.first]
	q.items[q.first] = nil
	if q.first++; q.first == len(q.items) {
		q.items, q.first = q.items[:0], 0
	}
	return p
}

// unshift puts commands before all others.
func (q *queue) unshift(ps []*pending) {
	q.items = append(append([]*pending(nil), ps...), q.items[q.first:]...)
	q.first = 0
}

// filter keeps the commands for which keep is true.
func (q *queue) filter(keep func(*pending) bool) {
	q.items = filter(q.items[q.first:], keep)
	q.first = 0
}

func filter(ps []*pending, keep func(*pending) bool) []*pending {
	out := ps[:0]
	for _, p := range ps {
		if keep(p) {
			out = append(out, p)
		}
	}
	clear(ps[len(out):])
	return out
}
