package groups

import (
	"encoding/binary"
	"errors"

	"parley/domain"
	"parley/domain/conversation"
	"parley/schemas/table"
)

var errNoGroup = errors.New("groups: a group's event outside a group, or a room's outside a room")

// Apply implements runner.Projection.
func (p *Projection) Apply(dst []table.Write, a *domain.Accepted) ([]table.Write, error) {
	for i := range a.Commit.Events {
		ev := &a.Commit.Events[i]
		c := change(ev)
		if c.cells == nil {
			continue
		}
		st, ok := a.Commit.Stream.Parse()
		if !ok || st.Kind != c.kind {
			return dst, errNoGroup
		}
		dst = append(dst, table.Write{Table: p.table, Partition: p.Key(a.Commit.Stream).Partition, T: uint64(ev.T), Cells: c.cells})
		for _, l := range c.lists {
			dst = p.list(dst, st, l, ev.T)
		}
	}
	return dst, nil
}

// changed is what an event changes of a row, and the lists that it puts the group or room on. No cells: nothing.
type changed struct {
	kind  domain.Kind // of the stream that such an event is in
	cells []table.Cell
	lists []List
}

func change(ev *domain.Event) changed {
	switch b := ev.Body.(type) {
	case conversation.GroupCreated:
		c := changed{domain.KindGroup, visible(made(b.Settings.Name, b.Owner.User, 1, ev.T), b.Settings.Public, ev.T), []List{All}}
		if b.Settings.Public {
			c.lists = append(c.lists, Public)
		}
		return c
	case conversation.MembersAdded:
		return changed{domain.KindGroup, []table.Cell{number(cellCount, uint64(b.Count))}, nil}
	case conversation.MembersRemoved:
		return changed{domain.KindGroup, []table.Cell{number(cellCount, uint64(b.Count))}, nil}
	case conversation.GroupChanged:
		c := changed{domain.KindGroup, renamed(b.Change.Name, ev.T), nil}
		if b.Change.Public == nil {
			return c
		}
		if c.cells = visible(c.cells, *b.Change.Public, ev.T); *b.Change.Public {
			c.lists = []List{Public}
		}
		return c
	case conversation.OwnerChanged:
		return changed{domain.KindGroup, owned(b.Owner, ev.T), nil}
	case conversation.GroupDestroyed:
		return changed{domain.KindGroup, ended(ev), nil}
	default:
		return changeRoom(ev)
	}
}

func changeRoom(ev *domain.Event) changed {
	switch b := ev.Body.(type) {
	case conversation.RoomCreated:
		return changed{domain.KindRoom, visible(made(b.Settings.Name, b.Owner.User, 0, ev.T), false, ev.T), []List{Rooms}}
	case conversation.RoomChanged:
		return changed{domain.KindRoom, renamed(b.Change.Name, ev.T), nil}
	case conversation.RoomTransferred:
		return changed{domain.KindRoom, owned(b.Owner.User, ev.T), nil}
	case conversation.RoomDestroyed:
		return changed{domain.KindRoom, ended(ev), nil}
	}
	return changed{}
}

func made(name string, owner domain.UserID, members uint64, t domain.T) []table.Cell {
	return append(owned(owner, t), text(cellName, name), number(cellCreated, uint64(t)), number(cellCount, members), number(cellEnded, 0))
}

func renamed(name *string, t domain.T) []table.Cell {
	cs := []table.Cell{number(cellChanged, uint64(t))}
	if name != nil {
		cs = append(cs, text(cellName, *name))
	}
	return cs
}

func owned(owner domain.UserID, t domain.T) []table.Cell {
	return []table.Cell{text(cellOwner, string(owner)), number(cellChanged, uint64(t))}
}

func ended(ev *domain.Event) []table.Cell {
	return []table.Cell{number(cellEnded, uint64(ev.Seq)), number(cellChanged, uint64(ev.T))}
}

func visible(cs []table.Cell, public bool, t domain.T) []table.Cell {
	if !public {
		return append(cs, number(cellPublic, 0))
	}
	return append(cs, number(cellPublic, 1), number(cellSince, uint64(t)))
}

func text(column uint8, s string) table.Cell { return table.Cell{Column: column, Value: []byte(s)} }

func number(column uint8, v uint64) table.Cell {
	return table.Cell{Column: column, Value: binary.BigEndian.AppendUint64(nil, v)}
}
