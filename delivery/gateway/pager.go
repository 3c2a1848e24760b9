package gateway

import (
	"cmp"
	"context"
	"slices"
	"time"

	"parley/domain"
	"parley/schemas/msync"
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

// pager brings queues forward, one page after the other, round robin, until all are live or wait for their client.
func (s *session) pager(ctx context.Context) {
	pause := time.Duration(0)
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
		progress := false
		for _, q := range work {
			progress = s.servePage(ctx, q) || progress
		}
		switch {
		case progress || s.full():
			pause = 0
		default:
			pause = min(max(2*pause, 2*time.Millisecond), 500*time.Millisecond)
		}
	}
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

// servePage serves one page of a queue and tells whether it came forward.
func (s *session) servePage(ctx context.Context, q *queue) bool {
	ctx, cancel := context.WithTimeout(ctx, s.gw.cfg.Settings.LoginTimeout)
	defer cancel()
	s.mu.Lock()
	loading, from, to := q.loading, q.pushed+1, q.pageEnd()
	room := s.gw.cfg.Settings.Window - s.outstanding
	member := q.group.copy()
	s.mu.Unlock()
	if loading {
		return s.find(ctx, q)
	}
	if room <= 0 {
		return false
	}
	events, err := s.gw.cfg.Reads.Entries(ctx, q.stream, from, to, room, s.gw.cfg.Settings.PageBytes)
	if err != nil {
		if s.closed.Load() {
			return false
		}
		s.gw.metrics.pageFailed.Inc()
		s.gw.log.Warn("page not read", "err", err, "stream", q.stream)
		return false
	}
	if len(events) == 0 {
		s.gw.metrics.pageNotYet.Inc()
		return false
	}
	s.gw.metrics.pageRead.Inc()
	if last := member.leaves(events, s.key.User); last != 0 {
		events = events[:last-from+1]
		s.leaveAt(q, last)
	}
	shown := page{from: from, end: events[len(events)-1].Seq}
	for i := range events {
		if !s.sees(q.parsed, member, &events[i]) {
			continue
		}
		if m, ok := msync.MetaOfEntry(nil, q.parsed, &events[i], msync.FormOf(&events[i], s.key.User), nil); ok {
			shown.metas, shown.seqs = append(shown.metas, m), append(shown.seqs, events[i].Seq)
		}
	}
	return s.serve(q, &shown)
}

// page is a part of a queue as it was read: from..end without a hole, of which the device sees the entries at seqs.
type page struct {
	from, end domain.Seq
	seqs      []domain.Seq
	metas     [][]byte
}

// cut leaves at most n entries to show.
func (p *page) cut(n int) {
	if len(p.metas) > n {
		p.end, p.seqs, p.metas = p.seqs[n-1], p.seqs[:n], p.metas[:n]
	}
}

// serve pushes a page that was read and tells whether it could: the queue may have moved on meanwhile, and others have filled the window.
func (s *session) serve(q *queue, p *page) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q.pushed+1 != p.from {
		return true // acknowledged by the key of an earlier connection
	}
	if s.holding > 0 && !q.holding() {
		return false
	}
	if len(p.metas) == 0 {
		s.pass(q, p.end)
		if q.pulling && q.pushed >= q.target {
			s.endPull(q)
		}
		return true
	}
	room := s.gw.cfg.Settings.Window - s.outstanding
	if room <= 0 {
		return false
	}
	p.cut(room)
	s.push(q, p.end, p.metas)
	s.gw.metrics.paged.Add(float64(len(p.metas)))
	return true
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
