package queries

import (
	"context"
	"fmt"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/message"
	"parley/projections/feed"
	"parley/projections/timeline"
)

// MaxEntries is the most entries of one page of Entries.
const MaxEntries = 500

// line is an entry of a stream, from the timeline (row) or from the feed (event).
type line struct {
	seq      domain.Seq
	history  bool
	kind     message.Kind
	recalled bool
	row      timeline.Entry
	event    *domain.Event
}

func lineOf(ev *domain.Event) line {
	l := line{seq: ev.Seq, event: ev, history: conversation.Shown(ev)}
	if b, ok := ev.Body.(conversation.MessageSent); ok {
		l.kind = b.Kind
	}
	return l
}

// shown returns the entry's event as readers may have it: without a body when the message was recalled.
func (l line) shown() (domain.Event, error) {
	ev, err := l.decode()
	if l.recalled {
		ev.Body = nil
	}
	return ev, err
}

// decode returns the entry's event. Of one that was recalled only who sent it, and to whom, is sure to be there.
func (l line) decode() (domain.Event, error) {
	if l.event != nil {
		return *l.event, nil
	}
	return l.row.Event()
}

// Entries returns the entries of a stream from..to, in order and without a hole: at most limit and about maxBytes of them, at least one
// when it is there. They end before the first that neither the timeline nor the feed has yet. They are shared and must not be changed.
//
// A message that was recalled comes as an event without a body (nil), which nobody is to see: only its seq and id are left.
func (q *Queries) Entries(
	ctx context.Context, stream domain.StreamID, from, to domain.Seq, limit, maxBytes int,
) ([]domain.Event, error) {
	if to < from || from == 0 || limit < 1 {
		return nil, nil
	}
	to = min(to, from+domain.Seq(min(limit, MaxEntries))-1)
	lines, err := q.lines(ctx, stream, from, to)
	if err != nil {
		return nil, fmt.Errorf("read entries: %w", err)
	}
	out := make([]domain.Event, 0, len(lines))
	size := 0
	for _, l := range lines {
		ev, err := l.shown()
		if err != nil {
			return nil, fmt.Errorf("read entries: %w", err)
		}
		size += feed.Size(&ev)
		if len(out) > 0 && size > maxBytes {
			break
		}
		out = append(out, ev)
	}
	return out, nil
}

// lines returns the entries from..to up to the first that is missing, knowing what was recalled by the timeline or by the feed.
func (q *Queries) lines(ctx context.Context, stream domain.StreamID, from, to domain.Seq) ([]line, error) {
	out, err := q.standing(ctx, stream, from, to)
	if err != nil || len(out) == 0 {
		return out, err
	}
	// Asked last: what is recalled while the entries are read is known, too.
	for _, seq := range q.feeds.Recalled(stream, from, out[len(out)-1].seq) {
		l := &out[seq-from]
		l.recalled, l.history = true, false
	}
	return out, nil
}

// standing returns the entries from..to up to the first that is missing: from the feed if it has all from `from` on, else from the timeline
// and then from the feed, which has what the timeline does not have yet.
func (q *Queries) standing(ctx context.Context, stream domain.StreamID, from, to domain.Seq) ([]line, error) {
	out := q.recent(nil, stream, from, to)
	if len(out) > 0 {
		return out, nil
	}
	tl := q.timeline()
	next := from
	for next <= to {
		end := min(to, domain.Seq((timeline.Bucket(next)+1)*timeline.BucketSize-1))
		rows, err := q.store.Scan(ctx, tl.Query(stream, next, end, int(end-next)+1, false))
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			e, ok, err := tl.Entry(row)
			if err != nil {
				return nil, err
			}
			if !ok || e.Seq != next {
				return q.recent(out, stream, next, to), nil
			}
			out = append(out, line{seq: e.Seq, history: e.History && !e.Recalled, kind: e.Kind, recalled: e.Recalled, row: e})
			next++
		}
		if next <= end {
			return q.recent(out, stream, next, to), nil
		}
	}
	return out, nil
}

func (q *Queries) recent(dst []line, stream domain.StreamID, from, to domain.Seq) []line {
	events := q.feeds.Recent(stream, from, to)
	for i := range events {
		dst = append(dst, lineOf(&events[i]))
	}
	return dst
}
