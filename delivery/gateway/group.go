package gateway

import (
	"slices"

	"parley/delivery/directory"
	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/user"
)

// membership is which entries of a group reach the devices of the session's user. It is what the read model says, brought up by what was
// routed since. A nil membership is that of a queue that is no group's: everything reaches them.
type membership struct {
	from, until domain.Seq // of the current span; until 0: still a member. from 0: nothing is known yet
	earlier     []conversation.Span
	shield      bool // messages are kept from the devices
	shieldT     domain.T
	subscribed  bool // entries are handed to the session
}

func (m *membership) copy() *membership {
	if m == nil {
		return nil
	}
	c := *m
	return &c
}

func (m *membership) covers(seq domain.Seq) bool {
	return m == nil || conversation.Membership{From: m.from, Until: m.until, Earlier: m.earlier}.Covers(seq)
}

// over tells whether an entry came after the user had left.
func (m *membership) over(seq domain.Seq) bool { return m != nil && m.until != 0 && seq > m.until }

// shields tells whether messages are kept from the devices.
func (m *membership) shields() bool { return m != nil && m.shield }

// first returns the first entry that ever reached the user, as far back as is known.
func (m *membership) first() domain.Seq {
	if len(m.earlier) > 0 {
		return max(m.earlier[0].From, 1)
	}
	return max(m.from, 1)
}

// end returns the last entry up to head that reaches the user.
func (m *membership) end(head domain.Seq) domain.Seq {
	if m.until != 0 {
		return min(head, m.until)
	}
	return head
}

// read takes in what the read model says, unless something newer was routed already. closed is the group's last entry, 0 while it lasts.
func (m *membership) read(row *conversation.Membership, closed domain.Seq) {
	switch {
	case m.from < row.From:
		left := m.until
		m.from, m.until, m.earlier = row.From, row.Until, row.Earlier
		if left > max(row.From, row.Until) {
			m.until = left
		}
	case m.from == row.From:
		m.until = max(m.until, row.Until)
	}
	if closed != 0 && m.until == 0 {
		m.until = closed
	}
	if row.T >= m.shieldT {
		m.shield = row.Shield
	}
}

// leaves returns the entry of a page by which the user left the group, 0 if there is none. The read model may not have it yet.
func (m *membership) leaves(events []domain.Event, u domain.UserID) domain.Seq {
	if m == nil || m.until != 0 {
		return 0
	}
	for i := range events {
		if events[i].Seq < m.from {
			continue
		}
		switch b := events[i].Body.(type) {
		case conversation.GroupDestroyed:
			return events[i].Seq
		case conversation.MembersRemoved:
			if slices.Contains(b.Users, u) {
				return events[i].Seq
			}
		}
	}
	return 0
}

// over tells whether a conversation is over for the user, and the device has all of it: then it needs no queue.
func (c *conversationState) over(d *deviceState) bool {
	end := c.membership.Until
	if end == 0 {
		end = c.head.Closed
	}
	return end != 0 && d.marks[c.membership.Stream].acked >= min(end, c.head.Seq)
}

// sees tells whether an entry is for this device.
func (s *session) sees(st domain.Stream, m *membership, ev *domain.Event) bool {
	switch {
	case ev.Body == nil: // recalled
		return false
	case st.Kind == domain.KindUser:
		return true
	case m == nil:
	case !m.covers(ev.Seq) || m.shield && conversation.Shielded(ev):
		return false
	}
	return conversation.Sees(st, ev, s.key.User, s.info.Resource)
}

// seesVolatile tells whether what is not logged is for this device. A member's own receipt reaches queues that are not placed yet, too.
func (s *session) seesVolatile(q *queue, d *directory.Delivery) bool {
	if q == nil || !q.group.subscribed || len(d.Metas) == 0 || q.group.shield && conversation.Shielded(d.Event) {
		return false
	}
	return conversation.Sees(d.Parsed, d.Event, s.key.User, s.info.Resource)
}

// subscribeAll subscribes the session to the groups of memberships that were read, except those that it has left since. Their queues
// exist from then on, to be placed when the heads are known.
func (s *session) subscribeAll(members []conversation.Membership) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range members {
		m := &members[i]
		if m.Until != 0 || m.Joined == 0 {
			continue
		}
		q := s.queues[m.Stream]
		if q == nil {
			q = s.addQueue(m.Stream)
		}
		if q != nil && q.group != nil && q.group.until <= m.From {
			s.subscribe(q)
		}
	}
}

func (s *session) subscribe(q *queue) {
	if s.ended || q.group.subscribed {
		return
	}
	q.group.subscribed = true
	s.gw.cfg.Directory.Subscribe(q.stream, s)
}

func (s *session) unsubscribe(q *queue) {
	if q.group == nil || !q.group.subscribed {
		return
	}
	q.group.subscribed = false
	s.gw.cfg.Directory.Unsubscribe(q.stream, s)
}

// keepSubscribed brings the subscription in line with the membership.
func (s *session) keepSubscribed(q *queue) {
	if q.group.until == 0 {
		s.subscribe(q)
	} else {
		s.unsubscribe(q)
	}
}

// changed takes in what an event does to the user's membership, in the order of the stream. It returns false when there is nothing more to
// do with the event.
func (s *session) changed(d *directory.Delivery) (entry bool) {
	q := s.queues[d.Stream]
	switch d.Change {
	case directory.Joins:
		return s.joins(q, d)
	case directory.Leaves, directory.Ends:
		if q == nil && !s.unsettled() {
			return false // of an earlier account of the name
		}
		if q == nil {
			q = s.addQueue(d.Stream) // the log-in may have read that the user is a member
		}
		if q == nil || q.group == nil {
			return false
		}
		s.leave(q, d.Event.Seq)
		return true
	case directory.Shields:
		if q == nil {
			q = s.addQueue(d.Stream)
		}
		if b, ok := d.Event.Body.(conversation.ShieldSet); ok && q != nil && q.group != nil {
			q.group.shield, q.group.shieldT = b.On, d.Event.T
		}
		return false
	default:
		return true
	}
}

// joins begins a span. Who is a member for the first time has missed nothing; for others the cursor says what.
func (s *session) joins(q *queue, d *directory.Delivery) (entry bool) {
	seq := d.Event.Seq
	m, ok := conversation.ApplyMembership(conversation.Membership{Stream: d.Stream}, s.key.User, d.Event)
	if !ok || m.Incarnation != s.info.Incarnation {
		return false
	}
	switch {
	case q == nil:
		if q = s.addQueue(d.Stream); q == nil || q.group == nil {
			return false
		}
		if len(m.Earlier) == 0 {
			q.loading = false
			q.acked, q.pushed, q.target = seq-1, seq-1, seq-1
		}
	case seq <= max(q.group.from, q.group.until):
		return true // known
	case !q.loading && q.pushed >= q.target:
		s.pass(q, seq-1) // what was between the spans is not for the user
	}
	g := q.group
	g.from, g.until, g.earlier, g.shield, g.shieldT = m.From, 0, m.Earlier, false, d.Event.T
	s.subscribe(q)
	return true
}

// leave ends the span with an entry, unless the membership is known to be newer.
func (s *session) leave(q *queue, seq domain.Seq) {
	g := q.group
	if seq <= max(g.from, g.until) {
		return
	}
	g.until = seq
	q.target = max(q.pushed, min(q.target, seq))
	s.unsubscribe(q)
}

// leaveAt is leave, for what a page says.
func (s *session) leaveAt(q *queue, seq domain.Seq) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q.group.until == 0 {
		s.leave(q, seq)
	}
}

// unsettled tells that log-in has not read the memberships to the end.
func (s *session) unsettled() bool { return !s.pushable || s.unsure }

// placeSystem puts the system queue, the user's own stream, where the device stands in it; nil when there is nothing to place. A device
// without cursor skips what is older than its first log-in, unless it is the user's first.
func (s *session) placeSystem(account *user.Head, d *deviceState) *queue {
	stream := domain.UserStream(s.key.App, s.key.User)
	q := s.queues[stream]
	if account == nil || account.Seq == 0 || q != nil && !q.loading {
		return q
	}
	if q == nil {
		if q = s.addQueue(stream); q == nil {
			return nil
		}
	}
	end, start := account.Seq, max(account.From, 1)-1
	if limit := domain.Seq(s.gw.cfg.Settings.Cap); end > limit {
		start = max(start, end-limit)
	}
	at, known := d.marks[stream]
	if !known && !d.first && end > start && account.T < domain.TAt(d.firstLogin) {
		at.acked = end
		s.gw.devices.note(s.device, stream, mark{acked: end})
	}
	q.start(start, end, at)
	return q
}
