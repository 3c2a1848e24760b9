package lease

import (
	"time"

	"parley/domain"
)

// Attach lets a device that logs in go on viewing the rooms that it viewed when it was cut, those its user was added to while no device was
// there, and those that the user stays in without any.
func (l *Leases) Attach(app domain.AppID, who domain.UserID, inc domain.Incarnation, r domain.Resource) []Resumed {
	now := l.micro()
	k := userKey{app, who}
	b := &l.buckets[Bucket(app, who)]
	b.mu.Lock()
	if b.users[k] == nil {
		b.mu.Unlock()
		return nil
	}
	u, news := l.arrive(b, k, inc, now)
	var out []Resumed
	if inc == u.incarnation {
		since := l.since(now)
		for _, le := range u.leases {
			devices := len(le.devices)
			res, ok := le.resume(r, now, since, l.settings.Keep.Microseconds())
			if ok {
				out = append(out, res)
			}
			if ok && !res.Open || len(le.devices) != devices {
				l.changed(b, le)
			}
		}
		l.soil(b, u) // devices may have been forgotten
	}
	l.leaveEmpty(b, u)
	b.mu.Unlock()
	l.tellAll(news)
	return out
}

// resume lets a device view again, if it may. It goes on with what began before: who ended that, and did not know that the device is back,
// ended this.
func (le *lease) resume(r domain.Resource, now, since, keep int64) (res Resumed, ok bool) {
	var last device
	if le.stays {
		last = le.lastCut()
	}
	le.dropCut(now - keep)
	switch d := le.known(r, now-keep); {
	case d != nil:
		if res = d.left(now, keep, le.joined); res.Open {
			res.Room = le.room.id
			return res, true
		}
		since = d.since
	case le.idle != 0 && le.stays && !le.anyone() && last.cut != 0:
		res, since = last.left(now, keep, le.joined), last.since
	case le.anyone() && (le.stays || le.idle > now-keep):
		res.After = at(le.idle)
	default:
		return Resumed{}, false
	}
	res.Room = le.room.id
	le.view(r, since)
	return res, true
}

// deathNotice is how long it takes at most until a node that is dead is known to be.
const deathNotice = 5 * time.Second

// heard returns until when it is known what a device that is cut was shown, of what came after its user joined.
func (d *device) heard(joined int64) int64 {
	if !d.dead {
		return d.cut
	}
	return min(max(d.cut-deathNotice.Microseconds(), joined), d.cut)
}

// left returns where a device goes on that was cut, or that is live. What views elsewhere is a socket whose end its node has not noticed or
// not told yet, and nobody here knows what it was shown: whatever came since its lease would have run out is shown again, within the bounds
// of that. What came while nobody knew that its node was dead is, too: rather twice than never.
func (d *device) left(now, keep, joined int64) (res Resumed) {
	switch {
	case d.cut != 0 && d.dead:
		res.After, res.Shown = at(d.heard(joined)), at(d.cut)
	case d.cut != 0:
		res.Seen, res.After = d.seen, at(d.cut)
	case d.by.mine():
		res.Open = true
	default:
		res.After, res.Shown = at(max(now-keep, joined)), at(now)
	}
	return res
}

func at(micro int64) domain.T { return domain.TAt(time.UnixMicro(micro)) }

// Detach says that the last socket of a device is gone: what it viewed goes on for Settings.Keep. seen is the last entry that it was shown,
// for the rooms of which that is known.
func (l *Leases) Detach(app domain.AppID, who domain.UserID, r domain.Resource, seen map[Room]domain.Seq) {
	now := l.micro()
	b := &l.buckets[Bucket(app, who)]
	b.mu.Lock()
	defer b.mu.Unlock()
	u := b.users[userKey{app, who}]
	if u == nil {
		return
	}
	for _, le := range u.leases {
		d := le.own(r)
		if d == nil || d.cut != 0 {
			continue
		}
		d.cut, d.seen = now, seen[le.room.id]
		le.dropCut(now - l.settings.Keep.Microseconds())
		l.yield(b, le)
		le.reckon()
		l.changed(b, le)
	}
}
