package room

import (
	"sync"
	"time"

	"parley/domain"
	"parley/schemas/msync"
)

// state is one room.
type state struct {
	rooms *Rooms
	id    domain.StreamID
	st    domain.Stream
	queue msync.Queue

	mu       sync.Mutex
	byViewer map[Viewer]*member
	members  []*member
	snap     []*member // the members as the frame on its way has them; written only when none is
	changed  bool      // members are not those of snap
	pending  []item    // of the next frame
	spare    []item    // room for those after it
	flying   bool      // a frame is on its way, or about to be
	armed    bool      // the timer runs
	timer    *time.Timer
	cutAt    time.Time // of the last frame
	over     bool      // the room was destroyed; nobody comes any more
	dead     bool      // forgotten
	emptied  time.Time // since when nobody views it
	notices  notices

	ring    ring
	filling chan struct{} // not nil: the ring is being read
}

// member is a viewer of one room.
type member struct {
	mu       sync.Mutex
	gone     bool
	viewer   Viewer
	seen     domain.Seq
	user     domain.UserID
	resource domain.Resource
	at       int // in members; of the room's lock
}

func newState(r *Rooms, id domain.StreamID, st domain.Stream) *state {
	return &state{
		rooms: r, id: id, st: st, queue: msync.Queue{AppKey: string(st.App), Name: st.A, Domain: msync.GroupDomain},
		byViewer: make(map[Viewer]*member), emptied: r.cfg.Now(),
	}
}

// tell hands a frame over that is no part of the room's order, unless the member has gone.
func (m *member) tell(f *Frame, h *handed) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.gone {
		m.viewer.Show(f)
		h.note(f)
	}
}

func (s *state) encode(metas [][]byte) *Frame {
	return encode(s.queue, metas, s.rooms.cfg.Settings.Behind)
}

// add adds a viewer; false: the room was forgotten meanwhile. What is pending comes with the next frame, so history ends before it.
func (s *state) add(v Viewer, show func(*Frame), from Start) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		return false
	}
	if s.over || s.byViewer[v] != nil {
		show(nil)
		return true
	}
	m := &member{viewer: v, user: v.User(), resource: v.Resource(), at: len(s.members), seen: from.Seen}
	metas, last, missed := s.ring.history(m, from, s.pendingSeq())
	m.seen = max(m.seen, last)
	s.rooms.metrics.missed.Add(float64(missed))
	history := s.encode(metas)
	show(history)
	if history != nil {
		var h handed
		h.note(history)
		s.rooms.metrics.handed(h)
	}
	s.members = append(s.members, m)
	s.byViewer[v] = m
	s.changed = true
	s.rooms.metrics.viewers.Inc()
	return true
}

// pendingSeq returns the first entry that is in no frame yet, 0 for none.
func (s *state) pendingSeq() domain.Seq {
	for i := range s.pending {
		if s.pending[i].seq != 0 {
			return s.pending[i].seq
		}
	}
	return 0
}

func (s *state) remove(v Viewer) domain.Seq {
	s.mu.Lock()
	m := s.byViewer[v]
	if m == nil {
		s.mu.Unlock()
		return 0
	}
	delete(s.byViewer, v)
	last := len(s.members) - 1
	s.members[m.at] = s.members[last]
	s.members[m.at].at = m.at
	s.members[last] = nil
	s.members = s.members[:last]
	s.changed = true
	over := false
	if last == 0 {
		s.empty()
		over = s.finished()
	}
	s.mu.Unlock()
	if over {
		s.rooms.drop(s)
	}
	s.rooms.metrics.viewers.Dec()
	return m.leave()
}

// leave ends showing: what is on its way passes the member by.
func (m *member) leave() domain.Seq {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.gone = true
	return m.seen
}

// empty drops what nobody is there to be shown.
func (s *state) empty() {
	s.emptied = s.rooms.cfg.Now()
	clear(s.pending)
	s.pending = s.pending[:0]
	s.notices.clear()
}

// forget tells whether nobody has viewed the room for long; then nobody can come any more, and the caller drops it.
func (s *state) forget(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dead = len(s.members) == 0 && !s.flying && s.filling == nil && now.Sub(s.emptied) >= keepEmpty
	if s.dead {
		s.stopTimers()
	}
	return s.dead
}

func (s *state) stopTimers() {
	if s.timer != nil {
		s.timer.Stop()
	}
	s.notices.stop()
}

// end empties a room that is over, after its last frame. The room's lock is held.
func (s *state) end() {
	for _, m := range s.members {
		m.leave()
	}
	s.rooms.metrics.viewers.Sub(float64(len(s.members)))
	clear(s.byViewer)
	s.members, s.snap, s.pending, s.spare, s.dead = nil, nil, nil, nil, true
	s.stopTimers()
}
