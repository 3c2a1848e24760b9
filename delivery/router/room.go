package router

import (
	"parley/domain"
	"parley/domain/conversation"
)

// Rooms show what happens in rooms to those who view them on this node.
type Rooms interface {
	// Entry takes an entry, in the order of the room.
	Entry(id domain.StreamID, st domain.Stream, ev *domain.Event)
	// Volatile takes what is not logged.
	Volatile(id domain.StreamID, st domain.Stream, ev *domain.Event)
	// Tell shows a Meta to those of some users who view the room here.
	Tell(id domain.StreamID, users []domain.UserID, meta []byte)
}

// Leases keep who views which room.
type Leases interface {
	// SetStays says whether a user's lease outlasts its devices.
	SetStays(room domain.StreamID, u domain.UserID, stays bool)
	SetOwner(room domain.StreamID, owner domain.UserID)
	// EndRoom ends all leases of a room.
	EndRoom(room domain.StreamID)
	// Forget ends all leases of an account and of earlier ones of the name.
	Forget(app domain.AppID, u domain.UserID, inc domain.Incarnation)
}

// room hands an entry of a room to those who view it, and tells the leases what it does to them.
func (r *Router) room(id domain.StreamID, st domain.Stream, ev *domain.Event) {
	if ev.Seq == 0 {
		return
	}
	r.age(ev)
	r.rooms.Entry(id, st, ev)
	r.metrics.rooms.Inc()
	switch b := ev.Body.(type) {
	case conversation.UsersAllowed:
		r.setStays(id, b.Users, true)
	case conversation.UsersDisallowed:
		r.setStays(id, b.Users, false)
	case conversation.RoomTransferred:
		r.leases.SetOwner(id, b.Owner.User)
	case conversation.RoomDestroyed:
		r.leases.EndRoom(id)
	}
}

func (r *Router) setStays(id domain.StreamID, users []conversation.Person, stays bool) {
	for i := range users {
		r.leases.SetStays(id, users[i].User, stays)
	}
}
