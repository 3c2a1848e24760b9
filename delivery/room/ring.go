package room

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"time"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/message"
)

// ringSize is how many entries a room keeps for those who come, and come back.
const ringSize = 200

// ring is the newest entries of a room that have a wire form. It has all of them from seq from on.
type ring struct {
	entries []item     // by seq
	from    domain.Seq // 0: it has nothing, not even a place
	last    domain.Seq // it has all up to here
	routed  domain.Seq // the last that came; what was read may be further
	read    bool       // what was before it has been read, as far as it matters
}

// add takes an entry in that came; false: it came before.
func (g *ring) add(seq domain.Seq, it item, shown bool) bool {
	if seq <= g.routed {
		return false
	}
	g.routed = seq
	if seq <= g.last {
		return true
	}
	if g.from == 0 {
		g.from = seq
	}
	g.last = seq
	if it.recalls != 0 {
		g.recall(it.recalls)
	}
	if shown {
		g.entries = append(g.entries, it)
		g.trim()
	}
	return true
}

// trim keeps the newest; memory is moved only now and then.
func (g *ring) trim() {
	if len(g.entries) < 2*ringSize {
		return
	}
	n := copy(g.entries, g.entries[len(g.entries)-ringSize:])
	clear(g.entries[n:])
	g.entries = g.entries[:n]
	g.from = g.entries[0].seq
}

// recall blanks a message that is no more.
func (g *ring) recall(id domain.MessageID) {
	for i := range g.entries {
		if e := &g.entries[i]; e.t == id && e.message {
			*e = item{seq: e.seq, t: e.t}
			return
		}
	}
}

// fill puts what was read in front of what has come since.
func (g *ring) fill(from, last domain.Seq, older []item) {
	g.read = true
	if g.from == 0 {
		g.from, g.last = from, last
	} else {
		first := g.from
		n := sort.Search(len(older), func(i int) bool { return older[i].seq >= first })
		older = older[:n]
		g.from = min(g.from, from)
	}
	g.entries = append(older, g.entries...)
	for i := range g.entries {
		if id := g.entries[i].recalls; id != 0 {
			g.recall(id)
		}
	}
}

// history returns what a member is shown of before the entry until (0: of all there is), the last entry up to it, and how many entries are
// not there any more.
func (g *ring) history(m *member, from Start, until domain.Seq) (metas [][]byte, last domain.Seq, missed int) {
	last = g.last
	end := len(g.entries)
	if until != 0 {
		last = until - 1
		end = sort.Search(len(g.entries), func(i int) bool { return g.entries[i].seq >= until })
	}
	begin := max(0, len(g.entries)-ringSize)
	switch {
	case from.Newest > 0:
		return g.newest(m, from.Newest, begin, end), last, 0
	case from.Seen != 0:
		begin += sort.Search(len(g.entries)-begin, func(i int) bool { return g.entries[begin+i].seq > from.Seen })
		missed = g.missing(from.Seen, until)
	case from.After != 0:
		begin += sort.Search(len(g.entries)-begin, func(i int) bool { return g.entries[begin+i].t > from.After })
	default:
		return nil, last, 0
	}
	for i := begin; i < end; i++ {
		e := &g.entries[i]
		if b := e.chosen(e.choose(m)); b != nil {
			metas = append(metas, b)
		}
	}
	return metas, last, missed
}

// newest returns the newest messages, those that come with the next frame counted.
func (g *ring) newest(m *member, n, begin, end int) (metas [][]byte) {
	for i := len(g.entries) - 1; i >= begin && n > 0; i-- {
		e := &g.entries[i]
		b := e.chosen(e.choose(m))
		if !e.message || b == nil {
			continue
		}
		n--
		if i < end {
			metas = append(metas, b)
		}
	}
	for i, j := 0, len(metas)-1; i < j; i, j = i+1, j-1 {
		metas[i], metas[j] = metas[j], metas[i]
	}
	return metas
}

// missing returns how many entries after seen the ring has no more; those from until on (unless 0) are on their way.
func (g *ring) missing(seen, until domain.Seq) int {
	from := g.from
	if n := len(g.entries); n > ringSize {
		from = g.entries[n-ringSize].seq
	}
	if until != 0 {
		from = min(from, until)
	}
	if from == 0 || seen+1 >= from {
		return 0
	}
	return int(from - seen - 1)
}

// shownOnJoin tells whether a message is one that who joins is shown: not commands.
func shownOnJoin(b *conversation.MessageSent) bool { return b.Kind != message.Cmd }

// warm reads the newest entries of a room that has not had them since somebody came; one reads, the others wait for it.
func (s *state) warm(ctx context.Context) {
	for {
		s.mu.Lock()
		if s.ring.read || s.over || s.dead {
			s.mu.Unlock()
			return
		}
		if filling := s.filling; filling != nil {
			s.mu.Unlock()
			select {
			case <-filling:
			case <-ctx.Done():
				return
			}
			continue
		}
		filling := make(chan struct{})
		s.filling = filling
		s.mu.Unlock()
		ok := s.read(ctx)
		s.mu.Lock()
		s.filling = nil
		s.mu.Unlock()
		close(filling)
		if !ok {
			return
		}
	}
}

// How long what is acknowledged may take to be readable.
const (
	readTries = 20
	readPause = 25 * time.Millisecond
	readBytes = 4 << 20
)

// read reads the newest entries. The room is open, so that it is handed all above the head that its owner names.
func (s *state) read(ctx context.Context) bool {
	heads, err := s.rooms.cfg.Owners.Heads(ctx, []domain.StreamID{s.id})
	if err != nil || len(heads) != 1 {
		s.rooms.metrics.readFailed.Inc()
		return false
	}
	head, ok := heads[0].(domain.HeadRow)
	if !ok { // no such room (yet)
		return false
	}
	end := head.LastSeq()
	from := domain.Seq(1)
	if end > ringSize {
		from = end - ringSize + 1
	}
	older, err := s.readTo(ctx, from, end)
	if err != nil {
		s.rooms.metrics.readFailed.Inc()
		return false
	}
	s.mu.Lock()
	s.ring.fill(from, end, older)
	s.mu.Unlock()
	return true
}

// readTo reads entries, and waits a little for those that are not readable yet.
func (s *state) readTo(ctx context.Context, from, end domain.Seq) (items []item, err error) {
	for tries := 0; from <= end; tries++ {
		events, err := s.rooms.cfg.Reads.Entries(ctx, s.id, from, end, int(end-from)+1, readBytes)
		if err != nil {
			return nil, fmt.Errorf("read a room's newest entries: %w", err)
		}
		for i := range events {
			if it, ok := newItem(s.st, &events[i]); ok {
				items = append(items, it)
			}
		}
		if len(events) > 0 {
			from = events[len(events)-1].Seq + 1
			continue
		}
		if tries >= readTries {
			return nil, errNotReadable
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(readPause):
		}
	}
	return items, nil
}

var errNotReadable = errors.New("acknowledged entries are not readable")
