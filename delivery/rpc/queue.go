package rpc

import "sync"

// told is a fact on its way, or a mark between facts.
type told struct {
	kind Kind
	fact []byte
	mark uint64 // 0: a fact
}

// factOverhead is what a fact costs in a queue besides its bytes.
const factOverhead = 64

// queue holds what one node is to be told after the snapshot. It is open while a link lives; otherwise what is put into it is dropped: the
// snapshot of the next link has it.
type queue struct {
	limit int
	wake  chan struct{}

	mu      sync.Mutex
	open    bool
	ended   bool   // the node is gone
	full    func() // cuts the link
	waiting []told
	bytes   int // of what waits and what is being sent
	marks   uint64
	unseen  []unseen // marks that the node has not reached, the oldest first
}

// unseen is a mark, and what is closed when the node has reached it, or cannot be waited for.
type unseen struct {
	mark uint64
	done chan struct{}
}

func newQueue(limit int) *queue { return &queue{limit: limit, wake: make(chan struct{}, 1)} }

// begin opens the queue. full is called once when it holds more than its limit, which closes it.
func (q *queue) begin(full func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.open, q.full = !q.ended, full
	q.waiting, q.bytes = nil, 0
}

// close closes the queue and forgets what is in it.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.drop()
}

// drop closes the queue; nobody waits for it any more. The lock is held.
func (q *queue) drop() {
	q.open = false
	q.waiting, q.bytes = nil, 0
	q.reach(q.marks)
}

// end closes the queue for good.
func (q *queue) end() {
	q.mu.Lock()
	q.ended = true
	q.mu.Unlock()
	q.close()
}

func (q *queue) put(t told) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.open {
		return
	}
	q.add(t)
}

// mark puts a mark behind what was put before. What it returns is closed when the node has reached it, or the link ends; it is nil while there
// is none.
func (q *queue) mark() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.open {
		return nil
	}
	q.marks++
	u := unseen{mark: q.marks, done: make(chan struct{})}
	q.unseen = append(q.unseen, u)
	q.add(told{mark: u.mark})
	return u.done
}

// reached notes that the node has applied all that was put before a mark.
func (q *queue) reached(mark uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.reach(mark)
}

func (q *queue) reach(mark uint64) {
	n := 0
	for n < len(q.unseen) && q.unseen[n].mark <= mark {
		close(q.unseen[n].done)
		n++
	}
	if q.unseen = q.unseen[n:]; len(q.unseen) == 0 {
		q.unseen = nil
	}
}

// add appends to what waits. The lock is held, and the queue is open.
func (q *queue) add(t told) {
	if q.bytes += len(t.fact) + factOverhead; q.bytes > q.limit {
		q.drop()
		q.full()
		return
	}
	q.waiting = append(q.waiting, t)
	if len(q.waiting) == 1 {
		select {
		case q.wake <- struct{}{}:
		default:
		}
	}
}

// take returns what waits; into is used for what comes next. What was taken counts until it is said to be sent.
func (q *queue) take(into []told) []told {
	q.mu.Lock()
	defer q.mu.Unlock()
	out := q.waiting
	q.waiting = into[:0]
	return out
}

func (q *queue) sent(facts, bytes int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.open {
		q.bytes -= bytes + facts*factOverhead
	}
}

func (q *queue) size() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.bytes
}
