// Package state is the stored form of rows of state: what the shard flushes and loads again.
//
// The form is protobuf's, written by hand; the numbers of fields are in the code and never change. A row that holds what this code does
// not know cannot be read (*DecodeError): a shard that guessed would decide wrongly for ever. What is decoded aliases the input.
package state

import (
	"fmt"
	"math"
	"strings"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/user"
	"parley/schemas/internal/wire"
)

// DecodeError says that a row cannot be read.
type DecodeError struct {
	Kind domain.Kind
	ID   domain.PartID
	Err  error
}

// Error implements error.
func (e *DecodeError) Error() string {
	return fmt.Sprintf("undecodable row %q of a stream of kind %q: %v", string(e.ID), rune(e.Kind), e.Err)
}

// Unwrap returns the cause.
func (e *DecodeError) Unwrap() error { return e.Err }

// EncodeRow appends a row. A row of a type without a stored form is a programming error: it panics.
func EncodeRow(dst []byte, row domain.Row) []byte {
	switch r := row.(type) {
	case *conversation.Head:
		return appendHead(dst, r)
	case *conversation.GroupHead:
		return appendGroupHead(dst, r)
	case *conversation.RoomHead:
		return appendRoomHead(dst, r)
	case *conversation.Member:
		return appendMember(dst, r)
	case *conversation.Application:
		return appendAsk(dst, ask{User: r.User, Reason: r.Reason, T: r.T, State: r.State})
	case *conversation.Invitation:
		return appendAsk(dst, ask(*r))
	case *conversation.Sends:
		return appendSends(dst, r)
	case *user.Head:
		return appendUser(dst, r)
	case *user.Causes:
		return appendCauses(dst, r)
	default:
		panic(fmt.Sprintf("state: %T has no stored form", row))
	}
}

// DecodeRow reads a row of a stream of the given kind. The error is a *DecodeError.
func DecodeRow(kind domain.Kind, id domain.PartID, b []byte) (domain.Row, error) {
	row, err := decodeRow(kind, id, b)
	if err != nil {
		return nil, &DecodeError{Kind: kind, ID: id, Err: err}
	}
	return row, nil
}

func decodeRow(kind domain.Kind, id domain.PartID, b []byte) (domain.Row, error) {
	switch {
	case kind == domain.KindUser && id == domain.PartHead:
		return decodeUser(b)
	case kind == domain.KindUser && strings.HasPrefix(string(id), "c/"):
		return decodeCauses(b)
	case kind == domain.KindUser:
		return nil, &wire.Error{At: "User", What: "no such part"}
	case kind == domain.KindGroup && id == domain.PartHead:
		return decodeGroupHead(b)
	case kind == domain.KindGroup && strings.HasPrefix(string(id), "a/"):
		return decodeApplication(b)
	case kind == domain.KindGroup && strings.HasPrefix(string(id), "i/"):
		return decodeInvitation(b)
	case kind == domain.KindRoom && id == domain.PartHead:
		return decodeRoomHead(b)
	case id == domain.PartHead:
		return decodeHead(b)
	case strings.HasPrefix(string(id), "m/"):
		return decodeMember(b)
	case strings.HasPrefix(string(id), "s/"):
		return decodeSends(b)
	default:
		return nil, &wire.Error{At: "Conversation", What: "no such part"}
	}
}

func appendHead(dst []byte, r *conversation.Head) []byte {
	dst = wire.AppendVarint(dst, 1, uint64(r.Kind))
	dst = wire.AppendVarint(dst, 2, uint64(r.Seq))
	dst = wire.AppendVarint(dst, 3, r.N)
	dst = wire.AppendFixed64(dst, 4, uint64(r.T))
	dst = wire.AppendVarint(dst, 5, uint64(r.ShownSeq))
	dst = wire.AppendFixed64(dst, 6, uint64(r.ShownT))
	return wire.AppendVarint(dst, 7, uint64(r.Closed))
}

func decodeHead(b []byte) (domain.Row, error) {
	r := new(conversation.Head)
	s := wire.NewScan("Head", b)
	for s.Next() {
		headField(r, &s)
	}
	return r, s.Err
}

// headField takes a field of a head, or of what all heads of conversations begin with.
func headField(r *conversation.Head, s *wire.Scan) {
	switch s.Tag {
	case 1<<3 | wire.Varint:
		r.Kind = domain.Kind(s.Within(math.MaxUint8))
	case 2<<3 | wire.Varint:
		r.Seq = domain.Seq(s.V)
	case 3<<3 | wire.Varint:
		r.N = s.V
	case 4<<3 | wire.Fixed64:
		r.T = domain.T(s.V)
	case 5<<3 | wire.Varint:
		r.ShownSeq = domain.Seq(s.V)
	case 6<<3 | wire.Fixed64:
		r.ShownT = domain.T(s.V)
	case 7<<3 | wire.Varint:
		r.Closed = domain.Seq(s.V)
	default:
		s.Unknown()
	}
}

func appendMember(dst []byte, r *conversation.Member) []byte {
	dst = wire.AppendString(dst, 1, string(r.User))
	dst = wire.AppendVarint(dst, 2, uint64(r.Incarnation))
	dst = wire.AppendVarint(dst, 3, uint64(r.From))
	dst = wire.AppendVarint(dst, 4, r.FromN)
	dst = wire.AppendVarint(dst, 5, r.Own)
	dst = wire.AppendVarint(dst, 6, r.ReadN)
	dst = wire.AppendVarint(dst, 7, r.ReadOwn)
	dst = wire.AppendVarint(dst, 8, uint64(r.HistoryFrom))
	dst = wire.AppendVarint(dst, 9, uint64(r.Until))
	dst = wire.AppendFixed64(dst, 10, uint64(r.Joined))
	dst = wire.AppendBool(dst, 11, r.Shield)
	for _, span := range r.Earlier {
		dst = wire.AppendSpan(dst, 12, span)
	}
	return dst
}

func decodeMember(b []byte) (domain.Row, error) {
	r := new(conversation.Member)
	s := wire.NewScan("Member", b)
	for s.Next() {
		switch s.Tag {
		case 1<<3 | wire.Length:
			r.User = domain.UserID(s.String())
		case 2<<3 | wire.Varint:
			r.Incarnation = domain.Incarnation(s.Uint32())
		case 3<<3 | wire.Varint:
			r.From = domain.Seq(s.V)
		case 4<<3 | wire.Varint:
			r.FromN = s.V
		case 5<<3 | wire.Varint:
			r.Own = s.V
		case 6<<3 | wire.Varint:
			r.ReadN = s.V
		case 7<<3 | wire.Varint:
			r.ReadOwn = s.V
		case 8<<3 | wire.Varint:
			r.HistoryFrom = domain.Seq(s.V)
		case 9<<3 | wire.Varint:
			r.Until = domain.Seq(s.V)
		case 10<<3 | wire.Fixed64:
			r.Joined = domain.T(s.V)
		case 11<<3 | wire.Varint:
			r.Shield = s.V != 0
		case 12<<3 | wire.Length:
			r.Earlier = append(r.Earlier, s.Span())
		default:
			s.Unknown()
		}
	}
	return r, s.Err
}

func appendUser(dst []byte, r *user.Head) []byte {
	dst = wire.AppendVarint(dst, 1, uint64(r.Seq))
	dst = wire.AppendFixed64(dst, 2, uint64(r.T))
	dst = wire.AppendBool(dst, 3, r.Exists)
	dst = wire.AppendVarint(dst, 4, uint64(r.Incarnation))
	dst = wire.AppendString(dst, 5, r.UUID)
	dst = wire.AppendString(dst, 6, r.Nickname)
	dst = wire.AppendBytes(dst, 7, r.Password)
	dst = wire.AppendVarint(dst, 8, uint64(r.AuthEpoch))
	dst = wire.AppendFixed64(dst, 9, uint64(r.Registered))
	dst = wire.AppendFixed64(dst, 10, uint64(r.Modified))
	return wire.AppendVarint(dst, 11, uint64(r.From))
}

func decodeUser(b []byte) (domain.Row, error) {
	r := new(user.Head)
	s := wire.NewScan("User", b)
	for s.Next() {
		switch s.Tag {
		case 1<<3 | wire.Varint:
			r.Seq = domain.Seq(s.V)
		case 2<<3 | wire.Fixed64:
			r.T = domain.T(s.V)
		case 3<<3 | wire.Varint:
			r.Exists = s.V != 0
		case 4<<3 | wire.Varint:
			r.Incarnation = domain.Incarnation(s.Uint32())
		case 5<<3 | wire.Length:
			r.UUID = s.String()
		case 6<<3 | wire.Length:
			r.Nickname = s.String()
		case 7<<3 | wire.Length:
			r.Password = s.Bytes()
		case 8<<3 | wire.Varint:
			r.AuthEpoch = s.Uint32()
		case 9<<3 | wire.Fixed64:
			r.Registered = domain.T(s.V)
		case 10<<3 | wire.Fixed64:
			r.Modified = domain.T(s.V)
		case 11<<3 | wire.Varint:
			r.From = domain.Seq(s.V)
		default:
			s.Unknown()
		}
	}
	return r, s.Err
}
