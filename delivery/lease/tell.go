package lease

import (
	"encoding/binary"
	"sync"
	"time"

	"parley/domain"
)

// What nodes tell one another. Each device in a lease is the word of one node: where it views, or did last. A node tells all that it says of a
// lease whenever that changes, and what others told it never changes by itself: so whoever has heard all knows the same, in whatever order
// things happened. Whoever wants to end what is another node's word asks for it, and takes it for done; the other ends what began before the
// ask and tells so. A device that another node knows better of is dropped by the one that knows less, when all have heard the other (yield.go).

// toldAll tells all other nodes, in order with what else is told of a user: its bucket is locked.
func (l *Leases) toldAll(fact []byte) {
	l.metrics.told.Inc()
	l.tellFact(fact)
}

// tellLease tells what this node says of a lease. The room is not locked.
func (l *Leases) tellLease(le *lease) {
	held := le.held()
	if !held && !le.told {
		return
	}
	le.told = held
	l.toldAll(appendToldLease(appendUserFact(nil, le.user, 1), le))
}

// tellAdded tells that the user's sessions are to view a room.
func (l *Leases) tellAdded(le *lease) {
	if l.tellFact != nil {
		l.toldAll(appendAdded(nil, le.user, le.room.id))
	}
}

// tellEnded tells that a room has ended: its leases end everywhere, and nobody tells of each.
func (l *Leases) tellEnded(id Room) {
	if l.tellFact != nil {
		l.toldAll(appendString([]byte{byte(factEnded)}, string(id)))
	}
}

// How long, and how many, asks are told again to nodes whose links begin anew. A node that could not be reached for longer is dead to the
// others, or says itself what is so.
const (
	askKept  = 2 * time.Minute
	asksMost = 1 << 16
)

// asks are those of the last askKept, the oldest first.
type asks struct {
	mu   sync.Mutex
	some []ask
}

// ask asks all other nodes to end what they say of a lease until now; of one device, or of all ("").
func (l *Leases) ask(le *lease, r domain.Resource) {
	if l.tellFact == nil {
		return
	}
	now := l.micro()
	a := ask{key: le.user.key, room: le.room.id, resource: r, t: now, noted: now}
	for i := range le.devices {
		a.t = max(a.t, le.devices[i].since)
	}
	l.raise(a.t)
	l.metrics.asked.Inc()
	l.asks.mu.Lock()
	if len(l.asks.some) >= asksMost {
		l.asks.some = l.asks.some[1:]
		l.metrics.forgottenAsks.Inc()
	}
	l.asks.some = append(l.asks.some, a)
	l.asks.mu.Unlock()
	l.toldAll(appendAsk(nil, &a))
}

// prune forgets old asks.
func (a *asks) prune(before int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := 0
	for n < len(a.some) && a.some[n].noted <= before {
		n++
	}
	if n > 0 {
		a.some = append([]ask(nil), a.some[n:]...)
	}
}

func (a *asks) all() []ask {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]ask(nil), a.some...)
}

// clocksDiffer is how far another node's clock is believed at most.
const clocksDiffer = time.Minute

// raise notes the time of an ask: what begins here later is later, whatever the clocks say.
func (l *Leases) raise(t int64) {
	if t > l.micro()+clocksDiffer.Microseconds() {
		return
	}
	for {
		old := l.latest.Load()
		if old >= t || l.latest.CompareAndSwap(old, t) {
			return
		}
	}
}

// since returns when what begins now has begun: after all ends that were asked for.
func (l *Leases) since(now int64) int64 {
	if l.tellFact == nil {
		return now
	}
	return max(now, l.latest.Load()+1)
}

// Snapshot sends all that this node says, user by user; then what it took over before, so that nothing of it is missed meanwhile. No lock is
// held while it sends.
func (l *Leases) Snapshot(send func(fact []byte)) {
	send(binary.AppendUvarint([]byte{byte(factNode)}, uint64(l.number)))
	took := l.peers.tookAll()
	for _, a := range l.asks.all() {
		send(appendAsk(nil, &a))
	}
	for i := range l.buckets {
		b := &l.buckets[i]
		for _, u := range b.all() {
			if fact := l.userFact(b, u); fact != nil {
				send(fact)
			}
		}
	}
	for _, t := range took {
		send(appendTook(nil, &t))
	}
}

// all returns the users of a bucket.
func (b *bucket) all() []*user {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]*user, 0, len(b.users))
	for _, u := range b.users {
		out = append(out, u)
	}
	return out
}

// userFact returns what this node says of a user, nil when it says nothing.
func (l *Leases) userFact(b *bucket, u *user) []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, le := range u.leases {
		if le.held() {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	fact := appendUserFact(nil, u, n)
	for _, le := range u.leases {
		if le.held() {
			le.told = true
			fact = appendToldLease(fact, le)
		}
	}
	return fact
}
