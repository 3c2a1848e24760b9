package rpc

import (
	"cmp"
	"errors"
	"slices"
	"sync"
	"time"

	"parley/domain"
	"parley/schemas/cluster/clusterpb"
)

// What a call wants, as a metric's label.
const (
	commandCall = "command"
	readCall    = "read"
)

// callOverhead is about what a call takes besides its bytes.
const callOverhead = 32

// errRetired says that a link is not used any more: there may be another to the same node.
var errRetired = errors.New("the link is closed")

// call is something that wants an answer of another node.
type call struct {
	id       uint64
	want     *clusterpb.Call // nil once it is sent
	what     string
	size     int
	at       time.Time
	deadline time.Time // zero: the owner's default
	giveUp   time.Time // when it is answered in any case
	sent     time.Time
	done     func(*clusterpb.Answer, error) // once, with no lock held; the error is nil when there is an answer
}

// link is the way to one node: what waits to be sent, and what waits for its answer. One goroutine (run) opens the stream and writes to it,
// one reads; whoever calls only puts.
type link struct {
	peers  *Peers
	node   domain.NodeName
	news   chan struct{} // has room for one: something waits to be sent
	cancel func()        // of run

	mu      sync.Mutex
	last    uint64  // id of the last call
	queue   []*call // by id
	bytes   int     // of queue
	sent    map[uint64]*call
	failing int // how many answer calls with Unknown at the moment: meanwhile nothing may be sent
	closed  error
	used    time.Time
	looked  time.Time // when sent was last searched for what is overdue
	heard   time.Time // when the stream last brought something
	cut     func()    // ends the open stream; nil: none
}

func newLink(p *Peers, node domain.NodeName) *link {
	return &link{peers: p, node: node, news: make(chan struct{}, 1), sent: make(map[uint64]*call), used: time.Now(), cancel: func() {}}
}

// put queues a call. The error says why not: done is not called then.
func (l *link) put(c *call) error {
	set := &l.peers.set
	c.giveUp = c.deadline.Add(set.Margin)
	if c.deadline.IsZero() {
		c.giveUp = c.at.Add(set.Deadline + set.Margin)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed != nil:
		return l.closed
	case len(l.queue)+len(l.sent) >= set.InFlight || l.bytes+c.size > set.QueueBytes:
		return errFull
	}
	l.last++
	c.id, c.want.Id = l.last, l.last
	l.queue = append(l.queue, c)
	l.bytes += c.size
	l.used = c.at
	l.peers.metrics.inFlight.Inc()
	if len(l.queue) == 1 {
		l.ring()
	}
	return nil
}

func (l *link) ring() {
	select {
	case l.news <- struct{}{}:
	default:
	}
}

// take moves what goes into the next frame from the queue to what is sent. more tells that the queue is not empty.
func (l *link) take(now time.Time) (frame *clusterpb.ExchangeRequest, more bool) {
	set := &l.peers.set
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failing > 0 || len(l.queue) == 0 {
		return nil, false
	}
	frame = &clusterpb.ExchangeRequest{Calls: make([]*clusterpb.Call, 0, min(len(l.queue), set.FrameCalls))}
	n, size := 0, 0
	for _, c := range l.queue {
		if n == set.FrameCalls || n > 0 && size+c.size > set.FrameBytes {
			break
		}
		n, size = n+1, size+c.size
		if !c.deadline.IsZero() {
			c.want.LeftMicros = uint64(max(c.deadline.Sub(now).Microseconds(), 1))
		}
		frame.Calls = append(frame.Calls, c.want)
		l.sent[c.id] = c
		c.want, c.sent = nil, now
	}
	l.drop(n, size)
	l.peers.metrics.sent.Add(float64(n))
	return frame, len(l.queue) > 0
}

// drop takes calls off the front of the queue.
func (l *link) drop(n, size int) {
	rest := copy(l.queue, l.queue[n:])
	clear(l.queue[rest:])
	l.queue = l.queue[:rest]
	l.bytes -= size
}

// answer settles the calls that a frame answers; what it does not know was given up.
func (l *link) answer(frame *clusterpb.ExchangeResponse) {
	now := time.Now()
	answers := frame.GetAnswers()
	calls := make([]*call, len(answers))
	l.mu.Lock()
	l.heard = now
	for i, a := range answers {
		calls[i] = l.sent[a.GetId()]
		delete(l.sent, a.GetId())
	}
	l.mu.Unlock()
	for i, c := range calls {
		if c == nil {
			continue
		}
		l.peers.metrics.trip.Observe(now.Sub(c.at).Seconds())
		l.settle(c, answers[i], nil)
	}
}

// settle ends a call that is in neither list any more.
func (l *link) settle(c *call, a *clusterpb.Answer, err error) {
	if err != nil {
		l.peers.metrics.ended(c.what, domain.CodeOf(err))
	} else {
		l.peers.metrics.ended(c.what, domain.Code(a.GetFailure().GetCode()))
	}
	c.done(a, err)
}

// forget gives up a call that nobody waits for any more. Its done is not called, unless that has begun.
func (l *link) forget(c *call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sent[c.id] == c {
		delete(l.sent, c.id)
	} else if i := slices.Index(l.queue, c); i >= 0 {
		l.queue = slices.Delete(l.queue, i, i+1)
		l.bytes -= c.size
	} else {
		return
	}
	l.peers.metrics.ended(c.what, canceled)
}

// broke answers with Unknown what was sent over a stream that is no more, and what was submitted since. When nothing was under way, nobody is
// told anything, and what waits can wait for the next stream.
func (l *link) broke() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = nil
	if len(l.sent) > 0 {
		l.fail(true)
	}
}

// noNode answers with Unknown what waits.
func (l *link) noNode() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fail(false)
}

// fail answers with Unknown what waits in the queue, what was sent as well if sent says so, and what is submitted until everybody knows. It is
// called with mu held, and gives it up in between.
func (l *link) fail(sent bool) {
	l.failing++
	for len(l.queue) > 0 || sent && len(l.sent) > 0 {
		calls := l.takeAll(sent)
		l.mu.Unlock()
		for _, c := range calls {
			l.settle(c, nil, errMoved)
		}
		l.mu.Lock()
	}
	if l.failing--; len(l.queue) > 0 {
		l.ring()
	}
}

// takeAll empties the queue, and the list of what is sent if sent says so. The calls come in the order in which they were submitted.
func (l *link) takeAll(sent bool) []*call {
	var calls []*call
	if sent {
		for _, c := range l.sent {
			calls = append(calls, c)
		}
		clear(l.sent)
		slices.SortFunc(calls, func(a, b *call) int { return cmp.Compare(a.id, b.id) })
	}
	calls = append(calls, l.queue...)
	clear(l.queue)
	l.queue, l.bytes = l.queue[:0], 0
	return calls
}

// look answers what is overdue. A queue of which the first has waited too long goes as a whole, so that nothing overtakes. A stream that has
// brought nothing since an overdue call was sent is cut.
func (l *link) look(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) > 0 && now.Sub(l.queue[0].at) > l.peers.set.QueueWait {
		l.fail(false)
	}
	if now.Sub(l.looked) < l.peers.set.Margin/4 {
		return
	}
	l.looked = now
	overdue, silent := l.takeOverdue(now)
	if silent && l.cut != nil {
		l.peers.metrics.broken.WithLabelValues(brokeSilent).Inc()
		l.cut()
	}
	l.mu.Unlock()
	for _, c := range overdue {
		l.settle(c, nil, errUnanswered)
	}
	l.mu.Lock()
}

// takeOverdue takes out what was sent and must be given up now. silent tells that one of them was sent after the stream last brought something.
func (l *link) takeOverdue(now time.Time) (calls []*call, silent bool) {
	for id, c := range l.sent {
		if now.Before(c.giveUp) {
			continue
		}
		delete(l.sent, id)
		calls = append(calls, c)
		silent = silent || c.sent.After(l.heard)
	}
	slices.SortFunc(calls, func(a, b *call) int { return cmp.Compare(a.id, b.id) })
	return calls, silent
}

// idle tells that the link has not been used for a time.
func (l *link) idle(now time.Time, long time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.queue)+len(l.sent) == 0 && now.Sub(l.used) > long
}

// retire closes the link to calls if it is idle.
func (l *link) retire(now time.Time, long time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue)+len(l.sent) > 0 || now.Sub(l.used) <= long {
		return false
	}
	l.closed = errRetired
	return true
}

// end refuses calls from now on, and answers all that have no answer.
func (l *link) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed == nil {
		l.closed = errStopping
	}
	l.cut = nil
	l.fail(true)
}
