package conversation

import (
	"time"

	"parley/domain"
	"parley/domain/message"
)

// Bounds of groups.
const (
	MaxBulk     = 1000 // users whom one command may name; edges allow fewer
	MaxAdmins   = 99   // besides the owner
	MaxDirected = 20   // receivers of a directed message
)

// Actor is who wants something of a group, and from which device.
type Actor struct {
	User        domain.UserID
	Incarnation domain.Incarnation // of the user's session; 0: whichever it is
	Resource    domain.Resource    // the device, which is not told of what it did itself; empty: none in particular
	App         bool               // the app itself (a REST call with its token): User is empty, and it may do all
}

// Person is a user as the edge found it. An incarnation of 0 means that there is no such account.
type Person struct {
	User        domain.UserID
	Incarnation domain.Incarnation
}

// GroupSettings is what a group's owner may set.
type GroupSettings struct {
	Name          string // at most 128 characters
	Description   string // at most 512
	Avatar        string // at most 1,024
	Custom        string // at most 8 KB
	Public        bool   // can be found, and asked to be joined
	Approval      bool   // of a public group: who asks waits for an answer ("membersonly")
	MemberInvites bool   // members may invite ("allowinvites")
	InviteConfirm bool   // who is invited joins by accepting; otherwise at once
	MaxUsers      uint32
}

// GroupChange is what changes of a group's settings: nil leaves a setting as it is.
type GroupChange struct {
	Name          *string
	Description   *string
	Avatar        *string
	Custom        *string
	Public        *bool
	Approval      *bool
	MemberInvites *bool
	InviteConfirm *bool
	MaxUsers      *uint32
}

// CreateGroup asks to make the group whose stream it is sent to. Over REST (Actor.App) and without InviteConfirm the members are added at
// once, otherwise they are invited. The owner need not be named among them. Refused with GroupExists, UserNotFound, GroupFull, TooLarge.
type CreateGroup struct {
	By       Actor
	Owner    Person
	Settings GroupSettings
	Members  []Person
	History  bool // members read what was before they joined
}

// AddMembers asks to make users members without asking them. Those who are members already are left out; Member.Joined of the others' rows
// is then the T of the answer. Refused with AlreadyMember when nobody is left.
type AddMembers struct {
	By      Actor
	Users   []Person
	History bool
}

// ApplyToJoin asks to become a member of a public group: at once, or after an answer when the group has Approval.
type ApplyToJoin struct {
	By      Actor
	Reason  string
	History bool
}

// AnswerApplication answers the application of a user.
type AnswerApplication struct {
	By      Actor
	User    domain.UserID
	Accept  bool
	Reason  string
	History bool
}

// InviteUsers asks users to become members; in a group without InviteConfirm they become members at once. Members are left out. Refused
// with AlreadyMember when nobody is left.
type InviteUsers struct {
	By      Actor
	Users   []Person
	Reason  string
	History bool
}

// AnswerInvitation answers the actor's own invitation.
type AnswerInvitation struct {
	By      Actor
	Accept  bool
	Reason  string
	History bool
}

// LeaveGroup asks to be no member any more. The owner cannot leave.
type LeaveGroup struct{ By Actor }

// RemoveMembers asks to make users members no more. Those who are none, and those whom the actor may not remove (the owner; for an admin
// the other admins), are left out; Member.Until of the others' rows is then the seq of the answer. When nobody is left it is refused
// with the reason of the first.
type RemoveMembers struct {
	By    Actor
	Users []Person // of an incarnation of 0: whichever is the member; else of none above it
}

// DestroyGroup asks to end the group for ever.
type DestroyGroup struct{ By Actor }

// ChangeGroup asks to change settings. What is so already is left out.
type ChangeGroup struct {
	By     Actor
	Change GroupChange
}

// TransferOwnership asks to make a member the owner. The old owner stays a member.
type TransferOwnership struct {
	By Actor
	To domain.UserID
}

// AddAdmin asks to make a member an admin.
type AddAdmin struct {
	By   Actor
	User domain.UserID
}

// RemoveAdmin asks to make an admin a plain member.
type RemoveAdmin struct {
	By   Actor
	User domain.UserID
}

// ShieldGroup asks to keep the group's messages from the actor's own devices, or to let them through again.
type ShieldGroup struct {
	By Actor
	On bool
}

// SendGroupMessage asks to send a message to a group: to all, or to some of its members (Directed, at most MaxDirected).
type SendGroupMessage struct {
	Sender    Sender
	Envelope  message.Envelope
	Body      message.Bytes
	Ext       message.Bytes
	Directed  []domain.UserID
	SyncOwn   bool            // true from devices; over REST as the caller says
	NoHistory []domain.UserID // REST's roam_ignore_users
	Unchecked bool            // REST does not check that the sender is a member
}

// ReadGroup asks to count all that is in the group as read by the sender.
type ReadGroup struct {
	Sender Sender
	Body   message.Bytes
}

// Recallable is what the edge knows of the message that is to be recalled, from its MessageSent.
type Recallable struct {
	Message  domain.MessageID
	Seq      domain.Seq
	From     domain.UserID
	Kind     message.Kind
	Audience []domain.UserID // of a directed message
	Recalled bool            // it has been recalled already
}

// RecallMessage asks to take a message back: by its sender; in groups by owner and admins, in rooms by the owner, too.
type RecallMessage struct {
	Sender Sender        // who recalls. With App it is only a name
	To     domain.UserID // of a direct conversation: the other user as the sender sees it
	Target Recallable
	Window time.Duration // the app's setting: how long after sending; 0: recall is off
	Force  bool          // over REST: whatever the message's age
	App    bool          // over REST: whoever sent the message
	Ext    message.Bytes // the recaller's Meta.ext fields, encoded
	Body   message.Bytes // the recaller's MessageBody
}

// CommandName implements domain.Command.
func (CreateGroup) CommandName() string       { return "CreateGroup" }
func (AddMembers) CommandName() string        { return "AddMembers" }
func (ApplyToJoin) CommandName() string       { return "ApplyToJoin" }
func (AnswerApplication) CommandName() string { return "AnswerApplication" }
func (InviteUsers) CommandName() string       { return "InviteUsers" }
func (AnswerInvitation) CommandName() string  { return "AnswerInvitation" }
func (LeaveGroup) CommandName() string        { return "LeaveGroup" }
func (RemoveMembers) CommandName() string     { return "RemoveMembers" }
func (DestroyGroup) CommandName() string      { return "DestroyGroup" }
func (ChangeGroup) CommandName() string       { return "ChangeGroup" }
func (TransferOwnership) CommandName() string { return "TransferOwnership" }
func (AddAdmin) CommandName() string          { return "AddAdmin" }
func (RemoveAdmin) CommandName() string       { return "RemoveAdmin" }
func (ShieldGroup) CommandName() string       { return "ShieldGroup" }
func (SendGroupMessage) CommandName() string  { return "SendGroupMessage" }
func (ReadGroup) CommandName() string         { return "ReadGroup" }
func (RecallMessage) CommandName() string     { return "RecallMessage" }

func (CreateGroup) isCommand()       {}
func (AddMembers) isCommand()        {}
func (ApplyToJoin) isCommand()       {}
func (AnswerApplication) isCommand() {}
func (InviteUsers) isCommand()       {}
func (AnswerInvitation) isCommand()  {}
func (LeaveGroup) isCommand()        {}
func (RemoveMembers) isCommand()     {}
func (DestroyGroup) isCommand()      {}
func (ChangeGroup) isCommand()       {}
func (TransferOwnership) isCommand() {}
func (AddAdmin) isCommand()          {}
func (RemoveAdmin) isCommand()       {}
func (ShieldGroup) isCommand()       {}
func (SendGroupMessage) isCommand()  {}
func (ReadGroup) isCommand()         {}
func (RecallMessage) isCommand()     {}
