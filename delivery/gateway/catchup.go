package gateway

import (
	"context"
	"slices"

	"parley/domain"
	"parley/schemas/msync"
)

// catchUp serves what a session's queues are behind, in the order in which the entries came to be, over all queues. What an earlier connection
// was shown, and the server does not know of (it crashed, stalled or was cut off before the marks were written), comes first like this:
// clients know it by the last 100 ids over all queues, and newer entries of a busy queue would make them forget those of another.
type catchUp struct {
	s    *session
	read map[*queue]*page // read and not served to the end
}

const (
	together      = 64       // queues that are served in one order; with more news they go by so many
	togetherBytes = 16 << 10 // of each page, at least, while several are at hand
)

// serve serves the queues until none can be brought forward now. It tells whether any was.
func (c *catchUp) serve(ctx context.Context, work []*queue) (progress bool) {
	for some := range slices.Chunk(work, together) {
		for q := range c.read {
			if !slices.Contains(some, q) {
				delete(c.read, q)
			}
		}
		progress = c.serveSome(ctx, some) || progress
	}
	return progress
}

// serveSome merges the pages of some queues.
func (c *catchUp) serveSome(ctx context.Context, some []*queue) (progress bool) {
	size := max(c.s.gw.cfg.Settings.PageBytes/len(some), togetherBytes)
	ready := make([]*queue, 0, len(some))
	for _, q := range some {
		if c.fill(ctx, q, size) {
			ready = append(ready, q)
		}
	}
	for len(ready) > 0 {
		i, until := c.oldest(ready)
		q := ready[i]
		rest, moved := c.s.show(q, c.read[q], until)
		progress = progress || moved
		if rest != nil {
			c.read[q] = rest
		} else {
			delete(c.read, q)
		}
		if !moved || rest == nil && !c.fill(ctx, q, size) {
			ready = slices.Delete(ready, i, i+1)
		}
	}
	return progress
}

// oldest finds the queue whose page goes on with the oldest entry, and until when it may be served before another one has its turn.
func (c *catchUp) oldest(ready []*queue) (at int, until domain.T) {
	until = ^domain.T(0)
	for i := 1; i < len(ready); i++ {
		switch t := c.read[ready[i]].next(); {
		case t < c.read[ready[at]].next():
			at, until = i, c.read[ready[at]].next()
		case t < until:
			until = t
		}
	}
	return at, until
}

// fill has a page of the queue at hand; false when there is none now.
func (c *catchUp) fill(ctx context.Context, q *queue, size int) bool {
	if c.read[q] != nil {
		return true
	}
	if p := c.s.readPage(ctx, q, size); p != nil {
		c.read[q] = p
	}
	return c.read[q] != nil
}

// page is a part of a queue as it was read: from..end without a hole, of which the device sees some entries.
type page struct {
	from, end domain.Seq
	shown     []shownEntry
	shield    bool // of the group, when it was read
}

type shownEntry struct {
	seq  domain.Seq
	t    domain.T
	meta []byte
}

// next is when the page's next entry came to be; a page without any goes first.
func (p *page) next() domain.T {
	if len(p.shown) == 0 {
		return 0
	}
	return p.shown[0].t
}

// cut takes the first entries off a page, as a page of their own: at most n, and besides the first none that is newer than until.
func (p *page) cut(n int, until domain.T) (first, rest *page) {
	k := min(n, len(p.shown))
	for i := 1; i < k; i++ {
		if p.shown[i].t > until {
			k = i
		}
	}
	if k == len(p.shown) {
		return p, nil
	}
	end := p.shown[k-1].seq
	return &page{from: p.from, end: end, shown: p.shown[:k]}, &page{from: end + 1, end: p.end, shown: p.shown[k:], shield: p.shield}
}

// readPage reads the next page of a queue of about so many bytes; nil when there is none now.
func (s *session) readPage(ctx context.Context, q *queue, size int) *page {
	ctx, cancel := context.WithTimeout(ctx, s.gw.cfg.Settings.LoginTimeout)
	defer cancel()
	s.mu.Lock()
	loading := q.loading
	s.mu.Unlock()
	if loading && !s.find(ctx, q) {
		return nil
	}
	s.mu.Lock()
	from, to, member := q.pushed+1, q.pageEnd(), q.group.copy()
	s.mu.Unlock()
	if to < from {
		return nil
	}
	events, err := s.gw.cfg.Reads.Entries(ctx, q.stream, from, to, s.gw.cfg.Settings.Window, size)
	if err != nil {
		if s.closed.Load() {
			return nil
		}
		s.gw.metrics.pageFailed.Inc()
		s.gw.log.Warn("page not read", "err", err, "stream", q.stream)
		return nil
	}
	if len(events) == 0 {
		s.gw.metrics.pageNotYet.Inc()
		return nil
	}
	s.gw.metrics.pageRead.Inc()
	if last := member.leaves(events, s.key.User); last != 0 {
		events = events[:last-from+1]
		s.leaveAt(q, last)
	}
	p := &page{from: from, end: events[len(events)-1].Seq, shield: member.shields()}
	for i := range events {
		if !s.sees(q.parsed, member, &events[i]) {
			continue
		}
		if m, ok := msync.MetaOfEntry(nil, q.parsed, &events[i], msync.FormOf(&events[i], s.key.User), nil); ok {
			p.shown = append(p.shown, shownEntry{seq: events[i].Seq, t: events[i].T, meta: m})
		}
	}
	return p
}

// show pushes entries of a page that was read, up to those of a time, as many as the window takes. It returns what is left of the page, nil
// when nothing is: the queue may have moved on meanwhile. It tells whether the queue moved.
func (s *session) show(q *queue, p *page, until domain.T) (rest *page, moved bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q.pushed+1 != p.from || q.group.over(p.end) || q.group.shields() != p.shield {
		return nil, true // acknowledged by the key of an earlier connection, or no longer for the device
	}
	if s.holding > 0 && !q.holding() {
		return p, false
	}
	if len(p.shown) == 0 {
		s.pass(q, p.end)
		if q.pulling && q.pushed >= q.target {
			s.endPull(q)
		}
		return nil, true
	}
	room := s.gw.cfg.Settings.Window - s.outstanding
	if room <= 0 {
		return p, false
	}
	first, rest := p.cut(room, until)
	metas := make([][]byte, len(first.shown))
	for i := range first.shown {
		metas[i] = first.shown[i].meta
	}
	s.push(q, first.end, metas)
	s.gw.metrics.paged.Add(float64(len(metas)))
	return rest, true
}
