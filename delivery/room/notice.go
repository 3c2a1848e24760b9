package room

import (
	"time"

	"parley/domain"
	"parley/schemas/msync"
)

// notices are who has come and gone since viewers were last told. Who did both is in neither list.
type notices struct {
	came, went crowd
	count      int // of users, after the last of them
	toldAt     time.Time
	timer      *time.Timer
	armed      bool
}

// crowd is users in their order, each once.
type crowd struct {
	people []person
	at     map[domain.UserID]int // in people
}

// person is who came or went; no user: not any more.
type person struct {
	user domain.UserID
	ext  string // what who came said
}

func (c *crowd) add(p person) {
	if _, ok := c.at[p.user]; ok {
		return
	}
	if c.at == nil {
		c.at = make(map[domain.UserID]int)
	}
	c.at[p.user] = len(c.people)
	c.people = append(c.people, p)
}

func (c *crowd) remove(u domain.UserID) (was bool) {
	at, was := c.at[u]
	if was {
		c.people[at] = person{}
		delete(c.at, u)
	}
	return was
}

func (n *notices) clear() { n.came, n.went = crowd{}, crowd{} }

func (n *notices) empty() bool { return len(n.came.at)+len(n.went.at) == 0 }

func (n *notices) stop() {
	if n.timer != nil {
		n.timer.Stop()
	}
}

const (
	noticeEvery = time.Second
	noticeUsers = 20 // named in one notice
)

// Came tells viewers that a user has begun to view a room; count is how many are in it then.
func (r *Rooms) Came(id domain.StreamID, who domain.UserID, ext string, count int) {
	r.moved(id, count, func(n *notices) {
		if !n.went.remove(who) {
			n.came.add(person{user: who, ext: ext})
		}
	})
}

// Went tells viewers that a user views a room no more.
func (r *Rooms) Went(id domain.StreamID, who domain.UserID, count int) {
	r.moved(id, count, func(n *notices) {
		if !n.came.remove(who) {
			n.went.add(person{user: who})
		}
	})
}

// moved notes a change and sees to it that viewers are told: at once when the last time is long ago, else together with what follows.
// Rooms with many viewers are told nothing.
func (r *Rooms) moved(id domain.StreamID, count int, note func(*notices)) {
	s := r.find(id)
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.members) == 0 || s.over {
		return
	}
	if count > r.cfg.Settings.NoticeViewers {
		r.metrics.noticesLeft.Inc()
		return
	}
	n := &s.notices
	note(n)
	n.count = count
	wait := noticeEvery - r.cfg.Now().Sub(n.toldAt)
	switch {
	case n.armed:
	case wait <= 0:
		s.tell()
	default:
		n.armed = true
		if n.timer == nil {
			n.timer = time.AfterFunc(wait, s.noticesDue)
		} else {
			n.timer.Reset(wait)
		}
	}
}

func (s *state) noticesDue() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notices.armed = false
	if !s.over && !s.dead {
		s.tell()
	}
}

// tell puts the notices into the next frame. The room's lock is held.
func (s *state) tell() {
	n := &s.notices
	if n.empty() {
		return
	}
	n.toldAt = s.rooms.cfg.Now()
	s.tellOf(msync.MUCBody_ABSENCE, n.went.people)
	s.tellOf(msync.MUCBody_PRESENCE, n.came.people)
	n.clear()
}

// tellOf tells of people in their order, several at a time; who said something comes alone.
func (s *state) tellOf(op msync.MUCBody_Operation, people []person) {
	var users []domain.UserID
	flush := func(ext string) {
		if len(users) > 0 {
			s.push(s.notice(op, users, ext))
		}
		users = nil
	}
	for _, p := range people {
		if p.user == "" {
			continue
		}
		if p.ext != "" || len(users) == noticeUsers {
			flush("")
		}
		users = append(users, p.user)
		if p.ext != "" {
			flush(p.ext)
		}
	}
	flush("")
}

// notice makes a notice; each of those named is told of the others only.
func (s *state) notice(op msync.MUCBody_Operation, users []domain.UserID, ext string) item {
	n := msync.RoomNotice{
		ID: s.rooms.cfg.NextT(), Room: s.st, Op: op, Users: users, Ext: ext, Count: uint32(max(0, s.notices.count)),
	}
	it := item{t: n.ID, meta: msync.AppendRoomNotice(nil, &n), named: make(map[domain.UserID]int, len(users))}
	if len(users) == 1 {
		it.named[users[0]] = 0
		return it
	}
	for i, u := range users {
		others := make([]domain.UserID, 0, len(users)-1)
		n.Users = append(append(others, users[:i]...), users[i+1:]...)
		it.variant(u, msync.AppendRoomNotice(nil, &n))
	}
	return it
}
