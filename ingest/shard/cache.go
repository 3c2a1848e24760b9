package shard

import (
	"hash/maphash"
	"sync"
	"sync/atomic"

	"parley/domain"
)

// version is the value of a row at some commit. It is immutable.
type version struct {
	row  domain.Row // nil: there is no row
	asof domain.T   // of the last event that changed it
}

// row is a row in memory. Readers see acked only; the rest belongs to the loop.
type row struct {
	acked atomic.Pointer[version]
	used  atomic.Bool // since the cache's hand passed it last

	stream *stream
	part   domain.PartID
	spec   *version // what Decide sees: acked and the commits that are not acknowledged yet
	stored domain.T // asof of what the store is known to have
	flush  uint64   // number of the flush that took it last
	slot   int      // its place in the cache's clock
}

func (r *row) name() rowName { return rowName{r.stream.id, r.part} }

// clean tells whether the store has all there is of the row.
func (r *row) clean() bool {
	v := r.acked.Load()
	return r.spec == v && v.asof <= r.stored
}

// drop forgets the speculative version.
func (r *row) drop() { r.spec = r.acked.Load() }

// stream is what is known of a stream. It is in the cache as long as it has rows, commits in the tail, or commands that wait.
type stream struct {
	id      domain.StreamID
	key     []byte // the id, as key of records
	parsed  domain.Stream
	rules   domain.Rules
	head    *row                   // nil: not loaded
	parts   map[domain.PartID]*row // those that are loaded
	tail    []*entry               // accepted commits after the checkpoint
	waiting []*pending             // commands that wait for rows, in order
	ready   bool                   // it is in the list of streams to go on with
	last    domain.Position        // of the last acknowledged commit that this process saw
	spec    domain.Index           // of the last decided commit, acknowledged or not
}

// row returns a loaded row, nil when it is not loaded. Call it from the loop, or with the segment's lock held.
func (s *stream) row(part domain.PartID) *row {
	if part == domain.PartHead {
		return s.head
	}
	return s.parts[part]
}

func (s *stream) idle() bool {
	return s.head == nil && len(s.parts) == 0 && len(s.tail) == 0 && len(s.waiting) == 0
}

const segments = 64

// cache holds streams and their rows. The loop alone changes it; readers take a segment's lock.
type cache struct {
	seed  maphash.Seed
	parts [segments]segment
	limit int
	clock []*row // all rows, in the order in which the hand passes
	hand  int
}

type segment struct {
	mu      sync.RWMutex
	streams map[domain.StreamID]*stream
}

func newCache(limit int) *cache {
	c := &cache{seed: maphash.MakeSeed(), limit: limit}
	for i := range c.parts {
		c.parts[i].streams = make(map[domain.StreamID]*stream)
	}
	return c
}

func (c *cache) segment(id domain.StreamID) *segment {
	return &c.parts[maphash.String(c.seed, string(id))%segments]
}

// acked returns the acknowledged version of a row, nil when the row is not loaded. Anybody may call it.
func (c *cache) acked(n rowName) *version {
	seg := c.segment(n.stream)
	seg.mu.RLock()
	defer seg.mu.RUnlock()
	s := seg.streams[n.stream]
	if s == nil {
		return nil
	}
	r := s.row(n.part)
	if r == nil {
		return nil
	}
	if !r.used.Load() {
		r.used.Store(true)
	}
	return r.acked.Load()
}

// get returns a stream, or nil. For the loop only: it alone changes the maps, so it need not lock to read them.
func (c *cache) get(id domain.StreamID) *stream { return c.segment(id).streams[id] }

func (c *cache) addStream(s *stream) {
	seg := c.segment(s.id)
	seg.mu.Lock()
	defer seg.mu.Unlock()
	seg.streams[s.id] = s
}

// forget removes a stream of which nothing is left.
func (c *cache) forget(s *stream) {
	if !s.idle() {
		return
	}
	seg := c.segment(s.id)
	seg.mu.Lock()
	defer seg.mu.Unlock()
	delete(seg.streams, s.id)
}

// addRow puts a loaded row into its stream.
func (c *cache) addRow(s *stream, part domain.PartID, v *version, stored domain.T) *row {
	r := &row{stream: s, part: part, spec: v, stored: stored, slot: len(c.clock)}
	r.acked.Store(v)
	r.used.Store(true)
	seg := c.segment(s.id)
	seg.mu.Lock()
	if part == domain.PartHead {
		s.head = r
	} else {
		if s.parts == nil {
			s.parts = make(map[domain.PartID]*row)
		}
		s.parts[part] = r
	}
	seg.mu.Unlock()
	c.clock = append(c.clock, r)
	return r
}

// shrink moves the hand over a few rows while there are too many, and lets those go that were not used since and that the store has.
// It returns how many went.
func (c *cache) shrink() (gone int) {
	for steps := 0; len(c.clock) > c.limit && steps < 16; steps++ {
		if c.hand >= len(c.clock) {
			c.hand = 0
		}
		r := c.clock[c.hand]
		if r.used.Swap(false) || !r.clean() || len(r.stream.waiting) > 0 {
			c.hand++
			continue
		}
		c.evict(r)
		gone++
	}
	return gone
}

func (c *cache) evict(r *row) {
	last := c.clock[len(c.clock)-1]
	c.clock[r.slot], last.slot = last, r.slot
	c.clock[len(c.clock)-1] = nil
	c.clock = c.clock[:len(c.clock)-1]
	seg := c.segment(r.stream.id)
	seg.mu.Lock()
	if r.part == domain.PartHead {
		r.stream.head = nil
	} else {
		delete(r.stream.parts, r.part)
	}
	seg.mu.Unlock()
	c.forget(r.stream)
}
