package gateway

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// servePages starts the pager unless it runs or has nothing to do. It is called with the lock held.
func (s *session) servePages() {
	if s.paging {
		s.wakePager()
		return
	}
	if !s.pushable || s.closed.Load() || !s.pageable() {
		return
	}
	s.paging = true
	if s.wake == nil {
		s.wake = make(chan struct{}, 1)
	}
	s.background(s.pager)
}

// pageable tells whether any queue waits for a page.
func (s *session) pageable() bool {
	for _, q := range s.queues {
		if s.unplaced(q) || q.behind() {
			return true
		}
	}
	return false
}

// unplaced tells whether a queue waits to be found. While memberships are not sure, readLater finds those of groups.
func (s *session) unplaced(q *queue) bool { return q.loading && (q.group == nil || !s.unsure) }

// pager brings queues forward until all are live or wait for their client.
func (s *session) pager(ctx context.Context) {
	c := catchUp{s: s, read: make(map[*queue]*page)}
	pause := s.pullsWait()
	for {
		if pause > 0 || s.full() {
			s.waitToPage(ctx, pause)
		}
		s.mu.Lock()
		work := s.work()
		if s.closed.Load() || len(work) == 0 {
			s.paging = false
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		if wait := s.pullsWait(); wait > 0 {
			pause = wait
			continue
		}
		switch progress := c.serve(ctx, work); {
		case progress || s.full():
			pause = 0
		default:
			pause = min(max(2*pause, 2*time.Millisecond), 500*time.Millisecond)
		}
	}
}

// pullsTogether is how long the first pull of a first sync waits for the others: clients send them one right after the other.
const pullsTogether = 100 * time.Millisecond

// pullsWait tells how long to wait for pulls of listed queues, so that all can be served in one order.
func (s *session) pullsWait() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.syncing == 0 || s.pullsBegan.IsZero() {
		return 0
	}
	for _, q := range s.queues {
		if q.listed && !q.pulling {
			return max(0, pullsTogether-time.Since(s.pullsBegan))
		}
	}
	return 0
}

// full tells whether the client has to acknowledge before it may be shown more.
func (s *session) full() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.outstanding >= s.gw.cfg.Settings.Window
}

// waitToPage waits for an acknowledgement or other news; at most the pause, or a second.
func (s *session) waitToPage(ctx context.Context, pause time.Duration) {
	if pause == 0 {
		pause = time.Second
	}
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.wake:
	case <-ctx.Done():
	}
}

// work returns the queues to serve now: while any is not past what an earlier connection was shown, only those.
func (s *session) work() []*queue {
	var out []*queue
	for _, q := range s.queues {
		if s.unplaced(q) || q.behind() && (s.holding == 0 || q.holding()) {
			out = append(out, q)
		}
	}
	slices.SortFunc(out, func(a, b *queue) int { return cmp.Compare(a.stream, b.stream) })
	return out
}

// find places a queue of which an entry came before anything was known of it.
func (s *session) find(ctx context.Context, q *queue) bool {
	st, err := s.load(ctx, false)
	if err != nil {
		s.gw.metrics.pageFailed.Inc()
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.adopt(st, false)
	if q.tries++; q.loading && q.tries >= maxFinds {
		s.gw.metrics.pageNowhere.Inc()
		s.gw.log.Warn("entry of a conversation that the user is not in", "stream", q.stream)
		s.unsubscribe(q)
		delete(s.queues, q.stream)
	}
	return !q.loading
}

// maxFinds bounds the reads for a conversation's membership: about 30 s of them.
const maxFinds = 60
