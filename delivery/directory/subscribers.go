package directory

import (
	"hash/maphash"
	"slices"
	"sync"

	"parley/domain"
)

// subscriptions are who is to be handed the entries of a stream, besides the sessions of users that an entry names.
type subscriptions struct {
	mu      sync.RWMutex
	streams map[domain.StreamID]*subscribers
}

// subscribers are the sessions of one stream, in no order.
type subscribers struct {
	mu   sync.Mutex
	list []Session
	lent bool            // the list was handed out: what is in it stays where it is
	at   map[Session]int // where each is; nil while they are few
}

// fewSubscribers are found by looking at all of them.
const fewSubscribers = 64

func (d *Directory) subscriptions(stream domain.StreamID) *subscriptions {
	return &d.streams[maphash.String(d.seed, string(stream))%shards]
}

// Subscribe has a session handed the entries of a stream that are routed from now on. It may be subscribed already.
func (d *Directory) Subscribe(stream domain.StreamID, s Session) {
	on := d.subscriptions(stream)
	on.mu.Lock()
	defer on.mu.Unlock()
	subs := on.streams[stream]
	if subs == nil {
		subs = &subscribers{}
		on.streams[stream] = subs
	}
	if subs.find(s) < 0 {
		subs.add(s)
	}
}

// Unsubscribe ends a subscription; there may be none. What is being routed may still reach the session.
func (d *Directory) Unsubscribe(stream domain.StreamID, s Session) {
	on := d.subscriptions(stream)
	on.mu.Lock()
	defer on.mu.Unlock()
	subs := on.streams[stream]
	if subs == nil {
		return
	}
	if i := subs.find(s); i >= 0 {
		subs.remove(i)
	}
	if len(subs.list) == 0 {
		delete(on.streams, stream)
	}
}

// UnsubscribeAll ends all subscriptions of a stream.
func (d *Directory) UnsubscribeAll(stream domain.StreamID) {
	on := d.subscriptions(stream)
	on.mu.Lock()
	defer on.mu.Unlock()
	delete(on.streams, stream)
}

// Subscribers returns the sessions that are subscribed to a stream. The slice is shared: it must not be changed.
func (d *Directory) Subscribers(stream domain.StreamID) []Session {
	on := d.subscriptions(stream)
	on.mu.RLock()
	defer on.mu.RUnlock()
	subs := on.streams[stream]
	if subs == nil {
		return nil
	}
	subs.mu.Lock() // readers lend at the same time
	defer subs.mu.Unlock()
	subs.lent = true
	return subs.list
}

func (l *subscribers) find(s Session) int {
	if l.at == nil {
		return slices.Index(l.list, s)
	}
	if i, ok := l.at[s]; ok {
		return i
	}
	return -1
}

// add adds behind what was lent: those who have the list do not look there.
func (l *subscribers) add(s Session) {
	l.list = append(l.list, s)
	switch {
	case l.at != nil:
		l.at[s] = len(l.list) - 1
	case len(l.list) > fewSubscribers:
		l.at = make(map[Session]int, 2*len(l.list))
		for i, o := range l.list {
			l.at[o] = i
		}
	}
}

// remove puts the last in the place of one, in a copy if the list was lent.
func (l *subscribers) remove(i int) {
	if l.lent {
		l.list, l.lent = slices.Clone(l.list), false
	}
	last := len(l.list) - 1
	gone := l.list[i]
	l.list[i] = l.list[last]
	if l.at != nil {
		l.at[l.list[i]] = i
		delete(l.at, gone)
	}
	l.list[last] = nil
	l.list = l.list[:last]
}
