package event

import (
	"google.golang.org/protobuf/encoding/protowire"

	"parley/domain"
	"parley/domain/conversation"
	"parley/schemas/internal/wire"
)

// Numbers of Event.body, of rooms.
const (
	fieldRoomCreated     = 29
	fieldRoomChanged     = 30
	fieldRoomTransferred = 31
	fieldRoomDestroyed   = 32
	fieldUsersAllowed    = 33
	fieldUsersDisallowed = 34
)

// appendRoomBody appends the body of an event of rooms. ok is false when it is none.
func appendRoomBody(dst []byte, body domain.Body) (out []byte, ok bool) {
	switch b := body.(type) {
	case conversation.RoomCreated:
		return appendRoomCreated(dst, &b), true
	case conversation.RoomChanged:
		return appendRoomChanged(dst, &b), true
	case conversation.RoomTransferred:
		dst, at := wire.Open(dst, fieldRoomTransferred)
		dst = appendDoer(dst, 1, b.By)
		dst = wire.AppendPerson(dst, 2, b.Old)
		return wire.Close(wire.AppendPerson(dst, 3, b.Owner), at), true
	case conversation.RoomDestroyed:
		return appendDone(dst, fieldRoomDestroyed, b.By, b.Name, ""), true
	case conversation.UsersAllowed:
		return appendListed(dst, fieldUsersAllowed, b.By, b.Users), true
	case conversation.UsersDisallowed:
		return appendListed(dst, fieldUsersDisallowed, b.By, b.Users), true
	default:
		return dst, false
	}
}

func appendRoomCreated(dst []byte, b *conversation.RoomCreated) []byte {
	dst, at := wire.Open(dst, fieldRoomCreated)
	dst = appendDoer(dst, 1, b.By)
	dst = wire.AppendPerson(dst, 2, b.Owner)
	dst, inner := wire.Open(dst, 3)
	dst = wire.AppendRoomSettings(dst, 1, &b.Settings)
	return wire.Close(wire.Close(dst, inner), at)
}

func appendRoomChanged(dst []byte, b *conversation.RoomChanged) []byte {
	dst, at := wire.Open(dst, fieldRoomChanged)
	dst = appendDoer(dst, 1, b.By)
	dst, inner := wire.Open(dst, 2)
	dst = appendSetText(dst, 1, b.Change.Name)
	dst = appendSetText(dst, 2, b.Change.Description)
	dst = appendSetText(dst, 3, b.Change.Custom)
	dst = appendSetNumber(dst, 4, b.Change.MaxUsers)
	return wire.Close(wire.Close(dst, inner), at)
}

// appendListed appends a body that is who did it and for whom.
func appendListed(dst []byte, field protowire.Number, by conversation.Doer, users []conversation.Person) []byte {
	dst, at := wire.Open(dst, field)
	dst = appendDoer(dst, 1, by)
	return wire.Close(wire.AppendPersons(dst, 2, users), at)
}
