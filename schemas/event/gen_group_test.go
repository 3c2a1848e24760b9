package event_test

import (
	"maps"

	"pgregory.net/rapid"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/message"
	"parley/domain/user"
)

// union returns the entries of both.
func union[V any](a, b map[string]V) map[string]V {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}

func maybe[V any](t *rapid.T, draw func() V) *V {
	if rapid.Bool().Draw(t, "set") {
		return nil
	}
	return new(draw())
}

func drawBool(t *rapid.T) bool { return rapid.Bool().Draw(t, "truth") }

func drawPerson(t *rapid.T) conversation.Person {
	return conversation.Person{
		User: text[domain.UserID](t, "user"), Incarnation: domain.Incarnation(rapid.Uint32().Draw(t, "incarnation")),
	}
}

func drawPersons(t *rapid.T) (out []conversation.Person) {
	for range rapid.IntRange(0, 3).Draw(t, "persons") {
		out = append(out, drawPerson(t))
	}
	return out
}

func drawDoer(t *rapid.T) conversation.Doer {
	return conversation.Doer{User: text[domain.UserID](t, "by"), Resource: text[domain.Resource](t, "by resource")}
}

func drawJoiners(t *rapid.T) (out []conversation.Joiner) {
	for _, p := range drawPersons(t) {
		j := conversation.Joiner{User: p.User, Incarnation: p.Incarnation}
		for range rapid.IntRange(0, 3).Draw(t, "spans") {
			j.Earlier = append(j.Earlier, conversation.Span{From: domain.Seq(number(t, "from")), Until: domain.Seq(number(t, "until"))})
		}
		out = append(out, j)
	}
	return out
}

func drawSettings(t *rapid.T) conversation.GroupSettings {
	return conversation.GroupSettings{
		Name: text[string](t, "name"), Description: text[string](t, "description"), Avatar: text[string](t, "avatar"),
		Custom: text[string](t, "custom"), Public: drawBool(t), Approval: drawBool(t), MemberInvites: drawBool(t),
		InviteConfirm: drawBool(t), MaxUsers: rapid.Uint32().Draw(t, "max users"),
	}
}

func drawChange(t *rapid.T) conversation.GroupChange {
	words := func() string { return text[string](t, "text") }
	truth := func() bool { return drawBool(t) }
	return conversation.GroupChange{
		Name: maybe(t, words), Description: maybe(t, words), Avatar: maybe(t, words), Custom: maybe(t, words),
		Public: maybe(t, truth), Approval: maybe(t, truth), MemberInvites: maybe(t, truth), InviteConfirm: maybe(t, truth),
		MaxUsers: maybe(t, func() uint32 { return rapid.Uint32().Draw(t, "max users") }),
	}
}

// groupBodies draws an event of each kind that groups have, and notices.
var groupBodies = map[string]func(*rapid.T) domain.Body{
	"MessageRecalled": func(t *rapid.T) domain.Body {
		return conversation.MessageRecalled{
			Message: domain.T(number(t, "message")), MessageSeq: domain.Seq(number(t, "message seq")), From: text[domain.UserID](t, "from"),
			By: text[domain.UserID](t, "by"), ByResource: text[domain.Resource](t, "by resource"), To: text[domain.UserID](t, "to"),
			Audience: users(t, "audience"), ClientID: number(t, "client id"), Hash: number(t, "hash"),
			Ext: some[message.Bytes](t, "ext"), Body: some[message.Bytes](t, "body"),
		}
	},
	"GroupCreated": func(t *rapid.T) domain.Body {
		return conversation.GroupCreated{By: drawDoer(t), Owner: drawPerson(t), Settings: drawSettings(t)}
	},
	"MembersAdded": func(t *rapid.T) domain.Body {
		return conversation.MembersAdded{
			Members: drawJoiners(t), By: drawDoer(t), How: conversation.JoinHow(rapid.ByteRange(0, 4).Draw(t, "how")),
			From: domain.Seq(number(t, "from")), HistoryFrom: domain.Seq(number(t, "history from")), N: number(t, "n"),
			Count: rapid.Uint32().Draw(t, "count"), Name: text[string](t, "name"),
		}
	},
	"MembersRemoved": func(t *rapid.T) domain.Body {
		return conversation.MembersRemoved{
			Users: users(t, "users"), By: drawDoer(t), How: conversation.LeaveHow(rapid.ByteRange(0, 2).Draw(t, "how")),
			Count: rapid.Uint32().Draw(t, "count"),
		}
	},
	"GroupDestroyed": func(t *rapid.T) domain.Body {
		return conversation.GroupDestroyed{By: drawDoer(t), Name: text[string](t, "name")}
	},
	"GroupChanged": func(t *rapid.T) domain.Body {
		return conversation.GroupChanged{By: drawDoer(t), Change: drawChange(t)}
	},
	"OwnerChanged": func(t *rapid.T) domain.Body {
		return conversation.OwnerChanged{By: drawDoer(t), Old: text[domain.UserID](t, "old"), Owner: text[domain.UserID](t, "owner")}
	},
	"AdminAdded": func(t *rapid.T) domain.Body {
		return conversation.AdminAdded{By: drawDoer(t), User: text[domain.UserID](t, "user")}
	},
	"AdminRemoved": func(t *rapid.T) domain.Body {
		return conversation.AdminRemoved{By: drawDoer(t), User: text[domain.UserID](t, "user")}
	},
	"JoinRequested": func(t *rapid.T) domain.Body {
		return conversation.JoinRequested{User: drawPerson(t), Reason: text[string](t, "reason"), Audience: users(t, "audience")}
	},
	"JoinAnswered": func(t *rapid.T) domain.Body {
		return conversation.JoinAnswered{
			User: drawPerson(t), By: drawDoer(t), Accepted: drawBool(t), Reason: text[string](t, "reason"), Name: text[string](t, "name"),
		}
	},
	"UsersInvited": func(t *rapid.T) domain.Body {
		return conversation.UsersInvited{
			Users: drawPersons(t), By: drawDoer(t), Reason: text[string](t, "reason"), Name: text[string](t, "name"),
		}
	},
	"InvitationAnswered": func(t *rapid.T) domain.Body {
		return conversation.InvitationAnswered{
			User: text[domain.UserID](t, "user"), Resource: text[domain.Resource](t, "resource"),
			Inviter: text[domain.UserID](t, "inviter"), Accepted: drawBool(t), Reason: text[string](t, "reason"),
		}
	},
	"ShieldSet": func(t *rapid.T) domain.Body {
		return conversation.ShieldSet{User: text[domain.UserID](t, "user"), On: drawBool(t)}
	},
	"Noticed": func(t *rapid.T) domain.Body {
		return user.Noticed{
			Kind: user.NoticeKind(rapid.ByteRange(0, 2).Draw(t, "kind")), Incarnation: domain.Incarnation(rapid.Uint32().Draw(t, "incarnation")),
			Group: text[string](t, "group"), Name: text[string](t, "name"), By: text[domain.UserID](t, "by"),
			Reason: text[string](t, "reason"), Cause: drawCause(t),
		}
	},
}
