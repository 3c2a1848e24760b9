package conversation

import (
	"slices"

	"parley/domain"
)

// GroupHead is the head row of a group.
type GroupHead struct {
	Head

	Created  domain.T
	Modified domain.T // of the last change of settings or of the owner
	Settings GroupSettings
	Owner    domain.UserID
	Admins   []domain.UserID // in the order of their appointment, at most MaxAdmins; never the owner
	Count    uint32          // members, the owner included
}

// RowName implements domain.Row.
func (*GroupHead) RowName() string { return "GroupHead" }

// Open tells whether the group exists: it was made and has not ended. h may be nil.
func (h *GroupHead) Open() bool { return h != nil && h.Created != 0 && h.Closed == 0 }

// Role is what somebody is in a group.
type Role uint8

// Roles, in the order of what they may do.
const (
	RoleNone Role = iota
	RoleMember
	RoleAdmin
	RoleOwner
	RoleApp // the app itself, over REST
)

// RoleOf returns the role of a user who is a member, by the head alone. h may be nil.
func (h *GroupHead) RoleOf(u domain.UserID) Role {
	switch {
	case h == nil:
		return RoleNone
	case u == h.Owner:
		return RoleOwner
	case slices.Contains(h.Admins, u):
		return RoleAdmin
	default:
		return RoleMember
	}
}

// HeadOf returns what the heads of all conversations have in common, nil for a head of another kind and for none.
func HeadOf(row domain.Row) *Head {
	switch h := row.(type) {
	case *Head:
		return h
	case *GroupHead:
		if h != nil {
			return &h.Head
		}
	case *RoomHead:
		if h != nil {
			return &h.Head
		}
	}
	return nil
}

// AskState is how far an application or invitation has come.
type AskState uint8

// States of applications and invitations. The numbers are stored.
const (
	AskPending AskState = iota + 1
	AskAccepted
	AskDeclined
)

// Application is the part "a/<user>" of a group: the last time that the user asked to become a member.
type Application struct {
	User   Person
	Reason string
	T      domain.T // of the JoinRequested
	State  AskState
}

// RowName implements domain.Row.
func (*Application) RowName() string { return "Application" }

// Invitation is the part "i/<user>" of a group: the last time that the user was invited.
type Invitation struct {
	User   Person
	By     domain.UserID // empty: the app
	Reason string
	T      domain.T // of the UsersInvited
	State  AskState
}

// RowName implements domain.Row.
func (*Invitation) RowName() string { return "Invitation" }

// ApplicationPart names a user's Application row.
func ApplicationPart(u domain.UserID) domain.PartID { return domain.PartID("a/" + string(u)) }

// InvitationPart names a user's Invitation row.
func InvitationPart(u domain.UserID) domain.PartID { return domain.PartID("i/" + string(u)) }

// Span is a time as a member, in entries: From and Until are the first and the last that reach the user.
type Span struct{ From, Until domain.Seq }

// maxEarlier is how many spans are kept besides the current one.
const maxEarlier = 3
