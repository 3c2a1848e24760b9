package lease

import (
	"slices"
)

// takeover is one look through all leases for what dead nodes left.
type takeover struct {
	*Leases
	now    int64
	mine   [Buckets]bool // buckets that this node takes over
	due    []bool        // by source: whose leases are taken over now
	forced []bool        // by source: by whoever knows of them
	took   []bucketSet   // by source
}

// takeOver cuts the devices of dead nodes, and takes over what falls to this node and is due. peers is locked.
func (l *Leases) takeOver(now int64) {
	t := &takeover{Leases: l, now: now}
	for i := range t.mine {
		t.mine[i] = l.taker(i) == l.self.Name
	}
	n := len(l.peers.all)
	t.due, t.forced, t.took = make([]bool, n), make([]bool, n), make([]bucketSet, n)
	for s, p := range l.peers.all {
		if s > 0 && p != nil && p.dead != 0 && p.tried < 2 && now >= p.due() {
			t.plan(source(s), p)
		}
	}
	l.scan(t.lease)
	for s, p := range l.peers.all {
		if t.due[s] {
			l.tellTook(p, &t.took[s])
		}
	}
}

// plan says what is to be done with what a dead peer left. One that lives again says itself what is so.
func (t *takeover) plan(s source, p *peer) {
	late := t.now >= p.dead+lateWait.Microseconds()
	if p.tried++; late {
		p.tried = 2
	}
	if p.node.Name == t.self.Name {
		return // what this node's rows said it goes on with
	}
	if at, lives := t.peers.now[p.node.Name]; lives && (p.loaded || t.peers.all[at].node == p.node) {
		return
	}
	t.due[s], t.forced[s] = true, late
	for i, mine := range t.mine {
		if mine && !p.takenBefore(i) {
			t.took[s].add(i)
		}
	}
}

// takenBefore tells whether another node has taken over a bucket before this one knew that the peer is dead.
func (p *peer) takenBefore(bucket int) bool {
	return p.taken[bucket] != 0 && p.taken[bucket]+clocksDiffer.Microseconds() > p.dead
}

// lease looks at one lease.
func (t *takeover) lease(i int, b *bucket, le *lease) *room {
	left := func(d device) bool { return !d.by.mine() && t.peers.all[d.by].dead != 0 }
	if !slices.ContainsFunc(le.devices, left) {
		return nil
	}
	changed, mine := false, false
	kept := make([]device, 0, len(le.devices))
	for _, d := range le.devices {
		if !left(d) {
			kept = append(kept, d)
			continue
		}
		p := t.peers.all[d.by]
		if d.cut == 0 {
			d.cut, d.seen, d.dead, changed = p.dead, 0, true, true
		}
		switch {
		case !t.due[d.by]:
		case p.takenBefore(i):
			changed = true
			continue
		case t.mine[i] || t.forced[d.by]:
			t.took[d.by].add(i)
			t.metrics.takenOver.Inc()
			changed, mine, d.by = true, true, d.by|adopted
		}
		kept = append(kept, d)
	}
	if !changed {
		return nil
	}
	le.devices = onceMine(kept)
	return t.replaced(b, le, mine)
}

// onceMine drops what this node says twice of a device: what it said before, or what it has taken over. Who views here stays.
func onceMine(devices []device) []device {
	for i := 0; i < len(devices); i++ {
		if worse(devices, i) {
			devices = slices.Delete(devices, i, i+1)
			i--
		}
	}
	return devices
}

// worse tells whether this node says of a device elsewhere in a list what is as good.
func worse(devices []device, i int) bool {
	d := &devices[i]
	for j := range devices {
		o := &devices[j]
		if i != j && o.resource == d.resource && o.by.mine() && d.by.mine() && d.cut != 0 && !d.better(o) {
			return true
		}
	}
	return false
}

// better tells whether, of two that this node says of a device that is cut, this is the one to go on with: not what another knows better; what
// was seen to be cut rather than what was believed, which may have come from the very same; what was cut later; what this node said before.
func (d *device) better(o *device) bool {
	switch {
	case o.cut == 0:
		return false
	case (d.yields == 0) != (o.yields == 0):
		return d.yields == 0
	case d.dead != o.dead:
		return o.dead
	case d.cut != o.cut:
		return d.cut > o.cut
	default:
		return d.by == 0 && o.by != 0
	}
}

// tellTook tells that buckets of a peer were taken over, and sees to it that its rows of them count no more. What was taken over has been
// told.
func (l *Leases) tellTook(p *peer, buckets *bucketSet) {
	if *buckets == (bucketSet{}) {
		return
	}
	t := took{node: p.node, until: l.micro() + clocksDiffer.Microseconds(), buckets: *buckets}
	l.peers.note(&t)
	if l.tellFact != nil {
		l.toldAll(appendTook(nil, &t))
	}
	if p.number >= 0 {
		l.voids.add(p.number, &t)
	}
}

// note keeps what was taken over, for nodes whose links begin later; of each node what its last life left, and what rows said.
func (p *peers) note(t *took) {
	p.tookMu.Lock()
	defer p.tookMu.Unlock()
	for n := range p.took {
		if n.Name == t.node.Name && n.Life != 0 && n.Life < t.node.Life {
			delete(p.took, n)
		}
	}
	if old, ok := p.took[t.node]; ok {
		for i := range t.buckets {
			old.buckets[i] |= t.buckets[i]
		}
		old.until = max(old.until, t.until)
		*t = old
	}
	p.took[t.node] = *t
}

// applyTook drops what a dead node left and another has taken over. A node that was believed dead, or was, learns it about itself: its rows
// count no more.
func (l *Leases) applyTook(t *took) {
	if t.node.Name == l.self.Name {
		l.wasTaken(t)
		return
	}
	of := make([]bool, len(l.peers.all))
	for s, p := range l.peers.all {
		if s == 0 || p == nil || p.node.Name != t.node.Name || p.node.Life > t.node.Life {
			continue
		}
		if of[s] = p.dead != 0; !of[s] {
			p.note(&t.buckets, l.micro())
		}
	}
	if slices.Contains(of, true) {
		over := func(d device) bool { return !d.by.mine() && of[d.by] }
		l.scan(func(i int, b *bucket, le *lease) *room {
			if !t.buckets.has(i) {
				return nil
			}
			return l.dropDevices(b, le, over)
		})
	}
}

func (p *peer) note(s *bucketSet, now int64) {
	for i := range p.taken {
		if s.has(i) {
			p.taken[i] = now
		}
	}
}

// wasTaken learns that others have taken over what this node said, or its life before. What it says in this life goes on: its rows are
// written anew, later than those that are void. What its rows said of the life before is the others' word, unless it lived on after that.
func (l *Leases) wasTaken(t *took) {
	before := t.node.Life < l.self.Life && l.peers.alive <= t.until
	over := func(d device) bool {
		return d.by&adopted != 0 && l.peers.all[d.by&^adopted].node.Name == l.self.Name
	}
	if before {
		l.scan(func(i int, b *bucket, le *lease) *room {
			if !t.buckets.has(i) {
				return nil
			}
			return l.dropDevices(b, le, over)
		})
	}
	for i := range l.buckets {
		if t.buckets.has(i) {
			l.rewrite(i, t.until)
		}
	}
}
