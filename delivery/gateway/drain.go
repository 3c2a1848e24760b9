package gateway

import (
	"math"
	"slices"
	"sync/atomic"
	"time"
)

// How long clients have for answering why their sockets were closed: from the last socket's turn on, and at least from the last close.
const (
	lastWords  = 2 * time.Second
	leastWords = 500 * time.Millisecond
)

// drain admits nothing more, closes the sockets one after the other, over the drain time, and waits until they are closed.
//
// A socket in which commands wait for answers is left open when its turn comes, until they have them or DrainAnswers has passed: a client
// that is cut off before takes for failed what is stored.
func (g *Gateway) drain() {
	all := g.refuseMore()
	begin := time.Now()
	looked := begin
	var left []leaver
	for i, s := range all {
		now := time.Now()
		if l := (leaver{s, now.Add(g.cfg.Settings.DrainAnswers)}); !l.gone(now) {
			left = append(left, l)
		}
		if now.Sub(looked) >= stayerPause {
			left, looked = stayers(left), now
		}
		time.Sleep(drainPause(i+1, len(all), g.cfg.Settings.DrainTime, time.Since(begin)))
	}
	turns := time.Now()
	for left = stayers(left); len(left) > 0; left = stayers(left) {
		time.Sleep(stayerPause)
	}
	cut := time.AfterFunc(max(lastWords-time.Since(turns), leastWords), func() { g.cutSilent(all) })
	defer cut.Stop()
	g.wg.Wait()
}

// refuseMore admits no more sockets, and returns those that there are.
func (g *Gateway) refuseMore() []*session {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.draining = true
	all := make([]*session, 0, len(g.sessions))
	for s := range g.sessions {
		if s.started.Load() {
			all = append(all, s)
		}
	}
	return all
}

// drainPause returns how long to wait after so many of all sockets have had their turn. What earlier waits took too long, the later ones make up
// for: with thousands of sockets each is shorter than a busy machine can sleep.
func drainPause(done, all int, whole, passed time.Duration) time.Duration {
	each := whole / time.Duration(all)
	return min(max(0, each*time.Duration(done)-passed), each, 20*time.Millisecond)
}

// leaver is a session whose turn has come.
type leaver struct {
	*session
	until time.Time // then it is closed, answered or not
}

// stayerPause is between two looks at sessions that wait for answers.
const stayerPause = 5 * time.Millisecond

// gone closes the session if it may be closed or its time is over. It is false when it stays.
func (l *leaver) gone(now time.Time) bool {
	if !l.finish() && now.Before(l.until) {
		return false
	}
	l.close(closeDrain)
	return true
}

// stayers returns the sessions that stay for now.
func stayers(all []leaver) []leaver {
	now := time.Now()
	return slices.DeleteFunc(all, func(l leaver) bool { return l.gone(now) })
}

// finish tells whether the session may be closed: everything that its client has sent, as far as it has come here, is answered, and the
// answers are written to the socket. From then on nothing is taken. Who has not logged in waits for nothing.
func (s *session) finish() bool {
	if s.closed.Load() || !s.loggedIn.Load() {
		return true
	}
	return !s.in.has() && !s.out.holds() && s.hand.end()
}

// holds tells whether something waits for being written.
func (o *outbound) holds() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.busy && o.err == nil
}

// inHand counts what is in hand for a client: the frame that is handled, and commands that wait for answers.
type inHand struct{ n atomic.Int64 }

// ended is so low that counting does not reach 0 any more.
const ended = math.MinInt64 / 2

// take counts one more. It is false after end: what comes then must not be begun.
func (h *inHand) take() bool { return h.n.Add(1) > 0 }

func (h *inHand) done() { h.n.Add(-1) }

// end ends the taking at a moment at which nothing is in hand. It is false when something is.
func (h *inHand) end() bool { return h.n.CompareAndSwap(0, ended) }

// cutSilent ends the wait for clients that have not answered. Those of closed connections fail, which is as well.
func (g *Gateway) cutSilent(all []*session) {
	for _, s := range all {
		_ = s.in.conn.SetReadDeadline(time.Now())
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for s := range g.sessions { // those that came while the sockets were counted
		if s.started.Load() {
			_ = s.in.conn.SetReadDeadline(time.Now())
		}
	}
}
