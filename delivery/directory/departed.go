package directory

import (
	"slices"
	"time"

	"parley/domain"
)

// departure is a session on another node that has ended.
type departure struct {
	remote *remote
	at     time.Time
}

// How long departures are known, and how many of a shard: longer than a node takes to write where a device stood, and a device of which
// nothing is known is shown a little twice.
const (
	departedKept = 5 * time.Second
	departedMost = 1024
)

// depart remembers a session that has ended. The lock is held.
func (sh *shard) depart(r *remote, now time.Time) {
	r.next = nil
	over := 0
	for over < len(sh.left) && (now.Sub(sh.left[over].at) > departedKept || len(sh.left)-over >= departedMost) {
		over++
	}
	sh.left = append(slices.Delete(sh.left, 0, over), departure{r, now})
}

// NodesOf returns the other nodes that a device is on, or was on in the last seconds.
func (d *Directory) NodesOf(k Key, device domain.Resource) (out []domain.NodeName) {
	sh, hash := d.shard(k)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	add := func(r *remote) {
		if r.resource() == string(device) && !slices.Contains(out, r.node.Name) {
			out = append(out, r.node.Name)
		}
	}
	for r := range sh.elsewhere(k, hash) {
		add(r)
	}
	if len(sh.left) == 0 {
		return out
	}
	since := time.Now().Add(-departedKept)
	for _, left := range sh.left {
		if left.at.After(since) && left.remote.is(k) {
			add(left.remote)
		}
	}
	return out
}

// forgetDepartures forgets who left a node that is gone.
func (d *Directory) forgetDepartures(from *node) {
	for i := range d.shards {
		sh := &d.shards[i]
		sh.mu.Lock()
		sh.left = slices.DeleteFunc(sh.left, func(left departure) bool { return left.remote.node == from })
		sh.mu.Unlock()
	}
}
