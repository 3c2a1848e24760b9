package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"parley/delivery/gateway/client"
	"parley/schemas/msync"
)

// api makes a call of the development app with a token, and returns the status and the answer.
func (s *served) api(token, method, path string, body any) (int, map[string]any) {
	s.t.Helper()
	raw := ""
	if body != nil {
		b, err := json.Marshal(body)
		require.NoError(s.t, err)
		raw = string(b)
	}
	status, text := ask(s.t, web, method, s.rest+"/demo/chat"+path, raw, "Content-Type: application/json", "Authorization: Bearer "+token)
	var answer map[string]any
	require.NoError(s.t, json.Unmarshal([]byte(text), &answer), text)
	return status, answer
}

// made makes a call that has to succeed, and returns the answer's data.
func (s *served) made(token, method, path string, body any) any {
	s.t.Helper()
	status, answer := s.api(token, method, path, body)
	require.Equal(s.t, http.StatusOK, status, answer)
	return answer["data"]
}

// hears wants the next entry to be what is said: a text, or an event of a room.
func hears(t *testing.T, c *client.Client, want string) {
	t.Helper()
	r, err := c.Receive(within(t))
	require.NoError(t, err)
	var got string
	if e, ok := client.ReadRoomEvent(&r.Meta); ok {
		got = fmt.Sprintf("%s %s %d %s", e.Operation, e.From, e.Count, e.Ext)
	} else {
		body, err := msync.ScanBody(r.Meta.Payload)
		require.NoError(t, err)
		require.Equal(t, msync.MessageBody_CHATROOM, body.Type)
		got = fmt.Sprintf("%s %s", r.Meta.Payload, r.Meta.Ext)
	}
	require.Contains(t, got, want)
}

// Rooms over REST and over the socket are the same rooms.
func TestRoomsOverRESTAndSocket(t *testing.T) {
	s := serveDev(t, t.TempDir(), "PARLEY_ROOMS_RATE=4")
	tokens := map[string]string{}
	for _, u := range []string{"ana", "bo", "cy"} {
		tokens[u] = s.token(u)
	}
	app := tokenOf(t, asked(t, []string{"PARLEY_ADMIN_KEY=" + s.dev.AdminKey}, "token", "--admin", s.admin))
	id := s.made(app, "POST", "/chatrooms", map[string]any{"name": "live", "description": "", "owner": "ana", "members": []string{"cy"}}).(map[string]any)["id"].(string)
	at := "/chatrooms/" + id
	members := func() any { return s.made(app, "GET", at+"/users", nil) }
	require.Equal(t, []any{map[string]any{"owner": "ana"}, map[string]any{"member": "cy"}}, members(), "cy is offline, and in for a while")

	bo := login(t, s.ws, "demo#chat", "bo", tokens["bo"])
	info, ack, err := bo.JoinRoom(within(t), id, "")
	require.NoError(t, err)
	require.Equal(t, []any{msync.Status_OK, 3}, []any{ack.Code, info.Members}, ack.Reason)
	require.EqualValues(t, 3, s.made(app, "GET", at, nil).([]any)[0].(map[string]any)["affiliations_count"])
	require.EqualValues(t, 3, s.made(tokens["cy"], "GET", "/chatrooms?pagenum=1&pagesize=5", nil).([]any)[0].(map[string]any)["affiliations_count"])
	require.Equal(t, "demo#chat_ana", s.made(tokens["bo"], "GET", "/users/bo/joined_chatrooms", nil).([]any)[0].(map[string]any)["owner"])

	text := func(msg, level string) (int, map[string]any) {
		return s.api(app, "POST", "/messages/chatrooms", map[string]any{
			"from": "ana", "to": []string{id}, "type": "txt", "body": map[string]any{"msg": msg}, "chatroom_msg_level": level,
		})
	}
	status, answer := text("over REST", "high")
	require.Equal(t, http.StatusOK, status, answer)
	hears(t, bo, "over REST")

	// Who is removed is told so; who applies over REST views with the session that is there.
	require.Equal(t, true, s.made(app, "DELETE", at+"/users/bo", nil).(map[string]any)["result"])
	hears(t, bo, "KICK")
	require.Empty(t, s.made(tokens["bo"], "GET", "/users/bo/joined_chatrooms", nil))
	status, answer = text("meanwhile", "high")
	require.Equal(t, http.StatusOK, status, answer)
	s.made(tokens["bo"], "POST", at+"/apply", map[string]any{"ext": "again"})
	hears(t, bo, "meanwhile") // the newest are shown to who joins
	s.made(tokens["cy"], "DELETE", at+"/quit", nil)
	hears(t, bo, "ABSENCE cy 2")
	s.made(tokens["cy"], "POST", at+"/apply", map[string]any{"ext": "from afar"})
	hears(t, bo, "PRESENCE cy 3 from afar")

	// Over its rate the room sheds what is low, never what is high.
	shed := 0
	for range 10 {
		if status, answer = text("low", "low"); status != http.StatusOK {
			require.Equal(t, []any{http.StatusTooManyRequests, "reach_limit"}, []any{status, answer["error"]})
			shed++
		} else {
			hears(t, bo, "low")
		}
	}
	require.Positive(t, shed)
	status, answer = text("all the same", "high")
	require.Equal(t, http.StatusOK, status, answer)
	hears(t, bo, "all the same")

	s.made(tokens["ana"], "DELETE", at, nil)
	hears(t, bo, "DESTROY")
	status, _ = s.api(app, "GET", at, nil)
	require.Equal(t, http.StatusNotFound, status)
	status, answer = s.api(tokens["bo"], "POST", "/users/bo/messageroaming", map[string]any{"queue": id + "@conference.easemob.com"})
	require.Equal(t, http.StatusNotFound, status, answer)
	s.stop()
}

// ACC-07: the rooms of who is deleted end, and the others' are left.
func TestDeletedUsersRooms(t *testing.T) {
	s := serveDev(t, t.TempDir())
	for _, u := range []string{"ana", "bo", "cy"} {
		s.token(u)
	}
	app := tokenOf(t, asked(t, []string{"PARLEY_ADMIN_KEY=" + s.dev.AdminKey}, "token", "--admin", s.admin))
	room := func(owner string, members ...string) string {
		return s.made(app, "POST", "/chatrooms", map[string]any{
			"name": "r", "description": "", "owner": owner, "members": members,
		}).(map[string]any)["id"].(string)
	}
	own, others := room("ana", "bo"), room("bo", "ana", "cy")
	s.made(app, "POST", "/chatrooms/"+others+"/white/users/ana", nil)
	status, answer := s.api(app, "DELETE", "/users/ana", nil)
	require.Equal(t, http.StatusOK, status, answer)
	require.Eventually(t, func() bool {
		status, _ := s.api(app, "GET", "/chatrooms/"+own, nil)
		return status == http.StatusNotFound
	}, startLimit, 10*time.Millisecond)
	require.Eventually(t, func() bool {
		members, allowed := s.made(app, "GET", "/chatrooms/"+others+"/users", nil), s.made(app, "GET", "/chatrooms/"+others+"/white/users", nil)
		return reflect.DeepEqual([]any{[]any{map[string]any{"owner": "bo"}, map[string]any{"member": "cy"}}, []any{}}, []any{members, allowed})
	}, startLimit, 10*time.Millisecond)
	require.Empty(t, s.made(app, "GET", "/users/bo/joined_chatrooms", nil), "the room has ended for its viewers, too")
	s.stop()
}
