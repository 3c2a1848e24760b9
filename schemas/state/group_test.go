package state_test

import (
	"pgregory.net/rapid"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/user"
)

// drawGroupRow draws a row of each kind that groups have, and of what a user's stream keeps for notices.
func drawGroupRow(t *rapid.T) (domain.Kind, domain.PartID, domain.Row) {
	truth := func(name string) bool { return rapid.Bool().Draw(t, name) }
	person := conversation.Person{
		User: text[domain.UserID](t, "user"), Incarnation: domain.Incarnation(rapid.Uint32().Draw(t, "incarnation")),
	}
	answer := conversation.AskState(rapid.ByteRange(0, 3).Draw(t, "state"))
	switch rapid.IntRange(0, 4).Draw(t, "row") {
	case 0:
		row := &conversation.GroupHead{
			Head: conversation.Head{
				Kind: domain.Kind(rapid.Byte().Draw(t, "kind")), Seq: domain.Seq(number(t, "seq")), N: number(t, "n"), T: domain.T(number(t, "t")),
				ShownSeq: domain.Seq(number(t, "shown seq")), ShownT: domain.T(number(t, "shown t")), Closed: domain.Seq(number(t, "closed")),
			},
			Created: domain.T(number(t, "created")), Modified: domain.T(number(t, "modified")), Owner: text[domain.UserID](t, "owner"),
			Count: rapid.Uint32().Draw(t, "count"),
			Settings: conversation.GroupSettings{
				Name: text[string](t, "name"), Description: text[string](t, "description"), Avatar: text[string](t, "avatar"),
				Custom: text[string](t, "custom"), Public: truth("public"), Approval: truth("approval"), MemberInvites: truth("member invites"),
				InviteConfirm: truth("invite confirm"), MaxUsers: rapid.Uint32().Draw(t, "max users"),
			},
		}
		for range rapid.IntRange(0, 4).Draw(t, "admins") {
			row.Admins = append(row.Admins, text[domain.UserID](t, "admin"))
		}
		return domain.KindGroup, domain.PartHead, row
	case 1:
		row := &conversation.Member{
			User: person.User, Incarnation: person.Incarnation, From: domain.Seq(number(t, "from")), FromN: number(t, "from n"),
			Own: number(t, "own"), ReadN: number(t, "read n"), ReadOwn: number(t, "read own"), HistoryFrom: domain.Seq(number(t, "history from")),
			Until: domain.Seq(number(t, "until")), Joined: domain.T(number(t, "joined")), Shield: truth("shield"),
		}
		for range rapid.IntRange(0, 3).Draw(t, "spans") {
			row.Earlier = append(row.Earlier, conversation.Span{From: domain.Seq(number(t, "from")), Until: domain.Seq(number(t, "until"))})
		}
		return domain.KindGroup, conversation.MemberPart("ann"), row
	case 2:
		return domain.KindGroup, conversation.ApplicationPart("ann"), &conversation.Application{
			User: person, Reason: text[string](t, "reason"), T: domain.T(number(t, "t")), State: answer,
		}
	case 3:
		return domain.KindGroup, conversation.InvitationPart("ann"), &conversation.Invitation{
			User: person, By: text[domain.UserID](t, "by"), Reason: text[string](t, "reason"), T: domain.T(number(t, "t")), State: answer,
		}
	default:
		return domain.KindUser, user.CausesPart(5), &user.Causes{Last: domain.Cause{
			Partition: domain.Partition(rapid.Uint16().Draw(t, "partition")),
			Offset:    domain.Offset(rapid.Int64Range(0, 1<<62).Draw(t, "offset")), N: rapid.Uint32().Draw(t, "n"),
		}}
	}
}

// goldenRow is a row with its place, as first stored.
type goldenRow struct {
	kind domain.Kind
	id   domain.PartID
	row  domain.Row
}

// groupGoldens are as first stored. Add new ones; never change one.
var groupGoldens = map[string]goldenRow{
	"group-head": {domain.KindGroup, "", &conversation.GroupHead{
		Head: conversation.Head{
			Kind: domain.KindGroup, Seq: 300, N: 200, T: 115_964_116_992_000_003, ShownSeq: 299, ShownT: 115_964_116_991_000_003, Closed: 300,
		},
		Created: 115_964_116_990_000_003, Modified: 115_964_116_991_000_003, Owner: "ann", Admins: []domain.UserID{"bob", "cid"}, Count: 100_000,
		Settings: conversation.GroupSettings{
			Name: "Friends", Description: "of ours", Avatar: "https://x.test/a.png", Custom: "{}", Public: true, Approval: true,
			MemberInvites: true, InviteConfirm: true, MaxUsers: 200,
		},
	}},
	"group-member": {domain.KindGroup, "m/ann", &conversation.Member{
		User: "ann", Incarnation: 2, From: 10, FromN: 5, Own: 100, ReadN: 150, ReadOwn: 99, HistoryFrom: 1, Until: 300,
		Joined: 115_964_116_990_000_003, Shield: true, Earlier: []conversation.Span{{From: 2, Until: 4}, {From: 6, Until: 7}},
	}},
	"application": {domain.KindGroup, "a/ann", &conversation.Application{
		User: conversation.Person{User: "ann", Incarnation: 2}, Reason: "please", T: 115_964_116_992_000_003, State: conversation.AskPending,
	}},
	"invitation": {domain.KindGroup, "i/ann", &conversation.Invitation{
		User: conversation.Person{User: "ann", Incarnation: 2}, By: "bob", Reason: "come", T: 115_964_116_992_000_003,
		State: conversation.AskDeclined,
	}},
	"causes": {domain.KindUser, "c/5", &user.Causes{Last: domain.Cause{Partition: 5, Offset: 123_456_789, N: 2}}},
	"user-again": {domain.KindUser, "", &user.Head{
		Seq: 12, T: 115_964_116_992_000_003, Exists: true, Incarnation: 2, AuthEpoch: 3, Registered: 115_964_116_992_000_003,
		Modified: 115_964_116_992_000_003, From: 12,
	}},
}
