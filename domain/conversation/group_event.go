package conversation

import (
	"parley/domain"
	"parley/domain/message"
)

// Doer is who did something in a group, and from which device, which is not told of it. No user: the app itself, over REST.
type Doer struct {
	User     domain.UserID
	Resource domain.Resource
}

// JoinHow says how users became members, and with it what they are told.
type JoinHow uint8

// Ways to become a member. The numbers are stored.
const (
	JoinAdded    JoinHow = iota + 1 // by somebody else, without being asked
	JoinOpen                        // by asking, where nobody has to answer
	JoinAccepted                    // by an application that was accepted
	JoinInvited                     // by accepting an invitation
)

// LeaveHow says how users stopped being members.
type LeaveHow uint8

// Ways to be a member no more. The numbers are stored.
const (
	LeaveLeft LeaveHow = iota + 1
	LeaveRemoved
)

// GroupCreated says that a group was made. The first entry of its stream; its owner is its first member.
type GroupCreated struct {
	By       Doer
	Owner    Person
	Settings GroupSettings
}

// Joiner is a new member, with the spans that the user (of the same incarnation) was a member before.
type Joiner struct {
	User        domain.UserID
	Incarnation domain.Incarnation
	Earlier     []Span // oldest first, the last 3
}

// MembersAdded says that users are members from this entry on. An entry for all, the new members included.
type MembersAdded struct {
	Members     []Joiner // at most MaxBulk
	By          Doer     // of an open join or accepted invitation the new member
	How         JoinHow
	From        domain.Seq // this entry: the first that reaches the new members' devices
	HistoryFrom domain.Seq // the first entry that the new members' history shows: 1, or From
	N           uint64     // countable messages before it: the memberships start with all of them read
	Count       uint32     // members, these included
	Name        string     // of the group
}

// MembersRemoved says that users are members no more after this entry. An entry for all, the removed included.
type MembersRemoved struct {
	Users []domain.UserID
	By    Doer
	How   LeaveHow
	Count uint32 // members who are left
}

// GroupDestroyed says that the group has ended. The last entry of its stream, for all.
type GroupDestroyed struct {
	By   Doer
	Name string
}

// GroupChanged says which settings changed, and to what. An entry for all.
type GroupChanged struct {
	By     Doer
	Change GroupChange
}

// OwnerChanged says that Owner, no admin any more if it was one, owns the group, and that Old is a plain member. An entry for all.
type OwnerChanged struct {
	By    Doer
	Old   domain.UserID
	Owner domain.UserID
}

// AdminAdded says that a member became an admin. An entry for that member: clients take it for their own promotion.
type AdminAdded struct {
	By   Doer
	User domain.UserID
}

// AdminRemoved says that an admin became a plain member. An entry for that member: on the wire it does not say who.
type AdminRemoved struct {
	By   Doer
	User domain.UserID
}

// JoinRequested says that a user asks to become a member. An entry for those who may answer.
type JoinRequested struct {
	User     Person
	Reason   string
	Audience []domain.UserID // the owner and the admins
}

// JoinAnswered says that an application was answered. An aside: who was accepted is told by MembersAdded, and who was declined by a
// notice in the user's own stream.
type JoinAnswered struct {
	User     Person
	By       Doer
	Accepted bool
	Reason   string
	Name     string // of the group
}

// UsersInvited says that users were asked to become members. An aside: they are told by a notice in their own streams.
type UsersInvited struct {
	Users  []Person // at most MaxBulk
	By     Doer
	Reason string
	Name   string // of the group
}

// InvitationAnswered says that a user accepted or declined to become a member. An entry for who invited.
type InvitationAnswered struct {
	User     domain.UserID
	Resource domain.Resource
	Inviter  domain.UserID // empty: the app
	Accepted bool
	Reason   string
}

// ShieldSet says that a member wants the group's messages on no device, or wants them again. An aside.
type ShieldSet struct {
	User domain.UserID
	On   bool
}

// MessageRecalled says that a message was taken back. An entry for all who may have seen the message; no count changes.
type MessageRecalled struct {
	Message    domain.MessageID
	MessageSeq domain.Seq
	From       domain.UserID // who sent the message
	By         domain.UserID // who took it back; over REST as the caller says
	ByResource domain.Resource
	To         domain.UserID   // of a direct conversation: the other user, as By sees it
	Audience   []domain.UserID // of a directed message
	ClientID   uint64
	Hash       uint64
	Ext        message.Bytes // the recaller's Meta.ext fields, encoded
	Body       message.Bytes // the recaller's MessageBody
}

// EventName implements domain.Body.
func (GroupCreated) EventName() string       { return "GroupCreated" }
func (MembersAdded) EventName() string       { return "MembersAdded" }
func (MembersRemoved) EventName() string     { return "MembersRemoved" }
func (GroupDestroyed) EventName() string     { return "GroupDestroyed" }
func (GroupChanged) EventName() string       { return "GroupChanged" }
func (OwnerChanged) EventName() string       { return "OwnerChanged" }
func (AdminAdded) EventName() string         { return "AdminAdded" }
func (AdminRemoved) EventName() string       { return "AdminRemoved" }
func (JoinRequested) EventName() string      { return "JoinRequested" }
func (JoinAnswered) EventName() string       { return "JoinAnswered" }
func (UsersInvited) EventName() string       { return "UsersInvited" }
func (InvitationAnswered) EventName() string { return "InvitationAnswered" }
func (ShieldSet) EventName() string          { return "ShieldSet" }
func (MessageRecalled) EventName() string    { return "MessageRecalled" }

// IsEntry implements domain.Entry.
func (GroupCreated) IsEntry() bool       { return true }
func (MembersAdded) IsEntry() bool       { return true }
func (MembersRemoved) IsEntry() bool     { return true }
func (GroupDestroyed) IsEntry() bool     { return true }
func (GroupChanged) IsEntry() bool       { return true }
func (OwnerChanged) IsEntry() bool       { return true }
func (AdminAdded) IsEntry() bool         { return true }
func (AdminRemoved) IsEntry() bool       { return true }
func (JoinRequested) IsEntry() bool      { return true }
func (JoinAnswered) IsEntry() bool       { return false }
func (UsersInvited) IsEntry() bool       { return false }
func (InvitationAnswered) IsEntry() bool { return true }
func (ShieldSet) IsEntry() bool          { return false }
func (MessageRecalled) IsEntry() bool    { return true }

func (GroupCreated) isEvent()       {}
func (MembersAdded) isEvent()       {}
func (MembersRemoved) isEvent()     {}
func (GroupDestroyed) isEvent()     {}
func (GroupChanged) isEvent()       {}
func (OwnerChanged) isEvent()       {}
func (AdminAdded) isEvent()         {}
func (AdminRemoved) isEvent()       {}
func (JoinRequested) isEvent()      {}
func (JoinAnswered) isEvent()       {}
func (UsersInvited) isEvent()       {}
func (InvitationAnswered) isEvent() {}
func (ShieldSet) isEvent()          {}
func (MessageRecalled) isEvent()    {}
