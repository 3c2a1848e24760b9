package event

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/fence"
	"parley/domain/user"
	"parley/schemas/internal/wire"
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
	fieldNoticed          = 43
)

// AppendCommit appends the value of a commit's record. A body of a type that is not in the schema is a programming error: it panics.
func AppendCommit(dst []byte, h Header, c *domain.Commit) []byte {
	dst = fence.AppendHeader(dst, h)
	dst, at := wire.Open(dst, fieldCommit)
	dst = wire.AppendString(dst, 1, string(c.Stream))
	for i := range c.Events {
		dst = appendEvent(dst, &c.Events[i])
	}
	if c.Cause != nil {
		dst = appendCause(dst, 3, *c.Cause)
	}
	return wire.Close(dst, at)
}

// EncodeClaim returns the value of a claim's record; h.Index is 0.
func EncodeClaim(h Header, node string, nonce uint64) []byte {
	return AppendClaim(fence.AppendHeader(make([]byte, 0, fence.HeaderSize+len(node)+16), h), node, nonce)
}

// AppendClaim appends what follows the header in a claim's value.
func AppendClaim(dst []byte, node string, nonce uint64) []byte {
	dst, at := wire.Open(dst, fieldClaim)
	dst = wire.AppendString(dst, 1, node)
	dst = wire.AppendFixed64(dst, 2, nonce)
	return wire.Close(dst, at)
}

// AppendSlotClosed appends the value of a slot's last record in its old partition.
func AppendSlotClosed(dst []byte, h Header, s *SlotClosed) []byte {
	dst = fence.AppendHeader(dst, h)
	dst, at := wire.Open(dst, fieldSlotClosed)
	dst = wire.AppendVarint(dst, 1, uint64(s.Slot))
	dst = wire.AppendFixed64(dst, 2, uint64(s.T))
	for _, c := range s.Causes {
		dst = appendCause(dst, 3, c)
	}
	return wire.Close(dst, at)
}

// AppendSlotOpened appends the value of a slot's first record in its new partition.
func AppendSlotOpened(dst []byte, h Header, s *SlotOpened) []byte {
	dst = fence.AppendHeader(dst, h)
	dst, at := wire.Open(dst, fieldSlotOpened)
	dst = wire.AppendVarint(dst, 1, uint64(s.Slot))
	dst = wire.AppendFixed64(dst, 2, uint64(s.T))
	dst = wire.AppendVarint(dst, 3, uint64(s.From))
	dst = wire.AppendVarint(dst, 4, uint64(s.Closed))
	return wire.Close(dst, at)
}

func appendCause(dst []byte, field protowire.Number, c domain.Cause) []byte {
	dst, at := wire.Open(dst, field)
	dst = wire.AppendVarint(dst, 1, uint64(c.Partition))
	dst = wire.AppendVarint(dst, 2, uint64(c.Offset))
	dst = wire.AppendVarint(dst, 3, uint64(c.N))
	return wire.Close(dst, at)
}

func appendEvent(dst []byte, ev *domain.Event) []byte {
	dst, at := wire.Open(dst, 2)
	return wire.Close(AppendEvent(dst, ev), at)
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
	case user.Noticed:
		return appendNoticed(dst, &b)
	default:
		if dst, ok := appendGroupBody(dst, body); ok {
			return dst
		}
		if dst, ok := appendRoomBody(dst, body); ok {
			return dst
		}
		panic(fmt.Sprintf("event: %T is not in the schema", body))
	}
}

func appendMemberAdded(dst []byte, b *conversation.MemberAdded) []byte {
	dst, at := wire.Open(dst, fieldMemberAdded)
	dst = wire.AppendString(dst, 1, string(b.User))
	dst = wire.AppendVarint(dst, 2, uint64(b.Incarnation))
	dst = wire.AppendVarint(dst, 3, uint64(b.From))
	dst = wire.AppendVarint(dst, 4, b.N)
	return wire.Close(dst, at)
}

func appendMessageSent(dst []byte, b *conversation.MessageSent) []byte {
	dst, at := wire.Open(dst, fieldMessageSent)
	dst = wire.AppendString(dst, 1, string(b.From))
	dst = wire.AppendString(dst, 2, string(b.FromResource))
	dst = wire.AppendString(dst, 3, string(b.To))
	dst = wire.AppendString(dst, 4, string(b.ToResource))
	dst = wire.AppendVarint(dst, 5, b.ClientID)
	dst = wire.AppendFixed64(dst, 6, b.Hash)
	dst = wire.AppendVarint(dst, 7, uint64(b.Kind))
	dst = wire.AppendBool(dst, 8, b.Counted)
	dst = wire.AppendBool(dst, 9, b.History)
	dst = wire.AppendBool(dst, 10, b.SyncOwn)
	dst = appendUsers(dst, 11, b.NoHistory)
	dst = wire.AppendBytes(dst, 12, b.Body)
	dst = wire.AppendBytes(dst, 13, b.Ext)
	dst = wire.AppendVarint(dst, 14, b.N)
	dst = wire.AppendVarint(dst, 15, b.Own)
	dst = appendUsers(dst, 17, b.Audience)
	return wire.Close(dst, at)
}

// receipt is the common shape of MessageDelivered and MessageRead.
type receipt conversation.MessageRead

func appendReceipt(dst []byte, field protowire.Number, b receipt) []byte {
	dst, at := wire.Open(dst, field)
	dst = wire.AppendString(dst, 1, string(b.By))
	dst = wire.AppendString(dst, 2, string(b.ByResource))
	dst = wire.AppendString(dst, 3, string(b.To))
	dst = wire.AppendFixed64(dst, 4, uint64(b.Message))
	dst = wire.AppendVarint(dst, 5, b.ClientID)
	dst = wire.AppendFixed64(dst, 6, b.Hash)
	dst = wire.AppendBytes(dst, 7, b.Body)
	return wire.Close(dst, at)
}

func appendConversationRead(dst []byte, b *conversation.ConversationRead) []byte {
	dst, at := wire.Open(dst, fieldConversationRead)
	dst = wire.AppendString(dst, 1, string(b.By))
	dst = wire.AppendString(dst, 2, string(b.ByResource))
	dst = wire.AppendString(dst, 3, string(b.To))
	dst = wire.AppendVarint(dst, 4, b.ClientID)
	dst = wire.AppendFixed64(dst, 5, b.Hash)
	dst = wire.AppendBytes(dst, 6, b.Body)
	dst = wire.AppendVarint(dst, 7, b.ReadN)
	dst = wire.AppendVarint(dst, 8, b.ReadOwn)
	return wire.Close(dst, at)
}

func appendRegistered(dst []byte, b *user.Registered) []byte {
	dst, at := wire.Open(dst, fieldUserRegistered)
	dst = wire.AppendVarint(dst, 1, uint64(b.Incarnation))
	dst = wire.AppendString(dst, 2, b.UUID)
	dst = wire.AppendBytes(dst, 3, b.Password)
	dst = wire.AppendString(dst, 4, b.Nickname)
	dst = wire.AppendVarint(dst, 5, uint64(b.AuthEpoch))
	dst = wire.AppendVarint(dst, 6, uint64(b.From))
	return wire.Close(dst, at)
}

func appendDeleted(dst []byte, b *user.Deleted) []byte {
	dst, at := wire.Open(dst, fieldUserDeleted)
	dst = wire.AppendVarint(dst, 1, uint64(b.Incarnation))
	dst = wire.AppendFixed64(dst, 2, uint64(b.Registered))
	return wire.Close(dst, at)
}

func appendPasswordSet(dst []byte, b *user.PasswordSet) []byte {
	dst, at := wire.Open(dst, fieldPasswordSet)
	dst = wire.AppendBytes(dst, 1, b.Password)
	dst = wire.AppendVarint(dst, 2, uint64(b.AuthEpoch))
	dst = wire.AppendFixed64(dst, 3, uint64(b.Registered))
	return wire.Close(dst, at)
}

func appendNoticed(dst []byte, b *user.Noticed) []byte {
	dst, at := wire.Open(dst, fieldNoticed)
	dst = wire.AppendVarint(dst, 1, uint64(b.Kind))
	dst = wire.AppendVarint(dst, 2, uint64(b.Incarnation))
	dst = wire.AppendString(dst, 3, b.Group)
	dst = wire.AppendString(dst, 4, b.Name)
	dst = wire.AppendString(dst, 5, string(b.By))
	dst = wire.AppendString(dst, 6, b.Reason)
	return wire.Close(appendCause(dst, 7, b.Cause), at)
}
