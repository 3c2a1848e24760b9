package event

import (
	"encoding/binary"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/fence"
	"parley/domain/user"
)

// Numbers of Record.content.
const (
	fieldCommit     = 4
	fieldClaim      = 5
	fieldSlotClosed = 6
	fieldSlotOpened = 7
)

// Numbers of Event.body.
const (
	fieldMemberAdded      = 10
	fieldMessageSent      = 11
	fieldMessageDelivered = 12
	fieldMessageRead      = 13
	fieldConversationRead = 14
	fieldUserRegistered   = 40
	fieldUserDeleted      = 41
	fieldPasswordSet      = 42
)

// AppendCommit appends the value of a commit's record. A body of a type that is not in the schema is a programming error: it panics.
func AppendCommit(dst []byte, h Header, c *domain.Commit) []byte {
	dst = fence.AppendHeader(dst, h)
	dst, at := open(dst, fieldCommit)
	dst = appendString(dst, 1, string(c.Stream))
	for i := range c.Events {
		dst = appendEvent(dst, &c.Events[i])
	}
	if c.Cause != nil {
		dst = appendCause(dst, 3, *c.Cause)
	}
	return closeField(dst, at)
}

// EncodeClaim returns the value of a claim's record; h.Index is 0.
func EncodeClaim(h Header, node string, nonce uint64) []byte {
	return AppendClaim(fence.AppendHeader(make([]byte, 0, fence.HeaderSize+len(node)+16), h), node, nonce)
}

// AppendClaim appends what follows the header in a claim's value.
func AppendClaim(dst []byte, node string, nonce uint64) []byte {
	dst, at := open(dst, fieldClaim)
	dst = appendString(dst, 1, node)
	dst = appendFixed64(dst, 2, nonce)
	return closeField(dst, at)
}

// AppendSlotClosed appends the value of a slot's last record in its old partition.
func AppendSlotClosed(dst []byte, h Header, s *SlotClosed) []byte {
	dst = fence.AppendHeader(dst, h)
	dst, at := open(dst, fieldSlotClosed)
	dst = appendVarint(dst, 1, uint64(s.Slot))
	dst = appendFixed64(dst, 2, uint64(s.T))
	for _, c := range s.Causes {
		dst = appendCause(dst, 3, c)
	}
	return closeField(dst, at)
}

// AppendSlotOpened appends the value of a slot's first record in its new partition.
func AppendSlotOpened(dst []byte, h Header, s *SlotOpened) []byte {
	dst = fence.AppendHeader(dst, h)
	dst, at := open(dst, fieldSlotOpened)
	dst = appendVarint(dst, 1, uint64(s.Slot))
	dst = appendFixed64(dst, 2, uint64(s.T))
	dst = appendVarint(dst, 3, uint64(s.From))
	dst = appendVarint(dst, 4, uint64(s.Closed))
	return closeField(dst, at)
}

func appendCause(dst []byte, field protowire.Number, c domain.Cause) []byte {
	dst, at := open(dst, field)
	dst = appendVarint(dst, 1, uint64(c.Partition))
	dst = appendVarint(dst, 2, uint64(c.Offset))
	dst = appendVarint(dst, 3, uint64(c.N))
	return closeField(dst, at)
}

func appendEvent(dst []byte, ev *domain.Event) []byte {
	dst, at := open(dst, 2)
	dst = appendFixed64(dst, 1, uint64(ev.T))
	dst = appendVarint(dst, 2, uint64(ev.Seq))
	dst = appendBody(dst, ev.Body)
	return closeField(dst, at)
}

func appendBody(dst []byte, body domain.Body) []byte {
	switch b := body.(type) {
	case conversation.MessageSent:
		return appendMessageSent(dst, &b)
	case conversation.MemberAdded:
		return appendMemberAdded(dst, &b)
	case conversation.MessageDelivered:
		return appendReceipt(dst, fieldMessageDelivered, receipt(b))
	case conversation.MessageRead:
		return appendReceipt(dst, fieldMessageRead, receipt(b))
	case conversation.ConversationRead:
		return appendConversationRead(dst, &b)
	case user.Registered:
		return appendRegistered(dst, &b)
	case user.Deleted:
		return appendDeleted(dst, &b)
	case user.PasswordSet:
		return appendPasswordSet(dst, &b)
	default:
		panic(fmt.Sprintf("event: %T is not in the schema", body))
	}
}

func appendMemberAdded(dst []byte, b *conversation.MemberAdded) []byte {
	dst, at := open(dst, fieldMemberAdded)
	dst = appendString(dst, 1, string(b.User))
	dst = appendVarint(dst, 2, uint64(b.Incarnation))
	dst = appendVarint(dst, 3, uint64(b.From))
	dst = appendVarint(dst, 4, b.N)
	return closeField(dst, at)
}

func appendMessageSent(dst []byte, b *conversation.MessageSent) []byte {
	dst, at := open(dst, fieldMessageSent)
	dst = appendString(dst, 1, string(b.From))
	dst = appendString(dst, 2, string(b.FromResource))
	dst = appendString(dst, 3, string(b.To))
	dst = appendString(dst, 4, string(b.ToResource))
	dst = appendVarint(dst, 5, b.ClientID)
	dst = appendFixed64(dst, 6, b.Hash)
	dst = appendVarint(dst, 7, uint64(b.Kind))
	dst = appendBool(dst, 8, b.Counted)
	dst = appendBool(dst, 9, b.History)
	dst = appendBool(dst, 10, b.SyncOwn)
	for _, u := range b.NoHistory {
		dst = protowire.AppendString(protowire.AppendTag(dst, 11, protowire.BytesType), string(u))
	}
	dst = appendBytes(dst, 12, b.Body)
	dst = appendBytes(dst, 13, b.Ext)
	dst = appendVarint(dst, 14, b.N)
	dst = appendVarint(dst, 15, b.Own)
	return closeField(dst, at)
}

// receipt is the common shape of MessageDelivered and MessageRead.
type receipt conversation.MessageRead

func appendReceipt(dst []byte, field protowire.Number, b receipt) []byte {
	dst, at := open(dst, field)
	dst = appendString(dst, 1, string(b.By))
	dst = appendString(dst, 2, string(b.ByResource))
	dst = appendString(dst, 3, string(b.To))
	dst = appendFixed64(dst, 4, uint64(b.Message))
	dst = appendVarint(dst, 5, b.ClientID)
	dst = appendFixed64(dst, 6, b.Hash)
	dst = appendBytes(dst, 7, b.Body)
	return closeField(dst, at)
}

func appendConversationRead(dst []byte, b *conversation.ConversationRead) []byte {
	dst, at := open(dst, fieldConversationRead)
	dst = appendString(dst, 1, string(b.By))
	dst = appendString(dst, 2, string(b.ByResource))
	dst = appendString(dst, 3, string(b.To))
	dst = appendVarint(dst, 4, b.ClientID)
	dst = appendFixed64(dst, 5, b.Hash)
	dst = appendBytes(dst, 6, b.Body)
	dst = appendVarint(dst, 7, b.ReadN)
	dst = appendVarint(dst, 8, b.ReadOwn)
	return closeField(dst, at)
}

func appendRegistered(dst []byte, b *user.Registered) []byte {
	dst, at := open(dst, fieldUserRegistered)
	dst = appendVarint(dst, 1, uint64(b.Incarnation))
	dst = appendString(dst, 2, b.UUID)
	dst = appendBytes(dst, 3, b.Password)
	dst = appendString(dst, 4, b.Nickname)
	dst = appendVarint(dst, 5, uint64(b.AuthEpoch))
	return closeField(dst, at)
}

func appendDeleted(dst []byte, b *user.Deleted) []byte {
	dst, at := open(dst, fieldUserDeleted)
	dst = appendVarint(dst, 1, uint64(b.Incarnation))
	dst = appendFixed64(dst, 2, uint64(b.Registered))
	return closeField(dst, at)
}

func appendPasswordSet(dst []byte, b *user.PasswordSet) []byte {
	dst, at := open(dst, fieldPasswordSet)
	dst = appendBytes(dst, 1, b.Password)
	dst = appendVarint(dst, 2, uint64(b.AuthEpoch))
	dst = appendFixed64(dst, 3, uint64(b.Registered))
	return closeField(dst, at)
}

// lengthRoom is what open leaves for a length: two bytes fit messages of 128 to 16,383 bytes, which is most of them.
const lengthRoom = 2

// open starts an embedded message and returns where it begins; closeField gives it its length.
func open(dst []byte, field protowire.Number) (out []byte, at int) {
	dst = protowire.AppendTag(dst, field, protowire.BytesType)
	return append(dst, 0, 0), len(dst)
}

// closeField writes the length of the message that began at `at`, moving its bytes when the length does not take lengthRoom.
func closeField(dst []byte, at int) []byte {
	n := len(dst) - at - lengthRoom
	size := protowire.SizeVarint(uint64(n))
	if size == lengthRoom {
		dst[at], dst[at+1] = byte(n)|0x80, byte(n>>7)
		return dst
	}
	for range size - lengthRoom {
		dst = append(dst, 0)
	}
	copy(dst[at+size:], dst[at+lengthRoom:at+lengthRoom+n])
	protowire.AppendVarint(dst[:at], uint64(n))
	return dst[:at+size+n]
}

func appendVarint(dst []byte, field protowire.Number, v uint64) []byte {
	if v == 0 {
		return dst
	}
	return protowire.AppendVarint(protowire.AppendTag(dst, field, protowire.VarintType), v)
}

func appendBool(dst []byte, field protowire.Number, v bool) []byte {
	if !v {
		return dst
	}
	return append(protowire.AppendTag(dst, field, protowire.VarintType), 1)
}

func appendFixed64(dst []byte, field protowire.Number, v uint64) []byte {
	if v == 0 {
		return dst
	}
	return binary.LittleEndian.AppendUint64(protowire.AppendTag(dst, field, protowire.Fixed64Type), v)
}

func appendString(dst []byte, field protowire.Number, v string) []byte {
	if v == "" {
		return dst
	}
	return protowire.AppendString(protowire.AppendTag(dst, field, protowire.BytesType), v)
}

func appendBytes(dst []byte, field protowire.Number, v []byte) []byte {
	if len(v) == 0 {
		return dst
	}
	return protowire.AppendBytes(protowire.AppendTag(dst, field, protowire.BytesType), v)
}
