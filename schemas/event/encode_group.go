package event

import (
	"google.golang.org/protobuf/encoding/protowire"

	"parley/domain"
	"parley/domain/conversation"
	"parley/schemas/internal/wire"
)

// Numbers of Event.body, of groups.
const (
	fieldMessageRecalled    = 15
	fieldGroupCreated       = 16
	fieldMembersAdded       = 17
	fieldMembersRemoved     = 18
	fieldGroupDestroyed     = 19
	fieldGroupChanged       = 20
	fieldOwnerChanged       = 21
	fieldAdminAdded         = 22
	fieldAdminRemoved       = 23
	fieldJoinRequested      = 24
	fieldJoinAnswered       = 25
	fieldUsersInvited       = 26
	fieldInvitationAnswered = 27
	fieldShieldSet          = 28
)

// appendGroupBody appends the body of an event of groups. ok is false when it is none.
func appendGroupBody(dst []byte, body domain.Body) (out []byte, ok bool) {
	switch b := body.(type) {
	case conversation.MessageRecalled:
		return appendMessageRecalled(dst, &b), true
	case conversation.GroupCreated:
		return appendGroupCreated(dst, &b), true
	case conversation.MembersAdded:
		return appendMembersAdded(dst, &b), true
	case conversation.MembersRemoved:
		return appendMembersRemoved(dst, &b), true
	case conversation.GroupDestroyed:
		return appendDone(dst, fieldGroupDestroyed, b.By, b.Name, ""), true
	case conversation.GroupChanged:
		return appendGroupChanged(dst, &b), true
	case conversation.OwnerChanged:
		return appendDone(dst, fieldOwnerChanged, b.By, string(b.Old), string(b.Owner)), true
	case conversation.AdminAdded:
		return appendDone(dst, fieldAdminAdded, b.By, string(b.User), ""), true
	case conversation.AdminRemoved:
		return appendDone(dst, fieldAdminRemoved, b.By, string(b.User), ""), true
	case conversation.JoinRequested:
		return appendJoinRequested(dst, &b), true
	case conversation.JoinAnswered:
		return appendJoinAnswered(dst, &b), true
	case conversation.UsersInvited:
		return appendUsersInvited(dst, &b), true
	case conversation.InvitationAnswered:
		return appendInvitationAnswered(dst, &b), true
	case conversation.ShieldSet:
		dst, at := wire.Open(dst, fieldShieldSet)
		dst = wire.AppendString(dst, 1, string(b.User))
		return wire.Close(wire.AppendBool(dst, 2, b.On), at), true
	default:
		return dst, false
	}
}

func appendMessageRecalled(dst []byte, b *conversation.MessageRecalled) []byte {
	dst, at := wire.Open(dst, fieldMessageRecalled)
	dst = wire.AppendFixed64(dst, 1, uint64(b.Message))
	dst = wire.AppendVarint(dst, 2, uint64(b.MessageSeq))
	dst = wire.AppendString(dst, 3, string(b.From))
	dst = wire.AppendString(dst, 4, string(b.By))
	dst = wire.AppendString(dst, 5, string(b.ByResource))
	dst = wire.AppendString(dst, 6, string(b.To))
	dst = appendUsers(dst, 7, b.Audience)
	dst = wire.AppendVarint(dst, 8, b.ClientID)
	dst = wire.AppendFixed64(dst, 9, b.Hash)
	dst = wire.AppendBytes(dst, 10, b.Ext)
	dst = wire.AppendBytes(dst, 11, b.Body)
	return wire.Close(dst, at)
}

func appendGroupCreated(dst []byte, b *conversation.GroupCreated) []byte {
	dst, at := wire.Open(dst, fieldGroupCreated)
	dst = appendDoer(dst, 1, b.By)
	dst = wire.AppendPerson(dst, 2, b.Owner)
	dst, inner := wire.Open(dst, 3)
	dst = wire.AppendGroupSettings(dst, 1, &b.Settings)
	return wire.Close(wire.Close(dst, inner), at)
}

func appendMembersAdded(dst []byte, b *conversation.MembersAdded) []byte {
	dst, at := wire.Open(dst, fieldMembersAdded)
	for i := range b.Members {
		dst = appendJoiner(dst, &b.Members[i])
	}
	dst = appendDoer(dst, 2, b.By)
	dst = wire.AppendVarint(dst, 3, uint64(b.How))
	dst = wire.AppendVarint(dst, 4, uint64(b.From))
	dst = wire.AppendVarint(dst, 5, uint64(b.HistoryFrom))
	dst = wire.AppendVarint(dst, 6, b.N)
	dst = wire.AppendVarint(dst, 7, uint64(b.Count))
	dst = wire.AppendString(dst, 8, b.Name)
	return wire.Close(dst, at)
}

func appendJoiner(dst []byte, j *conversation.Joiner) []byte {
	dst, at := wire.Open(dst, 1)
	dst = wire.AppendString(dst, 1, string(j.User))
	dst = wire.AppendVarint(dst, 2, uint64(j.Incarnation))
	for _, span := range j.Earlier {
		dst = wire.AppendSpan(dst, 3, span)
	}
	return wire.Close(dst, at)
}

func appendMembersRemoved(dst []byte, b *conversation.MembersRemoved) []byte {
	dst, at := wire.Open(dst, fieldMembersRemoved)
	dst = appendUsers(dst, 1, b.Users)
	dst = appendDoer(dst, 2, b.By)
	dst = wire.AppendVarint(dst, 3, uint64(b.How))
	dst = wire.AppendVarint(dst, 4, uint64(b.Count))
	return wire.Close(dst, at)
}

func appendGroupChanged(dst []byte, b *conversation.GroupChanged) []byte {
	dst, at := wire.Open(dst, fieldGroupChanged)
	dst = appendDoer(dst, 1, b.By)
	dst, inner := wire.Open(dst, 2)
	c := &b.Change
	dst = appendSetText(dst, 1, c.Name)
	dst = appendSetText(dst, 2, c.Description)
	dst = appendSetText(dst, 3, c.Avatar)
	dst = appendSetText(dst, 4, c.Custom)
	dst = appendSetBool(dst, 5, c.Public)
	dst = appendSetBool(dst, 6, c.Approval)
	dst = appendSetBool(dst, 7, c.MemberInvites)
	dst = appendSetBool(dst, 8, c.InviteConfirm)
	dst = appendSetNumber(dst, 9, c.MaxUsers)
	return wire.Close(wire.Close(dst, inner), at)
}

// appendDone appends a body that is who did it and two texts.
func appendDone(dst []byte, field protowire.Number, by conversation.Doer, two, three string) []byte {
	dst, at := wire.Open(dst, field)
	dst = appendDoer(dst, 1, by)
	dst = wire.AppendString(dst, 2, two)
	return wire.Close(wire.AppendString(dst, 3, three), at)
}

func appendJoinRequested(dst []byte, b *conversation.JoinRequested) []byte {
	dst, at := wire.Open(dst, fieldJoinRequested)
	dst = wire.AppendPerson(dst, 1, b.User)
	dst = wire.AppendString(dst, 2, b.Reason)
	return wire.Close(appendUsers(dst, 3, b.Audience), at)
}

func appendJoinAnswered(dst []byte, b *conversation.JoinAnswered) []byte {
	dst, at := wire.Open(dst, fieldJoinAnswered)
	dst = wire.AppendPerson(dst, 1, b.User)
	dst = appendDoer(dst, 2, b.By)
	dst = wire.AppendBool(dst, 3, b.Accepted)
	dst = wire.AppendString(dst, 4, b.Reason)
	return wire.Close(wire.AppendString(dst, 5, b.Name), at)
}

func appendUsersInvited(dst []byte, b *conversation.UsersInvited) []byte {
	dst, at := wire.Open(dst, fieldUsersInvited)
	dst = wire.AppendPersons(dst, 1, b.Users)
	dst = appendDoer(dst, 2, b.By)
	dst = wire.AppendString(dst, 3, b.Reason)
	return wire.Close(wire.AppendString(dst, 4, b.Name), at)
}

func appendInvitationAnswered(dst []byte, b *conversation.InvitationAnswered) []byte {
	dst, at := wire.Open(dst, fieldInvitationAnswered)
	dst = wire.AppendString(dst, 1, string(b.User))
	dst = wire.AppendString(dst, 2, string(b.Resource))
	dst = wire.AppendString(dst, 3, string(b.Inviter))
	dst = wire.AppendBool(dst, 4, b.Accepted)
	return wire.Close(wire.AppendString(dst, 5, b.Reason), at)
}

// appendDoer appends a Doer, nothing for the app.
func appendDoer(dst []byte, field protowire.Number, d conversation.Doer) []byte {
	if d == (conversation.Doer{}) {
		return dst
	}
	dst, at := wire.Open(dst, field)
	dst = wire.AppendString(dst, 1, string(d.User))
	return wire.Close(wire.AppendString(dst, 2, string(d.Resource)), at)
}

// appendUsers appends names, also empty ones.
func appendUsers(dst []byte, field protowire.Number, users []domain.UserID) []byte {
	for _, u := range users {
		dst = protowire.AppendString(protowire.AppendTag(dst, field, protowire.BytesType), string(u))
	}
	return dst
}

// appendSetText appends a text that is set, also an empty one.
func appendSetText(dst []byte, field protowire.Number, v *string) []byte {
	if v == nil {
		return dst
	}
	return protowire.AppendString(protowire.AppendTag(dst, field, protowire.BytesType), *v)
}

// appendSetBool appends a truth that is set, also a false one.
func appendSetBool(dst []byte, field protowire.Number, v *bool) []byte {
	if v == nil {
		return dst
	}
	return protowire.AppendVarint(protowire.AppendTag(dst, field, protowire.VarintType), protowire.EncodeBool(*v))
}

// appendSetNumber appends a number that is set, also 0.
func appendSetNumber(dst []byte, field protowire.Number, v *uint32) []byte {
	if v == nil {
		return dst
	}
	return protowire.AppendVarint(protowire.AppendTag(dst, field, protowire.VarintType), uint64(*v))
}
