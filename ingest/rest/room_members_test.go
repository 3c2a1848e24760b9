package rest_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"parley/domain"
	"parley/domain/conversation"
	"parley/ingest/rest"
)

func TestListRoomMembers(t *testing.T) {
	r := newRig(t)
	r.user("mo", "x")
	id := r.room("mo")
	at := "~/chatrooms/" + id
	want := []string{"owner mo"}
	for i := range 9 {
		u := fmt.Sprintf("%c%d", "az"[i%2], i)
		r.user(u)
		r.as(r.token, "POST", at+"/users/"+u, nil)
		want = append(want, "member "+u)
	}
	slices.Sort(want[1:])
	page := r.ok("GET", at+"/users?pagenum=2&pagesize=4", nil)
	require.Equal(t, want[4:8], affiliations(page["data"]))
	require.EqualValues(t, 4, page["count"])
	require.Equal(t, []any{"2"}, page["params"].(map[string]any)["pagenum"])
	require.NotContains(t, page, "cursor")
	require.Equal(t, want, affiliations(r.ok("GET", at+"/users", nil)["data"]), "the first ten")
	require.Empty(t, r.ok("GET", at+"/users?pagenum=4&pagesize=4", nil)["data"])
	require.Empty(t, r.ok("GET", at+"/users?pagenum=1000000000&pagesize=1000", nil)["data"])

	// The SDKs go on at a cursor. Anybody may, and the owner comes once though it views the room, too.
	r.as(r.userToken("mo"), "POST", at+"/apply", map[string]any{})
	x := r.userToken("x")
	for limit := 1; limit <= 10; limit++ {
		var got []string
		pages := 0
		for cursor := ""; ; pages++ {
			a := r.do("GET", fmt.Sprintf("%s/users?limit=%d&joined_time=true%s", at, limit, cursor), x, nil)
			require.Equal(t, http.StatusOK, a.status, a.text)
			for _, m := range a.json["data"].([]any) {
				require.Contains(t, m, "joined_time")
			}
			got = append(got, affiliations(a.json["data"])...)
			next, ok := a.json["cursor"].(string)
			if !ok {
				break
			}
			cursor = "&cursor=" + next
		}
		require.Equal(t, want, got, "limit %d", limit)
		require.Equal(t, (10-1)/limit, pages, "no empty page behind the last")
	}
}

func TestAddRoomMember(t *testing.T) {
	r := newRig(t)
	r.user("ana", "bo", "cy")
	id := r.roomWith(map[string]any{"name": "r", "owner": "ana", "maxusers": 2})
	at := "~/chatrooms/" + id
	require.Equal(t, map[string]any{"result": true, "action": "add_member", "id": id, "user": "bo"}, r.as(r.token, "POST", at+"/users/BO", nil))
	a := r.do("POST", at+"/users/bo", r.token, nil)
	refused(t, a, 403, "forbidden_op")
	require.Contains(t, a.json["error_description"], "already in group", "the SDKs know it")
	refused(t, r.do("POST", at+"/users/ana", r.token, nil), 403, "forbidden_op")
	r.as(r.userToken("ana"), "POST", at+"/users/cy", nil)
	require.Equal(t, []string{"owner ana", "member bo", "member cy"}, r.viewersOf(id))
	r.user("di")
	full := r.do("POST", at+"/users/di", r.token, nil)
	refused(t, full, 403, "forbidden_op")
	require.Equal(t, "group member list is full!", full.json["error_description"], "the SDKs know it")
	r.as(r.userToken("ana"), "POST", at+"/apply", map[string]any{}) // the owner may always
}

func TestAddRoomMembers(t *testing.T) {
	r := newRig(t)
	r.user("ana", "bo", "cy", "di")
	id := r.roomWith(map[string]any{"name": "r", "owner": "ana", "maxusers": 2, "members": []string{"bo"}})
	at := "~/chatrooms/" + id + "/users"
	add := func(names ...string) map[string]any { return map[string]any{"usernames": names} }
	require.Equal(t, map[string]any{"newmembers": []any{"cy"}, "action": "add_member", "id": id},
		r.as(r.token, "POST", at, add("ana", "bo", "CY", "cy", "di")), "the others were there, or found it full")
	refused(t, r.do("POST", at, r.token, add("ana", "bo")), 403, "forbidden_op")
	full := r.do("POST", at, r.token, add("di"))
	require.Equal(t, "group member list is full!", full.json["error_description"])
	require.Equal(t, []string{"owner ana", "member bo", "member cy"}, r.viewersOf(id))
}

func TestRemoveRoomMember(t *testing.T) {
	r := newRig(t)
	r.user("ana", "bo", "cy")
	id := r.room("ana", "bo", "cy")
	at := "~/chatrooms/" + id + "/users/"
	want := map[string]any{"result": true, "action": "remove_member", "id": id, "user": "bo"}
	require.Equal(t, want, r.as(r.token, "DELETE", at+"Bo", nil))
	a := r.do("DELETE", at+"bo", r.token, nil)
	refused(t, a, 403, "forbidden_op")
	require.Equal(t, "users are not members of this group", a.json["error_description"], "the SDKs know it")
	refused(t, r.do("DELETE", at+"ana", r.token, nil), 403, "forbidden_op")
	want["user"] = "cy"
	require.Equal(t, want, r.as(r.userToken("ana"), "DELETE", at+"cy?resource=web", nil))
	require.Equal(t, []string{"owner ana"}, r.viewersOf(id))
}

func TestRemoveRoomMembers(t *testing.T) {
	r := newRig(t)
	r.user("ana", "bo", "cy", "di")
	id := r.room("ana", "bo", "cy")
	at := "~/chatrooms/" + id + "/users/"
	item := func(u, reason string) any {
		m := map[string]any{"result": reason == "", "action": "remove_member", "id": id, "user": u}
		if reason != "" {
			m["reason"] = reason
		}
		return m
	}
	stranger := "users are not members of this group"
	require.Equal(t, []any{
		item("bo", ""), item("di", stranger), item("nobody", stranger), item("ana", "the owner cannot be removed"), item("cy", ""),
	}, r.as(r.token, "DELETE", at+"BO,di,nobody,ana,cy", nil))
	require.Equal(t, []any{item("bo", stranger), item("cy", stranger)}, r.as(r.token, "DELETE", at+"bo,cy", nil), "twice")
	require.Equal(t, []string{"owner ana"}, r.viewersOf(id))
}

func TestApplyToRoom(t *testing.T) {
	r := newRig(t)
	r.user("ana", "bo")
	one, two := r.room("ana"), r.room("ana")
	bo := r.userToken("bo")
	data := r.as(bo, "POST", "~/chatrooms/"+one+"/apply?resource=web", map[string]any{"message": "hello", "ext": "from afar"})
	require.Equal(t, map[string]any{
		"result": true, "action": "apply", "id": one, "user": "bo", "reason": "hello", "is_all_mute": false, "is_in_white_list": false,
		"member_count": 2.0, "mute_duration": 0.0, "create_timestamp": float64(r.roomHead(one).Created.Milli()),
	}, data)
	require.Equal(t, "from afar", r.viewing.joins[0].Ext)
	r.as(bo, "POST", "~/chatrooms/"+one+"/apply", map[string]any{}) // again is no error
	r.as(bo, "POST", "~/chatrooms/"+two+"/apply", map[string]any{"leaveOtherRooms": true})
	require.Equal(t, [][]string{{"owner ana"}, {"owner ana", "member bo"}}, [][]string{r.viewersOf(one), r.viewersOf(two)})

	r.ok("POST", "~/chatrooms/"+one+"/white/users/bo", nil)
	data = r.as(bo, "POST", "~/chatrooms/"+one+"/apply", map[string]any{})
	require.Equal(t, true, data.(map[string]any)["is_in_white_list"])
}

func TestQuitRoom(t *testing.T) {
	r := newRig(t)
	r.user("ana", "bo")
	id := r.room("ana", "bo")
	bo := r.userToken("bo")
	require.Equal(t, map[string]any{"result": true}, r.as(bo, "DELETE", "~/chatrooms/"+id+"/quit?resource=web", nil))
	require.Equal(t, []string{"owner ana"}, r.viewersOf(id))
	a := r.do("DELETE", "~/chatrooms/"+id+"/quit", bo, nil)
	refused(t, a, 403, "forbidden_op")
	require.Equal(t, "users are not members of this group", a.json["error_description"])
}

func TestTooManyRooms(t *testing.T) {
	r := newRig(t)
	r.user("ana", "bo")
	for range 100 {
		r.room("ana", "bo")
	}
	id := r.room("ana", "bo") // whom the room cannot have is left out
	require.Equal(t, []string{"owner ana"}, r.viewersOf(id))
	for _, a := range []answer{
		r.do("POST", "~/chatrooms/"+id+"/users/bo", r.token, nil),
		r.do("POST", "~/chatrooms/"+id+"/users", r.token, map[string]any{"usernames": []string{"bo"}}),
		r.do("POST", "~/chatrooms/"+id+"/apply", r.userToken("bo"), map[string]any{}),
	} {
		refused(t, a, 403, "forbidden_op")
		require.Equal(t, "the user has joined too many chatrooms!", a.json["error_description"])
	}
}

func TestRoomAllowList(t *testing.T) {
	r := newRig(t)
	r.user("ana", "bo", "cy", "di")
	id := r.room("ana", "bo")
	at, ana, bo := "~/chatrooms/"+id+"/white/users", r.userToken("ana"), r.userToken("bo")
	item := func(u, reason string) map[string]any {
		m := map[string]any{"result": reason == "", "user": u, "chatroomid": id}
		if reason != "" {
			m["reason"] = reason
		}
		return m
	}
	list := func() any {
		a := r.ok("GET", at, nil)
		require.EqualValues(t, len(a["data"].([]any)), a["count"])
		return a["data"]
	}
	require.Equal(t, []any{}, list())
	require.Equal(t, item("bo", ""), r.as(r.token, "POST", at+"/BO", nil))
	require.Equal(t, item("bo", ""), r.as(r.token, "POST", at+"/bo", nil), "twice")
	require.Equal(t, []any{item("cy", ""), item("bo", ""), item("nobody", "Service resource not found: user not found")},
		r.as(ana, "POST", at+"?version=v3&resource=web", map[string]any{"usernames": []string{"cy", "BO", "nobody", "bo"}}))
	require.Equal(t, []any{"bo", "cy"}, list())
	require.Equal(t, []conversation.Person{{User: "bo", Incarnation: 1}, {User: "cy", Incarnation: 1}}, incarnations(r.roomHead(id).Allowed))

	// Who asks about itself is told; the list is the owner's.
	require.Equal(t, map[string]any{"member": "bo", "white": true}, r.as(bo, "GET", at+"/bo", nil))
	require.Equal(t, map[string]any{"member": "di", "white": false}, r.as(ana, "GET", at+"/di", nil))
	require.Equal(t, map[string]any{"member": "nobody", "white": false}, r.as(r.token, "GET", at+"/nobody", nil))
	for _, a := range []answer{
		r.do("GET", at+"/cy", bo, nil), r.do("GET", at, bo, nil), r.do("POST", at+"/bo", bo, nil), r.do("DELETE", at+"/cy", bo, nil),
		r.do("POST", at, bo, map[string]any{"usernames": []string{"bo"}}),
	} {
		refused(t, a, 403, "forbidden_op")
	}
	off := "the user is not on the allow list"
	require.Equal(t, []any{item("bo", ""), item("di", off)}, r.as(r.token, "DELETE", at+"/BO,di", nil))
	require.Equal(t, []any{item("bo", off)}, r.as(ana, "DELETE", at+"/bo?version=v3", nil))
	require.Equal(t, []any{"cy"}, list())

	// A name made anew is on no list.
	r.ok("DELETE", "~/users/cy", nil)
	r.user("cy")
	require.Equal(t, map[string]any{"member": "cy", "white": false}, r.as(r.userToken("cy"), "GET", at+"/cy", nil))
}

// incarnations makes the numbers of accounts comparable: 1 for any.
func incarnations(people []conversation.Person) (out []conversation.Person) {
	for _, p := range people {
		out = append(out, conversation.Person{User: p.User, Incarnation: min(p.Incarnation, 1)})
	}
	return out
}

func TestRoomRefusals(t *testing.T) {
	r := newRig(t, func(c *rest.Config) { c.RoomUsers = 500 })
	r.user("ana", "bo", "cy")
	id := r.room("ana", "bo")
	bo, cy := r.userToken("bo"), r.userToken("cy")
	many := make([]string, 1001)
	for i := range many {
		many[i] = fmt.Sprintf("u%d", i)
	}
	room := func(more map[string]any) map[string]any {
		body := map[string]any{"name": "r", "description": "", "owner": "ana"}
		maps.Copy(body, more)
		return body
	}
	one := func(k string, v any) map[string]any { return map[string]any{k: v} }
	at := "~/chatrooms/" + id
	gone := "do not find this group"
	outside := "users are not members of this group"
	for name, c := range map[string]struct {
		method, path, token string
		body                any
		status              int
		error, description  string
	}{
		"no token":                    {"POST", "~/chatrooms", "", room(nil), 401, "unauthorized", ""},
		"made by a user":              {"POST", "~/chatrooms", bo, room(one("owner", "bo")), 403, "forbidden_op", ""},
		"no name":                     {"POST", "~/chatrooms", r.token, map[string]any{"description": "", "owner": "ana"}, 400, "illegal_argument", "name is required"},
		"an empty name":               {"POST", "~/chatrooms", r.token, room(one("name", "")), 400, "illegal_argument", "name is required"},
		"no description":              {"POST", "~/chatrooms", r.token, map[string]any{"name": "r", "owner": "ana"}, 400, "illegal_argument", "description is required"},
		"no owner":                    {"POST", "~/chatrooms", r.token, map[string]any{"name": "r", "description": ""}, 400, "illegal_argument", ""},
		"owner is nobody":             {"POST", "~/chatrooms", r.token, room(one("owner", "nobody")), 404, "service_resource_not_found", "Service resource not found: user not found"},
		"a member is nobody":          {"POST", "~/chatrooms", r.token, room(one("members", []string{"bo", "nobody"})), 404, "service_resource_not_found", ""},
		"a member of a bad name":      {"POST", "~/chatrooms", r.token, room(one("members", []string{"a/b"})), 400, "illegal_argument", ""},
		"members of the wrong type":   {"POST", "~/chatrooms", r.token, room(one("members", "bo")), 400, "illegal_argument", "members has the wrong type"},
		"too many members":            {"POST", "~/chatrooms", r.token, room(one("members", many)), 400, "illegal_argument", ""},
		"more than it may have":       {"POST", "~/chatrooms", r.token, room(map[string]any{"maxusers": 1, "members": []string{"bo", "cy"}}), 403, "forbidden_op", "members size is greater than max user size !"},
		"maxusers over the limit":     {"POST", "~/chatrooms", r.token, room(one("maxusers", 501)), 400, "illegal_argument", "maxusers is not within the limit"},
		"maxusers of 0":               {"POST", "~/chatrooms", r.token, room(one("maxusers", 0)), 400, "illegal_argument", ""},
		"maxusers of letters":         {"POST", "~/chatrooms", r.token, room(one("maxusers", "x")), 400, "illegal_argument", ""},
		"long name":                   {"POST", "~/chatrooms", r.token, room(one("name", strings.Repeat("名", 129))), 400, "illegal_argument", ""},
		"long description":            {"POST", "~/chatrooms", r.token, room(one("description", strings.Repeat("x", 513))), 400, "illegal_argument", ""},
		"long ext":                    {"POST", "~/chatrooms", r.token, room(one("custom", strings.Repeat("x", 8193))), 400, "illegal_argument", ""},
		"name is a number":            {"POST", "~/chatrooms", r.token, room(one("name", 7)), 400, "illegal_argument", "name has the wrong type"},
		"an array":                    {"POST", "~/chatrooms", r.token, "[]", 400, "illegal_argument", ""},
		"no body":                     {"POST", "~/chatrooms", r.token, "", 400, "invalid_request_body", ""},
		"a list by nobody":            {"GET", "~/chatrooms", "", nil, 401, "unauthorized", ""},
		"a list of none":              {"GET", "~/chatrooms?limit=0", r.token, nil, 400, "illegal_argument", ""},
		"a foreign cursor":            {"GET", "~/chatrooms?cursor=%00", r.token, nil, 400, "illegal_argument", ""},
		"page 0":                      {"GET", "~/chatrooms?pagenum=0&pagesize=5", r.token, nil, 400, "illegal_argument", ""},
		"change of nothing":           {"PUT", at, r.token, "{}", 400, "illegal_argument", ""},
		"change of members":           {"PUT", at, r.token, one("members", []string{"cy"}), 400, "invalid_parameter", ""},
		"change to the wrong type":    {"PUT", at, r.token, one("name", 7), 400, "illegal_argument", ""},
		"change to null":              {"PUT", at, r.token, one("description", nil), 400, "illegal_argument", ""},
		"change to too many":          {"PUT", at, r.token, one("maxusers", 501), 400, "illegal_argument", ""},
		"change to a long name":       {"PUT", at, r.token, one("name", strings.Repeat("x", 129)), 400, "illegal_argument", ""},
		"change by a viewer":          {"PUT", at, bo, one("groupname", "x"), 403, "forbidden_op", ""},
		"change of a missing room":    {"PUT", "~/chatrooms/1", r.token, one("name", "x"), 404, "service_resource_not_found", gone},
		"change of a bad id":          {"PUT", "~/chatrooms/x", r.token, one("name", "x"), 404, "service_resource_not_found", gone},
		"new owner and more":          {"PUT", at, r.token, map[string]any{"newowner": "bo", "name": "x"}, 400, "invalid_parameter", ""},
		"new owner is no name":        {"PUT", at, r.token, one("newowner", 7), 400, "illegal_argument", ""},
		"new owner is nobody":         {"PUT", at, r.token, one("newowner", "nobody"), 404, "service_resource_not_found", ""},
		"new owner is the owner":      {"PUT", at, r.token, one("newowner", "ana"), 403, "forbidden_op", ""},
		"destruction by a viewer":     {"DELETE", at, bo, nil, 403, "forbidden_op", ""},
		"destruction of a bad id":     {"DELETE", "~/chatrooms/x", r.token, nil, 404, "service_resource_not_found", gone},
		"members of a missing room":   {"GET", "~/chatrooms/1/users", r.token, nil, 404, "service_resource_not_found", gone},
		"members, a foreign cursor":   {"GET", at + "/users?cursor=%00", bo, nil, 400, "illegal_argument", "the cursor is not valid"},
		"members, page 0":             {"GET", at + "/users?pagenum=0", bo, nil, 400, "illegal_argument", ""},
		"adding, by a viewer":         {"POST", at + "/users/cy", bo, nil, 403, "forbidden_op", ""},
		"adding nobody":               {"POST", at + "/users/nobody", r.token, nil, 404, "service_resource_not_found", "Service resource not found: user not found"},
		"adding to a missing room":    {"POST", "~/chatrooms/1/users/bo", r.token, nil, 404, "service_resource_not_found", gone},
		"adding no one":               {"POST", at + "/users", r.token, one("usernames", []string{}), 400, "illegal_argument", ""},
		"adding 61":                   {"POST", at + "/users", r.token, one("usernames", many[:61]), 400, "illegal_argument", ""},
		"adding some, by a viewer":    {"POST", at + "/users", bo, one("usernames", []string{"cy"}), 403, "forbidden_op", ""},
		"removing, by a viewer":       {"DELETE", at + "/users/bo", bo, nil, 403, "forbidden_op", ""},
		"removing the owner":          {"DELETE", at + "/users/ana", r.token, nil, 403, "forbidden_op", "the owner cannot be removed"},
		"removing a stranger":         {"DELETE", at + "/users/cy", r.token, nil, 403, "forbidden_op", outside},
		"removing 61":                 {"DELETE", at + "/users/" + strings.Join(many[:61], ","), r.token, nil, 400, "illegal_argument", ""},
		"removing an empty name":      {"DELETE", at + "/users/bo,,", r.token, nil, 400, "illegal_argument", ""},
		"removing from no room":       {"DELETE", "~/chatrooms/1/users/bo", r.token, nil, 404, "service_resource_not_found", gone},
		"allowing nobody":             {"POST", at + "/white/users/nobody", r.token, nil, 404, "service_resource_not_found", "Service resource not found: user not found"},
		"allowing 61":                 {"POST", at + "/white/users", r.token, one("usernames", many[:61]), 400, "illegal_argument", ""},
		"allowing in a missing room":  {"POST", "~/chatrooms/1/white/users/bo", r.token, nil, 404, "service_resource_not_found", gone},
		"disallowing an empty name":   {"DELETE", at + "/white/users/,", r.token, nil, 400, "illegal_argument", ""},
		"am I allowed, of no room":    {"GET", "~/chatrooms/1/white/users/bo", bo, nil, 404, "service_resource_not_found", gone},
		"applying as the app":         {"POST", at + "/apply", r.token, "{}", 401, "unauthorized", ""},
		"applying without a body":     {"POST", at + "/apply", cy, "", 400, "invalid_request_body", ""},
		"applying with a long ext":    {"POST", at + "/apply", cy, one("ext", strings.Repeat("x", 6000)), 400, "illegal_argument", "ext is too large"},
		"applying, ext is an object":  {"POST", at + "/apply", cy, one("ext", map[string]any{}), 400, "illegal_argument", "ext has the wrong type"},
		"applying to a missing room":  {"POST", "~/chatrooms/1/apply", cy, "{}", 404, "service_resource_not_found", gone},
		"quitting as the app":         {"DELETE", at + "/quit", r.token, nil, 401, "unauthorized", ""},
		"quitting as a stranger":      {"DELETE", at + "/quit", cy, nil, 403, "forbidden_op", outside},
		"quitting a bad id":           {"DELETE", "~/chatrooms/x/quit", cy, nil, 404, "service_resource_not_found", gone},
		"a room's path, other method": {"PATCH", at, r.token, "{}", 405, "method_not_allowed", ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := r.do(c.method, c.path, c.token, c.body)
			refused(t, a, c.status, c.error)
			if c.description != "" {
				require.Equal(t, c.description, a.json["error_description"])
			}
		})
	}
	require.Equal(t, []string{"owner ana", "member bo"}, r.viewersOf(id), "nothing came of any of these")
	require.Equal(t, domain.Seq(1), r.roomHead(id).Seq)
}
