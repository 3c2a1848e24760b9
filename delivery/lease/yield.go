package lease

import (
	"slices"
	"time"

	"parley/domain"
)

// yieldWait is how long a node goes on saying of a device what another knows better. Links of two nodes have no order between them: a third
// that heard first that the one says nothing any more, and then what the other says, would tell viewers that somebody has gone and come who
// only moved. It is longer than a link takes to be found broken and to begin anew.
const yieldWait = 10 * time.Second

// yielding is a lease of which this node drops devices at an instant.
type yielding struct {
	lease *lease
	at    int64
}

// yield marks devices of this node of which another knows better. They are dropped after yieldWait, unless nobody does any more by then: two
// nodes may have yielded to one another. Who views here is never dropped.
func (l *Leases) yield(b *bucket, le *lease) {
	live, shared := le.live(), le.shared()
	var at int64
	for i := range le.devices {
		switch d := &le.devices[i]; {
		case shared && le.knownBetter(d, live):
			if d.yields == 0 {
				at = l.micro() + yieldWait.Microseconds()
				d.yields = at
			}
		case d.resource != "": // what was taken up once is not left to the next device again
			d.yields = 0
		}
	}
	if at != 0 {
		b.yielding = append(b.yielding, yielding{le, at})
	}
}

// knownBetter tells whether another node knows better of one of this node's devices: it views there, or was cut there later. When a node
// believes another dead, it knows of no device better than one that has cut it.
func (le *lease) knownBetter(own *device, live bool) bool {
	switch {
	case own.cut == 0 || !own.by.mine():
		return false
	case own.back || own.resource == "" && live:
		return true
	}
	return slices.ContainsFunc(le.devices, func(d device) bool {
		later := d.cut > own.cut && (own.dead || !d.dead)
		return d.resource == own.resource && !d.by.mine() && (d.cut == 0 || later)
	})
}

// leftThere drops what this node yields to a device that views on another node no more, and was not cut there: its user has left.
func (le *lease) leftThere(was []device, by source) (some bool) {
	if len(was) == 0 {
		return false
	}
	devices := len(le.devices)
	le.devices = slices.DeleteFunc(le.devices, func(own device) bool {
		return own.yields != 0 && !le.says(by, own.resource) && slices.ContainsFunc(was, func(d device) bool {
			return d.resource == own.resource && d.since >= own.since
		})
	})
	return len(le.devices) != devices
}

// says tells whether a source says anything of a device.
func (le *lease) says(by source, r domain.Resource) bool {
	return slices.ContainsFunc(le.devices, func(d device) bool { return d.by == by && d.resource == r })
}

// giveBack has this node yield what it took over from one that lives and says itself what is so of the device.
func (l *Leases) giveBack(b *bucket, le *lease, to source) {
	n, some := l.peers.all[to].node, false
	for i := range le.devices {
		d := &le.devices[i]
		if d.cut != 0 && d.by&adopted != 0 && l.peers.all[d.by&^adopted].node == n && le.says(to, d.resource) {
			d.back, some = true, true
		}
	}
	if some {
		l.yield(b, le)
	}
}

// sweepYielding drops what others have known better for long enough.
func (l *Leases) sweepYielding(b *bucket, now int64) (news []*room) {
	b.mu.Lock()
	defer b.mu.Unlock()
	over := func(d device) bool { return d.yields != 0 && d.yields <= now }
	n := 0
	for ; n < len(b.yielding) && b.yielding[n].at <= now; n++ {
		le := b.yielding[n].lease
		if r := l.dropDevices(b, le, over); r != nil {
			news = append(news, r)
		}
		if u := le.user; b.users[u.key] == u {
			l.leaveEmpty(b, u)
		}
	}
	if b.yielding = b.yielding[n:]; len(b.yielding) == 0 {
		b.yielding = nil
	}
	return news
}
