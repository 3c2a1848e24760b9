package state

import (
	"parley/domain"
	"parley/domain/conversation"
	"parley/schemas/internal/wire"
)

// appendRoomHead appends a room's head: the fields of Head, then its own.
func appendRoomHead(dst []byte, r *conversation.RoomHead) []byte {
	dst = appendHead(dst, &r.Head)
	dst = wire.AppendFixed64(dst, 8, uint64(r.Created))
	dst = wire.AppendFixed64(dst, 9, uint64(r.Modified))
	dst = wire.AppendRoomSettings(dst, 10, &r.Settings)
	dst = wire.AppendPerson(dst, 14, r.Owner)
	return wire.AppendPersons(dst, 15, r.Allowed)
}

func decodeRoomHead(b []byte) (domain.Row, error) {
	r := new(conversation.RoomHead)
	s := wire.NewScan("RoomHead", b)
	for s.Next() {
		if s.Tag>>3 < 8 {
			headField(&r.Head, &s)
			continue
		}
		switch s.Tag {
		case 8<<3 | wire.Fixed64:
			r.Created = domain.T(s.V)
		case 9<<3 | wire.Fixed64:
			r.Modified = domain.T(s.V)
		case 14<<3 | wire.Length:
			r.Owner = s.Person()
		case 15<<3 | wire.Length:
			r.Allowed = append(r.Allowed, s.Person())
		default:
			s.RoomSettings(10, &r.Settings)
		}
	}
	return r, s.Err
}
