package event

import (
	"math"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/fence"
	"parley/domain/message"
	"parley/domain/user"
	"parley/schemas/internal/wire"
)

// DecodeRecord reads a record's value. What it returns aliases value (strings and bytes point into it): value must not change afterwards,
// and lives as long as anything of the record does. The error is a *DecodeError.
func DecodeRecord(value []byte) (Record, error) {
	h, err := fence.ParseHeader(value)
	if err != nil {
		return Record{}, &DecodeError{err}
	}
	r := Record{Header: h}
	contents := 0
	s := wire.NewScan("Record", value[fence.HeaderSize:])
	for s.Next() {
		contents++
		switch s.Tag {
		case fieldCommit<<3 | wire.Length:
			r.Commit, s.Err = decodeCommit(s.B)
		case fieldClaim<<3 | wire.Length:
			r.Claim, s.Err = decodeClaim(s.B)
		case fieldSlotClosed<<3 | wire.Length:
			r.SlotClosed, s.Err = decodeSlotClosed(s.B)
		case fieldSlotOpened<<3 | wire.Length:
			r.SlotOpened, s.Err = decodeSlotOpened(s.B)
		default:
			s.Unknown()
		}
	}
	if contents != 1 {
		s.Fail("needs one content")
	}
	if s.Err != nil {
		return Record{}, &DecodeError{s.Err}
	}
	return r, nil
}

// single is a commit with room for one event, which most have: one allocation for both.
type single struct {
	commit domain.Commit
	event  [1]domain.Event
}

func decodeCommit(b []byte) (*domain.Commit, error) {
	c := new(single)
	events := c.event[:0]
	s := wire.NewScan("Commit", b)
	for s.Next() {
		switch s.Tag {
		case 1<<3 | wire.Length:
			c.commit.Stream = domain.StreamID(s.String())
		case 2<<3 | wire.Length:
			ev, err := decodeEvent(s.B)
			if n := len(events); n > 0 && err == nil && ev.T <= events[n-1].T {
				s.Fail("t does not grow")
			}
			events, s.Err = append(events, ev), firstOf(s.Err, err)
		case 3<<3 | wire.Length:
			cause, err := decodeCause(s.B)
			c.commit.Cause, s.Err = &cause, err
		default:
			s.Unknown()
		}
	}
	if len(events) == 0 {
		s.Fail("no events")
	}
	c.commit.Events = events
	return &c.commit, s.Err
}

func firstOf(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

func decodeCause(b []byte) (c domain.Cause, err error) {
	s := wire.NewScan("Cause", b)
	for s.Next() {
		switch s.Tag {
		case 1<<3 | wire.Varint:
			c.Partition = domain.Partition(s.Within(math.MaxUint16))
		case 2<<3 | wire.Varint:
			c.Offset = domain.Offset(s.Within(math.MaxInt64))
		case 3<<3 | wire.Varint:
			c.N = s.Uint32()
		default:
			s.Unknown()
		}
	}
	return c, s.Err
}

func decodeClaim(b []byte) (*Claim, error) {
	c := new(Claim)
	s := wire.NewScan("Claim", b)
	for s.Next() {
		switch s.Tag {
		case 1<<3 | wire.Length:
			c.Node = s.String()
		case 2<<3 | wire.Fixed64:
			c.Nonce = s.V
		default:
			s.Unknown()
		}
	}
	return c, s.Err
}

func decodeSlotClosed(b []byte) (*SlotClosed, error) {
	c := new(SlotClosed)
	s := wire.NewScan("SlotClosed", b)
	for s.Next() {
		switch s.Tag {
		case 1<<3 | wire.Varint:
			c.Slot = domain.Slot(s.Within(domain.Slots - 1))
		case 2<<3 | wire.Fixed64:
			c.T = domain.T(s.V)
		case 3<<3 | wire.Length:
			cause, err := decodeCause(s.B)
			c.Causes, s.Err = append(c.Causes, cause), err
		default:
			s.Unknown()
		}
	}
	return c, s.Err
}

func decodeSlotOpened(b []byte) (*SlotOpened, error) {
	o := new(SlotOpened)
	s := wire.NewScan("SlotOpened", b)
	for s.Next() {
		switch s.Tag {
		case 1<<3 | wire.Varint:
			o.Slot = domain.Slot(s.Within(domain.Slots - 1))
		case 2<<3 | wire.Fixed64:
			o.T = domain.T(s.V)
		case 3<<3 | wire.Varint:
			o.From = domain.Partition(s.Within(math.MaxUint16))
		case 4<<3 | wire.Varint:
			o.Closed = domain.Offset(s.Within(math.MaxInt64))
		default:
			s.Unknown()
		}
	}
	return o, s.Err
}

func decodeEvent(b []byte) (ev domain.Event, err error) {
	s := wire.NewScan("Event", b)
	for s.Next() {
		switch s.Tag {
		case 1<<3 | wire.Fixed64:
			ev.T = domain.T(s.V)
		case 2<<3 | wire.Varint:
			ev.Seq = domain.Seq(s.V)
		default:
			if ev.Body != nil {
				s.Fail("two bodies")
				break
			}
			ev.Body, s.Err = decodeBody(&s)
		}
	}
	if ev.Body == nil {
		s.Fail("no body")
	}
	return ev, s.Err
}

func decodeBody(s *wire.Scan) (domain.Body, error) {
	switch s.Tag {
	case fieldMemberAdded<<3 | wire.Length:
		return decodeMemberAdded(s.B)
	case fieldMessageSent<<3 | wire.Length:
		return decodeMessageSent(s.B)
	case fieldMessageDelivered<<3 | wire.Length:
		r, err := decodeReceipt(s.B, "MessageDelivered")
		return conversation.MessageDelivered(r), err
	case fieldMessageRead<<3 | wire.Length:
		r, err := decodeReceipt(s.B, "MessageRead")
		return conversation.MessageRead(r), err
	case fieldConversationRead<<3 | wire.Length:
		return decodeConversationRead(s.B)
	case fieldUserRegistered<<3 | wire.Length:
		return decodeRegistered(s.B)
	case fieldUserDeleted<<3 | wire.Length:
		return decodeDeleted(s.B)
	case fieldPasswordSet<<3 | wire.Length:
		return decodePasswordSet(s.B)
	case fieldNoticed<<3 | wire.Length:
		return decodeNoticed(s.B)
	default:
		return decodeGroupBody(s)
	}
}

func decodeMemberAdded(b []byte) (domain.Body, error) {
	var m conversation.MemberAdded
	s := wire.NewScan("MemberAdded", b)
	for s.Next() {
		switch s.Tag {
		case 1<<3 | wire.Length:
			m.User = domain.UserID(s.String())
		case 2<<3 | wire.Varint:
			m.Incarnation = domain.Incarnation(s.Uint32())
		case 3<<3 | wire.Varint:
			m.From = domain.Seq(s.V)
		case 4<<3 | wire.Varint:
			m.N = s.V
		default:
			s.Unknown()
		}
	}
	return m, s.Err
}

func decodeMessageSent(b []byte) (domain.Body, error) {
	var m conversation.MessageSent
	s := wire.NewScan("MessageSent", b)
	for s.Next() {
		switch s.Tag {
		case 1<<3 | wire.Length:
			m.From = domain.UserID(s.String())
		case 2<<3 | wire.Length:
			m.FromResource = domain.Resource(s.String())
		case 3<<3 | wire.Length:
			m.To = domain.UserID(s.String())
		case 4<<3 | wire.Length:
			m.ToResource = domain.Resource(s.String())
		case 5<<3 | wire.Varint:
			m.ClientID = s.V
		case 6<<3 | wire.Fixed64:
			m.Hash = s.V
		case 7<<3 | wire.Varint:
			m.Kind = message.Kind(s.Within(math.MaxUint8))
		case 8<<3 | wire.Varint:
			m.Counted = s.V != 0
		case 9<<3 | wire.Varint:
			m.History = s.V != 0
		case 10<<3 | wire.Varint:
			m.SyncOwn = s.V != 0
		case 11<<3 | wire.Length:
			m.NoHistory = append(m.NoHistory, domain.UserID(s.String()))
		case 12<<3 | wire.Length:
			m.Body = s.Bytes()
		case 13<<3 | wire.Length:
			m.Ext = s.Bytes()
		case 14<<3 | wire.Varint:
			m.N = s.V
		case 15<<3 | wire.Varint:
			m.Own = s.V
		case 17<<3 | wire.Length:
			m.Audience = append(m.Audience, domain.UserID(s.String()))
		default:
			s.Unknown()
		}
	}
	return m, s.Err
}

func decodeReceipt(b []byte, at string) (receipt, error) {
	var m receipt
	s := wire.NewScan(at, b)
	for s.Next() {
		switch s.Tag {
		case 1<<3 | wire.Length:
			m.By = domain.UserID(s.String())
		case 2<<3 | wire.Length:
			m.ByResource = domain.Resource(s.String())
		case 3<<3 | wire.Length:
			m.To = domain.UserID(s.String())
		case 4<<3 | wire.Fixed64:
			m.Message = domain.T(s.V)
		case 5<<3 | wire.Varint:
			m.ClientID = s.V
		case 6<<3 | wire.Fixed64:
			m.Hash = s.V
		case 7<<3 | wire.Length:
			m.Body = s.Bytes()
		default:
			s.Unknown()
		}
	}
	return m, s.Err
}

func decodeConversationRead(b []byte) (domain.Body, error) {
	var m conversation.ConversationRead
	s := wire.NewScan("ConversationRead", b)
	for s.Next() {
		switch s.Tag {
		case 1<<3 | wire.Length:
			m.By = domain.UserID(s.String())
		case 2<<3 | wire.Length:
			m.ByResource = domain.Resource(s.String())
		case 3<<3 | wire.Length:
			m.To = domain.UserID(s.String())
		case 4<<3 | wire.Varint:
			m.ClientID = s.V
		case 5<<3 | wire.Fixed64:
			m.Hash = s.V
		case 6<<3 | wire.Length:
			m.Body = s.Bytes()
		case 7<<3 | wire.Varint:
			m.ReadN = s.V
		case 8<<3 | wire.Varint:
			m.ReadOwn = s.V
		default:
			s.Unknown()
		}
	}
	return m, s.Err
}

func decodeRegistered(b []byte) (domain.Body, error) {
	var m user.Registered
	s := wire.NewScan("UserRegistered", b)
	for s.Next() {
		switch s.Tag {
		case 1<<3 | wire.Varint:
			m.Incarnation = domain.Incarnation(s.Uint32())
		case 2<<3 | wire.Length:
			m.UUID = s.String()
		case 3<<3 | wire.Length:
			m.Password = s.Bytes()
		case 4<<3 | wire.Length:
			m.Nickname = s.String()
		case 5<<3 | wire.Varint:
			m.AuthEpoch = s.Uint32()
		case 6<<3 | wire.Varint:
			m.From = domain.Seq(s.V)
		default:
			s.Unknown()
		}
	}
	return m, s.Err
}

func decodeDeleted(b []byte) (domain.Body, error) {
	var m user.Deleted
	s := wire.NewScan("UserDeleted", b)
	for s.Next() {
		switch s.Tag {
		case 1<<3 | wire.Varint:
			m.Incarnation = domain.Incarnation(s.Uint32())
		case 2<<3 | wire.Fixed64:
			m.Registered = domain.T(s.V)
		default:
			s.Unknown()
		}
	}
	return m, s.Err
}

func decodePasswordSet(b []byte) (domain.Body, error) {
	var m user.PasswordSet
	s := wire.NewScan("PasswordSet", b)
	for s.Next() {
		switch s.Tag {
		case 1<<3 | wire.Length:
			m.Password = s.Bytes()
		case 2<<3 | wire.Varint:
			m.AuthEpoch = s.Uint32()
		case 3<<3 | wire.Fixed64:
			m.Registered = domain.T(s.V)
		default:
			s.Unknown()
		}
	}
	return m, s.Err
}

func decodeNoticed(b []byte) (domain.Body, error) {
	var m user.Noticed
	s := wire.NewScan("Noticed", b)
	for s.Next() {
		switch s.Tag {
		case 1<<3 | wire.Varint:
			m.Kind = user.NoticeKind(s.Within(math.MaxUint8))
		case 2<<3 | wire.Varint:
			m.Incarnation = domain.Incarnation(s.Uint32())
		case 3<<3 | wire.Length:
			m.Group = s.String()
		case 4<<3 | wire.Length:
			m.Name = s.String()
		case 5<<3 | wire.Length:
			m.By = domain.UserID(s.String())
		case 6<<3 | wire.Length:
			m.Reason = s.String()
		case 7<<3 | wire.Length:
			m.Cause, s.Err = decodeCause(s.B)
		default:
			s.Unknown()
		}
	}
	return m, s.Err
}
