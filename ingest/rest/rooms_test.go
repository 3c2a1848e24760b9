package rest_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"parley/domain"
	"parley/domain/conversation"
	"parley/ingest/rest"
)

func TestCreateRoom(t *testing.T) {
	r := newRig(t)
	r.user("ana", "bo", "cy")
	m := r.ok("POST", "~/chatrooms", map[string]any{
		"name": "live", "description": "what", "maxusers": 300, "owner": "Ana", "members": []string{"bo", "CY", "ana", "bo"}, "custom": "{}",
	})
	require.ElementsMatch(t, append([]string{"data"}, envelopeKeys...), keys(m))
	id := m["data"].(map[string]any)["id"].(string)
	require.Regexp(t, `^[0-9]{10,20}$`, id)
	require.Equal(t, conversation.RoomSettings{Name: "live", Description: "what", Custom: "{}", MaxUsers: 300}, r.roomHead(id).Settings)
	require.Equal(t, []string{"owner ana", "member bo", "member cy"}, r.viewersOf(id))
	quiet := r.roomWith(map[string]any{"name": "n", "owner": "bo"})
	require.Equal(t, conversation.RoomSettings{Name: "n", MaxUsers: 1000}, r.roomHead(quiet).Settings, "defaults")
	require.Equal(t, []string{"owner bo"}, r.viewersOf(quiet))

	a := r.do("POST", "~/chatrooms", r.userToken("ana"), map[string]any{"name": "mine", "description": "", "owner": "ana"})
	refused(t, a, 403, "forbidden_op")
	require.Equal(t, "only a super admin may create a chat room", a.json["error_description"])
}

func TestRoomsAfterALostAnswer(t *testing.T) {
	lossy := &forgetful{}
	r := newRig(t, func(c *rest.Config) { lossy.Owners = c.Owners; c.Owners = lossy })
	r.user("ana", "bo")
	lossy.lose.Store(1)
	id := r.room("ana", "bo")
	at := "~/chatrooms/" + id
	require.Equal(t, []string{"owner ana", "member bo"}, r.viewersOf(id))
	for _, c := range []struct {
		method, path string
		body         any
	}{
		{"PUT", at, map[string]any{"newowner": "bo"}},
		{"POST", at + "/white/users/ana", nil},
		{"DELETE", at + "/white/users/ana", nil},
		{"DELETE", at, nil},
	} {
		lossy.lose.Store(1)
		a := r.do(c.method, c.path, r.token, c.body)
		require.Equal(t, 200, a.status, "%s %s: %s", c.method, c.path, a.text)
	}
	refused(t, r.do("DELETE", at, r.token, nil), 404, "service_resource_not_found")
}

func TestChangeRoom(t *testing.T) {
	r := newRig(t)
	r.user("ana", "bo")
	id := r.room("ana", "bo")
	at, ana, bo := "~/chatrooms/"+id, r.userToken("ana"), r.userToken("bo")
	data := r.as(r.token, "PUT", at, map[string]any{"name": "new", "description": "d", "maxusers": 7})
	require.Equal(t, map[string]any{"groupname": true, "description": true, "maxusers": true}, data, "under the names that the SDKs read")
	require.Equal(t, conversation.RoomSettings{Name: "new", Description: "d", MaxUsers: 7}, r.roomHead(id).Settings)
	data = r.as(ana, "PUT", at+"?resource=web_1", map[string]any{"groupname": "of ana", "description": "d", "maxusers": 8})
	require.Equal(t, map[string]any{"groupname": true, "description": true, "maxusers": true}, data)
	require.Equal(t, conversation.RoomSettings{Name: "of ana", Description: "d", MaxUsers: 8}, r.roomHead(id).Settings)
	seq := r.roomHead(id).Seq
	r.as(r.token, "PUT", at, map[string]any{"name": "of ana"})
	require.Equal(t, seq, r.roomHead(id).Seq, "nothing happens the second time")
	refused(t, r.do("PUT", at, bo, map[string]any{"name": "x"}), 403, "forbidden_op")
	require.Equal(t, "of ana", r.roomHead(id).Settings.Name)
}

func TestTransferRoom(t *testing.T) {
	r := newRig(t)
	r.user("ana", "bo", "cy")
	id := r.room("ana", "bo")
	at, ana, bo := "~/chatrooms/"+id, r.userToken("ana"), r.userToken("bo")
	refused(t, r.do("PUT", at, bo, map[string]any{"newowner": "bo"}), 403, "forbidden_op")
	refused(t, r.do("PUT", at, ana, map[string]any{"newowner": "ana"}), 403, "forbidden_op")
	require.Equal(t, map[string]any{"newowner": true}, r.as(ana, "PUT", at, map[string]any{"newowner": "BO"}))
	require.Equal(t, domain.UserID("bo"), r.roomHead(id).Owner.User)
	refused(t, r.do("PUT", at, ana, map[string]any{"name": "x"}), 403, "forbidden_op")
	require.Equal(t, map[string]any{"newowner": true}, r.as(r.token, "PUT", at, map[string]any{"newowner": "cy"}))
	require.Equal(t, "owner cy", r.viewersOf(id)[0])
}

func TestDestroyRoom(t *testing.T) {
	r := newRig(t)
	r.user("ana", "bo")
	id := r.room("ana", "bo")
	at, ana, bo := "~/chatrooms/"+id, r.userToken("ana"), r.userToken("bo")
	refused(t, r.do("DELETE", at+"?version=v3", bo, nil), 403, "forbidden_op")
	require.Equal(t, map[string]any{"success": true, "id": id}, r.as(ana, "DELETE", at+"?version=v3&resource=x", nil))
	for _, path := range []string{"", "/users", "/white/users", "/white/users/ana"} {
		a := r.do("GET", at+path, r.token, nil)
		refused(t, a, 404, "service_resource_not_found")
		require.Equal(t, "do not find this group", a.json["error_description"], "the SDKs know it")
	}
	refused(t, r.do("DELETE", at, r.token, nil), 404, "service_resource_not_found")
	refused(t, r.do("POST", at+"/apply", bo, map[string]any{}), 404, "service_resource_not_found")
	require.Empty(t, r.ok("GET", "~/chatrooms", nil)["data"])
}

func TestRoomDetails(t *testing.T) {
	r := newRig(t)
	r.user("ana", "bo", "cy")
	one := r.roomWith(map[string]any{"name": "one", "description": "d", "owner": "ana", "members": []string{"bo"}, "custom": "c"})
	two := r.room("bo")
	cy := r.userToken("cy")
	a := r.do("GET", "~/chatrooms/"+one, cy, nil)
	require.EqualValues(t, 1, a.json["count"], a.text)
	detail := a.json["data"].([]any)[0].(map[string]any)
	require.ElementsMatch(t, []string{
		"id", "name", "description", "membersonly", "allowinvites", "maxusers", "owner", "created", "custom", "mute", "disabled", "public",
		"affiliations_count", "affiliations",
	}, keys(detail))
	require.Equal(t, []any{one, "one", "d", "ana", "c", true, false, 2.0, 1000.0}, []any{
		detail["id"], detail["name"], detail["description"], detail["owner"], detail["custom"], detail["public"], detail["mute"],
		detail["affiliations_count"], detail["maxusers"],
	})
	require.Equal(t, []string{"owner ana", "member bo"}, affiliations(detail["affiliations"]), "anybody in the app may look")
	require.InDelta(t, r.roomHead(one).Created.Milli(), detail["created"], 1)

	// The owner belongs to the room whether it views it or not, and counts once.
	r.as(r.userToken("ana"), "POST", "~/chatrooms/"+one+"/apply", map[string]any{})
	detail = r.ok("GET", "~/chatrooms/"+one, nil)["data"].([]any)[0].(map[string]any)
	require.Equal(t, []any{2.0, []string{"owner ana", "member bo"}}, []any{detail["affiliations_count"], affiliations(detail["affiliations"])})

	list := r.as(cy, "GET", "~/chatrooms/"+one+","+two+",12345", nil).([]any)
	require.Equal(t, []any{"one", "r"}, []any{list[0].(map[string]any)["name"], list[1].(map[string]any)["name"]})
	require.Equal(t, map[string]any{"id": "12345", "error": "do not find this group"}, list[2])
	refused(t, r.do("GET", "~/chatrooms/"+strings.Repeat("1,", 100)+"1", r.token, nil), 400, "illegal_argument")
	refused(t, r.do("GET", "~/chatrooms/abc", r.token, nil), 404, "service_resource_not_found")

	// A room is no group, and another app has rooms of its own.
	refused(t, r.do("GET", "~/chatgroups/"+one, r.token, nil), 404, "service_resource_not_found")
	refused(t, r.do("GET", "~/chatrooms/"+r.group("ana"), r.token, nil), 404, "service_resource_not_found")
	other := newRig(t)
	refused(t, other.do("GET", "~/chatrooms/"+one, other.token, nil), 404, "service_resource_not_found")
	refused(t, other.do("DELETE", "~/chatrooms/"+one, other.token, nil), 404, "service_resource_not_found")
	refused(t, r.do("GET", "~/chatrooms/"+one, other.token, nil), 401, "auth_bad_access_token")
}

func TestRoomAffiliationsAreBounded(t *testing.T) {
	r := newRig(t, func(c *rest.Config) { c.Settings.Affiliations = 3 })
	r.user("ana", "bo", "cy", "di", "ed")
	one, two := r.room("ana", "bo", "cy", "di", "ed"), r.room("ana", "bo")
	list := r.ok("GET", "~/chatrooms/"+one+","+two, nil)["data"].([]any)
	require.Len(t, list[0].(map[string]any)["affiliations"], 4, "the owner, and three")
	require.EqualValues(t, 5, list[0].(map[string]any)["affiliations_count"])
	require.Len(t, list[1].(map[string]any)["affiliations"], 1, "the owner")
}

func TestListRooms(t *testing.T) {
	r := newRig(t)
	r.user("ana", "bo")
	r.group("ana", "bo")
	var all []string
	for i := range 7 {
		all = append([]string{r.roomWith(map[string]any{"name": fmt.Sprintf("r%d", i), "owner": "ana"})}, all...)
	}
	r.ok("DELETE", "~/chatrooms/"+all[3], nil)
	all = slices.Delete(all, 3, 4)
	r.ok("POST", "~/chatrooms/"+all[0]+"/users/bo", nil)
	bo := r.userToken("bo")
	ids := func(a answer) (out []string) {
		require.Equal(t, http.StatusOK, a.status, a.text)
		for _, line := range a.json["data"].([]any) {
			require.ElementsMatch(t, []string{"id", "name", "owner", "affiliations_count", "disabled"}, keys(line.(map[string]any)))
			out = append(out, line.(map[string]any)["id"].(string))
		}
		require.EqualValues(t, len(out), a.json["count"])
		return out
	}
	var got []string
	for cursor := ""; ; {
		a := r.do("GET", "~/chatrooms?limit=4"+cursor, r.token, nil)
		got = append(got, ids(a)...)
		next, more := a.json["cursor"].(string)
		if !more {
			break
		}
		cursor = "&cursor=" + next
	}
	require.Equal(t, all, got, "the newest first, no groups among them")
	line := r.ok("GET", "~/chatrooms", nil)["data"].([]any)[0].(map[string]any)
	require.Equal(t, []any{"r6", "ana", 2.0, false}, []any{line["name"], line["owner"], line["affiliations_count"], line["disabled"]})

	// The SDKs ask for pages by number.
	require.Equal(t, all[:4], ids(r.do("GET", "~/chatrooms?pagenum=1&pagesize=4", bo, nil)))
	require.Equal(t, all[4:], ids(r.do("GET", "~/chatrooms?pagenum=2&pagesize=4", bo, nil)))
	require.Empty(t, ids(r.do("GET", "~/chatrooms?pagenum=3&pagesize=4", bo, nil)))
	require.Empty(t, ids(r.do("GET", "~/chatrooms?pagenum=9999999&pagesize=4", bo, nil)))
}

func TestJoinedRooms(t *testing.T) {
	r := newRig(t)
	r.user("ana", "bo")
	var ids []string
	for i := range 4 {
		ids = append([]string{r.roomWith(map[string]any{
			"name": fmt.Sprintf("r%d", i), "description": "d", "owner": "ana", "members": []string{"bo"},
		})}, ids...)
	}
	r.ok("DELETE", "~/chatrooms/"+ids[2]+"/users/bo", nil)
	ids = slices.Delete(ids, 2, 3)
	require.Equal(t, []any{
		map[string]any{"id": ids[0], "name": "r3"}, map[string]any{"id": ids[1], "name": "r2"}, map[string]any{"id": ids[2], "name": "r0"},
	}, r.ok("GET", "~/users/bo/joined_chatrooms", nil)["data"], "the latest first")
	bo := r.userToken("bo")
	page := r.do("GET", "~/users/bo/joined_chatrooms?pagenum=1&pagesize=2&detail=true", bo, nil)
	require.EqualValues(t, 2, page.json["count"], page.text)
	require.Contains(t, page.json["uri"], "joined_chatrooms")
	require.Equal(t, map[string]any{
		"id": ids[0], "name": "r3", "title": "r3", "owner": string(r.app) + "_ana", "description": "d", "max_users": 1000.0,
		"created": float64(r.roomHead(ids[0]).Created.Milli()),
	}, page.json["data"].([]any)[0])
	require.Len(t, r.as(bo, "GET", "~/users/bo/joined_chatrooms?pagenum=2&pagesize=2", nil), 1)
	require.Empty(t, r.as(bo, "GET", "~/users/bo/joined_chatrooms?pagenum=3&pagesize=2", nil))
	require.Empty(t, r.ok("GET", "~/users/ana/joined_chatrooms", nil)["data"])
	refused(t, r.do("GET", "~/users/ana/joined_chatrooms", bo, nil), 403, "forbidden_op")
	refused(t, r.do("GET", "~/users/nobody/joined_chatrooms", r.token, nil), 404, "service_resource_not_found")
	refused(t, r.do("GET", "~/users/bo/joined_chatrooms?pagenum=0", r.token, nil), 400, "illegal_argument")
}
