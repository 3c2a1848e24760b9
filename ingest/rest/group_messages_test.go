package rest_test

import (
	"encoding/json"
	"maps"
	"slices"
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

func textTo(from string, to []string, msg string, more map[string]any) map[string]any {
	body := map[string]any{"from": from, "to": to, "type": "txt", "body": map[string]any{"msg": msg}}
	maps.Copy(body, more)
	return body
}

// groupText sends a text to a group and returns its id.
func (r *rig) groupText(from, gid, msg string) string {
	r.t.Helper()
	return r.ok("POST", "~/messages/chatgroups", textTo(from, []string{gid}, msg, nil))["data"].(map[string]any)[gid].(string)
}

func (r *rig) groupHistory(me, gid string, more map[string]any) page {
	r.t.Helper()
	body := map[string]any{"queue": gid + "@conference.easemob.com", "is_positive": true}
	maps.Copy(body, more)
	return r.history(me, "", body)
}

func TestSendToGroups(t *testing.T) {
	r := newRig(t)
	r.user("ana", "bo")
	one, two := r.group("ana", "bo"), r.group("bo")
	m := r.ok("POST", "~/messages/chatgroups", textTo("Ana", []string{one, two, one, "777"}[:3], "hi", map[string]any{
		"ext": map[string]any{"k": 1}, "need_group_ack": true, "roam_ignore_users": []string{"bo"},
	}))
	require.ElementsMatch(t, append([]string{"data"}, envelopeKeys...), keys(m))
	data := m["data"].(map[string]any)
	require.ElementsMatch(t, []string{one, two}, keys(data))
	sent := r.stored(data[one].(string))
	require.Equal(t, []any{domain.UserID("ana"), domain.UserID(""), true, true, []domain.UserID{"bo"}},
		[]any{sent.From, sent.To, sent.SyncOwn, sent.Counted, sent.NoHistory}, "to the sender's devices by default")
	var body msync.MessageBody
	require.NoError(t, proto.Unmarshal(sent.Body, &body))
	require.Equal(t, []any{msync.MessageBody_GROUPCHAT, "ana", one, "hi", true}, []any{
		body.GetType(), body.GetFrom().GetName(), body.GetTo().GetName(), body.GetContents()[0].GetText(), body.GetMsgConfig().GetAllowGroupAck(),
	})
	require.False(t, r.stored(r.ok("POST", "~/messages/chatgroups", textTo("ana", []string{one}, "x", map[string]any{"sync_device": false}))["data"].(map[string]any)[one].(string)).SyncOwn)

	// The sender need not be a member, nor exist; of several groups those that there are get it.
	require.Equal(t, []string{two}, keys(r.ok("POST", "~/messages/chatgroups", textTo("nobody", []string{"777", two}, "x", nil))["data"].(map[string]any)))
	a := r.do("POST", "~/messages/chatgroups", r.token, textTo("ana", []string{"777"}, "x", nil))
	refused(t, a, 404, "service_resource_not_found")
	require.Equal(t, "do not find this group", a.json["error_description"])
	require.NotEmpty(t, r.ok("POST", "~/messages/chatgroups", map[string]any{"to": []string{one}, "type": "cmd", "body": map[string]any{"action": "x"}})["data"])
}

func TestSendDirected(t *testing.T) {
	r := newRig(t)
	r.user("ana", "bo", "cy")
	gid := r.group("ana", "bo", "cy")
	before := r.groupText("ana", gid, "for all")
	m := r.ok("POST", "~/messages/chatgroups/users", textTo("ana", []string{gid}, "for one", map[string]any{"users": []string{"BO", "bo"}}))
	sent := r.stored(m["data"].(map[string]any)[gid].(string))
	require.Equal(t, []any{[]domain.UserID{"bo"}, false, false}, []any{sent.Audience, sent.Counted, sent.History})
	require.Equal(t, []string{before}, r.groupHistory("bo", gid, nil).ids, "not in history")
	require.EqualValues(t, 1, r.channels("bo", "")[0]["unread_num"], "not counted")
}

func TestGroupRouteOnline(t *testing.T) {
	r := newRig(t)
	r.user("ana", "bo")
	gid := r.group("ana", "bo")
	m := r.ok("POST", "~/messages/chatgroups", textTo("ana", []string{gid, "777"}, "now", map[string]any{"routetype": "ROUTE_ONLINE"}))
	require.Equal(t, []string{gid}, keys(m["data"].(map[string]any)))
	require.Len(t, r.people.shown, 1)
	require.Equal(t, domain.GroupStream(r.app, gid), r.people.shown[0].stream)
	require.Equal(t, domain.UserID("ana"), r.people.shown[0].event.Body.(conversation.MessageSent).From)
	require.Empty(t, r.groupHistory("ana", gid, nil).ids)
	refused(t, r.do("POST", "~/messages/chatgroups", r.token, textTo("ana", []string{"777"}, "x", map[string]any{"routetype": "ROUTE_ONLINE"})), 404, "service_resource_not_found")
}

func TestGroupMessageLimit(t *testing.T) {
	now := time.Now()
	r := newRig(t, func(c *rest.Config) {
		c.Settings.GroupMessagesPerMinute = 3
		c.Now = func() time.Time { return now }
	})
	r.user("ana")
	one, two := r.group("ana"), r.group("ana")
	r.ok("POST", "~/messages/chatgroups", textTo("ana", []string{one, two}, "x", nil))
	a := r.do("POST", "~/messages/chatgroups", r.token, textTo("ana", []string{one, two}, "x", nil))
	refused(t, a, 403, "exceed_limit")
	require.Equal(t, "message send reach limit", a.json["error_description"])
	r.groupText("ana", one, "the third")
}

func TestGroupHistory(t *testing.T) {
	r := newRig(t)
	r.user("ana", "bo", "cy", "di")
	gid := r.group("ana", "bo")
	var ids []string
	for i := range 7 {
		ids = append(ids, r.groupText([]string{"ana", "bo"}[i%2], gid, strconv.Itoa(i)))
	}
	require.Equal(t, page{ids: ids[:5], msgs: []string{"0", "1", "2", "3", "4"}, next: ids[4]}, r.groupHistory("bo", gid, map[string]any{"pull_number": 5}))
	require.Equal(t, page{ids: ids[5:], msgs: []string{"5", "6"}, next: ids[6], last: true}, r.groupHistory("bo", gid, map[string]any{"start": ids[4]}))
	require.Equal(t, []string{ids[1], ids[3], ids[5]}, r.groupHistory("ana", gid, map[string]any{"userId": "BO"}).ids, "of one sender")
	require.Empty(t, r.groupHistory("ana", gid, map[string]any{"userId": "di"}).ids)
	a := r.do("POST", "~/users/di/messageroaming", r.token, map[string]any{"queue": gid + "@conference.easemob.com"})
	refused(t, a, 404, "resource_not_found")
	require.EqualValues(t, 60003, a.json["error_code"], "the SDKs know it by the code")
	refused(t, r.do("POST", "~/users/di/messageroaming", r.token, map[string]any{"queue": "777@conference.easemob.com"}), 404, "resource_not_found")

	// Who joins reads what was before; who is removed reads up to that.
	r.ok("POST", "~/chatgroups/"+gid+"/users/cy", nil)
	require.Equal(t, ids, r.groupHistory("cy", gid, nil).ids)
	r.ok("DELETE", "~/chatgroups/"+gid+"/users/bo", nil)
	after := r.groupText("ana", gid, "after")
	require.Equal(t, ids, r.groupHistory("bo", gid, nil).ids)
	require.Equal(t, append(slices.Clone(ids), after), r.groupHistory("cy", gid, nil).ids)
}

func TestGroupHistoryFromJoining(t *testing.T) {
	r := newRig(t, func(c *rest.Config) { c.Settings.GroupHistory = false })
	r.user("ana", "bo")
	gid := r.group("ana")
	r.groupText("ana", gid, "before")
	r.ok("POST", "~/chatgroups/"+gid+"/users/bo", nil)
	require.Empty(t, r.groupHistory("bo", gid, nil).ids)
	require.Empty(t, r.channels("bo", ""))
	after := r.groupText("ana", gid, "after")
	require.Equal(t, []string{after}, r.groupHistory("bo", gid, nil).ids)
}

func TestGroupConversations(t *testing.T) {
	r := newRig(t)
	r.user("ana", "bo")
	gid, quiet, left, ended := r.group("ana", "bo"), r.group("ana", "bo"), r.group("ana", "bo"), r.group("ana", "bo")
	for _, g := range []string{gid, left, ended} {
		r.groupText("ana", g, "hello")
	}
	r.ok("DELETE", "~/chatgroups/"+left+"/users/bo", nil)
	r.ok("DELETE", "~/chatgroups/"+ended, nil)
	r.text("ana", "bo", "direct")
	last := r.groupText("ana", gid, "newest")
	got := r.channels("bo", "")
	require.Len(t, got, 2, "not %s, which has no message", quiet)
	require.Equal(t, []any{gid, "groupchat", 2.0}, []any{got[0]["session_to"], got[0]["session_type"], got[0]["unread_num"]})
	require.Equal(t, []any{"ana", "chat"}, []any{got[1]["session_to"], got[1]["session_type"]})
	meta := got[0]["meta"].(map[string]any)
	require.Equal(t, []any{last, "ana", gid}, []any{meta["id"], meta["from"], meta["to"]})
	var payload map[string]any
	require.NoError(t, json.Unmarshal([]byte(meta["payload"].(string)), &payload))
	require.Equal(t, []any{"groupchat", "newest"}, []any{payload["type"], payload["bodies"].([]any)[0].(map[string]any)["msg"]})
	require.EqualValues(t, 0, r.channels("ana", "")[0]["unread_num"], "one's own are read")
	old := r.ok("GET", "~/users/bo/user_channels", nil)["data"].(map[string]any)["channel_infos"].([]any)[0].(map[string]any)
	require.Equal(t, []any{string(r.app) + "_" + gid + "@conference.easemob.com", 2.0}, []any{old["channel_id"], old["unread_num"]})
}

func recallOf(id, kind, to string, more map[string]any) map[string]any {
	body := map[string]any{"msg_id": id, "chat_type": kind, "to": to}
	maps.Copy(body, more)
	return body
}

func TestRecall(t *testing.T) {
	r := newRig(t)
	r.user("ana", "bo")
	gid := r.group("ana", "bo")
	direct, posted := r.text("ana", "bo", "secret"), r.groupText("bo", gid, "secret")
	data := r.as(r.token, "POST", "~/messages/msg_recall", recallOf(direct, "chat", "bo", map[string]any{
		"from": "Ana", "force": true, "sync_device": true, "recallMessageExtensionInfo": "sorry",
	}))
	require.Equal(t, map[string]any{"recalled": "yes", "chattype": "chat", "from": "ana", "to": "bo", "msg_id": direct}, data)
	require.Empty(t, r.history("bo", "ana", nil).ids)
	events, err := shared.queries.Entries(t.Context(), domain.DirectStream(r.app, "ana", "bo"), 2, 2, 1, 1)
	require.NoError(t, err)
	got := events[0].Body.(conversation.MessageRecalled)
	require.Equal(t, []any{domain.UserID("ana"), domain.UserID("ana"), domain.UserID("bo")}, []any{got.From, got.By, got.To})
	var body msync.MessageBody
	require.NoError(t, proto.Unmarshal(got.Body, &body))
	require.Equal(t, []any{msync.MessageBody_RECALL, direct, 1}, []any{body.GetType(), strconv.FormatUint(body.GetAckMessageId(), 10), len(body.GetContents())})
	_, err = msync.ScanBody(got.Body)
	require.NoError(t, err)
	var meta msync.Meta
	require.NoError(t, proto.Unmarshal(got.Ext, &meta))
	require.Equal(t, []any{"recallMessageExtensionInfo", "sorry"}, []any{meta.GetExt()[0].GetKey(), meta.GetExt()[0].GetStringValue()})

	data = r.as(r.token, "POST", "~/messages/recall", recallOf(posted, "group_chat", gid, nil))
	require.Equal(t, map[string]any{"recalled": "yes", "chattype": "group_chat", "from": "bo", "to": gid, "msg_id": posted}, data)
	require.Empty(t, r.groupHistory("ana", gid, nil).ids)
	require.Equal(t, map[string]any{}, r.channels("ana", "")[0]["meta"], "nor in the list")

	twice := r.do("POST", "~/messages/msg_recall", r.token, recallOf(posted, "groupchat", gid, map[string]any{"force": true}))
	refused(t, twice, 403, "message_recall_error")
	require.Equal(t, "not_found msg", twice.json["error_description"])
}

// In a direct chat an admin who is no part of it recalls in the sender's name: clients find the message by the chat.
func TestRecallByTheAdmin(t *testing.T) {
	r := newRig(t)
	r.user("ana", "bo")
	gid := r.group("ana", "bo")
	direct, posted := r.text("ana", "bo", "x"), r.groupText("bo", gid, "x")
	require.Equal(t, "ana", r.as(r.token, "POST", "~/messages/msg_recall", recallOf(direct, "chat", "bo", map[string]any{"from": "admin"})).(map[string]any)["from"])
	require.Equal(t, "admin", r.as(r.token, "POST", "~/messages/msg_recall", recallOf(posted, "group_chat", gid, map[string]any{"from": "admin"})).(map[string]any)["from"])
}

func TestRecallWindow(t *testing.T) {
	for name, c := range map[string]struct {
		window time.Duration
		text   string
	}{
		"too late": {time.Nanosecond, "exceed recall time limit"},
		"off":      {0, "message recall service is unopened"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(cfg *rest.Config) { cfg.RecallWindow = c.window })
			r.user("ana", "bo")
			id := r.text("ana", "bo", "x")
			a := r.do("POST", "~/messages/msg_recall", r.token, recallOf(id, "chat", "bo", nil))
			require.Equal(t, []any{403, c.text}, []any{a.status, a.json["error_description"]})
			require.Equal(t, "yes", r.as(r.token, "POST", "~/messages/msg_recall", recallOf(id, "chat", "bo", map[string]any{"force": true})).(map[string]any)["recalled"])
		})
	}
}

func TestBatchRecall(t *testing.T) {
	lossy := &forgetful{}
	r := newRig(t, func(c *rest.Config) { lossy.Owners = c.Owners; c.Owners = lossy })
	r.user("ana", "bo")
	gid := r.group("ana", "bo")
	direct, posted := r.text("ana", "bo", "x"), r.groupText("bo", gid, "x")
	lossy.lose.Store(2)
	list := r.as(r.token, "POST", "~/messages/batch_recall", map[string]any{"msgs": []any{
		recallOf(direct, "chat", "bo", map[string]any{"force": true}), recallOf(posted, "group_chat", gid, nil),
		recallOf(posted, "group_chat", gid, nil), recallOf("12345", "chat", "bo", nil), recallOf(direct, "x", "bo", nil),
	}}).([]any)
	var got []any
	for _, item := range list {
		require.ElementsMatch(t, []string{"recalled", "chattype", "from", "to", "msg_id"}, keys(item.(map[string]any)))
		got = append(got, item.(map[string]any)["recalled"])
	}
	require.Equal(t, []any{"yes", "yes", "not_found msg", "not_found msg", "chat_type must be chat, group_chat or chatroom"}, got)
	require.EqualValues(t, 0, lossy.lose.Load())
	events, err := shared.queries.Entries(t.Context(), domain.DirectStream(r.app, "ana", "bo"), 1, 9, 9, 1<<20)
	require.NoError(t, err)
	require.Len(t, events, 2, "once, though the answer was lost")
}

func TestGroupMessageRefusals(t *testing.T) {
	r := newRig(t)
	r.user("ana", "bo", "cy")
	gid := r.group("ana", "bo")
	direct, posted := r.text("ana", "bo", "x"), r.groupText("ana", gid, "x")
	command := r.ok("POST", "~/messages/chatgroups", map[string]any{"from": "ana", "to": []string{gid}, "type": "cmd", "body": map[string]any{"action": "x"}})["data"].(map[string]any)[gid].(string)
	other := newRig(t)
	user := r.userToken("ana")
	many := make([]string, 21)
	for i := range many {
		many[i] = "u" + strconv.Itoa(i)
	}
	with := func(k string, v any) map[string]any { return textTo("ana", []string{gid}, "x", map[string]any{k: v}) }
	batch := make([]any, 31)
	for i := range batch {
		batch[i] = recallOf(posted, "group_chat", gid, nil)
	}
	send, directed, recall := "~/messages/chatgroups", "~/messages/chatgroups/users", "~/messages/msg_recall"
	for name, c := range map[string]struct {
		rig         *rig
		path, token string
		body        any
		status      int
		error       string
	}{
		"by a user":              {r, send, user, with("x", 1), 401, "unauthorized"},
		"to none":                {r, send, r.token, with("to", []string{}), 400, "illegal_argument"},
		"to four":                {r, send, r.token, with("to", []string{"1", "2", "3", "4"}), 400, "illegal_argument"},
		"to a name":              {r, send, r.token, with("to", []string{"bo"}), 400, "illegal_argument"},
		"from nobody":            {r, send, r.token, with("from", ""), 400, "illegal_argument"},
		"of no type":             {r, send, r.token, with("type", ""), 400, "illegal_argument"},
		"too large":              {r, send, r.token, with("body", map[string]any{"msg": strings.Repeat("x", 5<<10)}), 400, "message_send_error"},
		"on another route":       {r, send, r.token, with("routetype", "X"), 400, "illegal_argument"},
		"to another app's group": {other, send, other.token, with("x", 1), 404, "service_resource_not_found"},
		"directed to nobody":     {r, directed, r.token, with("users", []string{}), 400, "illegal_argument"},
		"directed to 21":         {r, directed, r.token, with("users", many), 400, "illegal_argument"},
		"directed to no name":    {r, directed, r.token, with("users", []string{"a/b"}), 400, "illegal_argument"},
		"directed in two":        {r, directed, r.token, textTo("ana", []string{gid, "1"}, "x", map[string]any{"users": []string{"bo"}}), 400, "illegal_argument"},
		"recall by a user":       {r, recall, user, recallOf(posted, "group_chat", gid, nil), 401, "unauthorized"},
		"recall of no id":        {r, recall, r.token, recallOf("", "group_chat", gid, nil), 400, "illegal_argument"},
		"recall of letters":      {r, recall, r.token, recallOf("abc", "group_chat", gid, nil), 400, "illegal_argument"},
		"recall of no chat":      {r, recall, r.token, recallOf(posted, "", gid, nil), 400, "illegal_argument"},
		"recall by no name":      {r, recall, r.token, recallOf(posted, "group_chat", gid, map[string]any{"from": "a/b"}), 400, "illegal_argument"},
		"recall in no group":     {r, recall, r.token, recallOf(posted, "group_chat", "bo", nil), 400, "illegal_argument"},
		"recall in another":      {r, recall, r.token, recallOf(posted, "group_chat", "777", nil), 403, "message_recall_error"},
		"recall as a chat":       {r, recall, r.token, recallOf(posted, "chat", "bo", nil), 403, "message_recall_error"},
		"recall as a group":      {r, recall, r.token, recallOf(direct, "group_chat", gid, nil), 403, "message_recall_error"},
		"recall to another":      {r, recall, r.token, recallOf(direct, "chat", "cy", map[string]any{"from": "ana"}), 403, "message_recall_error"},
		"recall of a command":    {r, recall, r.token, recallOf(command, "group_chat", gid, nil), 400, "illegal_argument"},
		"recall in another app":  {other, recall, other.token, recallOf(direct, "chat", "bo", map[string]any{"from": "ana", "force": true}), 403, "message_recall_error"},
		"recall with much":       {r, recall, r.token, recallOf(posted, "group_chat", gid, map[string]any{"recallMessageExtensionInfo": strings.Repeat("x", 6000)}), 400, "illegal_argument"},
		"recall of none":         {r, "~/messages/batch_recall", r.token, `{"msgs":[]}`, 400, "illegal_argument"},
		"recall of 31":           {r, "~/messages/batch_recall", r.token, map[string]any{"msgs": batch}, 400, "illegal_argument"},
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, c.rig.do("POST", c.path, c.token, c.body), c.status, c.error)
		})
	}
	require.Equal(t, []string{posted}, r.groupHistory("bo", gid, nil).ids)
	require.Equal(t, []string{direct}, r.history("bo", "ana", nil).ids)
}
