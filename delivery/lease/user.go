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
	mu      sync.Mutex
	users   map[userKey]*user
	idle    idleLeases
	dirty   []*user  // whose row is to be written
	free    []uint32 // rows that hold nobody
	numbers uint32   // rows there are
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
	joined  int64 // µs since 1970, as are all times here
	idle    int64 // since when no device views; 0: one does
	place   int32 // in bucket.idle + 1; 0: not there
	stays   bool  // listed, or the owner
	listed  bool  // on the room's allow list
	anyone  bool  // the next device that logs in takes it up
	devices []device
}

// device is a device that views a room, or did until lately.
type device struct {
	resource domain.Resource
	seen     domain.Seq // the last entry shown before cut; 0: not known
	cut      int64      // 0: it views now
}

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

func (le *lease) device(r domain.Resource) *device {
	for i := range le.devices {
		if le.devices[i].resource == r {
			return &le.devices[i]
		}
	}
	return nil
}

// live tells whether a device views the room now.
func (le *lease) live() bool {
	return slices.ContainsFunc(le.devices, func(d device) bool { return d.cut == 0 })
}

// lastCut returns the device that was cut last; a zero one when there is none.
func (le *lease) lastCut() (last device) {
	for _, d := range le.devices {
		if d.cut > last.cut {
			last = d
		}
	}
	return last
}

// view lets a device view from now on. The lease is idle no more.
func (le *lease) view(r domain.Resource) {
	if d := le.device(r); d != nil {
		d.cut, d.seen = 0, 0
	} else {
		le.devices = append(le.devices, device{resource: r})
	}
	le.idle, le.anyone = 0, false
}

// dropCut forgets devices that were cut before an instant, unless the lease outlasts them, and the oldest of too many.
func (le *lease) dropCut(before int64) {
	le.devices = slices.DeleteFunc(le.devices, func(d device) bool { return d.cut != 0 && d.cut <= before && !le.stays })
	for {
		n, oldest := 0, -1
		for i, d := range le.devices {
			if d.cut == 0 {
				continue
			}
			if n++; oldest < 0 || d.cut < le.devices[oldest].cut {
				oldest = i
			}
		}
		if n <= maxCut {
			return
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

// changed notes that a lease has other devices, or is idle or stays otherwise than before.
func (l *Leases) changed(b *bucket, le *lease) {
	switch waits := le.idle != 0 && !le.stays; {
	case waits && le.place == 0:
		heap.Push(&b.idle, le)
	case waits:
		heap.Fix(&b.idle, int(le.place-1))
	case le.place != 0:
		heap.Remove(&b.idle, int(le.place-1))
	}
	l.soil(b, le.user)
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
