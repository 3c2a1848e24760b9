package queries

import (
	"context"
	"errors"
	"fmt"

	"parley/domain"
	"parley/domain/conversation"
	"parley/projections/messageindex"
	"parley/schemas/table"
)

var errNoMessage = domain.Refuse(domain.NotFound, "no such message")

// place finds a message by its id; an empty stream: not there.
func (q *Queries) place(ctx context.Context, id domain.MessageID) (domain.StreamID, domain.Seq, error) {
	ix := q.index()
	rows, err := q.store.Get(ctx, messageindex.Table.Of(ix.Version()), []table.RowKey{ix.Key(id)})
	if err != nil {
		return "", 0, err
	}
	stream, seq, _, err := ix.Place(rows[0])
	return stream, seq, err
}

// MessageByID returns a message as it stands, and where it is. The error has code NotFound when there is none (yet), or it was recalled.
func (q *Queries) MessageByID(ctx context.Context, id domain.MessageID) (domain.StreamID, domain.Event, error) {
	stream, l, err := q.message(ctx, id)
	if err == nil && l.recalled {
		err = errNoMessage
	}
	var ev domain.Event
	if err == nil {
		ev, err = l.decode()
	}
	if err != nil {
		return "", domain.Event{}, findError(err)
	}
	return stream, ev, nil
}

// Recallable returns what a recall has to know of a message, recalled or not, and where it is. near is the stream that the message should be
// in: there it is found as soon as it has been acknowledged, elsewhere when the read models have it. Empty: none in particular. The error has
// code NotFound when there is no such message (yet).
func (q *Queries) Recallable(ctx context.Context, near domain.StreamID, id domain.MessageID) (domain.StreamID, conversation.Recallable, error) {
	stream, l, err := q.recentMessage(near, id)
	if err != nil {
		stream, l, err = q.message(ctx, id)
	}
	if err != nil {
		return "", conversation.Recallable{}, findError(err)
	}
	ev, err := l.decode()
	if err != nil {
		return "", conversation.Recallable{}, findError(err)
	}
	b, ok := ev.Body.(conversation.MessageSent)
	if !ok {
		return "", conversation.Recallable{}, errNoMessage
	}
	return stream, conversation.Recallable{
		Message: ev.T, Seq: ev.Seq, From: b.From, Kind: l.kind, Audience: b.Audience, Recalled: l.recalled,
	}, nil
}

// findError wraps what is not a refusal.
func findError(err error) error {
	if errors.Is(err, errNoMessage) {
		return err
	}
	return fmt.Errorf("find message: %w", err)
}

// message finds a message by the index.
func (q *Queries) message(ctx context.Context, id domain.MessageID) (domain.StreamID, line, error) {
	stream, seq, err := q.place(ctx, id)
	if err != nil {
		return "", line{}, err
	}
	if stream == "" {
		return "", line{}, errNoMessage
	}
	lines, err := q.lines(ctx, stream, seq, seq)
	if err != nil {
		return "", line{}, err
	}
	if len(lines) == 0 {
		return "", line{}, errNoMessage
	}
	return stream, lines[0], nil
}

// recentMessage finds a message in the feed.
func (q *Queries) recentMessage(stream domain.StreamID, id domain.MessageID) (domain.StreamID, line, error) {
	if stream == "" {
		return "", line{}, errNoMessage
	}
	ev, ok := q.feeds.Find(stream, id)
	if !ok {
		return "", line{}, errNoMessage
	}
	l := lineOf(&ev)
	l.recalled = len(q.feeds.Recalled(stream, ev.Seq, ev.Seq)) > 0
	return stream, l, nil
}
