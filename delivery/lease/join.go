package lease

import (
	"slices"

	"parley/domain"
)

var (
	errFull    = domain.Refuse(domain.RoomFull, "the room has as many viewers as it may have")
	errTooMany = domain.Refuse(domain.TooManyRooms, "the user views as many rooms as one may")
	errEnded   = domain.Refuse(domain.RoomNotFound, "the room has ended")
	errStale   = domain.Refuse(domain.UserNotFound, "the account is deleted")
)

// Join lets a user's device view a room. first tells that the user did not view it before; joining again is no error. The codes of errors
// are RoomFull, TooManyRooms, RoomNotFound (the room has ended) and UserNotFound (of an incarnation before the one that views rooms).
func (l *Leases) Join(j Join) (count int, first bool, err error) {
	now := l.micro()
	b := &l.buckets[Bucket(j.App, j.User)]
	b.mu.Lock()
	u, news := l.arrive(b, userKey{j.App, j.User}, j.Incarnation, now)
	le, count, first, err := l.join(u, &j, now)
	var told *room
	if le != nil {
		l.changed(b, le)
		if j.Everywhere {
			l.tellAdded(le)
		}
		if first {
			told = le.room
		}
	}
	l.leaveEmpty(b, u)
	b.mu.Unlock()
	l.tellAll(news)
	if told != nil {
		l.tell(told)
	}
	return count, first, err
}

// arrive returns the user, without leases that have run out or belong to an earlier incarnation. It returns the rooms with news. The bucket
// is locked.
func (l *Leases) arrive(b *bucket, k userKey, inc domain.Incarnation, now int64) (u *user, news []*room) {
	u = b.users[k]
	if u == nil {
		u = &user{key: k, incarnation: inc}
		b.users[k] = u
	}
	if inc > u.incarnation {
		news = l.endAll(b, u, forgotten)
		u.incarnation = inc
	}
	return u, append(news, l.endIdle(b, u, now)...)
}

// endIdle ends leases of a user that have run out.
func (l *Leases) endIdle(b *bucket, u *user, now int64) (news []*room) {
	for _, le := range slices.Clone(u.leases) {
		if le.place != 0 && l.over(le, now) {
			if r := l.expire(b, le); r != nil {
				news = append(news, r)
			}
		}
	}
	return news
}

// over tells whether an idle lease has run out.
func (l *Leases) over(le *lease, now int64) bool {
	return le.idle+l.settings.Keep.Microseconds() <= now
}

// join does what Join does for a user who has arrived. The caller says that the lease has changed, when the room is not locked.
func (l *Leases) join(u *user, j *Join, now int64) (le *lease, count int, first bool, err error) {
	r := l.lockRoom(j.Room)
	defer r.mu.Unlock()
	le = r.viewers[j.User]
	if err := l.refuse(r, u, le, j); err != nil {
		l.settle(r)
		return nil, 0, false, err
	}
	if r.named < byJoin && j.Owner != "" {
		r.owner, r.named = j.Owner, byJoin
	}
	if first = le == nil; first {
		le = l.begin(u, r, j.Ext, now)
		l.metrics.joins.Inc()
	} else if j.Ext != "" {
		le.ext = j.Ext
	}
	le.listed, le.named, le.stays = j.Stays, byJoin, j.Stays || j.User == r.owner
	switch {
	case j.Device != "":
		le.dropCut(now - l.settings.Keep.Microseconds())
		le.view(j.Device, l.since(now))
	case !le.live():
		le.wait(now, l.since(now))
	}
	return le, r.count(), first, nil
}

// View lets another device view a room that its user has a lease of, and does nothing when there is none.
func (l *Leases) View(app domain.AppID, who domain.UserID, inc domain.Incarnation, id Room, r domain.Resource) (count int, ok bool) {
	now := l.micro()
	l.each(id, who, func(b *bucket, le *lease) {
		if ok = le.user.incarnation == inc; !ok {
			return
		}
		le.dropCut(now - l.settings.Keep.Microseconds())
		le.view(r, l.since(now))
		le.room.mu.Lock()
		count = le.room.count()
		le.room.mu.Unlock()
		l.changed(b, le)
	})
	return count, ok
}

// begin makes a lease, of nobody yet. The room is locked.
func (l *Leases) begin(u *user, r *room, ext string, now int64) *lease {
	le := &lease{user: u, room: r, ext: ext, joined: now, idle: now}
	le.devices = le.first[:0]
	u.leases = append(u.leases, le)
	r.viewers[u.key.user] = le
	r.news = append(r.news, news{user: u.key.user, ext: ext, count: r.count(), came: true})
	l.metrics.viewers.Inc()
	return le
}

// refuse returns why a user may not view a room. The room is locked.
func (l *Leases) refuse(r *room, u *user, le *lease, j *Join) error {
	switch {
	case j.Incarnation < u.incarnation:
		l.metrics.stale.Inc()
		return errStale
	case r.ended != 0:
		l.metrics.gone.Inc()
		return errEnded
	case le != nil:
		return nil
	case len(u.leases) >= l.settings.MaxJoined:
		l.metrics.tooMany.Inc()
		return errTooMany
	case j.User != j.Owner && r.full(j.MaxUsers):
		l.metrics.full.Inc()
		return errFull
	}
	return nil
}

// expire ends what this node says of a lease that has run out: the others say so themselves. It returns nil while others are not done.
func (l *Leases) expire(b *bucket, le *lease) *room {
	if !le.shared() {
		return l.end(b, le, expired)
	}
	le.devices = slices.DeleteFunc(le.devices, func(d device) bool { return d.by.mine() })
	le.reckon()
	l.changed(b, le)
	return nil
}

// end ends a lease, whoever's word it is. The bucket is locked. The caller tells the room that is returned, when no lock is held.
func (l *Leases) end(b *bucket, le *lease, why leaveReason) *room {
	u, r := le.user, le.room
	u.leases = slices.DeleteFunc(u.leases, func(o *lease) bool { return o == le })
	le.stays, le.listed, le.idle = false, false, 0
	clear(le.devices)
	le.devices = nil
	switch why {
	case elsewhere:
		l.moved(b, le)
	case ended:
		le.told = false // the room's end is told
		l.changed(b, le)
	default:
		l.changed(b, le)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.viewers, u.key.user)
	if why != ended {
		r.news = append(r.news, news{user: u.key.user, count: r.count()})
	}
	l.metrics.viewers.Dec()
	l.metrics.leaves[why].Inc()
	return r
}

// endAll ends all leases of a user. It does not forget the user.
func (l *Leases) endAll(b *bucket, u *user, why leaveReason) (news []*room) {
	for len(u.leases) > 0 {
		news = append(news, l.end(b, u.leases[len(u.leases)-1], why))
	}
	return news
}

// leaveEmpty forgets a user who views nothing, unless a row says otherwise: then the row is emptied first. u may be nil.
func (l *Leases) leaveEmpty(b *bucket, u *user) {
	if u == nil || len(u.leases) > 0 || u.row != 0 {
		return
	}
	l.clean(b, u)
	if b.users[u.key] == u {
		delete(b.users, u.key)
	}
}

func (l *Leases) tellAll(rooms []*room) {
	for _, r := range rooms {
		l.tell(r)
	}
}

// Leave ends a device's view of a room; device "" stands for all. The user has gone when no other device is left, or within its time.
// was tells whether there was anything to leave.
func (l *Leases) Leave(app domain.AppID, who domain.UserID, id Room, r domain.Resource) (was bool) {
	b := &l.buckets[Bucket(app, who)]
	b.mu.Lock()
	u := b.users[userKey{app, who}]
	gone, was := l.leave(b, u, id, r)
	l.leaveEmpty(b, u)
	b.mu.Unlock()
	if gone != nil {
		l.tell(gone)
	}
	return was
}

func (l *Leases) leave(b *bucket, u *user, id Room, r domain.Resource) (gone *room, was bool) {
	if u == nil {
		return nil, false
	}
	le := u.lease(id)
	if le == nil {
		return nil, false
	}
	if r == "" || le.anyone() {
		l.ask(le, "")
		return l.end(b, le, left), true
	}
	if !le.names(r) {
		return nil, false
	}
	if le.shared() {
		l.ask(le, r)
	}
	le.devices = slices.DeleteFunc(le.devices, func(d device) bool { return d.resource == r || d.resource == "" })
	if len(le.devices) == 0 {
		return l.end(b, le, left), true
	}
	le.reckon()
	l.changed(b, le)
	return nil, true
}

// names tells whether a device is in the lease, whoever's word it is.
func (le *lease) names(r domain.Resource) bool {
	return slices.ContainsFunc(le.devices, func(d device) bool { return d.resource == r })
}

// Remove ends the leases of users, done by somebody else. It returns who had one.
func (l *Leases) Remove(id Room, users []domain.UserID) (gone []domain.UserID) {
	var told *room
	for _, who := range users {
		l.each(id, who, func(b *bucket, le *lease) {
			l.ask(le, "")
			told = l.end(b, le, removed)
			gone = append(gone, who)
		})
	}
	if told != nil {
		l.tell(told)
	}
	return gone
}

// each calls f with a user's lease of a room, if there is one, under its lock.
func (l *Leases) each(id Room, who domain.UserID, f func(b *bucket, le *lease)) {
	st, _ := id.Parse()
	b := &l.buckets[Bucket(st.App, who)]
	b.mu.Lock()
	defer b.mu.Unlock()
	u := b.users[userKey{st.App, who}]
	if u == nil {
		return
	}
	if le := u.lease(id); le != nil {
		f(b, le)
	}
	l.leaveEmpty(b, u)
}

// Forget ends all leases of a user whose account is deleted: of this incarnation, or an earlier one.
func (l *Leases) Forget(app domain.AppID, who domain.UserID, inc domain.Incarnation) {
	k := userKey{app, who}
	if l.tellFact != nil {
		l.recent.noteForgotten(k, inc, l.micro())
	}
	b := &l.buckets[Bucket(app, who)]
	b.mu.Lock()
	u := b.users[k]
	var news []*room
	if u != nil && u.incarnation <= inc {
		news = l.endAll(b, u, forgotten)
		l.leaveEmpty(b, u)
	}
	b.mu.Unlock()
	l.tellAll(news)
}
