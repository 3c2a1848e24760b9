// Package room shows the viewers of rooms on this node what happens there: one frame per room and window, the same bytes for all.
//
// What must hold:
//
//   - A viewer is shown the entries of its room in their order, each once, from its Add to its Remove.
//   - A frame is encoded once, whatever the number of viewers. Handing it to one of them allocates nothing and never waits.
//   - The router's goroutine only adds to what the next frame holds: handing out is done by a few workers.
//   - A room has at most one frame on its way. What comes meanwhile waits for the next, which holds all of it.
//   - A room that nobody views costs nothing: it is forgotten after a while, and its newest entries are read when somebody comes.
//
// Lock order: the room's, then a viewer's, then what Show and the show of Add take. A caller must hold nothing that they take.
package room

import (
	"context"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"parley/domain"
)

// Viewer is a session that views rooms.
type Viewer interface {
	User() domain.UserID
	Resource() domain.Resource
	// Show hands over a frame, which must not be changed. It never blocks.
	Show(frame *Frame)
}

// Owners know the heads of rooms.
type Owners interface {
	// Heads returns the acknowledged head rows in the order of the ids, nil where there is none.
	Heads(ctx context.Context, ids []domain.StreamID) ([]domain.Row, error)
}

// Reads is the read model of entries.
type Reads interface {
	// Entries returns the entries from on, dense, at most limit and about maxBytes; fewer when the next is not readable yet.
	Entries(ctx context.Context, stream domain.StreamID, from, to domain.Seq, limit, maxBytes int) ([]domain.Event, error)
}

// Config is what Rooms are made of.
type Config struct {
	Settings   Settings
	Owners     Owners
	Reads      Reads
	NextT      func() domain.T // ids of what is not logged
	Now        func() time.Time
	Registerer prometheus.Registerer
}

// Rooms are the rooms that somebody on this node views. Run must be running, or nothing is shown. They are a lease.Sink.
type Rooms struct {
	cfg     Config
	metrics *metrics
	seed    maphash.Seed
	shards  [shards]shard
	workers workers
	window  atomic.Int64 // ns; how long a frame waits for more now
	offered atomic.Uint64
}

const shards = 64

type shard struct {
	mu      sync.Mutex
	rooms   map[domain.StreamID]*state
	buckets map[domain.StreamID]*bucket
}

// New makes Rooms that nobody views.
func New(cfg Config) (*Rooms, error) {
	if err := cfg.Settings.Validate(); err != nil {
		return nil, err
	}
	r := &Rooms{cfg: cfg, metrics: newMetrics(cfg.Registerer), seed: maphash.MakeSeed()}
	r.workers.init()
	for i := range r.shards {
		r.shards[i].rooms = make(map[domain.StreamID]*state)
		r.shards[i].buckets = make(map[domain.StreamID]*bucket)
	}
	return r, nil
}

// Run shows until ctx ends.
func (r *Rooms) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for range r.workers.number() {
		wg.Go(r.workers.run)
	}
	r.tend(ctx)
	r.workers.close()
	wg.Wait()
	return nil
}

const (
	tendEvery  = 100 * time.Millisecond
	sweepEvery = 5 * time.Second
	keepEmpty  = time.Minute // a room whose last viewer went is warm for those who come back
)

// tend adapts the window and forgets what is not needed, until ctx ends.
func (r *Rooms) tend(ctx context.Context) {
	tick := time.NewTicker(tendEvery)
	defer tick.Stop()
	load, swept := load{at: r.cfg.Now()}, r.cfg.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := r.cfg.Now()
		window := load.window(r.offered.Load(), now, r.workers.number(), r.cfg.Settings.Window)
		r.window.Store(int64(window))
		r.metrics.window.Set(window.Seconds())
		if now.Sub(swept) >= sweepEvery {
			swept = now
			r.sweep(now)
		}
	}
}

func (r *Rooms) sweep(now time.Time) {
	for i := range r.shards {
		sh := &r.shards[i]
		sh.mu.Lock()
		for id, s := range sh.rooms {
			if s.forget(now) {
				delete(sh.rooms, id)
				r.metrics.rooms.Dec()
			}
		}
		for id, b := range sh.buckets {
			if b.full(now, r.cfg.Settings.Rate) {
				delete(sh.buckets, id)
			}
		}
		sh.mu.Unlock()
	}
}

func (r *Rooms) shard(id domain.StreamID) *shard {
	return &r.shards[maphash.Comparable(r.seed, id)%shards]
}

// find returns a room that somebody views, or has viewed of late; else nil.
func (r *Rooms) find(id domain.StreamID) *state {
	sh := r.shard(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.rooms[id]
}

// open returns a room, made if need be; nil when the id names none.
func (r *Rooms) open(id domain.StreamID) *state {
	sh := r.shard(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	s := sh.rooms[id]
	if s != nil {
		return s
	}
	st, ok := id.Parse()
	if !ok || st.Kind != domain.KindRoom {
		return nil
	}
	s = newState(r, id, st)
	sh.rooms[id] = s
	r.metrics.rooms.Inc()
	return s
}

// drop takes out a room that is over.
func (r *Rooms) drop(s *state) {
	sh := r.shard(s.id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.rooms[s.id] == s {
		delete(sh.rooms, s.id)
		r.metrics.rooms.Dec()
	}
}

// Start says what a viewer is shown of what was before. The zero value: nothing.
type Start struct {
	Newest int        // the newest messages, at most so many: for who joins
	Seen   domain.Seq // the entries after this one: for who comes back
	After  domain.T   // when Seen is 0: the entries that are later
}

func (f Start) nothing() bool { return f.Newest <= 0 && f.Seen == 0 && f.After == 0 }

// Add begins to show a room to a viewer. show is called once, before the viewer is shown anything newer, with what there is of before, or
// nil. It may wait for a read of the room's newest entries when nobody has viewed the room of late. Who views it already goes on.
func (r *Rooms) Add(ctx context.Context, id domain.StreamID, v Viewer, show func(history *Frame), from Start) {
	for {
		s := r.open(id)
		if s == nil {
			show(nil)
			return
		}
		if !from.nothing() {
			s.warm(ctx)
		}
		if s.add(v, show, from) {
			return
		}
	}
}

// Remove ends showing. It returns the last entry that the viewer was shown, 0 for none; afterwards it is shown nothing more.
func (r *Rooms) Remove(id domain.StreamID, v Viewer) (seen domain.Seq) {
	if s := r.find(id); s != nil {
		return s.remove(v)
	}
	return 0
}

// Viewers returns how many view a room on this node.
func (r *Rooms) Viewers(id domain.StreamID) int {
	s := r.find(id)
	if s == nil {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.members)
}
