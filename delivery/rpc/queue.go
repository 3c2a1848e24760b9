package rpc

import "sync"

// told is a fact on its way.
type told struct {
	kind Kind
	fact []byte
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
	q.open = false
	q.waiting, q.bytes = nil, 0
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
	if q.bytes += len(t.fact) + factOverhead; q.bytes > q.limit {
		q.open = false
		q.waiting, q.bytes = nil, 0
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
