package lease

import (
	"slices"

	"parley/domain"
)

// outcome is what is to be told when no lock is held.
type outcome struct {
	news  []*room
	ended []lookAt
	added []lookAt
}

// lookAt is a user whose sessions here may view a room no more, or are to.
type lookAt struct {
	room Room
	key  userKey
	inc  domain.Incarnation
}

func (o *outcome) room(r *room) {
	if r != nil && !slices.Contains(o.news, r) {
		o.news = append(o.news, r)
	}
}

// Apply takes what another node says, or asks for. What cannot be read is an error and changes nothing.
func (l *Leases) Apply(n domain.Node, fact []byte) error {
	out, err := l.apply(n, fact)
	if err != nil {
		l.metrics.malformed.Inc()
		return err
	}
	l.tellAll(out.news)
	if l.local == nil {
		return nil
	}
	for _, a := range out.ended {
		l.local.Ended(a.room, a.key.app, a.key.user)
	}
	for _, a := range out.added {
		l.local.Added(a.room, a.key.app, a.key.user, a.inc)
	}
	return nil
}

func (l *Leases) apply(n domain.Node, fact []byte) (out outcome, err error) {
	l.peers.mu.Lock()
	defer l.peers.mu.Unlock()
	by, err := l.peers.current(n)
	if err != nil {
		return out, err
	}
	r := &reader{rest: fact}
	switch factKind(r.byte()) {
	case factLeases:
		if u := r.toldUser(); r.err == nil {
			l.applyUser(by, &u, &out)
		}
	case factAsk:
		if a := r.ask(); r.err == nil {
			l.applyAsk(&a, &out)
		}
	case factAdded:
		a := lookAt{key: r.key(), inc: domain.Incarnation(r.number()), room: Room(r.text())}
		out.added = append(out.added, a)
	case factEnded:
		if id := Room(r.text()); r.err == nil {
			l.EndRoom(id)
		}
	case factTook:
		if t := r.took(); r.err == nil {
			l.applyTook(&t)
		}
	case factNode:
		if number := r.number(); r.err == nil {
			l.peers.all[by].number = int(min(number, uint64(numbersMost)))
		}
	default:
		if r.err == nil {
			l.metrics.unknown.Inc()
			return out, nil
		}
	}
	if r.err == nil {
		l.metrics.applied.Inc()
	}
	return out, r.done()
}

// applyUser takes what a node says of leases of a user.
func (l *Leases) applyUser(by source, t *toldUser, out *outcome) {
	b := &l.buckets[Bucket(t.key.app, t.key.user)]
	b.mu.Lock()
	defer b.mu.Unlock()
	u := b.users[t.key]
	forgotten := l.recent.forgotten(t.key, t.incarnation)
	if u == nil {
		if !t.says() || forgotten {
			return
		}
		u = &user{key: t.key, incarnation: t.incarnation}
		b.users[t.key] = u
	}
	if t.incarnation > u.incarnation {
		l.supplant(b, u, t.incarnation, out)
	}
	for i := range t.leases {
		if t.incarnation < u.incarnation || forgotten {
			t.leases[i].devices = nil
		}
		l.applyLease(b, u, by, &t.leases[i], out)
	}
	l.leaveEmpty(b, u)
}

// says tells whether there is a lease at all.
func (t *toldUser) says() bool {
	return slices.ContainsFunc(t.leases, func(le toldLease) bool { return len(le.devices) > 0 })
}

// supplant ends what an account of before had.
func (l *Leases) supplant(b *bucket, u *user, inc domain.Incarnation, out *outcome) {
	for _, le := range u.leases {
		if le.viewedHere() {
			out.ended = append(out.ended, lookAt{room: le.room.id, key: u.key})
		}
	}
	for _, r := range l.endAll(b, u, forgotten) {
		out.room(r)
	}
	u.incarnation = inc
}

// viewedHere tells whether a device views on this node.
func (le *lease) viewedHere() bool {
	return slices.ContainsFunc(le.devices, func(d device) bool { return d.cut == 0 && d.by == 0 })
}

// applyLease takes what a node says of one lease.
func (l *Leases) applyLease(b *bucket, u *user, by source, t *toldLease, out *outcome) {
	le := u.lease(t.room)
	switch {
	case le == nil && len(t.devices) == 0:
		return
	case le == nil:
		if le = l.beginTold(u, t); le == nil {
			return // the room has ended
		}
		out.room(le.room)
	default:
		l.hearLease(le, t)
	}
	node := l.peers.all[by].node
	var waited int64
	var viewed []device
	le.devices = slices.DeleteFunc(le.devices, func(d device) bool {
		if d.by.mine() || l.peers.all[d.by].node != node {
			return false
		}
		if d.resource == "" {
			waited = d.since
		}
		if d.by == by && d.cut == 0 {
			viewed = append(viewed, d)
		}
		return true
	})
	for _, d := range t.devices {
		d.by = by
		le.devices = append(le.devices, d)
		if d.resource == "" && d.since != waited {
			out.added = append(out.added, lookAt{t.room, u.key, u.incarnation})
		}
	}
	out.room(l.replaced(b, le, le.leftThere(viewed, by)))
}

// beginTold begins a lease that another node speaks of. It returns nil when the room has ended.
func (l *Leases) beginTold(u *user, t *toldLease) *lease {
	r := l.lockRoom(t.room)
	defer r.mu.Unlock()
	if r.ended != 0 {
		return nil
	}
	r.hear(t)
	le := l.begin(u, r, t.ext, t.joined)
	l.hearListed(le, t, r.owner)
	return le
}

// hearLease takes what another node says of a lease as a whole.
func (l *Leases) hearLease(le *lease, t *toldLease) {
	if len(t.devices) == 0 {
		return
	}
	le.room.mu.Lock()
	le.room.hear(t)
	owner := le.room.owner
	le.room.mu.Unlock()
	le.joined = min(le.joined, t.joined)
	if t.ext != "" {
		le.ext = t.ext
	}
	l.hearListed(le, t, owner)
}

// applyAsk ends what this node says of a lease, as far as it began before. What others say they end themselves.
func (l *Leases) applyAsk(a *ask, out *outcome) {
	l.raise(a.t)
	b := &l.buckets[Bucket(a.key.app, a.key.user)]
	b.mu.Lock()
	defer b.mu.Unlock()
	u := b.users[a.key]
	if u == nil {
		return
	}
	le := u.lease(a.room)
	if le == nil {
		return
	}
	viewed := le.viewedHere()
	over := func(d device) bool {
		return d.by.mine() && d.since <= a.t && (a.resource == "" || d.resource == "" || a.resource == d.resource)
	}
	if viewed && slices.ContainsFunc(le.devices, over) {
		out.ended = append(out.ended, lookAt{room: a.room, key: a.key})
	}
	out.room(l.dropDevices(b, le, over))
	l.leaveEmpty(b, u)
}
