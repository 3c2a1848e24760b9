// Package user holds the rules of a user's own stream: the account now; profile, contacts and settings later.
package user

import (
	"log/slog"

	"parley/domain"
)

// PasswordHash is a slow hash of a password, made at the edge. It prints redacted.
type PasswordHash []byte

// String implements fmt.Stringer.
func (PasswordHash) String() string { return "[redacted]" }

// GoString implements fmt.GoStringer.
func (PasswordHash) GoString() string { return "[redacted]" }

// LogValue implements slog.LogValuer.
func (PasswordHash) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// Command is a wish about a user.
//
//sumtype:decl
type Command interface {
	domain.Command
	isCommand()
}

// Register asks to make the account. Refused with UserExists when it is there.
type Register struct {
	UUID     string       // made at the edge
	Password PasswordHash // nil: log-in by token only
	Nickname string
}

// Delete asks to end the account.
type Delete struct{}

// SetPassword asks to change the password, which ends every token and session.
type SetPassword struct{ Password PasswordHash }

// Event is a fact of a user.
//
//sumtype:decl
type Event interface {
	domain.Body
	domain.Entry
	isEvent()
}

// Registered says that the account was made, as this incarnation of the name.
type Registered struct {
	Incarnation domain.Incarnation
	UUID        string
	Password    PasswordHash
	Nickname    string
	AuthEpoch   uint32     // above every epoch of earlier incarnations
	From        domain.Seq // the first entry of the stream that is this incarnation's; 0 in old records, which had no entries: 1
}

// Deleted says that the account ended.
type Deleted struct {
	Incarnation domain.Incarnation
	Registered  domain.T // when it was made: the key of its row in lists
}

// PasswordSet says that the password changed; tokens of a lower epoch are void.
type PasswordSet struct {
	Password   PasswordHash
	AuthEpoch  uint32
	Registered domain.T
}

// Head is the head row of a user's stream: the account.
type Head struct {
	Seq         domain.Seq
	T           domain.T
	Exists      bool
	Incarnation domain.Incarnation
	UUID        string
	Nickname    string
	Password    PasswordHash
	AuthEpoch   uint32
	Registered  domain.T
	Modified    domain.T
	From        domain.Seq // the first entry that is for this incarnation; 0: 1
}

// RowName implements domain.Row.
func (*Head) RowName() string { return "User" }

// LastSeq implements domain.HeadRow.
func (h *Head) LastSeq() domain.Seq { return h.Seq }

// CommandName implements domain.Command.
func (Register) CommandName() string    { return "Register" }
func (Delete) CommandName() string      { return "Delete" }
func (SetPassword) CommandName() string { return "SetPassword" }

func (Register) isCommand()    {}
func (Delete) isCommand()      {}
func (SetPassword) isCommand() {}

// EventName implements domain.Body.
func (Registered) EventName() string  { return "UserRegistered" }
func (Deleted) EventName() string     { return "UserDeleted" }
func (PasswordSet) EventName() string { return "PasswordSet" }

// IsEntry implements domain.Entry. The account's facts are asides: no device has to be told of them in order.
func (Registered) IsEntry() bool  { return false }
func (Deleted) IsEntry() bool     { return false }
func (PasswordSet) IsEntry() bool { return false }

func (Registered) isEvent()  {}
func (Deleted) isEvent()     {}
func (PasswordSet) isEvent() {}
