package gateway

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"parley/domain"
)

// attempt is a command of a client on its way to an answer.
type attempt struct {
	up      upward
	number  uint64 // in the order of the session's frames
	request domain.Request
	maybe   bool // was submitted, and may have happened
}

// lane is a stream of a session in which a command's outcome is unknown: that command and all later ones, in the order in which the client
// sent them. They are submitted one after the other, each when the one before is answered, so that none overtakes another.
type lane struct {
	waiting []*attempt
	flying  *attempt // submitted from here, not answered
	due     time.Time
	pause   time.Duration
}

// Pauses before a command whose outcome is unknown is submitted again.
const (
	firstPause   = 50 * time.Millisecond
	longestPause = time.Second
)

// again holds the lanes of a session; most never have one. Whoever answers only notes; the session's resend goroutine submits.
type again struct {
	mu    sync.Mutex
	lanes map[domain.StreamID]*lane
	runs  bool          // resend does
	news  chan struct{} // wakes it
}

// joins adds a new command to its stream's lane, if there is one.
func (g *again) joins(a *attempt) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.lanes[a.request.Stream]
	if l != nil {
		l.waiting = append(l.waiting, a)
		g.wake()
	}
	return l != nil
}

// put adds a command whose outcome is unknown to its stream's lane. start tells that resend is to be started.
func (g *again) put(a *attempt, now time.Time) (start bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.lanes[a.request.Stream]
	if l == nil {
		l = &lane{}
		if g.lanes == nil {
			g.lanes, g.news = make(map[domain.StreamID]*lane), make(chan struct{}, 1)
		}
		g.lanes[a.request.Stream] = l
	}
	a.maybe = true
	if l.flying == a || l.pause == 0 {
		l.pause = min(max(2*l.pause, firstPause), longestPause)
		l.due = now.Add(l.pause)
	}
	if l.flying == a {
		l.flying = nil
	}
	at, _ := slices.BinarySearchFunc(l.waiting, a, func(x, y *attempt) int { return cmp.Compare(x.number, y.number) })
	l.waiting = slices.Insert(l.waiting, at, a)
	start, g.runs = !g.runs, true
	g.wake()
	return start
}

// answered notes that a command has its answer: the next of its lane may go.
func (g *again) answered(a *attempt) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if l := g.lanes[a.request.Stream]; l != nil && l.flying == a {
		l.flying, l.pause, l.due = nil, 0, time.Time{}
		g.wake()
	}
}

func (g *again) wake() {
	select {
	case g.news <- struct{}{}:
	default:
	}
}

// next returns what to submit now, one command of each lane that is due, and how long to wait then. more is false when no lane is left.
func (g *again) next(now time.Time) (submit []*attempt, wait time.Duration, more bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	wait = longestPause
	for id, l := range g.lanes {
		switch {
		case l.flying != nil:
		case len(l.waiting) == 0:
			delete(g.lanes, id)
		case l.due.After(now):
			wait = min(wait, l.due.Sub(now))
		default:
			l.flying = l.waiting[0]
			l.waiting[0] = nil
			l.waiting = l.waiting[1:]
			submit = append(submit, l.flying)
		}
	}
	g.runs = len(g.lanes) > 0
	return submit, wait, g.runs
}

// end gives up all that waits, and returns it.
func (g *again) end() (left []*attempt) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, l := range g.lanes {
		left = append(left, l.waiting...)
	}
	clear(g.lanes)
	g.runs = false
	return left
}

// submit hands a command to the owner of its stream. Its answer comes on the owner's goroutine, which must not wait for anything.
func (s *session) submit(a *attempt) {
	r := a.request
	r.Done = func(r domain.Result) { s.resolve(a, r) }
	s.gw.cfg.Owners.Submit(r)
}

// resolve answers the client, or has the command submitted again. After an unknown outcome only a refusal by the rules is one: a busy owner
// has not looked whether the command has happened.
func (s *session) resolve(a *attempt, r domain.Result) {
	code := domain.CodeOf(r.Err)
	unknown := code == domain.Unknown || a.maybe && (code == domain.Busy || code == domain.Stopping || code == domain.Internal)
	if unknown && a.up.id != 0 && s.gw.cfg.Now().Before(s.giveUp(a)) { // without an id it could happen twice
		s.gw.metrics.resent.Inc()
		s.resubmit(a)
		return
	}
	if unknown && code != domain.Unknown {
		r = domain.Result{Err: domain.Fail(domain.Unknown, r.Err)}
	}
	s.again.answered(a)
	s.settle(a, r)
}

// settle answers the client and gives the command's place free.
func (s *session) settle(a *attempt, r domain.Result) {
	<-s.pending
	s.answer(&a.up, r)
	s.hand.done()
}

// giveUp is until when a command of unknown outcome is submitted again.
func (s *session) giveUp(a *attempt) time.Time { return a.up.begin.Add(s.gw.cfg.Settings.UnknownRetry) }

// resubmit queues a command whose outcome is unknown for being submitted again.
func (s *session) resubmit(a *attempt) {
	if !s.again.put(a, s.gw.cfg.Now()) {
		return
	}
	s.mu.Lock()
	started := s.background(s.resend)
	s.mu.Unlock()
	if !started {
		s.giveUpAll()
	}
}

// resend submits the commands in lanes until there are none.
func (s *session) resend(ctx context.Context) {
	timer := time.NewTimer(longestPause)
	defer timer.Stop()
	for {
		now := s.gw.cfg.Now()
		submit, wait, more := s.again.next(now)
		if !more {
			return
		}
		for _, a := range submit {
			s.tryAgain(a, now)
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-s.again.news:
		case <-ctx.Done():
			s.giveUpAll()
			return
		}
	}
}

// tryAgain submits a command of a lane, unless it is too late: one that was never submitted is refused then, any other stays unanswered.
func (s *session) tryAgain(a *attempt, now time.Time) {
	a.request.Deadline = s.giveUp(a)
	switch {
	case now.Before(a.request.Deadline):
		s.submit(a)
	case a.maybe:
		s.again.answered(a)
		s.settle(a, domain.Result{Err: errStaysUnknown})
	default:
		s.again.answered(a)
		s.settle(a, domain.Result{Err: errHeldTooLong})
	}
}

var (
	errStaysUnknown = domain.Refuse(domain.Unknown, "the outcome stayed unknown")
	errHeldTooLong  = domain.Refuse(domain.Busy, "the outcome of an earlier command stayed unknown")
)

// giveUpAll leaves what waits in lanes unanswered: the socket is closed, and the client sends again on its next.
func (s *session) giveUpAll() {
	for _, a := range s.again.end() {
		s.settle(a, domain.Result{Err: errStaysUnknown})
	}
}
