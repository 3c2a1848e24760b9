package lease

import (
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"sync"
	"time"

	"parley/domain"
)

// peer is a life of another node as one link told of it, or what rows of before say of a node.
type peer struct {
	node   domain.Node // life 0: as rows name it
	number int         // names its rows; -1: not known
	dead   int64       // µs; 0: lives
	loaded bool        // from rows: whoever has written them may live, and say itself what is so
	tried  int         // how often its leases were looked through for what to take over
	taken  [Buckets]int64
}

// peers are the other nodes. Its lock is held while facts are applied: before all other locks.
type peers struct {
	mu    sync.Mutex
	all   []*peer                    // by source; nil: free. 0 is this node
	now   map[domain.NodeName]source // that live, by the source of the link that began last
	alive int64                      // this node's last heartbeat before it started

	tookMu sync.Mutex
	took   map[domain.Node]took // by this node, of each node's last life
}

func (p *peers) init() {
	p.all = []*peer{{}}
	p.now = make(map[domain.NodeName]source)
	p.took = make(map[domain.Node]took)
}

func (p *peers) tookAll() (out []took) {
	p.tookMu.Lock()
	defer p.tookMu.Unlock()
	for _, t := range p.took {
		out = append(out, t)
	}
	return out
}

// manyPeers is how many sources there are before it is worth looking which are used no more.
const manyPeers = 64

// add gives a peer a source. Sources are used again when no device has them; there are far more of them than links that begin between two
// looks.
func (l *Leases) addPeer(p *peer) source {
	if len(l.peers.all) >= manyPeers {
		l.collectPeers()
	}
	for i := 1; i < len(l.peers.all); i++ {
		if l.peers.all[i] == nil {
			l.peers.all[i] = p
			return source(i)
		}
	}
	l.peers.all = append(l.peers.all, p)
	return source(len(l.peers.all) - 1)
}

// collectPeers frees sources that no device has. Peers that live keep theirs.
func (l *Leases) collectPeers() {
	used := make([]bool, len(l.peers.all))
	for _, s := range l.peers.now {
		used[s] = true
	}
	l.scan(func(_ int, _ *bucket, le *lease) *room {
		for i := range le.devices {
			used[le.devices[i].by&^adopted] = true
		}
		return nil
	})
	for i := 1; i < len(used); i++ {
		if !used[i] {
			l.peers.all[i] = nil
		}
	}
}

// scanned is how many users are looked at under one lock of a bucket.
const scanned = 256

// scan calls f with each lease, under its lock. f may change the lease, and end it; it returns the room when that has news.
func (l *Leases) scan(f func(bucket int, b *bucket, le *lease) *room) {
	for i := range l.buckets {
		b := &l.buckets[i]
		users := b.all()
		for len(users) > 0 {
			some := users[:min(scanned, len(users))]
			users = users[len(some):]
			l.tellAll(l.scanSome(i, b, some, f))
		}
	}
}

func (l *Leases) scanSome(i int, b *bucket, some []*user, f func(int, *bucket, *lease) *room) (news []*room) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, u := range some {
		for _, le := range slices.Backward(u.leases) {
			if r := f(i, b, le); r != nil {
				news = append(news, r)
			}
		}
		if b.users[u.key] == u {
			l.leaveEmpty(b, u)
		}
	}
	return news
}

// Begin says that all that a node says follows.
func (l *Leases) Begin(n domain.Node) {
	l.peers.mu.Lock()
	defer l.peers.mu.Unlock()
	number := -1
	if s, ok := l.peers.now[n.Name]; ok && l.peers.all[s].node == n {
		number = l.peers.all[s].number
	}
	l.peers.now[n.Name] = l.addPeer(&peer{node: n, number: number})
}

// End says that a node has said all: what it said before and has not said again is no more. Nor is what this node took over from it when it
// was believed dead, and what rows said of it; of what it says now this node yields its own word.
func (l *Leases) End(n domain.Node) {
	l.peers.mu.Lock()
	defer l.peers.mu.Unlock()
	s, err := l.peers.current(n)
	if err != nil {
		return
	}
	over := func(d device) bool {
		switch p := l.peers.all[d.by&^adopted]; {
		case d.by == s || p.node.Name != n.Name:
			return false
		case d.by.mine():
			return d.cut != 0 && !d.back && p.node == n
		default:
			return p.node.Life <= n.Life
		}
	}
	l.scan(func(_ int, b *bucket, le *lease) *room {
		l.giveBack(b, le, s)
		return l.dropDevices(b, le, over)
	})
}

// dropDevices drops devices of a lease. It returns the room when it was ended by that.
func (l *Leases) dropDevices(b *bucket, le *lease, over func(device) bool) *room {
	mine, dropped := false, false
	for _, d := range le.devices {
		if over(d) {
			dropped, mine = true, mine || d.by.mine()
		}
	}
	if !dropped {
		return nil
	}
	le.devices = slices.DeleteFunc(le.devices, over)
	return l.replaced(b, le, mine)
}

// replaced brings a lease in line with its devices; mine tells whether this node has another word on it than before. It returns the room when
// the lease has none left, and has ended.
func (l *Leases) replaced(b *bucket, le *lease, mine bool) *room {
	l.yield(b, le)
	le.reckon()
	if mine {
		l.changed(b, le)
	} else {
		l.moved(b, le)
	}
	if len(le.devices) > 0 {
		return nil
	}
	return l.end(b, le, elsewhere)
}

var errNoLink = errors.New("facts of a node that has not begun")

// current returns the source of a node's link. peers is locked.
func (p *peers) current(n domain.Node) (source, error) {
	s, ok := p.now[n.Name]
	if !ok || p.all[s].node != n {
		return 0, fmt.Errorf("%w: %s", errNoLink, n.Name)
	}
	return s, nil
}

// Gone says that a node is dead, or has left. Its devices are cut at this moment; their leases go on for Settings.Keep, as the word of one of the
// nodes that live.
func (l *Leases) Gone(n domain.Node) {
	l.peers.mu.Lock()
	defer l.peers.mu.Unlock()
	if s, ok := l.peers.now[n.Name]; ok && l.peers.all[s].node.Life <= n.Life {
		delete(l.peers.now, n.Name)
	}
	now := l.micro()
	for _, p := range l.peers.all[1:] {
		switch {
		case p == nil || p.node.Name != n.Name || p.node.Life > n.Life:
		case p.dead == 0:
			p.dead = now
		case p.loaded:
			p.tried = 0
		}
	}
	l.takeOver(now)
}

// taker returns the node that takes over a bucket: the highest by a hash of both among those that live. peers is locked.
func (l *Leases) taker(bucket int) domain.NodeName {
	best, most := l.self.Name, weight(l.self.Name, bucket)
	for name := range l.peers.now {
		if w := weight(name, bucket); w > most || w == most && name > best {
			best, most = name, w
		}
	}
	return best
}

func weight(name domain.NodeName, bucket int) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	_, _ = h.Write([]byte{0, byte(bucket)})
	w := h.Sum64() // its high bits hardly depend on the last byte
	w ^= w >> 33
	w *= 0xff51afd7ed558ccd
	w ^= w >> 33
	w *= 0xc4ceb9fe1a85ec53
	return w ^ w>>33
}

// When what nodes left is looked through: leases that rows name wait for their node to say itself what is so; what nobody has taken over for
// long, because the nodes did not agree on who lives, whoever knows of it takes over.
const (
	loadedWait = 10 * time.Second
	lateWait   = 30 * time.Second
)

// sweepPeers takes over what is due, and forgets old asks.
func (l *Leases) sweepPeers(now int64) {
	l.asks.prune(now - askKept.Microseconds())
	l.recent.prune(now - recentKept.Microseconds())
	l.peers.mu.Lock()
	defer l.peers.mu.Unlock()
	for _, p := range l.peers.all[1:] {
		if p != nil && p.dead != 0 && p.tried < 2 && now >= p.due() {
			l.takeOver(now)
			return
		}
	}
}

// due returns when a dead peer's leases are to be looked through next.
func (p *peer) due() int64 {
	switch {
	case p.tried > 0:
		return p.dead + lateWait.Microseconds()
	case p.loaded:
		return p.dead + loadedWait.Microseconds()
	default:
		return p.dead
	}
}
