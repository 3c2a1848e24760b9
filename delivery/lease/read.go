package lease

import (
	"slices"

	"parley/domain"
)

// Viewing tells whether a user has a lease of a room.
func (l *Leases) Viewing(id Room, who domain.UserID) bool {
	r := l.room(id)
	if r == nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.viewers[who] != nil
}

// Views tells whether a device views a room on this node.
func (l *Leases) Views(id Room, who domain.UserID, r domain.Resource) (views bool) {
	l.each(id, who, func(_ *bucket, le *lease) {
		d := le.own(r)
		views = d != nil && d.cut == 0
	})
	return views
}

// Stays tells whether a user has a lease of a room that outlasts its devices: the owner, and who is on the allow list.
func (l *Leases) Stays(id Room, who domain.UserID) (stays bool) {
	l.each(id, who, func(_ *bucket, le *lease) { stays = le.stays })
	return stays
}

// Count returns how many belong to a room that exists: who has a lease, and the owner in any case.
func (l *Leases) Count(id Room) int {
	r := l.room(id)
	if r == nil {
		return 1 // the owner
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return max(r.count(), 1)
}

// Roster returns leases of a room by the users' names, from the first above after, at most limit and Settings.Roster.
func (l *Leases) Roster(id Room, after domain.UserID, limit int) []Lease {
	r := l.room(id)
	if r == nil || limit <= 0 {
		return nil
	}
	r.mu.Lock()
	names := r.names(func(who domain.UserID) bool { return who > after })
	r.mu.Unlock()
	slices.Sort(names)
	names = names[:min(len(names), limit, l.settings.Roster)]
	out := make([]Lease, 0, len(names))
	for _, who := range names {
		l.each(id, who, func(_ *bucket, le *lease) { out = append(out, l.lease(le)) })
	}
	return out
}

// RoomsOf returns the leases of a user, the oldest first.
func (l *Leases) RoomsOf(app domain.AppID, who domain.UserID) []Lease {
	b := &l.buckets[Bucket(app, who)]
	b.mu.Lock()
	defer b.mu.Unlock()
	u := b.users[userKey{app, who}]
	if u == nil {
		return nil
	}
	out := make([]Lease, 0, len(u.leases))
	for _, le := range u.leases {
		out = append(out, l.lease(le))
	}
	return out
}

// Rooms returns the rooms that somebody views, in no order. After Load it tells whose heads to compare: rooms that ended, or got another
// owner, and whose rows a kill kept from being written.
func (l *Leases) Rooms() []Room {
	var out []Room
	for i := range l.rooms {
		s := &l.rooms[i]
		s.mu.RLock()
		for id := range s.all {
			out = append(out, id)
		}
		s.mu.RUnlock()
	}
	return out
}

func (l *Leases) lease(le *lease) Lease {
	out := Lease{
		Room: le.room.id, User: le.user.key.user, Incarnation: le.user.incarnation, Ext: le.ext,
		Joined: micros(le.joined), Until: le.until(l.settings.Keep),
	}
	for _, d := range le.devices {
		if d.cut == 0 && !slices.Contains(out.Devices, d.resource) {
			out.Devices = append(out.Devices, d.resource)
		}
	}
	return out
}
