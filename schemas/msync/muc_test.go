package msync

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/message"
	"parley/domain/user"
)

var (
	groupStream = domain.Stream{App: "demo#chat", Kind: domain.KindGroup, A: "77"}
	byAnn       = conversation.Doer{User: "ann", Resource: "web"}
)

func joiners(users ...domain.UserID) (out []conversation.Joiner) {
	for _, u := range users {
		out = append(out, conversation.Joiner{User: u, Incarnation: 1})
	}
	return out
}

// readMUC encodes an event for a reader and reads it with the generated types.
func readMUC(t require.TestingT, st domain.Stream, body domain.Body, reader domain.UserID) (*Meta, *MUCBody) {
	ev := &domain.Event{T: 115_964_116_992_000_003, Seq: 9, Body: body}
	raw, ok := MetaOfEntry(nil, st, ev, FormOf(ev, reader), nil)
	require.True(t, ok)
	require.Equal(t, cap(raw), len(raw), "the size is known before")
	m, b := new(Meta), new(MUCBody)
	require.NoError(t, proto.Unmarshal(raw, m))
	require.NoError(t, proto.Unmarshal(m.Payload, b))
	require.Empty(t, b.ProtoReflect().GetUnknown())
	require.Equal(t, Meta_MUC, m.GetNs())
	require.Equal(t, uint64(ev.T), m.GetId())
	require.Equal(t, uint64(ev.T.Milli()), m.GetTimestamp())
	require.NotEmpty(t, m.GetFrom().GetName(), "clients lose what is from nobody")
	require.Equal(t, m.GetFrom().GetName(), b.GetFrom().GetName())
	require.Equal(t, "demo#chat", b.GetMucId().GetAppKey())
	require.Equal(t, "77", b.GetMucId().GetName())
	require.Equal(t, GroupDomain, b.GetMucId().GetDomain())
	require.False(t, b.GetIsChatroom())
	return m, b
}

func TestEventsOfGroups(t *testing.T) {
	type op = MUCBody_Operation
	added := conversation.MembersAdded{Members: joiners("bob"), By: byAnn, How: conversation.JoinAdded, Count: 2, Name: "F"}
	several := conversation.MembersAdded{Members: joiners("bob", "cid"), By: byAnn, How: conversation.JoinAdded, Count: 3, Name: "F"}
	accepted, open, invited := added, added, added
	accepted.How = conversation.JoinAccepted
	open.How, open.By = conversation.JoinOpen, conversation.Doer{User: "bob"}
	invited.How, invited.By = conversation.JoinInvited, conversation.Doer{User: "bob"}
	removed := conversation.MembersRemoved{Users: []domain.UserID{"bob"}, By: byAnn, How: conversation.LeaveRemoved, Count: 1}
	left := conversation.MembersRemoved{Users: []domain.UserID{"bob"}, By: conversation.Doer{User: "bob"}, How: conversation.LeaveLeft, Count: 1}
	gone := conversation.MembersRemoved{Users: []domain.UserID{"bob", "cid"}, How: conversation.LeaveRemoved, Count: 1}
	for name, c := range map[string]struct {
		body    domain.Body
		reader  domain.UserID
		op      op
		from    string
		to      string
		name    string
		reason  string
		count   int32
		members []string
	}{
		"created":                        {conversation.GroupCreated{By: byAnn, Settings: conversation.GroupSettings{Name: "F"}}, "ann", MUCBody_CREATE, "ann", "", "F", "", 0, nil},
		"added, to the new member":       {added, "bob", MUCBody_DIRECT_JOINED, "ann", "bob", "F", "", 0, nil},
		"added, to the others":           {added, "ann", MUCBody_PRESENCE, "bob", "", "", "", 2, nil},
		"several, to a new member":       {several, "cid", MUCBody_DIRECT_JOINED, "ann", "", "F", "", 0, nil},
		"several, to the others":         {several, "dan", MUCBody_PRESENCE, "ann", "", "", "", 3, []string{"bob", "cid"}},
		"accepted, to the applicant":     {accepted, "bob", MUCBody_APPLY_ACCEPT, "ann", "bob", "F", "", 0, nil},
		"accepted, to the others":        {accepted, "cid", MUCBody_PRESENCE, "bob", "", "", "", 2, nil},
		"an open join, to own devices":   {open, "bob", MUCBody_PRESENCE, "bob", "", "", "", 2, nil},
		"an open join, to the others":    {open, "ann", MUCBody_PRESENCE, "bob", "", "", "", 2, nil},
		"invited, to own devices":        {invited, "bob", MUCBody_PRESENCE, "bob", "", "", "", 2, nil},
		"removed, to the removed":        {removed, "bob", MUCBody_KICK, "ann", "bob", "", "", 0, nil},
		"removed, to the others":         {removed, "ann", MUCBody_ABSENCE, "bob", "", "", "", 1, nil},
		"several removed, to the others": {gone, "ann", MUCBody_ABSENCE, "@ppAdmin", "", "", "", 1, []string{"bob", "cid"}},
		"several removed, to one":        {gone, "cid", MUCBody_KICK, "@ppAdmin", "", "", "", 0, nil},
		"left, to own devices":           {left, "bob", MUCBody_ABSENCE, "bob", "", "", "", 1, nil},
		"left, to the others":            {left, "ann", MUCBody_ABSENCE, "bob", "", "", "", 1, nil},
		"destroyed":                      {conversation.GroupDestroyed{By: byAnn, Name: "F"}, "bob", MUCBody_DESTROY, "ann", "", "F", "", 0, nil},
		"an owner":                       {conversation.OwnerChanged{By: byAnn, Old: "ann", Owner: "bob"}, "bob", MUCBody_ASSIGN_OWNER, "ann", "bob", "", "", 0, nil},
		"an admin":                       {conversation.AdminAdded{By: byAnn, User: "bob"}, "bob", MUCBody_ADD_ADMIN, "ann", "bob", "", "", 0, nil},
		"an admin no more":               {conversation.AdminRemoved{User: "bob"}, "bob", MUCBody_REMOVE_ADMIN, "@ppAdmin", "bob", "", "", 0, nil},
		"an application":                 {conversation.JoinRequested{User: conversation.Person{User: "dan"}, Reason: "please"}, "ann", MUCBody_APPLY, "dan", "", "", "please", 0, nil},
		"an invitation accepted":         {conversation.InvitationAnswered{User: "dan", Inviter: "ann", Accepted: true}, "ann", MUCBody_INVITE_ACCEPT, "dan", "ann", "", "", 0, nil},
		"an invitation declined":         {conversation.InvitationAnswered{User: "dan", Inviter: "ann", Reason: "no"}, "ann", MUCBody_INVITE_DECLINE, "dan", "ann", "", "no", 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			m, b := readMUC(t, groupStream, c.body, c.reader)
			require.Equal(t, "77", m.GetTo().GetName())
			require.Equal(t, GroupDomain, m.GetTo().GetDomain())
			require.NotNil(t, b.Operation, "written even when it is 0")
			require.Equal(t, c.op, b.GetOperation())
			require.Equal(t, c.from, b.GetFrom().GetName())
			to := ""
			for _, j := range b.To {
				to += j.GetName()
			}
			require.Equal(t, c.to, to)
			require.Equal(t, c.name, b.GetMucName())
			require.Equal(t, c.reason, b.GetReason())
			require.Equal(t, c.count, b.GetMucMemberCount())
			require.Equal(t, c.members, b.Members)
			ev := &domain.Event{Body: c.body}
			require.True(t, HasNamed(ev) || FormOf(ev, c.reader) == FormAll)
		})
	}
}

func TestNotices(t *testing.T) {
	st := domain.Stream{App: "demo#chat", Kind: domain.KindUser, A: "bob"}
	m, b := readMUC(t, st, user.Noticed{Kind: user.GroupInvited, Group: "77", Name: "F", By: "ann", Reason: "come"}, "bob")
	require.Equal(t, "bob", m.GetTo().GetName())
	require.Equal(t, UserDomain, m.GetTo().GetDomain())
	require.Equal(t, MUCBody_INVITE, b.GetOperation())
	require.Equal(t, []string{"ann", "bob", "F", "come"}, []string{b.GetFrom().GetName(), b.To[0].GetName(), b.GetMucName(), b.GetReason()})
	_, b = readMUC(t, st, user.Noticed{Kind: user.GroupDeclined, Group: "77", Reason: "no"}, "bob")
	require.Equal(t, MUCBody_APPLY_DECLINE, b.GetOperation())
	require.Equal(t, []string{"@ppAdmin", "bob", "no"}, []string{b.GetFrom().GetName(), b.To[0].GetName(), b.GetReason()})
}

// What changed is compact JSON under the clients' names, and nothing else.
func TestChangeOfAGroup(t *testing.T) {
	_, b := readMUC(t, groupStream, conversation.GroupChanged{By: byAnn, Change: conversation.GroupChange{
		Name: new("a\n<b>"), Public: new(false), MaxUsers: new(uint32(300)),
	}}, "bob")
	require.Equal(t, MUCBody_UPDATE, b.GetOperation())
	require.Equal(t, `{"name":"a\n\u003cb\u003e","public":false,"max_users":300,"last_modified":1764001152000}`, b.GetEventInfo().GetExt())
	var all map[string]any
	_, b = readMUC(t, groupStream, conversation.GroupChanged{Change: conversation.GroupChange{
		Name: new(""), Description: new("d"), Avatar: new("a"), Custom: new("c"), Public: new(true), Approval: new(true),
		MemberInvites: new(true), InviteConfirm: new(true), MaxUsers: new(uint32(3)),
	}}, "bob")
	require.NoError(t, json.Unmarshal([]byte(b.GetEventInfo().GetExt()), &all))
	for _, key := range []string{
		"name", "description", "avatar", "custom", "public", "members_only", "allow_user_invites", "invite_need_confirm", "max_users", "last_modified",
	} {
		require.Contains(t, all, key)
	}
	require.Len(t, all, 10)
}

func TestChatOfAGroup(t *testing.T) {
	for _, c := range []conversation.Event{
		conversation.MessageSent{From: "ann", FromResource: "web", Body: message.Bytes(body(t)), Ext: message.Bytes{0x42, 0}},
		conversation.MessageRecalled{By: "ann", ByResource: "web", Body: message.Bytes(body(t)), Ext: message.Bytes{0x42, 0}},
		conversation.ConversationRead{By: "ann", ByResource: "web", Body: message.Bytes(body(t))},
	} {
		raw, ok := MetaOfEntry(nil, groupStream, &domain.Event{T: 1 << 40, Body: c}, FormAll, nil)
		require.True(t, ok)
		var m Meta
		require.NoError(t, proto.Unmarshal(raw, &m))
		require.Equal(t, Meta_CHAT, m.GetNs())
		require.Equal(t, []string{"ann", "web", "77", GroupDomain}, []string{
			m.GetFrom().GetName(), m.GetFrom().GetClientResource(), m.GetTo().GetName(), m.GetTo().GetDomain(),
		})
		require.Equal(t, body(t), m.Payload)
	}
	raw, ok := MetaOfEvent(nil, "demo#chat", &domain.Event{Body: conversation.MessageRecalled{By: "ann", To: "bob", Body: message.Bytes(body(t))}}, nil)
	require.True(t, ok)
	var m Meta
	require.NoError(t, proto.Unmarshal(raw, &m))
	require.Equal(t, []string{"bob", UserDomain}, []string{m.GetTo().GetName(), m.GetTo().GetDomain()})
}

func TestWhatHasNoWireForm(t *testing.T) {
	for _, b := range []domain.Body{
		conversation.JoinAnswered{},
		conversation.UsersInvited{},
		conversation.ShieldSet{},
		conversation.MemberAdded{},
		user.Registered{},
		user.Noticed{Kind: 99},
	} {
		dst, ok := MetaOfEntry([]byte("x"), groupStream, &domain.Event{Body: b}, FormAll, nil)
		require.False(t, ok, b.EventName())
		require.Equal(t, "x", string(dst))
	}
}

// The names of anybody are read as they were written.
func TestMUCReadsAsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := func(name string) string { return rapid.StringN(0, 20, 60).Draw(t, name) }
		m := muc{
			app: text("app"), group: text("group"), op: MUCBody_Operation(rapid.IntRange(0, 45).Draw(t, "op")),
			from: domain.UserID(text("from")), reason: text("reason"), name: text("name"), ext: []byte(text("ext")),
			room: rapid.Bool().Draw(t, "room"), said: text("said"), joined: []byte(text("joined")), count: uint32(rapid.Int32Range(0, 1<<30).Draw(t, "count")),
		}
		for range rapid.IntRange(0, 40).Draw(t, "users") {
			m.to, m.members = append(m.to, domain.UserID(text("to"))), append(m.members, domain.UserID(text("member")))
		}
		var b MUCBody
		require.NoError(t, proto.Unmarshal(m.body(), &b))
		require.Empty(t, b.ProtoReflect().GetUnknown())
		require.Equal(t, []any{m.group, m.op, m.sender(), m.reason, m.name, string(m.ext), int32(m.count)}, []any{
			b.GetMucId().GetName(), b.GetOperation(), b.GetFrom().GetName(), b.GetReason(), b.GetMucName(), b.GetEventInfo().GetExt(), b.GetMucMemberCount(),
		})
		require.Equal(t, []any{m.room, m.said, string(m.joined)}, []any{b.GetIsChatroom(), b.GetExt(), b.GetStatus().GetChatroomInfo()})
		require.Len(t, b.To, len(m.to))
		for i := range m.to {
			require.Equal(t, string(m.to[i]), b.To[i].GetName())
			require.Equal(t, string(m.members[i]), b.Members[i])
		}
	})
}
