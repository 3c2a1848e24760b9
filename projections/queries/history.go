package queries

import (
	"context"
	"fmt"
	"slices"
	"time"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/message"
)

// Bounds of History.
const (
	MaxHistory = 50   // messages of a page
	maxLook    = 2000 // entries looked at for a page
	firstChunk = 64   // entries read at first; doubled up to lastChunk
	lastChunk  = 512
)

// HistoryQuery asks for messages of a stream as one user may see them.
type HistoryQuery struct {
	Stream   domain.StreamID
	User     domain.UserID
	From     domain.Seq       // the first entry that the user may see
	Until    domain.Seq       // the last: the stream's head, or the membership's end. Required
	Backward bool             // from new to old
	Start    domain.MessageID // go on behind this message or cursor; 0: from Until (backward) or From
	Limit    int              // 1 to MaxHistory
	Kinds    []message.Kind   // nil: all
	Sender   domain.UserID    // only what this user sent; empty: whoever sent it
	After    domain.T         // only messages from this instant on (domain.TAt); 0: open
	Before   domain.T         // only messages before it; 0: open
}

// HistoryPage is a page of history, in the order asked for.
type HistoryPage struct {
	Events []domain.Event
	// Next is the cursor of the next page: Start of the next query. It is the id of the last message, or of the last entry looked at
	// when the page came short; 0 when there was nothing.
	Next domain.T
	// Last tells that there is no more in this direction now.
	Last bool
}

// History returns a page of a stream's messages: only what is shown in history, to this user, and not recalled. A page may be short, or empty, without
// being the last: then the bound on the work of a call was reached, and Next goes on.
func (q *Queries) History(ctx context.Context, hq HistoryQuery) (HistoryPage, error) {
	h := history{HistoryQuery: hq, q: q}
	h.Limit = min(max(h.Limit, 1), MaxHistory)
	if err := h.bound(ctx); err != nil {
		return HistoryPage{}, fmt.Errorf("read history: %w", err)
	}
	if err := h.walk(ctx); err != nil {
		return HistoryPage{}, fmt.Errorf("read history: %w", err)
	}
	return h.page(), nil
}

// history is one call's work.
type history struct {
	HistoryQuery
	q      *Queries
	lo, hi domain.Seq // what is left to look at, both inclusive

	found  []domain.Event // up to Limit+1: one more says that this page is not the last
	looked line           // the last looked at
	done   bool           // nothing can follow
	waited int            // for what is on its way
}

// bound turns cursor and time range into seqs. T grows with seq in a stream.
func (h *history) bound(ctx context.Context) error {
	h.lo, h.hi = max(h.From, 1), h.Until
	lower, upper := h.After, h.Before // T >= lower, T < upper
	if h.Start != 0 && h.Backward && (upper == 0 || h.Start < upper) {
		upper = h.Start
	}
	if h.Start != 0 && !h.Backward {
		lower = max(lower, h.Start+1)
	}
	if upper != 0 {
		at, err := h.seek(ctx, upper)
		if err != nil {
			return err
		}
		h.hi = min(h.hi, at-1)
	}
	if lower != 0 {
		at, err := h.seek(ctx, lower)
		if err != nil {
			return err
		}
		h.lo = max(h.lo, at)
	}
	return nil
}

// seek returns the least seq of lo..hi+1 whose entry's T is at least t.
func (h *history) seek(ctx context.Context, t domain.T) (domain.Seq, error) {
	for _, id := range []domain.MessageID{t, t - 1} { // a message's own id, or just behind one: the index knows
		stream, seq, err := h.q.place(ctx, id)
		if err != nil {
			return 0, err
		}
		if stream == h.Stream {
			return seq + domain.Seq(t-id), nil
		}
	}
	lo, hi := h.lo, h.hi+1
	for lo < hi {
		mid := lo + (hi-lo)/2
		at, ok, err := h.q.tOf(ctx, h.Stream, mid)
		switch {
		case err != nil:
			return 0, err
		case !ok || at >= t: // what is not there yet is newer
			hi = mid
		default:
			lo = mid + 1
		}
	}
	return lo, nil
}

// tOf returns the T of an entry; ok is false when it is not there yet.
func (q *Queries) tOf(ctx context.Context, stream domain.StreamID, seq domain.Seq) (t domain.T, ok bool, err error) {
	lines, err := q.lines(ctx, stream, seq, seq)
	if err != nil || len(lines) == 0 {
		return 0, false, err
	}
	ev, err := lines[0].decode()
	return ev.T, err == nil, err
}

// walk looks at entries from lo up, or from hi down, until the page is full, the end is reached or the call has looked at enough.
func (h *history) walk(ctx context.Context) error {
	chunk := domain.Seq(firstChunk)
	for looked := domain.Seq(0); looked < maxLook; chunk = min(2*chunk, lastChunk) {
		if h.lo > h.hi {
			h.done = true
			return nil
		}
		n := min(chunk, h.hi-h.lo+1)
		from, to := h.lo, h.lo+n-1
		if h.Backward {
			from, to = h.hi-n+1, h.hi
		}
		lines, err := h.lines(ctx, from, to)
		if err != nil {
			return err
		}
		full, err := h.take(lines)
		if err != nil || full {
			return err
		}
		if !h.Backward && domain.Seq(len(lines)) < n {
			h.done = true // the rest is not there yet
			return nil
		}
		looked += n
		if h.Backward {
			h.hi = from - 1
		} else {
			h.lo = to + 1
		}
	}
	return nil
}

// What is on its way is waited for so often, at first for so long, then each time twice as long: 0.3 s in all.
const (
	historyWaits = 6
	historyWait  = 5 * time.Millisecond
)

// lines returns the entries from..to up to the first that is missing. The last entry that is asked for has been acknowledged: when it is missing
// it is on its way to a node that follows the partition from afar, whose client may have been told of it before.
func (h *history) lines(ctx context.Context, from, to domain.Seq) ([]line, error) {
	for {
		lines, err := h.q.lines(ctx, h.Stream, from, to)
		if err != nil || to != h.Until || domain.Seq(len(lines)) > to-from || h.waited == historyWaits {
			return lines, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(historyWait << h.waited):
			h.waited++
		}
	}
}

// take adds what the user may see; full says that the page has more than enough.
func (h *history) take(lines []line) (full bool, err error) {
	if h.Backward {
		slices.Reverse(lines)
	}
	for _, l := range lines {
		if !l.history || (len(h.Kinds) > 0 && !slices.Contains(h.Kinds, l.kind)) {
			h.looked = l
			continue
		}
		ev, err := l.decode()
		if err != nil {
			return false, err
		}
		h.looked = l
		if !conversation.ShownTo(&ev, h.User) || !h.isFrom(&ev) {
			continue
		}
		if h.found = append(h.found, ev); len(h.found) > h.Limit {
			return true, nil
		}
	}
	return false, nil
}

// isFrom tells whether the sender is the one asked for.
func (h *history) isFrom(ev *domain.Event) bool {
	b, ok := ev.Body.(conversation.MessageSent)
	return h.Sender == "" || ok && b.From == h.Sender
}

func (h *history) page() HistoryPage {
	p := HistoryPage{Events: h.found[:min(len(h.found), h.Limit)], Last: h.done}
	switch {
	case len(h.found) > h.Limit || (h.done && len(h.found) > 0):
		p.Next = p.Events[len(p.Events)-1].T
	case h.looked.seq != 0:
		if ev, err := h.looked.decode(); err == nil {
			p.Next = ev.T
		}
	default:
		p.Next = h.Start
	}
	return p
}
