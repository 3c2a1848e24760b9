package lease

import (
	"sync"
	"time"

	"parley/domain"
)

// naming is who said who owns a room, or is on its allow list. The higher goes. Each node reads the log itself, sooner or later than others:
// what one hears from another may be older than what it has read.
type naming uint8

const (
	byRows   naming = iota // of before, or another node that has not read it in the log
	byJoin                 // a join, from the room's head
	byOthers               // another node, which has read it in the log
	byLog
)

// told returns how another node knows.
func told(logged bool) naming {
	if logged {
		return byOthers
	}
	return byRows
}

// recentKept is how long what one node says of a lease may be behind another's log.
const recentKept = time.Minute

// recent is what the log said of late. Another node may speak of a room or a viewer that was not known here when the log did, and not have read
// it yet.
type recent struct {
	mu     sync.Mutex
	owners map[Room]recentOwner
	listed map[viewer]recentListed
	forgot map[userKey]recentForgot
}

type viewer struct {
	room Room
	user domain.UserID
}

type recentOwner struct {
	user domain.UserID
	at   int64
}

type recentListed struct {
	on bool
	at int64
}

// recentForgot is up to which incarnation a user's accounts are deleted.
type recentForgot struct {
	inc domain.Incarnation
	at  int64
}

func (r *recent) noteForgotten(k userKey, inc domain.Incarnation, now int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.forgot == nil {
		r.forgot = make(map[userKey]recentForgot)
	}
	r.forgot[k] = recentForgot{max(inc, r.forgot[k].inc), now}
}

// forgotten tells whether an account is known to be deleted.
func (r *recent) forgotten(k userKey, inc domain.Incarnation) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	f, known := r.forgot[k]
	return known && inc <= f.inc
}

func (r *recent) noteOwner(id Room, owner domain.UserID, now int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.owners == nil {
		r.owners = make(map[Room]recentOwner)
	}
	r.owners[id] = recentOwner{owner, now}
}

func (r *recent) noteListed(id Room, who domain.UserID, on bool, now int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.listed == nil {
		r.listed = make(map[viewer]recentListed)
	}
	r.listed[viewer{id, who}] = recentListed{on, now}
}

func (r *recent) owner(id Room) (owner domain.UserID, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	o, known := r.owners[id]
	return o.user, known
}

func (r *recent) onList(id Room, who domain.UserID) (on, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l, known := r.listed[viewer{id, who}]
	return l.on, known
}

// prune forgets what is not recent any more.
func (r *recent) prune(before int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for k, o := range r.owners {
		if o.at <= before {
			delete(r.owners, k)
		}
	}
	for k, l := range r.listed {
		if l.at <= before {
			delete(r.listed, k)
		}
	}
	for k, f := range r.forgot {
		if f.at <= before {
			delete(r.forgot, k)
		}
	}
}

// hear hears of a room's owner from another node. The room is locked.
func (r *room) hear(t *toldLease) {
	if by := told(t.ownerLogged); t.owner != "" && by >= r.named {
		r.owner, r.named = t.owner, by
	}
}

// hearListed hears from another node whether a viewer is on the allow list of a room.
func (l *Leases) hearListed(le *lease, t *toldLease, owner domain.UserID) {
	if by := told(t.listLogged); by >= le.named {
		le.listed, le.named = t.listed, by
	}
	if on, known := l.recent.onList(t.room, le.user.key.user); known {
		le.listed, le.named = on, byLog
	}
	le.stays = le.listed || owner == le.user.key.user
}
