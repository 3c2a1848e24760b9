package rest_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
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
	"parley/domain/user"
	"parley/ingest/rest"
	"parley/schemas/msync"
)

// text sends a text and returns its id.
func (r *rig) text(from, to, msg string, more ...any) string {
	r.t.Helper()
	body := map[string]any{"from": from, "to": []string{to}, "type": "txt", "body": map[string]any{"msg": msg}}
	for i := 0; i+1 < len(more); i += 2 {
		body[more[i].(string)] = more[i+1]
	}
	return r.ok("POST", "~/messages/users", body)["data"].(map[string]any)[to].(string)
}

// stored returns the message of an id, from the log's read models.
func (r *rig) stored(id string) conversation.MessageSent {
	r.t.Helper()
	n, err := strconv.ParseUint(id, 10, 64)
	require.NoError(r.t, err)
	_, ev, err := shared.queries.MessageByID(r.t.Context(), domain.MessageID(n))
	require.NoError(r.t, err)
	require.Equal(r.t, domain.T(n), ev.T)
	return ev.Body.(conversation.MessageSent)
}

func TestSend(t *testing.T) {
	r := newRig(t)
	r.user("ana", "bo", "cy")
	m := r.ok("POST", "~/messages/users", map[string]any{
		"from": "Ana", "to": []string{"bo", "cy", "BO"}, "type": "txt", "body": map[string]any{"msg": "你好 👋"}, "ext": map[string]any{"n": 7},
	})
	data := m["data"].(map[string]any)
	require.ElementsMatch(t, []string{"bo", "cy"}, keys(data))
	require.ElementsMatch(t, append([]string{"data"}, envelopeKeys...), keys(m))
	for _, to := range []string{"bo", "cy"} {
		sent := r.stored(data[to].(string))
		require.Equal(t, []any{domain.UserID("ana"), domain.UserID(to), domain.Resource(""), false, true}, []any{sent.From, sent.To, sent.FromResource, sent.SyncOwn, sent.Counted})
		var body msync.MessageBody
		require.NoError(t, proto.Unmarshal(sent.Body, &body))
		require.Equal(t, []any{"ana", to, "你好 👋"}, []any{body.GetFrom().GetName(), body.GetTo().GetName(), body.GetContents()[0].GetText()})
		require.Equal(t, "n", body.GetExt()[0].GetKey())
	}
	require.True(t, r.stored(r.text("ana", "bo", "x", "sync_device", true)).SyncOwn)
	require.Equal(t, []domain.UserID{"bo"}, r.stored(r.text("ana", "bo", "x", "roam_ignore_users", []string{"Bo"})).NoHistory)

	m = r.ok("POST", "~/messages/users", map[string]any{"to": []string{"nobody"}, "type": "cmd", "body": map[string]any{"action": "a"}})
	sent := r.stored(m["data"].(map[string]any)["nobody"].(string))
	require.Equal(t, domain.UserID("admin"), sent.From, "the sender when there is none; neither account exists")
	require.False(t, sent.Counted)
}

func TestSendOnline(t *testing.T) {
	r := newRig(t)
	r.user("ana")
	id := r.text("ana", "bo", "now or never", "routetype", "ROUTE_ONLINE", "sync_device", true)
	require.Len(t, r.people.shown, 1)
	got := r.people.shown[0]
	require.Equal(t, domain.DirectStream(r.app, "ana", "bo"), got.stream)
	require.Equal(t, id, strconv.FormatUint(uint64(got.event.T), 10))
	require.GreaterOrEqual(t, got.event.T.Number(), domain.FirstNode)
	sent := got.event.Body.(conversation.MessageSent)
	require.Equal(t, []any{domain.UserID("ana"), true, false}, []any{sent.From, sent.SyncOwn, sent.Counted})
}

func TestMessageVolume(t *testing.T) {
	r := newRig(t, func(c *rest.Config) { c.Settings.MessagesPerMinute = 3 })
	send := func(to ...string) answer {
		return r.do("POST", "~/messages/users", r.token, map[string]any{"to": to, "type": "txt", "body": map[string]any{"msg": "x"}})
	}
	require.Equal(t, 200, send("a", "b").status)
	a := send("a", "b")
	require.Equal(t, []any{403, "message send reach limit"}, []any{a.status, a.json["error_description"]})
	require.Equal(t, 200, send("a").status, "one more fits")
}

// An owner that moved before it answered is asked again, and the message is there once.
func TestSendAgainAfterMove(t *testing.T) {
	lost := &forgetful{Owners: shared.owners}
	r := newRig(t, func(c *rest.Config) { c.Owners = lost })
	r.user("ana", "bo")
	lost.lose.Store(2)
	id := r.text("ana", "bo", "once")
	require.EqualValues(t, 0, lost.lose.Load())
	require.Equal(t, []string{id}, r.history("ana", "bo", map[string]any{"is_positive": true}).ids)

	lost.lose.Store(1)
	r.user("cy") // a registration whose answer was lost is ours all the same
	lost.lose.Store(1)
	require.Equal(t, []string{"cy"}, entities(r.ok("DELETE", "~/users/cy", nil)))
}

// page is a page of history, decoded.
type page struct {
	ids  []string
	msgs []string
	next string
	last bool
}

func (r *rig) history(me, peer string, more map[string]any) page {
	r.t.Helper()
	body := map[string]any{"queue": peer + "@easemob.com", "start": -1, "end": -1}
	maps.Copy(body, more)
	a := r.do("POST", "~/users/"+me+"/messageroaming", r.userToken(strings.ToLower(me)), body)
	require.Equal(r.t, 200, a.status, a.text)
	data := a.json["data"].(map[string]any)
	require.ElementsMatch(r.t, []string{"msgs", "next_key", "is_last"}, keys(data))
	p := page{next: data["next_key"].(string), last: data["is_last"].(bool)}
	for _, m := range data["msgs"].([]any) {
		raw, err := base64.StdEncoding.DecodeString(m.(map[string]any)["msg"].(string))
		require.NoError(r.t, err)
		meta, err := msync.DecodeMeta(raw)
		require.NoError(r.t, err)
		require.Equal(r.t, msync.Meta_CHAT, meta.NS)
		require.Equal(r.t, string(r.app), string(meta.From.AppKey))
		p.ids = append(p.ids, strconv.FormatUint(meta.ID, 10))
		var body msync.MessageBody
		require.NoError(r.t, proto.Unmarshal(meta.Payload, &body))
		p.msgs = append(p.msgs, body.GetContents()[0].GetText())
	}
	return p
}

func TestHistory(t *testing.T) {
	r := newRig(t)
	r.user("ana", "bo", "eve")
	var ids []string
	for i := range 45 {
		from, to := "ana", "bo"
		if i%3 == 0 {
			from, to = to, from
		}
		ids = append(ids, r.text(from, to, fmt.Sprintf("历史 %d", i)))
	}
	newest := slices.Clone(ids)
	slices.Reverse(newest)

	for _, size := range []int{1, 7, 15, 20, 45, 50, 500} {
		for forward, want := range map[bool][]string{true: ids, false: newest} {
			var got []string
			start := any(-1)
			for n := 0; ; n++ {
				require.Less(t, n, 50)
				p := r.history("Ana", "BO", map[string]any{"start": start, "pull_number": size, "is_positive": forward})
				require.LessOrEqual(t, len(p.ids), min(size, 50))
				got = append(got, p.ids...)
				if p.last {
					break
				}
				require.Len(t, p.ids, min(size, 50))
				start = p.next
			}
			require.Equal(t, want, got, "pages of %d, forward %v", size, forward)
		}
	}
	require.Equal(t, newest[:20], r.history("bo", "ana", nil).ids, "the old call: newest first, 20")
	number := json.Number(ids[9])
	require.Equal(t, ids[10:15], r.history("ana", "bo", map[string]any{"start": number, "pull_number": 5, "is_positive": true}).ids)
	nulls := map[string]any{"startTime": nil, "endTime": nil, "userId": nil, "msgType": "", "start": ""}
	require.Equal(t, newest[:20], r.history("ana", "bo", nulls).ids)

	empty := page{last: true}
	require.Equal(t, empty, r.history("eve", "bo", nil), "no member")
	require.Equal(t, empty, r.history("eve", "nobody", nil))
	require.Equal(t, 403, r.do("POST", "~/users/ana/messageroaming", r.userToken("eve"), map[string]any{"queue": "bo@easemob.com"}).status)
	require.Equal(t, 200, r.do("POST", "~/users/ana/messageroaming", r.token, map[string]any{"queue": "bo@easemob.com"}).status, "the app may")
}

func TestHistoryFilters(t *testing.T) {
	r := newRig(t)
	r.user("ana", "bo")
	one := r.text("ana", "bo", "one")
	m := r.ok("POST", "~/messages/users", map[string]any{"from": "bo", "to": []string{"ana"}, "type": "loc", "body": map[string]any{"lat": 1.5, "lng": "2.5"}})
	place := m["data"].(map[string]any)["ana"].(string)
	r.ok("POST", "~/messages/users", map[string]any{"from": "bo", "to": []string{"ana"}, "type": "cmd", "body": map[string]any{"action": "x"}})
	time.Sleep(5 * time.Millisecond)
	between := time.Now().UnixMilli()
	time.Sleep(5 * time.Millisecond)
	two := r.text("ana", "bo", "two")
	hidden := r.text("ana", "bo", "not in bo's", "roam_ignore_users", []string{"bo"})

	up := func(me, peer string, more map[string]any) []string {
		more["is_positive"] = true
		return r.history(me, peer, more).ids
	}
	require.Equal(t, []string{one, place, two, hidden}, up("ana", "bo", map[string]any{}))
	require.Equal(t, []string{one, place, two}, up("bo", "ana", map[string]any{}))
	require.Equal(t, []string{one, two}, up("bo", "ana", map[string]any{"msgType": "txt"}))
	require.Equal(t, []string{place}, up("bo", "ana", map[string]any{"msgType": "loc,img"}))
	require.Equal(t, []string{one, place}, up("bo", "ana", map[string]any{"endTime": between}))
	require.Equal(t, []string{two}, up("bo", "ana", map[string]any{"startTime": fmt.Sprint(between)}))
	require.Equal(t, []string{one, place, two}, up("bo", "ana", map[string]any{"startTime": -1, "endTime": 1 << 60}))
}

// Whoever registers a name anew sees nothing of what the name had before.
func TestHistoryOfANameMadeAnew(t *testing.T) {
	r := newRig(t)
	r.user("ana", "bo")
	old := r.text("ana", "bo", "old")
	r.ok("DELETE", "~/users/bo", nil)
	r.user("bo")
	require.Equal(t, page{last: true}, r.history("bo", "ana", nil))
	r.ok("POST", "~/messages/users", map[string]any{"from": "ana", "to": []string{"bo"}, "type": "cmd", "body": map[string]any{"action": "x"}})
	require.Empty(t, r.channels("bo", ""), "a member from here on, and nothing to show yet")
	fresh := r.text("ana", "bo", "new")
	require.Equal(t, []string{fresh}, r.history("bo", "ana", nil).ids)
	require.Equal(t, []string{fresh, old}, r.history("ana", "bo", nil).ids)
	require.EqualValues(t, 1, r.channels("bo", "")[0]["unread_num"])
}

// channels returns the conversations of a page.
func (r *rig) channels(me, query string) (out []map[string]any) {
	r.t.Helper()
	a := r.do("GET", "~/sdk/user/"+me+"/user_channels/list?need_mark=true&needEmptySession=false"+query, r.userToken(me), nil)
	require.Equal(r.t, 200, a.status, a.text)
	for _, c := range a.json["data"].(map[string]any)["channel_infos"].([]any) {
		out = append(out, c.(map[string]any))
	}
	return out
}

func TestConversations(t *testing.T) {
	r := newRig(t)
	r.user("ana", "bo", "cy", "eve")
	require.Empty(t, r.channels("ana", ""))
	r.text("bo", "ana", "b1")
	r.text("cy", "ana", "c1")
	last := r.text("bo", "ana", "最后 👋", "ext", map[string]any{"k": "v"})
	r.ok("POST", "~/messages/users", map[string]any{"from": "cy", "to": []string{"ana"}, "type": "cmd", "body": map[string]any{"action": "x"}})
	got := r.channels("ana", "")
	require.Len(t, got, 2)
	require.Equal(t, []any{"bo", "chat", false, 0.0, 2.0, []any{}},
		[]any{got[0]["session_to"], got[0]["session_type"], got[0]["is_top"], got[0]["update_top_status_time"], got[0]["unread_num"], got[0]["marks"]})
	require.Equal(t, []any{"cy", 1.0}, []any{got[1]["session_to"], got[1]["unread_num"]})
	meta := got[0]["meta"].(map[string]any)
	require.ElementsMatch(t, []string{"id", "from", "to", "timestamp", "payload"}, keys(meta))
	require.Equal(t, []any{last, "bo", "ana"}, []any{meta["id"], meta["from"], meta["to"]})
	var payload map[string]any
	require.NoError(t, json.Unmarshal([]byte(meta["payload"].(string)), &payload), "payload is JSON in a string")
	require.Equal(t, "最后 👋", payload["bodies"].([]any)[0].(map[string]any)["msg"])
	require.Equal(t, map[string]any{"k": "v"}, payload["ext"])
	require.Equal(t, "chat", payload["type"])
	require.EqualValues(t, 0, r.channels("bo", "")[0]["unread_num"], "one's own are read")
	require.Empty(t, r.channels("ana", "&is_top=true"))
	require.Empty(t, r.channels("eve", ""))

	old := func(path string) []any {
		return r.do("GET", "~/users/ana/user_channels"+path, r.userToken("ana"), nil).json["data"].(map[string]any)["channel_infos"].([]any)
	}
	first := old("")[0].(map[string]any)
	require.Equal(t, []any{string(r.app) + "_bo@easemob.com", 2.0, meta}, []any{first["channel_id"], first["unread_num"], first["meta"]})
	require.Len(t, old(""), 2)
	require.Len(t, old("/page?pageNum=2&pageSize=1"), 1)
	require.Empty(t, old("/page?pageNum=9&pageSize=1"))
}

func TestConversationOfWhoReads(t *testing.T) {
	r := newRig(t)
	r.user("ana", "bo")
	for range 3 {
		r.text("bo", "ana", "x")
	}
	require.EqualValues(t, 3, r.channels("ana", "")[0]["unread_num"])
	done := make(chan domain.Result, 1)
	shared.owners.Submit(domain.Request{
		Stream: domain.DirectStream(r.app, "ana", "bo"), Done: func(res domain.Result) { done <- res },
		Command: conversation.ReadConversation{
			Sender: conversation.Sender{User: "ana", Incarnation: 1}, To: conversation.Recipient{User: "bo", Incarnation: 1},
		},
	})
	res := <-done
	require.NoError(t, res.Err)
	require.NoError(t, shared.runner.Wait(t.Context(), res.Position.Partition, res.Position.Index))
	require.EqualValues(t, 0, r.channels("ana", "")[0]["unread_num"])
}

// The list shows the last message that its reader's history shows.
func TestConversationWithoutHistory(t *testing.T) {
	r := newRig(t)
	r.user("ana", "bo", "cy")
	shown := r.text("ana", "bo", "shown")
	hidden := r.text("ana", "bo", "hidden", "roam_ignore_users", []string{"bo"})
	r.text("ana", "cy", "hidden", "roam_ignore_users", []string{"cy"})
	id := func(me, peer string) any {
		for _, c := range r.channels(me, "") {
			if c["session_to"] == peer {
				return c["meta"].(map[string]any)["id"]
			}
		}
		return "no conversation"
	}
	require.Equal(t, []any{shown, hidden}, []any{id("bo", "ana"), id("ana", "bo")})
	require.Nil(t, id("cy", "ana"))
}

func TestConversationPages(t *testing.T) {
	r := newRig(t, func(c *rest.Config) { c.Settings.Conversations = 7 })
	r.user("ana")
	var want []string
	for i := range 9 {
		want = append(want, fmt.Sprintf("peer%d", i))
		r.text("ana", want[i], "hello") // accounts or not
	}
	slices.Reverse(want)
	var got []string
	cursor := ""
	for n := 0; ; n++ {
		a := r.do("GET", "~/sdk/user/ana/user_channels/list?limit=3&cursor="+cursor, r.userToken("ana"), nil)
		data := a.json["data"].(map[string]any)
		for _, c := range data["channel_infos"].([]any) {
			got = append(got, c.(map[string]any)["session_to"].(string))
		}
		next, there := data["cursor"].(string)
		require.True(t, there, "the cursor is empty at the end, but there")
		if cursor = next; cursor == "" {
			require.Equal(t, 2, n)
			break
		}
	}
	require.Equal(t, want[:7], got, "newest first, and the cap")
	require.Len(t, r.channels("ana", "&limit=1000"), 7)
}

func TestOnlyAHashIsKept(t *testing.T) {
	r := newRig(t)
	r.user("ana")
	rows, err := shared.owners.Heads(t.Context(), []domain.StreamID{domain.UserStream(r.app, "ana")})
	require.NoError(t, err)
	require.True(t, rows[0].(*user.Head).Exists)
	require.NotContains(t, string(rows[0].(*user.Head).Password), "p\x00", "only a hash is kept")
	require.True(t, strings.HasPrefix(string(rows[0].(*user.Head).Password), "$2a$"))
}
