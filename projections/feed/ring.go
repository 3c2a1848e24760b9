package feed

import (
	"slices"

	"parley/domain"
	"parley/domain/conversation"
)

// firstSlots is how many slots a ring starts with; it doubles up to its limit, so that idle partitions cost little.
const firstSlots = 64

// slot is one commit of the ring, with a link to the commit of the same stream before it.
type slot struct {
	domain.Accepted
	bytes int
	prev  domain.Index // of the stream's commit before this one; below the ring's low: none
}

// ring is a bounded dense run of accepted records, low..high: commits, and markers of slots (no commit). It is not safe for concurrent use.
type ring struct {
	slots     []slot // a power of two; index i is at i & mask
	low, high domain.Index
	bytes     int
	maxCount  int
	maxBytes  int
	last      map[domain.StreamID]domain.Index // of each stream in the ring
	recalls   map[domain.StreamID][]recall     // in the ring, by stream, oldest first
}

// recall is a recall in the ring: which commit, and which entry was recalled.
type recall struct {
	at  domain.Index
	seq domain.Seq
}

func newRing(maxCount, maxBytes int) ring {
	return ring{
		slots: make([]slot, firstSlots), low: 1, maxCount: maxCount, maxBytes: maxBytes,
		last: make(map[domain.StreamID]domain.Index), recalls: make(map[domain.StreamID][]recall),
	}
}

// len returns how many commits the ring has.
func (r *ring) len() int { return int(r.high + 1 - r.low) }

// at returns the slot of an index between low and high.
func (r *ring) at(i domain.Index) *slot { return &r.slots[uint64(i)&uint64(len(r.slots)-1)] }

// has tells whether the ring holds the index.
func (r *ring) has(i domain.Index) bool { return i >= r.low && i <= r.high }

// push adds the next commit. An index that does not follow the ring's last starts the ring anew.
func (r *ring) push(a domain.Accepted) {
	if a.Index != r.high+1 {
		r.clear(a.Index)
	}
	size := commitSize(a.Commit)
	for r.len() > 0 && (r.len() >= r.maxCount || r.bytes+size > r.maxBytes) {
		r.evict()
	}
	if r.len() == len(r.slots) {
		r.grow()
	}
	r.high = a.Index
	r.bytes += size
	if a.Commit == nil {
		*r.at(a.Index) = slot{Accepted: a}
		return
	}
	*r.at(a.Index) = slot{Accepted: a, bytes: size, prev: r.last[a.Commit.Stream]}
	r.last[a.Commit.Stream] = a.Index
	for i := range a.Commit.Events {
		if b, ok := a.Commit.Events[i].Body.(conversation.MessageRecalled); ok {
			r.recalls[a.Commit.Stream] = append(r.recalls[a.Commit.Stream], recall{a.Index, b.MessageSeq})
		}
	}
}

// evict drops the oldest commit.
func (r *ring) evict() {
	s := r.at(r.low)
	if s.Commit != nil && r.last[s.Commit.Stream] == r.low {
		delete(r.last, s.Commit.Stream)
	}
	if s.Commit != nil {
		r.forget(s.Commit.Stream, r.low)
	}
	r.bytes -= s.bytes
	*s = slot{}
	r.low++
}

// forget drops the recalls of a commit, the oldest of its stream.
func (r *ring) forget(stream domain.StreamID, at domain.Index) {
	all, ok := r.recalls[stream]
	if !ok {
		return
	}
	n := 0
	for n < len(all) && all[n].at <= at {
		n++
	}
	if n == len(all) {
		delete(r.recalls, stream)
		return
	}
	r.recalls[stream] = all[n:]
}

// clear empties the ring; next is the first index to come.
func (r *ring) clear(next domain.Index) {
	clear(r.slots)
	clear(r.last)
	clear(r.recalls)
	r.low, r.high, r.bytes = next, next-1, 0
}

func (r *ring) grow() {
	old := *r
	r.slots = make([]slot, 2*len(old.slots))
	for i := r.low; i <= r.high; i++ {
		*r.at(i) = *old.at(i)
	}
}

// recent returns the stream's entries from..to as far as they follow each other without a hole.
func (r *ring) recent(stream domain.StreamID, from, to domain.Seq) []domain.Event {
	i, ok := r.last[stream]
	if !ok || from == 0 || to < from {
		return nil
	}
	// Walk back to the commit that holds from; hits are the commits to take, newest first.
	var hits []domain.Index
	for ; r.has(i); i = r.at(i).prev {
		lo, hi := entrySpan(r.at(i).Commit)
		if hi == 0 || lo > to {
			continue // only asides, or newer than wanted
		}
		if hi < from {
			break
		}
		hits = append(hits, i)
		if lo <= from {
			break
		}
	}
	var out []domain.Event
	for _, hit := range slices.Backward(hits) {
		for _, ev := range r.at(hit).Commit.Events {
			switch {
			case ev.Seq == 0 || ev.Seq < from || ev.Seq > to:
			case ev.Seq != from+domain.Seq(len(out)):
				return out
			default:
				out = append(out, ev)
			}
		}
	}
	return out
}

// recalled appends which of the stream's entries from..to the ring has recalls of.
func (r *ring) recalled(dst []domain.Seq, stream domain.StreamID, from, to domain.Seq) []domain.Seq {
	for _, c := range r.recalls[stream] {
		if c.seq >= from && c.seq <= to {
			dst = append(dst, c.seq)
		}
	}
	return dst
}

// find returns the stream's entry with an id.
func (r *ring) find(stream domain.StreamID, id domain.T) (domain.Event, bool) {
	i, ok := r.last[stream]
	for ; ok && r.has(i); i = r.at(i).prev {
		events := r.at(i).Commit.Events
		if events[0].T > id {
			continue
		}
		for _, ev := range events {
			if ev.T == id && ev.Seq != 0 {
				return ev, true
			}
		}
		break
	}
	return domain.Event{}, false
}

// entrySpan returns the first and last seq of a commit's entries, 0 when it has none.
func entrySpan(c *domain.Commit) (lo, hi domain.Seq) {
	for i := range c.Events {
		if s := c.Events[i].Seq; s != 0 {
			if lo == 0 {
				lo = s
			}
			hi = s
		}
	}
	return lo, hi
}
