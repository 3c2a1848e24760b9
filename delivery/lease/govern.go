package lease

import "parley/domain"

// SetStays says whether a user is on a room's allow list. When it is no more and no device views the room, the lease runs from now.
func (l *Leases) SetStays(id Room, who domain.UserID, stays bool) {
	now := l.micro()
	if l.tellFact != nil {
		l.recent.noteListed(id, who, stays, now)
	}
	l.each(id, who, func(b *bucket, le *lease) {
		le.named = byLog
		le.room.mu.Lock()
		owner := le.room.owner == who
		le.room.mu.Unlock()
		l.setStays(b, le, stays, owner, now)
	})
}

func (l *Leases) setStays(b *bucket, le *lease, listed, owner bool, now int64) {
	stays := listed || owner
	if le.stays && !stays && le.idle != 0 && le.held() {
		le.wait(now, l.since(now)) // its devices may be forgotten
	}
	le.listed, le.stays = listed, stays
	l.changed(b, le)
}

// SetAllowed says who is on a room's allow list, and that nobody else is: what SetStays has said of the others may have been lost in a kill.
func (l *Leases) SetAllowed(id Room, allowed []domain.UserID) {
	now := l.micro()
	r := l.room(id)
	if r == nil {
		return
	}
	on := make(map[domain.UserID]bool, len(allowed))
	for _, who := range allowed {
		on[who] = true
	}
	r.mu.Lock()
	viewers, owner := r.names(nil), r.owner
	r.mu.Unlock()
	for _, who := range viewers {
		l.each(id, who, func(b *bucket, le *lease) {
			le.named = byLog
			if le.listed != on[who] {
				l.setStays(b, le, on[who], who == owner, now)
			}
		})
	}
}

// SetOwner says who owns a room from now on. The old owner stays no more without devices, unless it is on the allow list. Every row of the
// room is written anew, since they name the owner.
func (l *Leases) SetOwner(id Room, owner domain.UserID) {
	now := l.micro()
	if l.tellFact != nil {
		l.recent.noteOwner(id, owner, now)
	}
	r := l.room(id)
	if r == nil {
		return
	}
	r.mu.Lock()
	r.owner, r.named = owner, byLog
	viewers := r.names(nil)
	r.mu.Unlock()
	for _, who := range viewers {
		l.each(id, who, func(b *bucket, le *lease) {
			l.setStays(b, le, le.listed, who == owner, now)
		})
	}
}

// EndRoom ends all leases of a room that is destroyed. The Sink is not told: who viewed the room learns it from the log. Joins that are under
// way are refused.
func (l *Leases) EndRoom(id Room) {
	r := l.lockRoom(id)
	again := r.ended != 0
	r.ended = l.micro()
	viewers := r.names(nil)
	r.mu.Unlock()
	if !again {
		l.tellEnded(id)
	}
	for _, who := range viewers {
		l.each(id, who, func(b *bucket, le *lease) { l.end(b, le, ended) })
	}
	if again {
		return
	}
	l.endedMu.Lock()
	defer l.endedMu.Unlock()
	l.ended = append(l.ended, r)
}

// names returns the viewers that take accepts, all when it is nil, in no order. The room is locked.
func (r *room) names(take func(domain.UserID) bool) []domain.UserID {
	out := make([]domain.UserID, 0, len(r.viewers))
	for who := range r.viewers {
		if take == nil || take(who) {
			out = append(out, who)
		}
	}
	return out
}
