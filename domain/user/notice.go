package user

import "parley/domain"

// NoticeKind is what a notice is about. The numbers are stored.
type NoticeKind uint8

// Kinds of notices.
const (
	GroupInvited  NoticeKind = iota + 1 // asked to become a member of a group
	GroupDeclined                       // an application to a group was declined
)

// Notify asks to tell the user what happened in a stream that the user is not in. Reactors ask for it.
//
// The user's stream keeps the highest cause of each source partition: what is not above it has been told, and makes nothing. So does what is
// meant for another incarnation of the name. Refused with UserNotFound when there is no account.
type Notify struct {
	Kind        NoticeKind
	Incarnation domain.Incarnation // whom it is meant for; 0: whoever has the name
	Group       string             // the group's id
	Name        string             // of the group
	By          domain.UserID      // empty: the app
	Reason      string
	Cause       domain.Cause
}

// Noticed tells the user what happened in a stream that the user is not in. An entry of the user's stream, the system queue.
type Noticed struct {
	Kind        NoticeKind
	Incarnation domain.Incarnation
	Group       string // the group's id
	Name        string // of the group
	By          domain.UserID
	Reason      string
	Cause       domain.Cause
}

// Causes is the part "c/<partition>": the highest cause from that partition whose command was accepted.
type Causes struct{ Last domain.Cause }

// RowName implements domain.Row.
func (*Causes) RowName() string { return "Causes" }

// CommandName implements domain.Command.
func (Notify) CommandName() string { return "Notify" }

// EventName implements domain.Body.
func (Noticed) EventName() string { return "Noticed" }

// IsEntry implements domain.Entry.
func (Noticed) IsEntry() bool { return true }

func (Notify) isCommand() {}
func (Noticed) isEvent()  {}
