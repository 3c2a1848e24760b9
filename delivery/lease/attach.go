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
		for _, le := range u.leases {
			if res, ok := le.resume(r, now-l.settings.Keep.Microseconds()); ok {
				out = append(out, res)
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

// resume lets a device view again, if it may.
func (le *lease) resume(r domain.Resource, before int64) (res Resumed, ok bool) {
	last := le.lastCut()
	le.dropCut(before)
	res.Room = le.room.id
	switch d := le.device(r); {
	case d != nil && d.cut == 0:
		res.Open = true
		return res, true
	case d != nil:
		res.Seen, res.After = d.seen, at(d.cut)
	case le.idle != 0 && le.anyone:
		res.After = at(le.idle)
	case le.idle != 0 && le.stays:
		res.Seen, res.After = last.seen, at(le.idle)
	default:
		return Resumed{}, false
	}
	le.view(r)
	return res, true
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
		d := le.device(r)
		if d == nil || d.cut != 0 {
			continue
		}
		d.cut, d.seen = now, seen[le.room.id]
		le.dropCut(now - l.settings.Keep.Microseconds())
		if !le.live() {
			le.idle = now
		}
		l.changed(b, le)
	}
}
