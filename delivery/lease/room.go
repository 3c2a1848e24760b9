package lease

import (
	"hash/maphash"
	"sync"

	"parley/domain"
)

// room is a room that somebody views, or that has ended a short while ago.
type room struct {
	id Room

	mu      sync.Mutex
	viewers map[domain.UserID]*lease
	owner   domain.UserID
	named   naming // who named the owner
	ended   int64  // µs; joins that were under way are refused
	gone    bool   // no longer in the table of rooms

	news    []news
	spare   []news // its memory
	telling bool   // somebody tells the Sink
}

// news is what the Sink is to be told.
type news struct {
	user  domain.UserID
	ext   string
	count int
	came  bool
}

// count returns the viewers and the owner. The room is locked.
func (r *room) count() int {
	n := len(r.viewers)
	if r.owner != "" && r.viewers[r.owner] == nil {
		n++
	}
	return n
}

// full tells whether nobody but the owner may begin to view. The room is locked.
func (r *room) full(most int) bool {
	n := len(r.viewers)
	if r.viewers[r.owner] != nil {
		n--
	}
	return most > 0 && n >= most
}

const roomShards = 64

type roomShard struct {
	mu  sync.RWMutex
	all map[Room]*room
}

var roomSeed = maphash.MakeSeed()

func (l *Leases) shard(id Room) *roomShard {
	return &l.rooms[maphash.String(roomSeed, string(id))%roomShards]
}

// room returns a room that somebody views, nil when nobody does.
func (l *Leases) room(id Room) *room {
	s := l.shard(id)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.all[id]
}

// lockRoom returns the room, locked; it makes it if need be. Whoever calls adds a viewer, or calls l.settle.
func (l *Leases) lockRoom(id Room) *room {
	for {
		r := l.room(id)
		if r == nil {
			r = l.makeRoom(id)
		}
		r.mu.Lock()
		if !r.gone {
			return r
		}
		r.mu.Unlock()
	}
}

func (l *Leases) makeRoom(id Room) *room {
	s := l.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.all[id]
	if r == nil {
		r = &room{id: id, viewers: make(map[domain.UserID]*lease)}
		if l.tellFact != nil {
			if owner, ok := l.recent.owner(id); ok {
				r.owner, r.named = owner, byLog
			}
		}
		s.all[id] = r
		l.metrics.rooms.Inc()
	}
	return r
}

// settle forgets a room that nobody views. The room is locked.
func (l *Leases) settle(r *room) {
	if len(r.viewers) > 0 || r.telling || len(r.news) > 0 || r.ended != 0 || r.gone {
		return
	}
	l.drop(r)
}

// drop takes a room out of the table. The room is locked.
func (l *Leases) drop(r *room) {
	r.gone = true
	s := l.shard(r.id)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, r.id)
	l.metrics.rooms.Dec()
}

// tell tells the Sink what is new in a room, unless somebody is at it, who then goes on. No lock is held.
func (l *Leases) tell(r *room) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.telling {
		return
	}
	r.telling = true
	for len(r.news) > 0 {
		some := r.news
		r.news, r.spare = r.spare[:0], nil
		r.mu.Unlock()
		l.tellSink(r.id, some)
		r.mu.Lock()
		if cap(some) <= spareNews {
			clear(some)
			r.spare = some
		}
	}
	r.telling = false
	l.settle(r)
}

const spareNews = 64 // kept for the next time

func (l *Leases) tellSink(id Room, some []news) {
	if l.sink == nil {
		return
	}
	for _, n := range some {
		if n.came {
			l.sink.Came(id, n.user, n.ext, n.count)
		} else {
			l.sink.Went(id, n.user, n.count)
		}
	}
}
