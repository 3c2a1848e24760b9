package conversation

import (
	"slices"

	"parley/domain"
)

// RoomAudience returns to whom an event of a room may be shown: all who view it, or only users, who see it when they view. Events of the
// allow list are for those whom they name, whether they view or not.
func RoomAudience(ev *domain.Event) (users []domain.UserID, all bool) {
	switch b := ev.Body.(type) {
	case MessageSent, MessageRecalled:
		return GroupAudience(ev)
	case UsersAllowed:
		return names(b.Users), false
	case UsersDisallowed:
		return names(b.Users), false
	case RoomCreated, RoomChanged, RoomTransferred, RoomDestroyed:
		return nil, true
	default:
		return nil, false
	}
}

// seesInRoom is Sees for rooms: what is for all is for all but the device that did it.
func seesInRoom(ev *domain.Event, u domain.UserID, r domain.Resource) bool {
	switch ev.Body.(type) {
	case MessageSent, MessageRecalled:
		return seesInGroup(ev, u, r)
	}
	if by, ok := DoerOf(ev.Body); !ok || by.did(u, r) {
		return false
	}
	users, all := RoomAudience(ev)
	return all || slices.Contains(users, u)
}

// roomDoerOf is DoerOf for events of rooms.
func roomDoerOf(body domain.Body) (by Doer, ok bool) {
	switch b := body.(type) {
	case RoomCreated:
		return b.By, true
	case RoomChanged:
		return b.By, true
	case RoomTransferred:
		return b.By, true
	case RoomDestroyed:
		return b.By, true
	case UsersAllowed:
		return b.By, true
	case UsersDisallowed:
		return b.By, true
	default:
		return Doer{}, false
	}
}

func names(users []Person) []domain.UserID {
	out := make([]domain.UserID, len(users))
	for i := range users {
		out[i] = users[i].User
	}
	return out
}
