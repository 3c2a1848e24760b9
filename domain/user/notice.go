package user

import (
	"strconv"

	"parley/domain"
)

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

// CausesPart names the Causes row of a source partition.
func CausesPart(p domain.Partition) domain.PartID {
	return domain.PartID("c/" + strconv.FormatUint(uint64(p), 10))
}

// notify decides a notice: once per cause, and only for whom it is meant.
func notify(head *Head, v domain.View, c *Notify) (domain.Decision, error) {
	if !head.Exists {
		return domain.Decision{}, errNotFound
	}
	if c.Kind != GroupInvited && c.Kind != GroupDeclined {
		return domain.Decision{}, domain.Refuse(domain.BadRequest, "unknown kind of notice")
	}
	causes, _ := v.Part(CausesPart(c.Cause.Partition)).(*Causes)
	if causes != nil && !after(c.Cause, causes.Last) || c.Incarnation != 0 && c.Incarnation != head.Incarnation {
		return domain.Decision{}, nil
	}
	return decided(Noticed{
		Kind: c.Kind, Incarnation: head.Incarnation, Group: c.Group, Name: c.Name, By: c.By, Reason: c.Reason, Cause: c.Cause,
	})
}

// after tells whether a comes after b, both of one partition.
func after(a, b domain.Cause) bool { return a.Offset > b.Offset || a.Offset == b.Offset && a.N > b.N }

func evolveCauses(id domain.PartID, row domain.Row, ev *domain.Event) domain.Row {
	b, ok := ev.Body.(Noticed)
	if !ok || id != CausesPart(b.Cause.Partition) {
		return row
	}
	return &Causes{Last: b.Cause}
}

// CommandName implements domain.Command.
func (Notify) CommandName() string { return "Notify" }

// EventName implements domain.Body.
func (Noticed) EventName() string { return "Noticed" }

// IsEntry implements domain.Entry.
func (Noticed) IsEntry() bool { return true }

func (Notify) isCommand() {}

func (Noticed) isEvent() {}
