package event

import (
	"math"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/fence"
	"parley/domain/message"
	"parley/domain/user"
)

// DecodeRecord reads a record's value. What it returns aliases value (strings and bytes point into it): value must not change afterwards,
// and lives as long as anything of the record does. The error is a *DecodeError.
func DecodeRecord(value []byte) (Record, error) {
	h, err := fence.ParseHeader(value)
	if err != nil {
		return Record{}, &DecodeError{At: "Record", What: err.Error()}
	}
	r := Record{Header: h}
	contents := 0
	s := scan{rest: value[fence.HeaderSize:], at: "Record"}
	for s.next() {
		contents++
		switch s.tag {
		case fieldCommit<<3 | length:
			r.Commit, s.err = decodeCommit(s.b)
		case fieldClaim<<3 | length:
			r.Claim, s.err = decodeClaim(s.b)
		case fieldSlotClosed<<3 | length:
			r.SlotClosed, s.err = decodeSlotClosed(s.b)
		case fieldSlotOpened<<3 | length:
			r.SlotOpened, s.err = decodeSlotOpened(s.b)
		default:
			s.unknown()
		}
	}
	if contents != 1 {
		s.fail("needs one content")
	}
	if s.err != nil {
		return Record{}, s.err
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
	s := scan{rest: b, at: "Commit"}
	for s.next() {
		switch s.tag {
		case 1<<3 | length:
			c.commit.Stream = domain.StreamID(s.str())
		case 2<<3 | length:
			ev, err := decodeEvent(s.b)
			if n := len(events); n > 0 && err == nil && ev.T <= events[n-1].T {
				s.fail("t does not grow")
			}
			events, s.err = append(events, ev), firstOf(s.err, err)
		case 3<<3 | length:
			cause, err := decodeCause(s.b)
			c.commit.Cause, s.err = &cause, err
		default:
			s.unknown()
		}
	}
	if len(events) == 0 {
		s.fail("no events")
	}
	c.commit.Events = events
	return &c.commit, s.err
}

func firstOf(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

func decodeCause(b []byte) (c domain.Cause, err error) {
	s := scan{rest: b, at: "Cause"}
	for s.next() {
		switch s.tag {
		case 1<<3 | varint:
			c.Partition = domain.Partition(s.within(math.MaxUint16))
		case 2<<3 | varint:
			c.Offset = domain.Offset(s.within(math.MaxInt64))
		case 3<<3 | varint:
			c.N = s.uint32()
		default:
			s.unknown()
		}
	}
	return c, s.err
}

func decodeClaim(b []byte) (*Claim, error) {
	c := new(Claim)
	s := scan{rest: b, at: "Claim"}
	for s.next() {
		switch s.tag {
		case 1<<3 | length:
			c.Node = s.str()
		case 2<<3 | fixed64:
			c.Nonce = s.v
		default:
			s.unknown()
		}
	}
	return c, s.err
}

func decodeSlotClosed(b []byte) (*SlotClosed, error) {
	c := new(SlotClosed)
	s := scan{rest: b, at: "SlotClosed"}
	for s.next() {
		switch s.tag {
		case 1<<3 | varint:
			c.Slot = domain.Slot(s.within(domain.Slots - 1))
		case 2<<3 | fixed64:
			c.T = domain.T(s.v)
		case 3<<3 | length:
			cause, err := decodeCause(s.b)
			c.Causes, s.err = append(c.Causes, cause), err
		default:
			s.unknown()
		}
	}
	return c, s.err
}

func decodeSlotOpened(b []byte) (*SlotOpened, error) {
	o := new(SlotOpened)
	s := scan{rest: b, at: "SlotOpened"}
	for s.next() {
		switch s.tag {
		case 1<<3 | varint:
			o.Slot = domain.Slot(s.within(domain.Slots - 1))
		case 2<<3 | fixed64:
			o.T = domain.T(s.v)
		case 3<<3 | varint:
			o.From = domain.Partition(s.within(math.MaxUint16))
		case 4<<3 | varint:
			o.Closed = domain.Offset(s.within(math.MaxInt64))
		default:
			s.unknown()
		}
	}
	return o, s.err
}

func decodeEvent(b []byte) (ev domain.Event, err error) {
	s := scan{rest: b, at: "Event"}
	for s.next() {
		switch s.tag {
		case 1<<3 | fixed64:
			ev.T = domain.T(s.v)
		case 2<<3 | varint:
			ev.Seq = domain.Seq(s.v)
		default:
			if ev.Body != nil {
				s.fail("two bodies")
				break
			}
			ev.Body, s.err = decodeBody(&s)
		}
	}
	if ev.Body == nil {
		s.fail("no body")
	}
	return ev, s.err
}

func decodeBody(s *scan) (domain.Body, error) {
	switch s.tag {
	case fieldMemberAdded<<3 | length:
		return decodeMemberAdded(s.b)
	case fieldMessageSent<<3 | length:
		return decodeMessageSent(s.b)
	case fieldMessageDelivered<<3 | length:
		r, err := decodeReceipt(s.b, "MessageDelivered")
		return conversation.MessageDelivered(r), err
	case fieldMessageRead<<3 | length:
		r, err := decodeReceipt(s.b, "MessageRead")
		return conversation.MessageRead(r), err
	case fieldConversationRead<<3 | length:
		return decodeConversationRead(s.b)
	case fieldUserRegistered<<3 | length:
		return decodeRegistered(s.b)
	case fieldUserDeleted<<3 | length:
		return decodeDeleted(s.b)
	case fieldPasswordSet<<3 | length:
		return decodePasswordSet(s.b)
	default:
		s.unknown()
		return nil, s.err
	}
}

func decodeMemberAdded(b []byte) (domain.Body, error) {
	var m conversation.MemberAdded
	s := scan{rest: b, at: "MemberAdded"}
	for s.next() {
		switch s.tag {
		case 1<<3 | length:
			m.User = domain.UserID(s.str())
		case 2<<3 | varint:
			m.Incarnation = domain.Incarnation(s.uint32())
		case 3<<3 | varint:
			m.From = domain.Seq(s.v)
		case 4<<3 | varint:
			m.N = s.v
		default:
			s.unknown()
		}
	}
	return m, s.err
}

func decodeMessageSent(b []byte) (domain.Body, error) {
	var m conversation.MessageSent
	s := scan{rest: b, at: "MessageSent"}
	for s.next() {
		switch s.tag {
		case 1<<3 | length:
			m.From = domain.UserID(s.str())
		case 2<<3 | length:
			m.FromResource = domain.Resource(s.str())
		case 3<<3 | length:
			m.To = domain.UserID(s.str())
		case 4<<3 | length:
			m.ToResource = domain.Resource(s.str())
		case 5<<3 | varint:
			m.ClientID = s.v
		case 6<<3 | fixed64:
			m.Hash = s.v
		case 7<<3 | varint:
			m.Kind = message.Kind(s.within(math.MaxUint8))
		case 8<<3 | varint:
			m.Counted = s.v != 0
		case 9<<3 | varint:
			m.History = s.v != 0
		case 10<<3 | varint:
			m.SyncOwn = s.v != 0
		case 11<<3 | length:
			m.NoHistory = append(m.NoHistory, domain.UserID(s.str()))
		case 12<<3 | length:
			m.Body = s.bytes()
		case 13<<3 | length:
			m.Ext = s.bytes()
		case 14<<3 | varint:
			m.N = s.v
		case 15<<3 | varint:
			m.Own = s.v
		default:
			s.unknown()
		}
	}
	return m, s.err
}

func decodeReceipt(b []byte, at string) (receipt, error) {
	var m receipt
	s := scan{rest: b, at: at}
	for s.next() {
		switch s.tag {
		case 1<<3 | length:
			m.By = domain.UserID(s.str())
		case 2<<3 | length:
			m.ByResource = domain.Resource(s.str())
		case 3<<3 | length:
			m.To = domain.UserID(s.str())
		case 4<<3 | fixed64:
			m.Message = domain.T(s.v)
		case 5<<3 | varint:
			m.ClientID = s.v
		case 6<<3 | fixed64:
			m.Hash = s.v
		case 7<<3 | length:
			m.Body = s.bytes()
		default:
			s.unknown()
		}
	}
	return m, s.err
}

func decodeConversationRead(b []byte) (domain.Body, error) {
	var m conversation.ConversationRead
	s := scan{rest: b, at: "ConversationRead"}
	for s.next() {
		switch s.tag {
		case 1<<3 | length:
			m.By = domain.UserID(s.str())
		case 2<<3 | length:
			m.ByResource = domain.Resource(s.str())
		case 3<<3 | length:
			m.To = domain.UserID(s.str())
		case 4<<3 | varint:
			m.ClientID = s.v
		case 5<<3 | fixed64:
			m.Hash = s.v
		case 6<<3 | length:
			m.Body = s.bytes()
		case 7<<3 | varint:
			m.ReadN = s.v
		case 8<<3 | varint:
			m.ReadOwn = s.v
		default:
			s.unknown()
		}
	}
	return m, s.err
}

func decodeRegistered(b []byte) (domain.Body, error) {
	var m user.Registered
	s := scan{rest: b, at: "UserRegistered"}
	for s.next() {
		switch s.tag {
		case 1<<3 | varint:
			m.Incarnation = domain.Incarnation(s.uint32())
		case 2<<3 | length:
			m.UUID = s.str()
		case 3<<3 | length:
			m.Password = s.bytes()
		case 4<<3 | length:
			m.Nickname = s.str()
		case 5<<3 | varint:
			m.AuthEpoch = s.uint32()
		default:
			s.unknown()
		}
	}
	return m, s.err
}

func decodeDeleted(b []byte) (domain.Body, error) {
	var m user.Deleted
	s := scan{rest: b, at: "UserDeleted"}
	for s.next() {
		switch s.tag {
		case 1<<3 | varint:
			m.Incarnation = domain.Incarnation(s.uint32())
		case 2<<3 | fixed64:
			m.Registered = domain.T(s.v)
		default:
			s.unknown()
		}
	}
	return m, s.err
}

func decodePasswordSet(b []byte) (domain.Body, error) {
	var m user.PasswordSet
	s := scan{rest: b, at: "PasswordSet"}
	for s.next() {
		switch s.tag {
		case 1<<3 | length:
			m.Password = s.bytes()
		case 2<<3 | varint:
			m.AuthEpoch = s.uint32()
		case 3<<3 | fixed64:
			m.Registered = domain.T(s.v)
		default:
			s.unknown()
		}
	}
	return m, s.err
}
