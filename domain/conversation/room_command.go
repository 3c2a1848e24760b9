package conversation

import (
	"parley/domain"
	"parley/domain/message"
)

// Who views a room is a lease and not in the stream: that a sender views it is a fact that the edge puts into the command.

// RoomSettings is what a room's owner may set.
type RoomSettings struct {
	Name        string // at most 128 characters
	Description string // at most 512
	Custom      string // at most 8 KB
	MaxUsers    uint32 // viewers at once
}

// RoomChange is what changes of a room's settings: nil leaves a setting as it is.
type RoomChange struct {
	Name        *string
	Description *string
	Custom      *string
	MaxUsers    *uint32
}

// Priority says what a room sheds first when too much is sent. The numbers are those of the wire's chatroom_msg_tag.
type Priority uint8

// Priorities of messages in rooms.
const (
	PriorityHigh Priority = iota
	PriorityNormal
	PriorityLow
)

// CreateRoom asks to make the room whose stream it is sent to. Refused with RoomExists, UserNotFound, TooLarge.
type CreateRoom struct {
	By       Actor
	Owner    Person
	Settings RoomSettings
}

// ChangeRoom asks to change settings. What is so already is left out.
type ChangeRoom struct {
	By     Actor
	Change RoomChange
}

// TransferRoom asks to make somebody else the owner.
type TransferRoom struct {
	By Actor
	To Person
}

// DestroyRoom asks to end the room for ever.
type DestroyRoom struct{ By Actor }

// AllowUsers asks to put users on the room's allow list: their messages count as high, and they stay in the room while they are offline.
// Those who are on it are left out. Refused with UserNotFound and, over MaxAllowed, with TooLarge.
type AllowUsers struct {
	By    Actor
	Users []Person
}

// DisallowUsers asks to take users from the allow list. Those who are not on it are left out; when nobody is left it is refused with
// NotFound.
type DisallowUsers struct {
	By    Actor
	Users []domain.UserID
}

// SendRoomMessage asks to send a message to a room: to all who view it, or to some of them (Directed, at most MaxDirected).
type SendRoomMessage struct {
	Sender    Sender
	Envelope  message.Envelope
	Body      message.Bytes
	Ext       message.Bytes
	Directed  []domain.UserID
	SyncOwn   bool
	Viewer    bool            // the sender views the room; the owner may speak in any case
	NoHistory []domain.UserID // REST's roam_ignore_users
	Unchecked bool            // REST does not check that the sender views the room
}

// CommandName implements domain.Command.
func (CreateRoom) CommandName() string      { return "CreateRoom" }
func (ChangeRoom) CommandName() string      { return "ChangeRoom" }
func (TransferRoom) CommandName() string    { return "TransferRoom" }
func (DestroyRoom) CommandName() string     { return "DestroyRoom" }
func (AllowUsers) CommandName() string      { return "AllowUsers" }
func (DisallowUsers) CommandName() string   { return "DisallowUsers" }
func (SendRoomMessage) CommandName() string { return "SendRoomMessage" }

func (CreateRoom) isCommand()      {}
func (ChangeRoom) isCommand()      {}
func (TransferRoom) isCommand()    {}
func (DestroyRoom) isCommand()     {}
func (AllowUsers) isCommand()      {}
func (DisallowUsers) isCommand()   {}
func (SendRoomMessage) isCommand() {}
