package conversation

import (
	"slices"

	"parley/domain"
)

// Touches implements domain.Rules.
func (RoomRules) Touches(dst []domain.PartID, _ domain.Stream, ev *domain.Event) []domain.PartID {
	return touchSaid(append(dst, domain.PartHead), ev)
}

// Evolve implements domain.Rules. A row that the event does not touch comes back as it is.
func (RoomRules) Evolve(st domain.Stream, id domain.PartID, row domain.Row, ev *domain.Event) domain.Row {
	if id == domain.PartHead {
		head, _ := row.(*RoomHead)
		return evolveRoomHead(st, head, ev)
	}
	sends, _ := row.(*Sends)
	if next := evolveSends(id, sends, ev); next != sends {
		return next
	}
	return row
}

func evolveRoomHead(st domain.Stream, row *RoomHead, ev *domain.Event) *RoomHead {
	head := RoomHead{}
	if row != nil {
		head = *row
	}
	head.Head = *evolveHead(st, &head.Head, ev)
	head.Kind = st.Kind
	switch b := ev.Body.(type) {
	case RoomCreated:
		head.Created, head.Modified, head.Settings, head.Owner, head.Allowed = ev.T, ev.T, b.Settings, b.Owner, nil
	case RoomChanged:
		head.Settings, head.Modified = head.Settings.With(&b.Change), ev.T
	case RoomTransferred:
		head.Owner, head.Modified = b.Owner, ev.T
	case RoomDestroyed:
		head.Closed = ev.Seq
	case UsersAllowed:
		head.Allowed = listed(head.Allowed, b.Users)
	case UsersDisallowed:
		head.Allowed = unlisted(head.Allowed, b.Users)
	}
	return &head
}

// listed returns a list with users, at its end unless they are on it as they are. It never changes the list, which older versions of the
// row share.
func listed(list, users []Person) []Person {
	out := slices.Clone(list)
	for _, p := range users {
		switch i := onList(out, p.User); {
		case i < 0:
			out = append(out, p)
		case out[i] != p:
			out = append(slices.Delete(out, i, i+1), p)
		}
	}
	return out
}

// unlisted returns a list without users; it never changes the list.
func unlisted(list, users []Person) []Person {
	var out []Person
	for _, p := range list {
		if !slices.Contains(users, p) {
			out = append(out, p)
		}
	}
	return out
}
