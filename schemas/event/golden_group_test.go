package event_test

import (
	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/message"
	"parley/domain/user"
	"parley/schemas/event"
)

var (
	byAnn    = conversation.Doer{User: "ann", Resource: "webim_1"}
	settings = conversation.GroupSettings{
		Name: "Friends", Description: "of ours", Avatar: "https://x.test/a.png", Custom: "{}", Public: true, Approval: true, MemberInvites: true,
		InviteConfirm: true, MaxUsers: 200,
	}
)

// groupGoldens are as first written, too. Add new ones; never change one.
var groupGoldens = map[string]event.Record{
	"message-sent-directed": of(conversation.MessageSent{
		From: "ann", FromResource: "webim_1", ClientID: 7, Hash: 8, Kind: message.Text, SyncOwn: true, Body: message.Bytes("b"), N: 18, Own: 9,
		Audience: []domain.UserID{"bob", "cid"},
	}, 45),
	"user-registered-again": of(user.Registered{Incarnation: 2, UUID: "u", AuthEpoch: 4, From: 12}, 0),
	"message-recalled": of(conversation.MessageRecalled{
		Message: 115_964_116_992_000_003, MessageSeq: 45, From: "ann", By: "bob", ByResource: "ios_7", To: "ann", Audience: []domain.UserID{"cid"},
		ClientID: 9, Hash: 10, Ext: message.Bytes("e"), Body: message.Bytes("b"),
	}, 46),
	"group-created": of(conversation.GroupCreated{
		By: byAnn, Owner: conversation.Person{User: "ann", Incarnation: 1}, Settings: settings,
	}, 1),
	"members-added": of(conversation.MembersAdded{
		Members: []conversation.Joiner{
			{User: "bob", Incarnation: 1},
			{User: "cid", Incarnation: 2, Earlier: []conversation.Span{{From: 2, Until: 9}, {From: 20, Until: 300}}},
		},
		By: byAnn, How: conversation.JoinAdded, From: 302, HistoryFrom: 1, N: 100, Count: 3, Name: "Friends",
	}, 302),
	"members-added-by-app": of(conversation.MembersAdded{
		Members: []conversation.Joiner{{User: "bob", Incarnation: 1}}, How: conversation.JoinAdded, From: 2, HistoryFrom: 2, Count: 2,
	}, 2),
	"members-removed": of(conversation.MembersRemoved{
		Users: []domain.UserID{"bob", "cid"}, By: byAnn, How: conversation.LeaveRemoved, Count: 1,
	}, 303),
	"group-destroyed": of(conversation.GroupDestroyed{By: byAnn, Name: "Friends"}, 304),
	"group-changed": of(conversation.GroupChanged{By: byAnn, Change: conversation.GroupChange{
		Name: new("F"), Description: new(""), Public: new(false), Approval: new(true), MaxUsers: new(uint32(0)),
	}}, 305),
	"group-changed-all": of(conversation.GroupChanged{By: byAnn, Change: conversation.GroupChange{
		Name: new("F"), Description: new("d"), Avatar: new("a"), Custom: new("c"), Public: new(true), Approval: new(true),
		MemberInvites: new(true), InviteConfirm: new(true), MaxUsers: new(uint32(300)),
	}}, 305),
	"owner-changed": of(conversation.OwnerChanged{By: byAnn, Old: "ann", Owner: "bob"}, 306),
	"admin-added":   of(conversation.AdminAdded{By: byAnn, User: "bob"}, 307),
	"admin-removed": of(conversation.AdminRemoved{By: byAnn, User: "bob"}, 308),
	"join-requested": of(conversation.JoinRequested{
		User: conversation.Person{User: "dan", Incarnation: 3}, Reason: "please", Audience: []domain.UserID{"ann", "bob"},
	}, 309),
	"join-answered": of(conversation.JoinAnswered{
		User: conversation.Person{User: "dan", Incarnation: 3}, By: byAnn, Accepted: true, Reason: "welcome", Name: "Friends",
	}, 0),
	"users-invited": of(conversation.UsersInvited{
		Users: []conversation.Person{{User: "dan", Incarnation: 3}, {User: "eve", Incarnation: 1}}, By: byAnn, Reason: "come", Name: "Friends",
	}, 0),
	"invitation-answered": of(conversation.InvitationAnswered{
		User: "dan", Resource: "ios_7", Inviter: "ann", Accepted: true, Reason: "yes",
	}, 310),
	"shield-set": of(conversation.ShieldSet{User: "dan", On: true}, 0),
	"noticed": of(user.Noticed{
		Kind: user.GroupInvited, Incarnation: 3, Group: "1234567890", Name: "Friends", By: "ann", Reason: "come",
		Cause: domain.Cause{Partition: 5, Offset: 123_456_789, N: 2},
	}, 4),
}
