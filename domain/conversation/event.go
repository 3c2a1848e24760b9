// Package conversation holds the rules of conversations: what may be said in one, and what follows.
//
// Rules are those of direct conversations, GroupRules those of groups; what happens in both has the same events. Decide and Evolve are pure
// (package domain).
package conversation

import (
	"parley/domain"
	"parley/domain/message"
)

// Event is a fact of a conversation.
//
//sumtype:decl
type Event interface {
	domain.Body
	domain.Entry
	isEvent()
}

// MemberAdded says that a user takes part from an entry on. In a direct conversation it is an aside: both users are added by the
// first message, and a user again when the name was registered anew (the new incarnation sees nothing of before).
type MemberAdded struct {
	User        domain.UserID
	Incarnation domain.Incarnation
	From        domain.Seq // the first entry that the user may see
	N           uint64     // countable messages before it: the membership starts with all of them read
}

// MessageSent says that a message was accepted. An entry.
type MessageSent struct {
	From         domain.UserID
	FromResource domain.Resource // empty: sent over REST
	To           domain.UserID   // empty in a group
	ToResource   domain.Resource // not empty: for that device of To only
	ClientID     uint64          // the sender device's own id of the message (metaId); 0: none
	Hash         uint64          // of the payload as sent; with ClientID it tells a repeat from a collision
	Kind         message.Kind
	Counted      bool            // counts as unread: not commands, not what is for one device
	History      bool            // shown in history
	SyncOwn      bool            // goes to the sender's other devices too
	NoHistory    []domain.UserID // users whose history does not show it
	Body         message.Bytes   // the client's MessageBody, byte for byte
	Ext          message.Bytes   // the client's Meta.ext fields, encoded, byte for byte
	N            uint64          // the conversation's countable messages, this one included
	Own          uint64          // the sender's countable messages in it, this one included
	Audience     []domain.UserID // in a group: who alone is to see it; none: all members
}

// MessageDelivered says that a device of By has received a message. An entry for the other user.
type MessageDelivered struct {
	By         domain.UserID
	ByResource domain.Resource
	To         domain.UserID
	Message    domain.MessageID
	ClientID   uint64
	Hash       uint64
	Body       message.Bytes
}

// MessageRead says that By has read a message. An entry for the other user.
type MessageRead struct {
	By         domain.UserID
	ByResource domain.Resource
	To         domain.UserID
	Message    domain.MessageID
	ClientID   uint64
	Hash       uint64
	Body       message.Bytes
}

// ConversationRead says that By has read all before it. An entry for the other user (in a group, for no other) and By's other devices.
type ConversationRead struct {
	By         domain.UserID
	ByResource domain.Resource
	To         domain.UserID // empty in a group
	ClientID   uint64
	Hash       uint64
	Body       message.Bytes
	ReadN      uint64 // countable messages of the conversation that By has read
	ReadOwn    uint64 // how many of these are By's own
}

// EventName implements domain.Body.
func (MemberAdded) EventName() string      { return "MemberAdded" }
func (MessageSent) EventName() string      { return "MessageSent" }
func (MessageDelivered) EventName() string { return "MessageDelivered" }
func (MessageRead) EventName() string      { return "MessageRead" }
func (ConversationRead) EventName() string { return "ConversationRead" }

// IsEntry implements domain.Entry.
func (MemberAdded) IsEntry() bool      { return false }
func (MessageSent) IsEntry() bool      { return true }
func (MessageDelivered) IsEntry() bool { return true }
func (MessageRead) IsEntry() bool      { return true }

// IsEntry implements domain.Entry. In a group it is an aside: no other user has to know.
func (b ConversationRead) IsEntry() bool { return b.To != "" }

func (MemberAdded) isEvent()      {}
func (MessageSent) isEvent()      {}
func (MessageDelivered) isEvent() {}
func (MessageRead) isEvent()      {}
func (ConversationRead) isEvent() {}
