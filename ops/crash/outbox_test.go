package crash

import (
	"slices"
	"sync"
	"time"
)

// name identifies a message for the whole test: who wrote it, and its number there.
type name struct {
	author string
	n      int
}

// fate is what an author knows of a message.
type fate struct {
	ids       []uint64 // of its positive answers; more than one id is a message stored twice
	refused   string   // a typed refusal: it must not be stored
	abandoned bool     // given up without answer: it may be stored or not
	tries     int
	late      bool // sent again after later ones: its place among its author's is open
}

// waiting is a message without answer. The same client id and payload go out every time.
type waiting struct {
	n       int
	id      uint64
	payload []byte
	written time.Time
	session int // in which it was last sent, 0 for none
	sentAt  time.Time
}

// outbox is what an SDK and its app remember of what a user has written. Its methods may be called from any goroutine.
type outbox struct {
	mu       sync.Mutex
	queue    []*waiting // in the order of writing
	fates    []fate     // by number
	skipped  int        // not written, because too many were waiting
	resends  int
	slowest  time.Duration // from writing to the positive answer
	timeouts int           // sessions given up, because a message had no answer for longer than an SDK waits
}

// maxWaiting bounds an outbox: a user who has so many unsent messages stops writing.
const maxWaiting = 100

// write adds a message, unless too many are waiting.
func (o *outbox) write(id uint64, payload func(n int) []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.queue) >= maxWaiting {
		o.skipped++
		return
	}
	n := len(o.fates)
	o.fates = append(o.fates, fate{})
	o.queue = append(o.queue, &waiting{n: n, id: id, payload: payload(n), written: time.Now()})
}

// next returns the first message that has not been sent in this session, and counts it as sent.
func (o *outbox) next(session int) (w waiting, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, q := range o.queue {
		if q.session == session {
			continue
		}
		f := &o.fates[q.n]
		if f.tries++; f.tries > 1 {
			o.resends++
			f.late = f.late || o.answeredAfter(q.n)
		}
		for _, later := range o.queue[i+1:] {
			f.late = f.late || later.session == session
		}
		q.session, q.sentAt = session, time.Now()
		return *q, true
	}
	return waiting{}, false
}

// answeredAfter tells whether a later message than n is stored already. The lock is held.
func (o *outbox) answeredAfter(n int) bool {
	for i := n + 1; i < len(o.fates); i++ {
		if len(o.fates[i].ids) > 0 {
			return true
		}
	}
	return false
}

// again lets a message be sent once more in this session.
func (o *outbox) again(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.fates[n].late = true
	for _, q := range o.queue {
		if q.n == n {
			q.session = 0
		}
	}
}

// tries returns how often a message was sent.
func (o *outbox) tries(n int) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.fates[n].tries
}

// acknowledge notes a positive answer.
func (o *outbox) acknowledge(n int, id uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if f := &o.fates[n]; !slices.Contains(f.ids, id) {
		f.ids = append(f.ids, id)
	}
	for _, q := range o.queue {
		if q.n == n {
			o.slowest = max(o.slowest, time.Since(q.written))
		}
	}
	o.drop(n)
}

// refuse notes a typed refusal.
func (o *outbox) refuse(n int, reason string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.fates[n].refused = reason
	o.drop(n)
}

// abandon gives up the messages that choose picks of those that were sent and have no answer. Their place is open when they may be done late.
func (o *outbox) abandon(late bool, choose func() bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.queue = slices.DeleteFunc(o.queue, func(q *waiting) bool {
		given := q.session != 0 && choose()
		f := &o.fates[q.n]
		f.abandoned, f.late = f.abandoned || given, f.late || given && late
		return given
	})
}

// drop removes a message from the queue. The lock is held.
func (o *outbox) drop(n int) {
	o.queue = slices.DeleteFunc(o.queue, func(q *waiting) bool { return q.n == n })
}

// overdue tells whether a message of the session has waited longer than an SDK does.
func (o *outbox) overdue(session int, limit time.Duration) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, q := range o.queue {
		if q.session == session && time.Since(q.sentAt) > limit {
			o.timeouts++
			return true
		}
	}
	return false
}

func (o *outbox) empty() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.queue) == 0
}

// acked returns how many messages have a positive answer.
func (o *outbox) acked() (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range o.fates {
		n += min(len(o.fates[i].ids), 1)
	}
	return n
}
