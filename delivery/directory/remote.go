package directory

import (
	"iter"
	"sync"
	"time"

	"parley/domain"
)

// remote is a session on another node. There may be millions: its texts are one string, and what many share is shared.
type remote struct {
	next  *remote // of the same hash
	node  *node
	kind  *kind
	text  string // user, resource, device's UUID, device's name
	ends  [3]uint16
	round uint32 // of the node's snapshots, in which it was told last
	id    uint64
	since int64 // µs
	inc   domain.Incarnation
	epoch uint32
}

// kind is what many sessions have in common.
type kind struct {
	app      domain.AppID
	platform string
}

func (r *remote) user() string     { return r.text[:r.ends[0]] }
func (r *remote) resource() string { return r.text[r.ends[0]:r.ends[1]] }

func (r *remote) is(k Key) bool { return r.user() == string(k.User) && r.kind.app == k.App }

func (r *remote) info() Info {
	return Info{
		Resource: domain.Resource(r.resource()), DeviceUUID: r.text[r.ends[1]:r.ends[2]], DeviceName: r.text[r.ends[2]:], Platform: r.kind.platform,
		Incarnation: r.inc, AuthEpoch: r.epoch, Since: time.UnixMicro(r.since),
	}
}

// elsewhere are a user's sessions on other nodes. The lock is held.
func (sh *shard) elsewhere(k Key, hash uint64) iter.Seq[*remote] {
	return func(yield func(*remote) bool) {
		for r := sh.remote[hash]; r != nil; r = r.next {
			if r.is(k) && !yield(r) {
				return
			}
		}
	}
}

// Elsewhere tells whether the user has a session on another node.
func (d *Directory) Elsewhere(k Key) bool {
	sh, hash := d.shard(k)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	for range sh.elsewhere(k, hash) {
		return true
	}
	return false
}

// put adds a session, in the place of what was known of it.
func (sh *shard) put(hash uint64, r *remote) {
	sh.cut(hash, r.node, r.id)
	r.next = sh.remote[hash]
	sh.remote[hash] = r
}

// cut removes a session and returns it, nil when it is not known.
func (sh *shard) cut(hash uint64, n *node, id uint64) (was *remote) {
	sh.remove(hash, func(r *remote) bool {
		is := r.node == n && r.id == id
		if is {
			was = r
		}
		return is
	})
	return was
}

// remove removes the sessions of a hash for which gone answers true.
func (sh *shard) remove(hash uint64, gone func(*remote) bool) {
	first := sh.remote[hash]
	for at := &first; *at != nil; {
		if gone(*at) {
			*at = (*at).next
		} else {
			at = &(*at).next
		}
	}
	if first == nil {
		delete(sh.remote, hash)
	} else {
		sh.remote[hash] = first
	}
}

// sweep removes the remote sessions for which gone answers true.
func (d *Directory) sweep(gone func(*remote) bool) {
	for i := range d.shards {
		sh := &d.shards[i]
		sh.mu.Lock()
		for hash := range sh.remote {
			sh.remove(hash, gone)
		}
		sh.mu.Unlock()
	}
}

// node is one life of another node.
type node struct {
	domain.Node
	round uint32 // of its snapshots
}

// nodes are those that have told something, and what their sessions share.
type nodes struct {
	mu    sync.Mutex
	all   map[domain.Node]*node
	kinds map[kind]*kind
}

func (ns *nodes) find(n domain.Node) *node {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	return ns.all[n]
}

// begin returns a node, which may be new.
func (ns *nodes) begin(n domain.Node) *node {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	if ns.all == nil {
		ns.all, ns.kinds = make(map[domain.Node]*node), make(map[kind]*kind)
	}
	if ns.all[n] == nil {
		ns.all[n] = &node{Node: n}
	}
	return ns.all[n]
}

// forget removes a node and returns it, nil when it is not known. With the last one what sessions share is forgotten, too.
func (ns *nodes) forget(n domain.Node) *node {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	was := ns.all[n]
	if delete(ns.all, n); len(ns.all) == 0 {
		clear(ns.kinds)
	}
	return was
}

// maxKinds bounds what is kept to be shared: custom platforms are numbered by clients.
const maxKinds = 10_000

// kind returns the one that is shared.
func (ns *nodes) kind(app, platform []byte) *kind {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	if shared, ok := ns.kinds[kind{domain.AppID(app), string(platform)}]; ok {
		return shared
	}
	one := kind{domain.AppID(app), string(platform)}
	if len(ns.kinds) < maxKinds {
		ns.kinds[one] = &one
	}
	return &one
}
