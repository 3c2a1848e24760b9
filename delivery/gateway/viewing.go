package gateway

import (
	"context"
	"hash/maphash"
	"sync"
	"time"

	"parley/delivery/directory"
	"parley/delivery/lease"
	"parley/delivery/room"
	"parley/domain"
)

// views are the rooms that a session views. All but viewing is guarded by the lock of the session's user (userLocks), under which the user's
// leases change too, so that both always agree: a device has a lease while one of its sockets views.
type views struct {
	rooms map[domain.StreamID]*view // nil until there is one
	begun bool                      // the handshake was answered and leases of before were taken up
	over  bool                      // the session has ended
	tidy  int                       // with so many rooms those that have ended are forgotten

	viewing sync.Mutex // held while room.Rooms is called for the session; after the user's lock
}

// view is one room's place in a session.
type view struct {
	seen  domain.Seq // the last entry that the device was shown before; 0: not known
	asked bool       // the client has joined on this socket
	over  bool       // guarded by views.viewing
}

// userLocks are locks of users. Two users may share one.
type userLocks struct {
	seed  maphash.Seed
	locks [512]sync.Mutex
}

func (l *userLocks) of(k directory.Key) *sync.Mutex {
	return &l.locks[maphash.Comparable(l.seed, k)%uint64(len(l.locks))]
}

// lockRooms locks what the session's user views.
func (s *session) lockRooms() *sync.Mutex {
	mu := s.gw.users.of(s.key)
	mu.Lock()
	return mu
}

// view notes that the session views a room from now on: beginShow comes next. seen is the last entry that the device was shown, if that is known.
// It returns nil when there is nothing to show. The user is locked.
func (s *session) view(stream domain.StreamID, seen domain.Seq) *view {
	if s.views.over || s.views.rooms[stream] != nil {
		return nil
	}
	if s.views.rooms == nil {
		s.views.rooms = make(map[domain.StreamID]*view)
	}
	if len(s.views.rooms) >= s.views.tidy {
		s.forgetEnded()
	}
	v := &view{seen: seen}
	s.views.rooms[stream] = v
	return v
}

// viewAsked is view for a join of the client. A client that did not join on this socket may be a page that was loaded anew, and goes on with
// what its device viewed before: it is shown the newest messages, too. Clients drop those that they have.
func (s *session) viewAsked(stream domain.StreamID) (v *view, from room.Start) {
	from = s.gw.onJoin()
	if old := s.views.rooms[stream]; old != nil && !old.asked && from.Newest > 0 {
		if seen, _ := s.unview(stream); seen > 0 {
			from = room.Start{Seen: max(seen, domain.Seq(from.Newest)+1) - domain.Seq(from.Newest)} // nothing is left out meanwhile
		}
	}
	if v = s.view(stream, 0); v != nil {
		v.asked = true
	}
	return v, from
}

// fewRooms is how many rooms a session views before it is worth looking which have ended.
const fewRooms = 32

// forgetEnded forgets rooms of which the user has no lease any more: those that were destroyed. The user is locked.
func (s *session) forgetEnded() {
	for stream := range s.views.rooms {
		if !s.gw.cfg.Leases.Viewing(stream, s.key.User) {
			s.unview(stream)
		}
	}
	s.views.tidy = max(2*len(s.views.rooms), fewRooms)
}

// beginShow begins to show a room. The user is not locked: entries may have to be read.
func (s *session) beginShow(ctx context.Context, stream domain.StreamID, v *view, from room.Start, history func(*room.Frame)) {
	s.views.viewing.Lock()
	defer s.views.viewing.Unlock()
	if v.over {
		return
	}
	s.gw.cfg.Rooms.Add(ctx, stream, s, history, from)
}

func (s *session) showHistory(f *room.Frame) {
	if f != nil {
		s.Show(f)
	}
}

// unview ends the showing of a room, and returns the last entry that was shown. The user is locked.
func (s *session) unview(stream domain.StreamID) (seen domain.Seq, was bool) {
	v := s.views.rooms[stream]
	if v == nil {
		return 0, false
	}
	delete(s.views.rooms, stream)
	s.views.viewing.Lock()
	defer s.views.viewing.Unlock()
	v.over = true
	return max(v.seen, s.gw.cfg.Rooms.Remove(stream, s)), true
}

// siblings returns the other sockets of the session's device.
func (s *session) siblings() []*session {
	var out []*session
	for _, o := range s.gw.sessionsOf(s.key) {
		if o != s && o.info.Resource == s.info.Resource && o.info.Incarnation == s.info.Incarnation && !o.views.over {
			out = append(out, o)
		}
	}
	return out
}

// sessionsOf returns the sessions of a user.
func (g *Gateway) sessionsOf(k directory.Key) []*session {
	all := g.cfg.Directory.Sessions(k)
	out := make([]*session, 0, len(all))
	for _, o := range all {
		if s, ok := o.(*session); ok {
			out = append(out, s)
		}
	}
	return out
}

// resumeRooms goes on with what the device viewed before its socket was cut. It comes after the answer to the handshake; without leases it
// does next to nothing.
func (s *session) resumeRooms() {
	mu := s.lockRooms()
	s.views.begun = true
	resumed := s.gw.cfg.Leases.Attach(s.key.App, s.key.User, s.info.Incarnation, s.info.Resource)
	if len(resumed) == 0 {
		mu.Unlock()
		return
	}
	shown, from := make([]*view, len(resumed)), make([]room.Start, len(resumed))
	for i := range resumed {
		from[i] = s.goOn(&resumed[i])
		shown[i] = s.view(resumed[i].Room, from[i].Seen)
	}
	mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.background(func(ctx context.Context) {
		for i := range resumed {
			if shown[i] != nil {
				s.beginShow(ctx, resumed[i].Room, shown[i], from[i], s.showHistory)
			}
		}
	})
}

// goOn returns where a device goes on in a room. While it has other sockets the lease does not know: this one may follow one that ended, or one
// of which nobody has noticed yet that it is dead. What came after that was last heard of may not have reached the client, which drops what
// it has. The user is locked.
func (s *session) goOn(r *lease.Resumed) room.Start {
	if !r.Open {
		return room.Start{Seen: r.Seen, After: r.After, Shown: max(r.Shown, s.gw.begun)} // a kill leaves no word of what was shown
	}
	if left, ok := s.device.roomsLeft[r.Room]; ok {
		delete(s.device.roomsLeft, r.Room)
		if s.gw.cfg.Now().Sub(left.at) <= s.gw.cfg.Settings.MarksKept {
			return room.Start{Seen: left.seen}
		}
	}
	var heard int64
	for _, o := range s.siblings() {
		if at := o.lastRead.Load(); o.views.rooms[r.Room] != nil && (heard == 0 || at < heard) {
			heard = at
		}
	}
	if heard == 0 {
		return room.Start{}
	}
	return room.Start{After: domain.TAt(time.UnixMilli(heard)), Shown: domain.TAt(s.gw.cfg.Now())}
}

// roomLeft is where a socket stood in a room that ended while its device had others.
type roomLeft struct {
	at   time.Time
	seen domain.Seq
}

// endRooms ends what the session views. With the last socket of a device its leases begin to run out.
func (s *session) endRooms() {
	mu := s.lockRooms()
	defer mu.Unlock()
	s.views.over = true
	var cut map[domain.StreamID]domain.Seq
	for stream := range s.views.rooms {
		if cut == nil {
			cut = make(map[domain.StreamID]domain.Seq, len(s.views.rooms))
		}
		seen, _ := s.unview(stream)
		if !s.parted { // what it was last shown may not have reached it
			seen = s.gw.cfg.Rooms.Arrived(stream, seen, domain.TAt(time.UnixMilli(s.lastRead.Load())))
		}
		cut[stream] = seen
	}
	if len(s.siblings()) > 0 {
		s.device.leaveRooms(cut, s.gw.cfg.Now())
		return
	}
	s.device.roomsLeft = nil
	s.gw.cfg.Leases.Detach(s.key.App, s.key.User, s.info.Resource, cut)
}

// leaveRooms notes where a socket stood that ended while the device has others. The user is locked.
func (d *device) leaveRooms(cut map[domain.StreamID]domain.Seq, now time.Time) {
	for stream, seen := range cut {
		if seen == 0 {
			continue
		}
		if d.roomsLeft == nil {
			d.roomsLeft = make(map[domain.StreamID]roomLeft)
		}
		d.roomsLeft[stream] = roomLeft{at: now, seen: seen}
	}
}
