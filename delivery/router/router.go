// Package router takes accepted commits from the feeds and hands each to the sessions that are to see it.
//
// A partition's commits are routed by one goroutine, in order. What must hold: whoever attaches and then asks for Position is handed every
// commit above it; whoever subscribes to a group is handed every entry above the head that its owner then names. The router keeps nothing:
// what it misses while a process is down, sessions read at log-in.
package router

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"parley/delivery/directory"
	"parley/domain"
	"parley/domain/user"
	"parley/schemas/msync"
)

// Feed gives the accepted commits of one partition in order. Next waits for the first.
type Feed interface {
	Next(ctx context.Context, limit int) ([]domain.Accepted, error)
}

// Router routes. It is safe for concurrent use.
type Router struct {
	dir       *directory.Directory
	rooms     Rooms
	leases    Leases
	metrics   *metrics
	tell      func(fact []byte) // nil: the node is alone
	positions []atomic.Uint64   // by place; index of the last commit whose routing has begun
	places    map[domain.Partition]int
}

// batch is how many commits are taken from a feed at once.
const batch = 256

// Option makes a router other than one of a node that is alone.
type Option func(*Router)

// Telling has a router tell other nodes what is not logged. tell never blocks.
func Telling(tell func(fact []byte)) Option { return func(r *Router) { r.tell = tell } }

// New makes a router for the given partitions.
func New(
	dir *directory.Directory, rooms Rooms, leases Leases, partitions []domain.Partition, m *Metrics, options ...Option,
) *Router {
	r := &Router{
		dir: dir, rooms: rooms, leases: leases, metrics: m.metrics, positions: make([]atomic.Uint64, len(partitions)),
		places: make(map[domain.Partition]int, len(partitions)),
	}
	for i, p := range partitions {
		r.places[p] = i
	}
	for _, o := range options {
		o(r)
	}
	return r
}

// Position returns the index of the last commit of a partition whose routing has begun: every later one will be handed to the sessions
// that are there now. The commit itself may have missed them: what is read after Position has to include it.
func (r *Router) Position(p domain.Partition) domain.Index {
	return domain.Index(r.positions[r.places[p]].Load())
}

// Positions returns the position of every partition.
func (r *Router) Positions() map[domain.Partition]domain.Index {
	out := make(map[domain.Partition]domain.Index, len(r.places))
	for p := range r.places {
		out[p] = r.Position(p)
	}
	return out
}

// Run routes one partition until ctx ends. start is the index that the feed's first commit follows.
func (r *Router) Run(ctx context.Context, p domain.Partition, start domain.Index, feed Feed) error {
	place := r.places[p]
	r.positions[place].Store(uint64(start))
	for {
		commits, err := feed.Next(ctx, batch)
		if err != nil {
			if ctx.Err() != nil {
				return nil //nolint:nilerr // asked to stop
			}
			return fmt.Errorf("route partition %d: %w", p, err)
		}
		for i := range commits {
			r.positions[place].Store(uint64(commits[i].Index)) // first: who attaches between the two has to read this commit
			r.commit(commits[i].Commit)
		}
	}
}

func (r *Router) commit(c *domain.Commit) {
	st, ok := c.Stream.Parse()
	if !ok {
		r.metrics.dropped.WithLabelValues("bad_stream").Inc()
		return
	}
	for i := range c.Events {
		ev := &c.Events[i]
		switch st.Kind {
		case domain.KindUser:
			r.user(c.Stream, st, ev)
		case domain.KindDirect:
			r.direct(c.Stream, st, ev)
		case domain.KindGroup:
			r.group(c.Stream, st, ev)
		case domain.KindRoom:
			r.room(c.Stream, st, ev)
		case domain.KindThread:
			r.metrics.dropped.WithLabelValues("kind").Inc()
		}
	}
}

// user hands an entry of a user's own stream to the user's sessions. It ends those of an account that is gone, whose leases
// end, too, and those that logged in before its password changed.
func (r *Router) user(id domain.StreamID, st domain.Stream, ev *domain.Event) {
	k := directory.Key{App: st.App, User: domain.UserID(st.A)}
	switch e := ev.Body.(type) {
	case user.Deleted:
		r.dir.Kick(k, func(i directory.Info) bool { return i.Incarnation <= e.Incarnation }, directory.KickRemoved, "")
		r.leases.Forget(k.App, k.User, e.Incarnation)
	case user.PasswordSet:
		r.dir.Kick(k, func(i directory.Info) bool { return i.AuthEpoch < e.AuthEpoch }, directory.KickPasswordChanged, "")
	}
	if ev.Seq != 0 {
		r.entry(id, st, ev, r.dir.Sessions(k), nil)
	}
}

// direct hands an entry to the sessions of both users; each session sees for itself whether it shows it, and none may miss its seq.
func (r *Router) direct(id domain.StreamID, st domain.Stream, ev *domain.Event) {
	if ev.Seq == 0 {
		return
	}
	a := r.dir.Sessions(directory.Key{App: st.App, User: domain.UserID(st.A)})
	var b []directory.Session
	if domain.UserID(st.A) != st.B {
		b = r.dir.Sessions(directory.Key{App: st.App, User: st.B})
	}
	r.entry(id, st, ev, a, b)
}

// entry hands an entry to the sessions of one or two users.
func (r *Router) entry(id domain.StreamID, st domain.Stream, ev *domain.Event, a, b []directory.Session) {
	r.age(ev)
	if len(a)+len(b) == 0 {
		r.metrics.offline.Inc()
		return
	}
	d := newDelivery(id, st, ev, msync.FormAll)
	for _, s := range a {
		s.Deliver(d)
	}
	for _, s := range b {
		s.Deliver(d)
	}
	r.metrics.online.Inc()
}

func (r *Router) age(ev *domain.Event) { r.metrics.age.Observe(time.Since(ev.T.Time()).Seconds()) }
