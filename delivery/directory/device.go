package directory

import (
	"cmp"
	"slices"

	"parley/domain"
)

// devices are those of a user on one platform, here and elsewhere: when the first socket of each logged in.
type devices map[domain.Resource]int64

func (sh *shard) devices(k Key, hash uint64, platform string) devices {
	out := devices{}
	all := sh.users[k]
	for i, s := range all.sessions {
		if o := s.Info(); o.Platform == platform {
			out.add(o.Resource, all.seats[i].since)
		}
	}
	for r := range sh.elsewhere(k, hash) {
		if r.kind.platform == platform {
			out.add(domain.Resource(r.resource()), r.since)
		}
	}
	return out
}

func (ds devices) add(r domain.Resource, since int64) {
	if t, ok := ds[r]; !ok || since < t {
		ds[r] = since
	}
}

// loggedIn returns when a device logged in that does so at a moment. One that is there did so before. Any other is the newest, whatever the
// clock says: those of nodes differ, and log-ins take their time.
func (ds devices) loggedIn(r domain.Resource, now int64) int64 {
	if since, ok := ds[r]; ok {
		return since
	}
	for _, t := range ds {
		now = max(now, t+1)
	}
	return now
}

// over returns the devices beyond the limit, first log-in first. Those of one moment are ordered by their names, so that all nodes agree.
func (ds devices) over(limit int) []domain.Resource {
	excess := len(ds) - max(limit, 0)
	if excess <= 0 {
		return nil
	}
	out := make([]domain.Resource, 0, len(ds))
	for r := range ds {
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b domain.Resource) int { return cmp.Or(cmp.Compare(ds[a], ds[b]), cmp.Compare(a, b)) })
	return out[:excess]
}
