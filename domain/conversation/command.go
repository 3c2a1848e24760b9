package conversation

import (
	"parley/domain"
	"parley/domain/message"
)

// Command is a wish about a conversation. Whether users exist is a fact that the edge puts in: an incarnation of 0 means that it found none.
//
//sumtype:decl
type Command interface {
	domain.Command
	isCommand()
}

// Sender is who sends and from which device, with the device's own id of what is sent.
type Sender struct {
	User        domain.UserID
	Incarnation domain.Incarnation
	Resource    domain.Resource // empty: REST
	ClientID    uint64          // 0: none, never a repeat
	Hash        uint64          // message.Hash of the payload as sent
}

// Recipient is to whom.
type Recipient struct {
	User        domain.UserID
	Incarnation domain.Incarnation // 0: no such account; refused unless Unchecked
	Resource    domain.Resource    // not empty: one device
}

// SendMessage asks to send a message in a direct conversation.
type SendMessage struct {
	Sender    Sender
	To        Recipient
	Envelope  message.Envelope
	Body      message.Bytes
	Ext       message.Bytes
	SyncOwn   bool            // true from devices; over REST as the caller says
	NoHistory []domain.UserID // REST's roam_ignore_users
	Unchecked bool            // REST does not check that the users exist
}

// MarkDelivered asks to tell the other user that a message has arrived.
type MarkDelivered struct {
	Sender  Sender
	To      Recipient
	Message domain.MessageID
	Body    message.Bytes
}

// MarkRead asks to tell the other user that a message has been read.
type MarkRead struct {
	Sender  Sender
	To      Recipient
	Message domain.MessageID
	Body    message.Bytes
}

// ReadConversation asks to count all that is in the conversation as read by the sender, and to tell the other user.
type ReadConversation struct {
	Sender Sender
	To     Recipient
	Body   message.Bytes
}

// CommandName implements domain.Command.
func (SendMessage) CommandName() string      { return "SendMessage" }
func (MarkDelivered) CommandName() string    { return "MarkDelivered" }
func (MarkRead) CommandName() string         { return "MarkRead" }
func (ReadConversation) CommandName() string { return "ReadConversation" }

func (SendMessage) isCommand()      {}
func (MarkDelivered) isCommand()    {}
func (MarkRead) isCommand()         {}
func (ReadConversation) isCommand() {}
