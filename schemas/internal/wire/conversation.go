package wire

import (
	"google.golang.org/protobuf/encoding/protowire"

	"parley/domain"
	"parley/domain/conversation"
)

// This file holds what both events and rows say of conversations. Settings stand in a row beside its other fields and in an event by
// themselves, so that their fields are numbered from one that is given.

// AppendGroupSettings appends the nine fields of a group's settings, the first of them numbered first.
func AppendGroupSettings(dst []byte, first protowire.Number, g *conversation.GroupSettings) []byte {
	dst = AppendString(dst, first, g.Name)
	dst = AppendString(dst, first+1, g.Description)
	dst = AppendString(dst, first+2, g.Avatar)
	dst = AppendString(dst, first+3, g.Custom)
	dst = AppendBool(dst, first+4, g.Public)
	dst = AppendBool(dst, first+5, g.Approval)
	dst = AppendBool(dst, first+6, g.MemberInvites)
	dst = AppendBool(dst, first+7, g.InviteConfirm)
	return AppendVarint(dst, first+8, uint64(g.MaxUsers))
}

// GroupSettings takes the field just read into a group's settings, which are numbered from first. Any other field is refused.
func (s *Scan) GroupSettings(first uint64, g *conversation.GroupSettings) {
	switch s.Tag - first<<3 {
	case 0<<3 | Length:
		g.Name = s.String()
	case 1<<3 | Length:
		g.Description = s.String()
	case 2<<3 | Length:
		g.Avatar = s.String()
	case 3<<3 | Length:
		g.Custom = s.String()
	case 4<<3 | Varint:
		g.Public = s.V != 0
	case 5<<3 | Varint:
		g.Approval = s.V != 0
	case 6<<3 | Varint:
		g.MemberInvites = s.V != 0
	case 7<<3 | Varint:
		g.InviteConfirm = s.V != 0
	case 8<<3 | Varint:
		g.MaxUsers = s.Uint32()
	default:
		s.Unknown()
	}
}

// AppendRoomSettings appends the four fields of a room's settings, the first of them numbered first.
func AppendRoomSettings(dst []byte, first protowire.Number, r *conversation.RoomSettings) []byte {
	dst = AppendString(dst, first, r.Name)
	dst = AppendString(dst, first+1, r.Description)
	dst = AppendString(dst, first+2, r.Custom)
	return AppendVarint(dst, first+3, uint64(r.MaxUsers))
}

// RoomSettings takes the field just read into a room's settings, which are numbered from first. Any other field is refused.
func (s *Scan) RoomSettings(first uint64, r *conversation.RoomSettings) {
	switch s.Tag - first<<3 {
	case 0<<3 | Length:
		r.Name = s.String()
	case 1<<3 | Length:
		r.Description = s.String()
	case 2<<3 | Length:
		r.Custom = s.String()
	case 3<<3 | Varint:
		r.MaxUsers = s.Uint32()
	default:
		s.Unknown()
	}
}

// AppendPerson appends a Person, also an empty one: it may be one of several.
func AppendPerson(dst []byte, field protowire.Number, p conversation.Person) []byte {
	dst, at := Open(dst, field)
	dst = AppendString(dst, 1, string(p.User))
	return Close(AppendVarint(dst, 2, uint64(p.Incarnation)), at)
}

// AppendPersons appends several.
func AppendPersons(dst []byte, field protowire.Number, persons []conversation.Person) []byte {
	for _, p := range persons {
		dst = AppendPerson(dst, field, p)
	}
	return dst
}

// Person reads the Person in the field just read. What is wrong with it is in Err.
func (s *Scan) Person() (p conversation.Person) {
	in := NewScan("Person", s.B)
	for in.Next() {
		switch in.Tag {
		case 1<<3 | Length:
			p.User = domain.UserID(in.String())
		case 2<<3 | Varint:
			p.Incarnation = domain.Incarnation(in.Uint32())
		default:
			in.Unknown()
		}
	}
	s.sub(&in)
	return p
}

// AppendSpan appends a Span.
func AppendSpan(dst []byte, field protowire.Number, span conversation.Span) []byte {
	dst, at := Open(dst, field)
	dst = AppendVarint(dst, 1, uint64(span.From))
	return Close(AppendVarint(dst, 2, uint64(span.Until)), at)
}

// Span reads the Span in the field just read. What is wrong with it is in Err.
func (s *Scan) Span() (span conversation.Span) {
	in := NewScan("Span", s.B)
	for in.Next() {
		switch in.Tag {
		case 1<<3 | Varint:
			span.From = domain.Seq(in.V)
		case 2<<3 | Varint:
			span.Until = domain.Seq(in.V)
		default:
			in.Unknown()
		}
	}
	s.sub(&in)
	return span
}

// sub takes what is wrong in an embedded message.
func (s *Scan) sub(in *Scan) {
	if s.Err == nil {
		s.Err = in.Err
	}
}
