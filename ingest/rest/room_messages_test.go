package rest_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"parley/domain"
	"parley/domain/conversation"
	"parley/ingest/rest"
	"parley/schemas/msync"
)

// roomText sends a text to a room and returns its id.
func (r *rig) roomText(from, id, msg string) string {
	r.t.Helper()
	return r.ok("POST", "~/messages/chatrooms", textTo(from, []string{id}, msg, nil))["data"].(map[string]any)[id].(string)
}

func TestSendToRooms(t *testing.T) {
	r := newRig(t)
	r.user("ana", "bo")
	one, two := r.room("ana", "bo"), r.room("bo")
	m := r.ok("POST", "~/messages/chatrooms", textTo("Bo", []string{one, two, one}, "hi", map[string]any{
		"ext": map[string]any{"k": 1}, "chatroom_msg_level": "high", "roam_ignore_users": []string{"bo"},
	}))
	require.ElementsMatch(t, append([]string{"data"}, envelopeKeys...), keys(m))
	data := m["data"].(map[string]any)
	require.ElementsMatch(t, []string{one, two}, keys(data))
	sent := r.stored(data[one].(string))
	require.Equal(t, []any{domain.UserID("bo"), domain.UserID(""), false, true, []domain.UserID{"bo"}},
		[]any{sent.From, sent.To, sent.SyncOwn, sent.History, sent.NoHistory}, "not to the sender's devices by default")
	var body msync.MessageBody
	require.NoError(t, proto.Unmarshal(sent.Body, &body))
	require.Equal(t, []any{msync.MessageBody_CHATROOM, "bo", one, "hi"}, []any{
		body.GetType(), body.GetFrom().GetName(), body.GetTo().GetName(), body.GetContents()[0].GetText(),
	})
	for level, want := range map[string]int64{"high": 0, "normal": 1, "low": 2, "": 1} {
		id := r.ok("POST", "~/messages/chatrooms", textTo("bo", []string{one}, "x", map[string]any{"chatroom_msg_level": level}))["data"].(map[string]any)[one].(string)
		var meta msync.Meta
		require.NoError(t, proto.Unmarshal(r.stored(id).Ext, &meta))
		require.Equal(t, []any{"chatroom_msg_tag", msync.KeyValue_INT, want}, []any{meta.GetExt()[0].GetKey(), meta.GetExt()[0].GetType(), meta.GetExt()[0].GetVarintValue()}, level)
	}
	own := r.ok("POST", "~/messages/chatrooms", textTo("bo", []string{one}, "x", map[string]any{"sync_device": true}))["data"].(map[string]any)[one].(string)
	require.True(t, r.stored(own).SyncOwn)

	// The sender need not view the room, nor exist; of several rooms those that there are get it.
	require.Equal(t, []string{two}, keys(r.ok("POST", "~/messages/chatrooms", textTo("nobody", []string{"777", two}, "x", nil))["data"].(map[string]any)))
	a := r.do("POST", "~/messages/chatrooms", r.token, textTo("ana", []string{"777"}, "x", nil))
	refused(t, a, 404, "service_resource_not_found")
	require.Equal(t, "do not find this group", a.json["error_description"])
	require.NotEmpty(t, r.ok("POST", "~/messages/chatrooms", map[string]any{"to": []string{one}, "type": "cmd", "body": map[string]any{"action": "x"}})["data"])
	require.Empty(t, r.channels("bo", ""), "rooms are never among the conversations")
}

func TestSendToRoomUsers(t *testing.T) {
	r := newRig(t, func(c *rest.Config) { c.RoomHistory = true })
	r.user("ana", "bo", "cy")
	id := r.room("ana", "bo", "cy")
	before := r.roomText("ana", id, "for all")
	m := r.ok("POST", "~/messages/chatrooms/users", textTo("ana", []string{id}, "for one", map[string]any{"users": []string{"BO", "bo"}}))
	sent := r.stored(m["data"].(map[string]any)[id].(string))
	require.Equal(t, []any{[]domain.UserID{"bo"}, false}, []any{sent.Audience, sent.History})
	require.Equal(t, []string{before}, r.groupHistory("bo", id, nil).ids, "not in history")
}

func TestRoomRouteOnline(t *testing.T) {
	r := newRig(t, func(c *rest.Config) { c.RoomHistory = true })
	r.user("ana", "bo")
	id := r.room("ana", "bo")
	body := textTo("ana", []string{id, "777"}, "now", map[string]any{"routetype": "ROUTE_ONLINE", "chatroom_msg_level": "low"})
	m := r.ok("POST", "~/messages/chatrooms", body)
	require.Equal(t, []string{id}, keys(m["data"].(map[string]any)))
	require.Len(t, r.people.shown, 1)
	require.Equal(t, domain.RoomStream(r.app, id), r.people.shown[0].stream)
	sent := r.people.shown[0].event.Body.(conversation.MessageSent)
	require.Equal(t, []any{domain.UserID("ana"), conversation.PriorityLow}, []any{sent.From, msync.PriorityOf(sent.Ext)})
	require.Empty(t, r.groupHistory("ana", id, nil).ids)
	body["to"] = []string{"777"}
	refused(t, r.do("POST", "~/messages/chatrooms", r.token, body), 404, "service_resource_not_found")
}

// LIF-26: low is shed first, then normal, high never; and what the allowed say is high. What is shed is never on the log.
func TestRoomShedsByPriority(t *testing.T) {
	r := newRig(t)
	r.user("ana", "bo", "cy")
	id, quiet := r.room("ana", "bo"), r.room("ana")
	r.ok("POST", "~/chatrooms/"+id+"/white/users/cy", nil)
	now := time.Now()
	r.viewing.rooms = newViewing(4, func() time.Time { return now }).rooms
	send := func(from, level string, to ...string) answer {
		return r.do("POST", "~/messages/chatrooms", r.token, textTo(from, to, "x", map[string]any{"chatroom_msg_level": level}))
	}
	shed := func(a answer) {
		t.Helper()
		refused(t, a, 429, "reach_limit")
	}
	for range 2 {
		require.Equal(t, 200, send("bo", "low", id).status)
	}
	seq := r.roomHead(id).Seq
	shed(send("bo", "low", id))
	for range 2 {
		require.Equal(t, 200, send("bo", "normal", id).status)
	}
	shed(send("bo", "normal", id))
	shed(send("bo", "", id))
	require.Equal(t, seq+2, r.roomHead(id).Seq)
	require.Equal(t, 200, send("bo", "high", id).status)
	require.Equal(t, 200, send("cy", "low", id).status, "the allowed")
	require.Equal(t, []string{quiet}, keys(send("bo", "normal", id, quiet).json["data"].(map[string]any)), "the other room takes it")
	online := textTo("bo", []string{id}, "x", map[string]any{"routetype": "ROUTE_ONLINE"})
	shed(r.do("POST", "~/messages/chatrooms", r.token, online))
	require.Empty(t, r.people.shown)
	now = now.Add(time.Second)
	require.Equal(t, 200, send("bo", "low", id).status)
}

func TestRoomMessageLimit(t *testing.T) {
	now := time.Now()
	r := newRig(t, func(c *rest.Config) {
		c.Settings.RoomMessagesPerSecond = 3
		c.Now = func() time.Time { return now }
	})
	r.user("ana")
	one, two := r.room("ana"), r.room("ana")
	both := textTo("ana", []string{one, two}, "x", nil)
	r.ok("POST", "~/messages/chatrooms", both)
	refused(t, r.do("POST", "~/messages/chatrooms", r.token, both), 429, "reach_limit")
	r.roomText("ana", one, "the third")
	now = now.Add(time.Second)
	r.ok("POST", "~/messages/chatrooms", both)
}

// HIS-04: history of rooms is off until the operator turns it on.
func TestRoomHistory(t *testing.T) {
	r := newRig(t, func(c *rest.Config) { c.RoomHistory = true })
	r.user("ana", "bo", "cy", "di")
	id := r.room("ana", "bo")
	var ids []string
	for i := range 7 {
		ids = append(ids, r.roomText([]string{"ana", "bo"}[i%2], id, strconv.Itoa(i)))
	}
	require.Equal(t, page{ids: ids[:5], msgs: []string{"0", "1", "2", "3", "4"}, next: ids[4]}, r.groupHistory("bo", id, map[string]any{"pull_number": 5}))
	require.Equal(t, page{ids: ids[5:], msgs: []string{"5", "6"}, next: ids[6], last: true}, r.groupHistory("bo", id, map[string]any{"start": ids[4]}))
	require.Equal(t, ids, r.groupHistory("ana", id, nil).ids, "the owner, who does not view it")
	require.Equal(t, []string{ids[1], ids[3], ids[5]}, r.groupHistory("ana", id, map[string]any{"userId": "BO"}).ids, "of one sender")
	hidden := r.ok("POST", "~/messages/chatrooms", textTo("ana", []string{id}, "x", map[string]any{"roam_ignore_users": []string{"bo"}}))["data"].(map[string]any)[id].(string)
	require.Equal(t, ids, r.groupHistory("bo", id, nil).ids)
	require.Equal(t, append(ids[:7:7], hidden), r.groupHistory("ana", id, nil).ids)

	a := r.do("POST", "~/users/di/messageroaming", r.token, map[string]any{"queue": id + "@conference.easemob.com"})
	refused(t, a, 404, "resource_not_found")
	require.EqualValues(t, 60003, a.json["error_code"], "the SDKs know it by the code")
	r.ok("POST", "~/chatrooms/"+id+"/users/cy", nil)
	require.Equal(t, append(ids[:7:7], hidden), r.groupHistory("cy", id, nil).ids, "from the room's beginning")
	r.ok("DELETE", "~/chatrooms/"+id+"/users/cy", nil)
	refused(t, r.do("POST", "~/users/cy/messageroaming", r.token, map[string]any{"queue": id + "@conference.easemob.com"}), 404, "resource_not_found")

	off := newRig(t)
	off.user("ana")
	closed := off.room("ana")
	a = off.do("POST", "~/users/ana/messageroaming", off.userToken("ana"), map[string]any{"queue": closed + "@conference.easemob.com"})
	refused(t, a, 400, "illegal_argument")
	require.Equal(t, "this appKey not open message roaming", a.json["error_description"], "the SDKs know it")
}

func TestRecallInRooms(t *testing.T) {
	r := newRig(t, func(c *rest.Config) { c.RoomHistory = true })
	r.user("ana", "bo")
	id := r.room("ana", "bo")
	keep, gone, forced := r.roomText("ana", id, "x"), r.roomText("bo", id, "secret"), r.roomText("bo", id, "secret, too")
	data := r.as(r.token, "POST", "~/messages/msg_recall", recallOf(gone, "chatroom", id, map[string]any{"from": "bo", "recallMessageExtensionInfo": "sorry"}))
	require.Equal(t, map[string]any{"recalled": "yes", "chattype": "chatroom", "from": "bo", "to": id, "msg_id": gone}, data)
	events, err := shared.queries.Entries(t.Context(), domain.RoomStream(r.app, id), r.roomHead(id).Seq, r.roomHead(id).Seq, 1, 1)
	require.NoError(t, err)
	var body msync.MessageBody
	require.NoError(t, proto.Unmarshal(events[0].Body.(conversation.MessageRecalled).Body, &body))
	require.Equal(t, []any{msync.MessageBody_RECALL, gone, id}, []any{body.GetType(), strconv.FormatUint(body.GetAckMessageId(), 10), body.GetTo().GetName()})
	list := r.as(r.token, "POST", "~/messages/batch_recall", map[string]any{"msgs": []any{
		recallOf(forced, "chat_room", id, map[string]any{"force": true}), recallOf(gone, "chatrooms", id, nil), recallOf(keep, "chatgroups", id, nil),
	}}).([]any)
	require.Equal(t, []any{"yes", "not_found msg", "not_found msg"}, []any{
		list[0].(map[string]any)["recalled"], list[1].(map[string]any)["recalled"], list[2].(map[string]any)["recalled"],
	})
	require.Equal(t, []string{keep}, r.groupHistory("ana", id, nil).ids)
}

func TestRoomMessageRefusals(t *testing.T) {
	r := newRig(t, func(c *rest.Config) { c.RoomHistory = true })
	r.user("ana", "bo")
	id, gid := r.room("ana", "bo"), r.group("ana", "bo")
	posted := r.roomText("ana", id, "x")
	other := newRig(t)
	user := r.userToken("ana")
	many := make([]string, 21)
	for i := range many {
		many[i] = "u" + strconv.Itoa(i)
	}
	eleven := make([]string, 11)
	for i := range eleven {
		eleven[i] = strconv.Itoa(i + 1)
	}
	with := func(k string, v any) map[string]any { return textTo("ana", []string{id}, "x", map[string]any{k: v}) }
	send, directed, recall := "~/messages/chatrooms", "~/messages/chatrooms/users", "~/messages/msg_recall"
	for name, c := range map[string]struct {
		rig         *rig
		path, token string
		body        any
		status      int
		error       string
	}{
		"by a user":              {r, send, user, with("x", 1), 401, "unauthorized"},
		"by nobody":              {r, send, "", with("x", 1), 401, "unauthorized"},
		"to none":                {r, send, r.token, with("to", []string{}), 400, "illegal_argument"},
		"to eleven":              {r, send, r.token, with("to", eleven), 400, "illegal_argument"},
		"to a name":              {r, send, r.token, with("to", []string{"bo"}), 400, "illegal_argument"},
		"to a text":              {r, send, r.token, with("to", id), 400, "illegal_argument"},
		"to a group":             {r, send, r.token, with("to", []string{gid}), 404, "service_resource_not_found"},
		"to a room as a group":   {r, "~/messages/chatgroups", r.token, with("x", 1), 404, "service_resource_not_found"},
		"to another app's room":  {other, send, other.token, with("x", 1), 404, "service_resource_not_found"},
		"from nobody":            {r, send, r.token, with("from", ""), 400, "illegal_argument"},
		"of no type":             {r, send, r.token, with("type", ""), 400, "illegal_argument"},
		"of no such level":       {r, send, r.token, with("chatroom_msg_level", "urgent"), 400, "illegal_argument"},
		"of a level of 0":        {r, send, r.token, with("chatroom_msg_level", 0), 400, "illegal_argument"},
		"too large":              {r, send, r.token, with("body", map[string]any{"msg": strings.Repeat("x", 5<<10)}), 400, "message_send_error"},
		"on another route":       {r, send, r.token, with("routetype", "X"), 400, "illegal_argument"},
		"directed to nobody":     {r, directed, r.token, with("users", []string{}), 400, "illegal_argument"},
		"directed to 21":         {r, directed, r.token, with("users", many), 400, "illegal_argument"},
		"directed to no name":    {r, directed, r.token, with("users", []string{"a/b"}), 400, "illegal_argument"},
		"directed in two":        {r, directed, r.token, textTo("ana", []string{id, "1"}, "x", map[string]any{"users": []string{"bo"}}), 400, "illegal_argument"},
		"directed in no room":    {r, directed, r.token, textTo("ana", []string{"1"}, "x", map[string]any{"users": []string{"bo"}}), 404, "service_resource_not_found"},
		"recall in no room":      {r, recall, r.token, recallOf(posted, "chatroom", "bo", nil), 400, "illegal_argument"},
		"recall in another":      {r, recall, r.token, recallOf(posted, "chatroom", "777", nil), 403, "message_recall_error"},
		"recall as a group":      {r, recall, r.token, recallOf(posted, "group_chat", id, nil), 403, "message_recall_error"},
		"recall in another app":  {other, recall, other.token, recallOf(posted, "chatroom", id, map[string]any{"force": true}), 403, "message_recall_error"},
		"history of no such id":  {r, "~/users/bo/messageroaming", r.token, map[string]any{"queue": "777@conference.easemob.com"}, 404, "resource_not_found"},
		"history of nobody":      {r, "~/users/nobody/messageroaming", r.token, map[string]any{"queue": id + "@conference.easemob.com"}, 404, "service_resource_not_found"},
		"history of another app": {other, "~/users/bo/messageroaming", other.token, map[string]any{"queue": id + "@conference.easemob.com"}, 404, "service_resource_not_found"},
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, c.rig.do("POST", c.path, c.token, c.body), c.status, c.error)
		})
	}
	require.Equal(t, []string{posted}, r.groupHistory("bo", id, nil).ids)
}
