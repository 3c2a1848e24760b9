package lease

import (
	"container/heap"
	"slices"
	"sync"
	"time"

	"parley/domain"
)

type userKey struct {
	app  domain.AppID
	user domain.UserID
}

// bucket holds the users that fall into one partition of Rows. Its lock guards them and their leases.
type bucket struct {
	mu       sync.Mutex
	users    map[userKey]*user
	idle     idleLeases
	yielding []yielding // the first that is due first
	dirty    []*user    // whose row is to be written
	free     []uint32   // rows that hold nobody
	numbers  uint32     // rows there are
	void     int64      // rows that were written until then are void: what is true has been written later, or waits
}

// user is a user who views rooms, or whose row is yet to be emptied.
type user struct {
	key         userKey
	incarnation domain.Incarnation
	row         uint32 // its number + 1; 0: none yet
	waits       int32  // the place in bucket.dirty + 1; 0: not there
	leases      []*lease
}

// lease is one user's lease of one room.
type lease struct {
	user    *user
	room    *room
	ext     string
	joined  int64  // µs since 1970, as are all times here
	idle    int64  // since when no device views; 0: one does
	place   int32  // in bucket.idle + 1; 0: not there
	stays   bool   // listed, or the owner
	listed  bool   // on the room's allow list
	told    bool   // other nodes believe that this node has a word on it
	named   naming // who said whether it is listed
	devices []device
	first   [1]device // memory of devices: most leases have one
}

// device is a device that views a room, or did until lately. A lease has at least one, and lasts for as long.
type device struct {
	resource domain.Resource // "": the next one that logs in takes the lease up; it is never live
	seen     domain.Seq      // the last entry shown before cut; 0: not known
	cut      int64           // 0: it views now
	since    int64           // when it began to view: whoever ends what was before does not end it
	by       source
	yields   int64 // when this node says nothing of it any more, since another knows better; 0: it does not end so
	dead     bool  // cut because its node is dead: nobody knows when it was shown what
	back     bool  // taken over from a node that lives, and says itself what is so
}

// source is the node that has the word on a device: 0 is this one.
type source uint16

// adopted marks the sources of devices that this node took over from one that is dead.
const adopted source = 1 << 15

// mine tells whether this node has the word.
func (s source) mine() bool { return s == 0 || s&adopted != 0 }

// maxCut is how many devices that are cut a lease remembers: more than a user has, fewer than one could make up.
const maxCut = 8

func (u *user) lease(room Room) *lease {
	for _, le := range u.leases {
		if le.room.id == room {
			return le
		}
	}
	return nil
}

// own returns a device that this node has the word on.
func (le *lease) own(r domain.Resource) *device {
	for i := range le.devices {
		if d := &le.devices[i]; d.resource == r && d.by.mine() {
			return d
		}
	}
	return nil
}

// known returns what is known of a device over all nodes: that it views here, that it views elsewhere, or how it was cut last. It is nil
// for one that was cut before an instant, unless the lease outlasts its devices.
func (le *lease) known(r domain.Resource, before int64) (best *device) {
	for i := range le.devices {
		d := &le.devices[i]
		if d.resource != r || d.cut != 0 && d.cut <= before && !le.stays {
			continue
		}
		switch {
		case best == nil || best.cut != 0 && (d.cut == 0 || d.cut > best.cut):
			best = d
		case d.cut == 0 && d.by.mine():
			best = d
		}
	}
	return best
}

// anyone tells whether the next device that logs in takes the lease up.
func (le *lease) anyone() bool {
	return le.idle != 0 && slices.ContainsFunc(le.devices, func(d device) bool { return d.resource == "" })
}

// held tells whether this node has a word on the lease.
func (le *lease) held() bool {
	for i := range le.devices {
		if le.devices[i].by.mine() {
			return true
		}
	}
	return false
}

// shared tells whether another node has a word on the lease.
func (le *lease) shared() bool {
	for i := range le.devices {
		if !le.devices[i].by.mine() {
			return true
		}
	}
	return false
}

// held tells whether this node has a word on any of a user's leases: then it has a row.
func (u *user) held() bool { return slices.ContainsFunc(u.leases, (*lease).held) }

// reckon brings idle in line with the devices.
func (le *lease) reckon() {
	le.idle = 0
	for i := range le.devices {
		d := &le.devices[i]
		if d.cut == 0 {
			le.idle = 0
			return
		}
		le.idle = max(le.idle, d.cut)
	}
}

// live tells whether a device views the room now.
func (le *lease) live() bool {
	for i := range le.devices {
		if le.devices[i].cut == 0 {
			return true
		}
	}
	return false
}

// lastCut returns the device that was cut last; a zero one when there is none.
func (le *lease) lastCut() (last device) {
	for i := range le.devices {
		if d := &le.devices[i]; d.cut > last.cut && d.resource != "" {
			last = *d
		}
	}
	return last
}

// view lets a device view here from now on. The lease is idle no more.
func (le *lease) view(r domain.Resource, now int64) {
	if d := le.own(r); d == nil {
		le.devices = append(le.devices, device{resource: r, since: now})
	} else if d.cut != 0 {
		*d = device{resource: r, since: now}
	}
	if le.own("") != nil {
		le.devices = slices.DeleteFunc(le.devices, func(d device) bool { return d.resource == "" && d.by.mine() })
	}
	le.idle = 0
}

// wait leaves the lease to the next device that logs in.
func (le *lease) wait(now, since int64) {
	waiting := device{cut: now, since: since}
	if d := le.own(""); d != nil {
		*d = waiting
	} else {
		le.devices = append(le.devices, waiting)
	}
	le.reckon()
}

// dropCut forgets devices of this node that were cut before an instant, unless the lease outlasts them, and the oldest of too many.
func (le *lease) dropCut(before int64) {
	n := 0
	for i := 0; i < len(le.devices); i++ {
		switch d := &le.devices[i]; {
		case d.cut == 0 || !d.by.mine():
		case d.cut <= before && !le.stays:
			le.devices = slices.Delete(le.devices, i, i+1)
			i--
		default:
			n++
		}
	}
	for ; n > maxCut; n-- {
		oldest := -1
		for i := range le.devices {
			d := &le.devices[i]
			if d.cut != 0 && d.by.mine() && (oldest < 0 || d.cut < le.devices[oldest].cut) {
				oldest = i
			}
		}
		le.devices = slices.Delete(le.devices, oldest, oldest+1)
	}
}

// until returns when the lease ends; zero: it does not while things are as they are.
func (le *lease) until(keep time.Duration) time.Time {
	if le.idle == 0 || le.stays {
		return time.Time{}
	}
	return time.UnixMicro(le.idle).Add(keep)
}

// changed notes that this node has another word on a lease than before, or that it is idle or stays otherwise.
func (l *Leases) changed(b *bucket, le *lease) {
	l.moved(b, le)
	l.soil(b, le.user)
	if l.tellFact != nil {
		l.tellLease(le)
	}
}

// moved notes that a lease is idle or stays otherwise than before. Those run out here on which this node has a word.
func (l *Leases) moved(b *bucket, le *lease) {
	switch waits := le.idle != 0 && !le.stays && (l.tellFact == nil || le.held()); {
	case waits && le.place == 0:
		heap.Push(&b.idle, le)
	case waits:
		heap.Fix(&b.idle, int(le.place-1))
	case le.place != 0:
		heap.Remove(&b.idle, int(le.place-1))
	}
}

// soil notes that a user's row is to be written.
func (l *Leases) soil(b *bucket, u *user) {
	if u.waits != 0 {
		return
	}
	b.dirty = append(b.dirty, u)
	u.waits = int32(len(b.dirty))
	l.waiting.Add(1)
}

// clean notes that a user's row needs no write.
func (l *Leases) clean(b *bucket, u *user) {
	if u.waits == 0 {
		return
	}
	last := len(b.dirty) - 1
	b.dirty[u.waits-1] = b.dirty[last]
	b.dirty[u.waits-1].waits = u.waits
	b.dirty[last] = nil
	b.dirty, u.waits = b.dirty[:last], 0
	l.waiting.Add(-1)
}

// idleLeases is a heap of leases that no device views, the longest idle first.
type idleLeases []*lease

func (h idleLeases) Len() int           { return len(h) }
func (h idleLeases) Less(i, j int) bool { return h[i].idle < h[j].idle }

func (h idleLeases) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = int32(i+1), int32(j+1)
}

// Push implements heap.Interface.
func (h *idleLeases) Push(x any) {
	le := x.(*lease)
	*h = append(*h, le)
	le.place = int32(len(*h))
}

// Pop implements heap.Interface.
func (h *idleLeases) Pop() any {
	last := len(*h) - 1
	le := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	le.place = 0
	return le
}
