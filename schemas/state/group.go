package state

import (
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/user"
	"parley/schemas/internal/wire"
)

// appendGroupHead appends a group's head: the fields of Head, then its own.
func appendGroupHead(dst []byte, r *conversation.GroupHead) []byte {
	dst = appendHead(dst, &r.Head)
	dst = wire.AppendFixed64(dst, 8, uint64(r.Created))
	dst = wire.AppendFixed64(dst, 9, uint64(r.Modified))
	dst = wire.AppendGroupSettings(dst, 10, &r.Settings)
	dst = wire.AppendString(dst, 19, string(r.Owner))
	for _, u := range r.Admins {
		dst = protowire.AppendString(protowire.AppendTag(dst, 20, protowire.BytesType), string(u))
	}
	return wire.AppendVarint(dst, 21, uint64(r.Count))
}

func decodeGroupHead(b []byte) (domain.Row, error) {
	r := new(conversation.GroupHead)
	s := wire.NewScan("GroupHead", b)
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
		case 19<<3 | wire.Length:
			r.Owner = domain.UserID(s.String())
		case 20<<3 | wire.Length:
			r.Admins = append(r.Admins, domain.UserID(s.String()))
		case 21<<3 | wire.Varint:
			r.Count = s.Uint32()
		default:
			s.GroupSettings(10, &r.Settings)
		}
	}
	return r, s.Err
}

// ask is the common shape of applications and invitations.
type ask conversation.Invitation

func appendAsk(dst []byte, r ask) []byte {
	dst = wire.AppendString(dst, 1, string(r.User.User))
	dst = wire.AppendVarint(dst, 2, uint64(r.User.Incarnation))
	dst = wire.AppendString(dst, 3, r.Reason)
	dst = wire.AppendFixed64(dst, 4, uint64(r.T))
	dst = wire.AppendVarint(dst, 5, uint64(r.State))
	return wire.AppendString(dst, 6, string(r.By))
}

func decodeApplication(b []byte) (domain.Row, error) {
	r, err := decodeAsk("Application", b, 5)
	return &conversation.Application{User: r.User, Reason: r.Reason, T: r.T, State: r.State}, err
}

func decodeInvitation(b []byte) (domain.Row, error) {
	r, err := decodeAsk("Invitation", b, 6)
	return (*conversation.Invitation)(&r), err
}

func decodeAsk(at string, b []byte, last uint64) (r ask, err error) {
	s := wire.NewScan(at, b)
	for s.Next() {
		switch {
		case s.Tag == 1<<3|wire.Length:
			r.User.User = domain.UserID(s.String())
		case s.Tag == 2<<3|wire.Varint:
			r.User.Incarnation = domain.Incarnation(s.Uint32())
		case s.Tag == 3<<3|wire.Length:
			r.Reason = s.String()
		case s.Tag == 4<<3|wire.Fixed64:
			r.T = domain.T(s.V)
		case s.Tag == 5<<3|wire.Varint:
			r.State = conversation.AskState(s.Within(math.MaxUint8))
		case s.Tag == 6<<3|wire.Length && last == 6:
			r.By = domain.UserID(s.String())
		default:
			s.Unknown()
		}
	}
	return r, s.Err
}

func appendCauses(dst []byte, r *user.Causes) []byte {
	dst = wire.AppendVarint(dst, 1, uint64(r.Last.Partition))
	dst = wire.AppendVarint(dst, 2, uint64(r.Last.Offset))
	return wire.AppendVarint(dst, 3, uint64(r.Last.N))
}

func decodeCauses(b []byte) (domain.Row, error) {
	r := new(user.Causes)
	s := wire.NewScan("Causes", b)
	for s.Next() {
		switch s.Tag {
		case 1<<3 | wire.Varint:
			r.Last.Partition = domain.Partition(s.Within(math.MaxUint16))
		case 2<<3 | wire.Varint:
			r.Last.Offset = domain.Offset(s.Within(math.MaxInt64))
		case 3<<3 | wire.Varint:
			r.Last.N = s.Uint32()
		default:
			s.Unknown()
		}
	}
	return r, s.Err
}
