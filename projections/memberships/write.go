package memberships

import (
	"errors"

	"parley/domain"
	"parley/domain/conversation"
	"parley/schemas/table"
)

var errBadStream = errors.New("the stream's id cannot be read")

// writer makes the writes of one commit.
type writer struct {
	p      *Projection
	stream domain.StreamID
	app    domain.AppID // of the stream; empty until it is needed
	t      uint64       // of the event
	dst    []table.Write
}

func (w *writer) apply(ev *domain.Event) error {
	switch b := ev.Body.(type) {
	case conversation.MemberAdded:
		return w.set(b.User, append(numbers(
			cellIncarnation, uint64(b.Incarnation), cellFrom, uint64(b.From), cellUntil, 0, cellFromN, b.N, cellReadN, b.N,
			cellOwn, 0, cellReadOwn, 0, cellHistoryFrom, 0, cellJoined, 0, cellShield, 0), spans(nil)))
	case conversation.GroupCreated:
		return w.join(&conversation.Joiner{User: b.Owner.User, Incarnation: b.Owner.Incarnation}, ev.Seq, 0, 0)
	case conversation.MembersAdded:
		history := b.HistoryFrom
		if history == b.From {
			history = 0
		}
		for i := range b.Members {
			if err := w.join(&b.Members[i], b.From, history, b.N); err != nil {
				return err
			}
		}
	case conversation.MembersRemoved:
		for _, u := range b.Users {
			if err := w.set(u, numbers(cellUntil, uint64(ev.Seq), cellShield, 0)); err != nil {
				return err
			}
		}
	case conversation.ShieldSet:
		on := uint64(0)
		if b.On {
			on = 1
		}
		return w.set(b.User, numbers(cellShield, on))
	case conversation.MessageSent:
		if b.Counted && b.Own > 0 { // 0: of who is no member, as everybody is in rooms
			return w.set(b.From, numbers(cellOwn, b.Own))
		}
	case conversation.ConversationRead:
		return w.set(b.By, numbers(cellReadN, b.ReadN, cellReadOwn, b.ReadOwn))
	}
	return nil
}

// join begins a span in a group.
func (w *writer) join(m *conversation.Joiner, from, history domain.Seq, n uint64) error {
	return w.set(m.User, append(numbers(
		cellIncarnation, uint64(m.Incarnation), cellFrom, uint64(from), cellUntil, 0, cellFromN, n, cellReadN, n,
		cellOwn, 0, cellReadOwn, 0, cellHistoryFrom, uint64(history), cellJoined, w.t, cellShield, 0), spans(m.Earlier)))
}

func spans(earlier []conversation.Span) table.Cell {
	return table.Cell{Column: cellEarlier, Value: encodeSpans(earlier)}
}

// set writes cells of a user's row.
func (w *writer) set(u domain.UserID, cs []table.Cell) error {
	if w.app == "" {
		st, ok := w.stream.Parse()
		if !ok {
			return errBadStream
		}
		w.app = st.App
	}
	key := w.p.Key(w.app, u, w.stream)
	w.dst = append(w.dst, table.Write{Table: w.p.table, Partition: key.Partition, Cluster: key.Cluster, T: w.t, Cells: cs})
	return nil
}
