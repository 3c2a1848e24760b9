package event

import (
	"parley/domain"
	"parley/domain/conversation"
	"parley/schemas/internal/wire"
)

// decodeRoomBody reads the body of an event of rooms.
func decodeRoomBody(s *wire.Scan) (domain.Body, error) {
	switch s.Tag {
	case fieldRoomCreated<<3 | wire.Length:
		return decodeRoomCreated(s.B)
	case fieldRoomChanged<<3 | wire.Length:
		return decodeRoomChanged(s.B)
	case fieldRoomTransferred<<3 | wire.Length:
		return decodeRoomTransferred(s.B)
	case fieldRoomDestroyed<<3 | wire.Length:
		by, name, _, err := decodeDone(s.B, "RoomDestroyed", 2)
		return conversation.RoomDestroyed{By: by, Name: name}, err
	case fieldUsersAllowed<<3 | wire.Length:
		by, users, err := decodeListed(s.B, "UsersAllowed")
		return conversation.UsersAllowed{By: by, Users: users}, err
	case fieldUsersDisallowed<<3 | wire.Length:
		by, users, err := decodeListed(s.B, "UsersDisallowed")
		return conversation.UsersDisallowed{By: by, Users: users}, err
	default:
		s.Unknown()
		return nil, s.Err
	}
}

func decodeRoomCreated(b []byte) (domain.Body, error) {
	var m conversation.RoomCreated
	s := wire.NewScan("RoomCreated", b)
	for s.Next() {
		switch s.Tag {
		case 1<<3 | wire.Length:
			m.By, s.Err = decodeDoer(s.B)
		case 2<<3 | wire.Length:
			m.Owner = s.Person()
		case 3<<3 | wire.Length:
			m.Settings, s.Err = decodeRoomSettings(s.B)
		default:
			s.Unknown()
		}
	}
	return m, s.Err
}

func decodeRoomSettings(b []byte) (r conversation.RoomSettings, err error) {
	s := wire.NewScan("RoomSettings", b)
	for s.Next() {
		s.RoomSettings(1, &r)
	}
	return r, s.Err
}

func decodeRoomChanged(b []byte) (domain.Body, error) {
	var m conversation.RoomChanged
	s := wire.NewScan("RoomChanged", b)
	for s.Next() {
		switch s.Tag {
		case 1<<3 | wire.Length:
			m.By, s.Err = decodeDoer(s.B)
		case 2<<3 | wire.Length:
			m.Change, s.Err = decodeRoomChange(s.B)
		default:
			s.Unknown()
		}
	}
	return m, s.Err
}

func decodeRoomChange(b []byte) (c conversation.RoomChange, err error) {
	s := wire.NewScan("RoomChange", b)
	for s.Next() {
		switch s.Tag {
		case 1<<3 | wire.Length:
			c.Name = new(s.String())
		case 2<<3 | wire.Length:
			c.Description = new(s.String())
		case 3<<3 | wire.Length:
			c.Custom = new(s.String())
		case 4<<3 | wire.Varint:
			c.MaxUsers = new(s.Uint32())
		default:
			s.Unknown()
		}
	}
	return c, s.Err
}

func decodeRoomTransferred(b []byte) (domain.Body, error) {
	var m conversation.RoomTransferred
	s := wire.NewScan("RoomTransferred", b)
	for s.Next() {
		switch s.Tag {
		case 1<<3 | wire.Length:
			m.By, s.Err = decodeDoer(s.B)
		case 2<<3 | wire.Length:
			m.Old = s.Person()
		case 3<<3 | wire.Length:
			m.Owner = s.Person()
		default:
			s.Unknown()
		}
	}
	return m, s.Err
}

// decodeListed reads a body that is who did it and for whom.
func decodeListed(b []byte, at string) (by conversation.Doer, users []conversation.Person, err error) {
	s := wire.NewScan(at, b)
	for s.Next() {
		switch s.Tag {
		case 1<<3 | wire.Length:
			by, s.Err = decodeDoer(s.B)
		case 2<<3 | wire.Length:
			users = append(users, s.Person())
		default:
			s.Unknown()
		}
	}
	return by, users, s.Err
}
