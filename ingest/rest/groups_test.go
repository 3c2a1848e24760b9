package rest_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"parley/domain"
	"parley/domain/conversation"
	"parley/ingest/rest"
)

// as makes a call with a token and demands success; it returns the answer's data.
func (r *rig) as(tok, method, path string, body any) any {
	r.t.Helper()
	a := r.do(method, path, tok, body)
	require.Equal(r.t, http.StatusOK, a.status, a.text)
	return a.json["data"]
}

// group makes a group of an owner and members over REST, and returns its id.
func (r *rig) group(owner string, members ...string) string {
	r.t.Helper()
	return r.groupWith(map[string]any{"groupname": "g", "owner": owner, "members": members})
}

func (r *rig) groupWith(body map[string]any) string {
	r.t.Helper()
	data := r.ok("POST", "~/chatgroups", body)["data"].(map[string]any)
	require.Equal(r.t, []string{"groupid"}, keys(data))
	return data["groupid"].(string)
}

// affiliations reads a list of members as "role name".
func affiliations(list any) (out []string) {
	for _, m := range list.([]any) {
		for _, role := range []string{"owner", "admin", "member"} {
			if u, ok := m.(map[string]any)[role]; ok {
				out = append(out, role+" "+u.(string))
			}
		}
	}
	return out
}

// membersOf asks for all members, as SDKs do.
func (r *rig) membersOf(gid string) []string {
	r.t.Helper()
	return affiliations(r.ok("GET", "~/chatgroups/"+gid+"/users?limit=1000", nil)["data"])
}

// head returns the group as its owner has it.
func (r *rig) head(gid string) *conversation.GroupHead {
	r.t.Helper()
	rows, err := shared.owners.Heads(r.t.Context(), []domain.StreamID{domain.GroupStream(r.app, gid)})
	require.NoError(r.t, err)
	head, _ := rows[0].(*conversation.GroupHead)
	return head
}

func TestCreateGroup(t *testing.T) {
	r := newRig(t)
	r.user("ana", "bo", "cy")
	m := r.ok("POST", "~/chatgroups", map[string]any{
		"groupname": "ops", "avatar": "http://x/a.png", "description": "what", "public": true, "maxusers": 300, "allowinvites": true,
		"membersonly": true, "invite_need_confirm": false, "owner": "Ana", "members": []string{"bo", "CY", "ana", "bo"}, "custom": "{}",
	})
	require.ElementsMatch(t, append([]string{"data"}, envelopeKeys...), keys(m))
	gid := m["data"].(map[string]any)["groupid"].(string)
	require.Regexp(t, `^[0-9]{10,20}$`, gid)
	require.Equal(t, conversation.GroupSettings{
		Name: "ops", Description: "what", Avatar: "http://x/a.png", Custom: "{}", Public: true, Approval: true, MemberInvites: true, MaxUsers: 300,
	}, r.head(gid).Settings)
	require.ElementsMatch(t, []string{"owner ana", "member bo", "member cy"}, r.membersOf(gid))

	other := r.groupWith(map[string]any{"owner": "bo", "groupid": "00042"})
	require.Equal(t, "00042", other)
	require.Equal(t, conversation.GroupSettings{InviteConfirm: true, MaxUsers: 200}, r.head(other).Settings, "defaults")

	// Members whom a user wants in a group that asks are asked.
	ana := r.userToken("ana")
	data := r.as(ana, "POST", "~/chatgroups?resource=web_1", map[string]any{
		"owner": "ana", "groupname": "mine", "avatar": "", "desc": "d", "members": []string{"bo"}, "public": false, "approval": false,
		"allowinvites": false, "invite_need_confirm": true, "maxusers": "50", "custom": "",
	})
	mine := data.(map[string]any)["groupid"].(string)
	require.Equal(t, []string{"owner ana"}, r.membersOf(mine))
	require.Equal(t, conversation.GroupSettings{Name: "mine", Description: "d", InviteConfirm: true, MaxUsers: 50}, r.head(mine).Settings)
	without := r.as(ana, "POST", "~/chatgroups", map[string]any{"groupname": "mine", "members": []string{"bo"}, "invite_need_confirm": false})
	require.ElementsMatch(t, []string{"owner ana", "member bo"}, r.membersOf(without.(map[string]any)["groupid"].(string)))
}

func TestCreateGroupAfterALostAnswer(t *testing.T) {
	lossy := &forgetful{}
	r := newRig(t, func(c *rest.Config) { lossy.Owners = c.Owners; c.Owners = lossy })
	r.user("ana", "bo")
	lossy.lose.Store(1)
	gid := r.groupWith(map[string]any{"owner": "ana", "members": []string{"bo"}, "groupid": "7"})
	require.ElementsMatch(t, []string{"owner ana", "member bo"}, r.membersOf(gid), "made once")
	lossy.lose.Store(1)
	require.ElementsMatch(t, []string{"owner ana", "member bo"}, r.membersOf(r.group("ana", "bo")))
}

func TestChangeGroup(t *testing.T) {
	r := newRig(t)
	r.user("ana", "bo", "cy")
	gid := r.group("ana", "bo")
	change := map[string]any{
		"groupname": "new", "description": "d", "avatar": "a", "custom": "c", "public": true, "membersonly": true, "allowinvites": true,
		"invite_need_confirm": false, "maxusers": 7,
	}
	data := r.ok("PUT", "~/chatgroups/"+gid, change)["data"].(map[string]any)
	require.ElementsMatch(t, keys(change), keys(data))
	for _, v := range data {
		require.Equal(t, true, v)
	}
	want := conversation.GroupSettings{Name: "new", Description: "d", Avatar: "a", Custom: "c", Public: true, Approval: true, MemberInvites: true, MaxUsers: 7}
	require.Equal(t, want, r.head(gid).Settings)
	seq := r.head(gid).Seq
	require.Equal(t, data, r.ok("PUT", "~/chatgroups/"+gid, change)["data"], "twice")
	require.Equal(t, seq, r.head(gid).Seq, "and nothing happens the second time")

	ana, bo := r.userToken("ana"), r.userToken("bo")
	require.Equal(t, map[string]any{"groupname": true}, r.as(ana, "PUT", "~/chatgroups/"+gid+"?resource=x", map[string]any{"groupname": "of ana"}))
	refused(t, r.do("PUT", "~/chatgroups/"+gid, bo, map[string]any{"groupname": "x"}), 403, "forbidden_op")
	require.Equal(t, "of ana", r.head(gid).Settings.Name)

	// Another owner.
	refused(t, r.do("PUT", "~/chatgroups/"+gid, bo, map[string]any{"newowner": "bo"}), 403, "forbidden_op")
	refused(t, r.do("PUT", "~/chatgroups/"+gid, ana, map[string]any{"newowner": "ana"}), 403, "forbidden_op")
	refused(t, r.do("PUT", "~/chatgroups/"+gid, ana, map[string]any{"newowner": "cy"}), 403, "forbidden_op")
	require.Equal(t, map[string]any{"newowner": true}, r.as(ana, "PUT", "~/chatgroups/"+gid, map[string]any{"newowner": "BO"}))
	require.ElementsMatch(t, []string{"owner bo", "member ana"}, r.membersOf(gid))
	refused(t, r.do("PUT", "~/chatgroups/"+gid, ana, map[string]any{"groupname": "x"}), 403, "forbidden_op")
	require.Equal(t, map[string]any{"newowner": true}, r.as(r.token, "PUT", "~/chatgroups/"+gid, map[string]any{"newowner": "ana"}))
}

func TestDestroyGroup(t *testing.T) {
	r := newRig(t)
	r.user("ana", "bo")
	gid := r.groupWith(map[string]any{"owner": "ana", "members": []string{"bo"}, "public": true})
	ana, bo := r.userToken("ana"), r.userToken("bo")
	refused(t, r.do("DELETE", "~/chatgroups/"+gid+"?version=v3", bo, nil), 403, "forbidden_op")
	require.Equal(t, map[string]any{"success": true, "groupid": gid, "id": gid}, r.as(ana, "DELETE", "~/chatgroups/"+gid+"?version=v3&resource=x", nil))
	for _, path := range []string{"", "/users", "/admin", "/user/ana/is_joined"} {
		a := r.do("GET", "~/chatgroups/"+gid+path, r.token, nil)
		refused(t, a, 404, "service_resource_not_found")
		require.Equal(t, "do not find this group", a.json["error_description"])
	}
	refused(t, r.do("DELETE", "~/chatgroups/"+gid, r.token, nil), 404, "service_resource_not_found")
	refused(t, r.do("POST", "~/chatgroups/"+gid+"/apply", bo, map[string]any{}), 404, "service_resource_not_found")
	require.Empty(t, r.ok("GET", "~/chatgroups", nil)["data"])
	require.Empty(t, r.as(bo, "GET", "~/publicchatgroups?limit=10", nil))
	require.Empty(t, r.as(bo, "GET", "~/users/bo/joined_chatgroups", nil))
	a := r.do("POST", "~/chatgroups", r.token, map[string]any{"owner": "ana", "groupid": gid})
	refused(t, a, 400, "duplicate_unique_property_exists")
}

func TestGroupDetails(t *testing.T) {
	r := newRig(t)
	r.user("ana", "bo", "cy")
	open := r.groupWith(map[string]any{"groupname": "open", "owner": "ana", "members": []string{"bo"}, "public": true, "custom": "c"})
	closed := r.groupWith(map[string]any{"groupname": "closed", "owner": "ana", "members": []string{"bo"}})
	a := r.ok("GET", "~/chatgroups/"+open, nil)
	require.EqualValues(t, 1, a["count"])
	detail := a["data"].([]any)[0].(map[string]any)
	require.ElementsMatch(t, []string{
		"id", "name", "avatar", "description", "membersonly", "allowinvites", "invite_need_confirm", "maxusers", "owner", "created", "custom", "mute",
		"disabled", "public", "shieldgroup", "affiliations_count", "affiliations",
	}, keys(detail))
	require.Equal(t, []any{open, "open", "ana", "c", true, false, 2.0, 200.0}, []any{
		detail["id"], detail["name"], detail["owner"], detail["custom"], detail["public"], detail["mute"], detail["affiliations_count"], detail["maxusers"],
	})
	require.Equal(t, []string{"owner ana", "member bo"}, affiliations(detail["affiliations"]))
	require.NotContains(t, a, "joined_time")

	cy, bo := r.userToken("cy"), r.userToken("bo")
	seen := r.as(cy, "GET", "~/chatgroups/"+open+"?joined_time=true", nil).([]any)[0].(map[string]any)
	require.Equal(t, []string{"owner ana"}, affiliations(seen["affiliations"]), "strangers do not see the members")
	no := r.do("GET", "~/chatgroups/"+closed, cy, nil)
	refused(t, no, 403, "forbidden_op")
	require.Contains(t, no.json["error_description"], "are not members of this group")
	mine := r.as(bo, "GET", "~/chatgroups/"+closed+"?joined_time=true", nil).([]any)[0].(map[string]any)
	for _, m := range mine["affiliations"].([]any) {
		require.InDelta(t, mine["created"], m.(map[string]any)["joined_time"], 60_000)
	}
	// Several at once say of each.
	list := r.as(cy, "GET", "~/chatgroups/"+open+","+closed+",12345", nil).([]any)
	require.Equal(t, "open", list[0].(map[string]any)["name"])
	require.Equal(t, map[string]any{"id": closed, "error": "users are not members of this group"}, list[1])
	require.Equal(t, map[string]any{"id": "12345", "error": "do not find this group"}, list[2])
	refused(t, r.do("GET", "~/chatgroups/"+strings.Repeat("1,", 100)+"1", r.token, nil), 400, "illegal_argument")
	refused(t, r.do("GET", "~/chatgroups/12345", r.token, nil), 404, "service_resource_not_found")
	refused(t, r.do("GET", "~/chatgroups/abc", r.token, nil), 404, "service_resource_not_found")

	// Another app has groups of its own.
	other := newRig(t)
	refused(t, other.do("GET", "~/chatgroups/"+open, other.token, nil), 404, "service_resource_not_found")
	refused(t, other.do("DELETE", "~/chatgroups/"+open, other.token, nil), 404, "service_resource_not_found")
	refused(t, r.do("GET", "~/chatgroups/"+open, other.token, nil), 401, "auth_bad_access_token")
}

func TestAffiliationsAreBounded(t *testing.T) {
	r := newRig(t, func(c *rest.Config) { c.Settings.Affiliations = 3 })
	r.user("ana", "bo", "cy", "di")
	one, two := r.group("ana", "bo", "cy", "di"), r.group("ana", "bo")
	list := r.ok("GET", "~/chatgroups/"+one+","+two, nil)["data"].([]any)
	require.Len(t, list[0].(map[string]any)["affiliations"], 4, "the owner, and three")
	require.Len(t, list[1].(map[string]any)["affiliations"], 1, "the owner")
}

func TestListGroups(t *testing.T) {
	r := newRig(t)
	r.user("ana", "bo")
	var all, public []string
	for i := range 7 {
		gid := r.groupWith(map[string]any{"groupname": fmt.Sprintf("g%d", i), "owner": "ana", "public": i%2 == 0})
		if all = append(all, gid); i%2 == 0 {
			public = append(public, gid)
		}
	}
	r.ok("DELETE", "~/chatgroups/"+all[3], nil)
	var got []string
	cursor := ""
	for range 5 {
		m := r.ok("GET", "~/chatgroups?limit=2"+cursor, nil)
		for _, g := range m["data"].([]any) {
			line := g.(map[string]any)
			require.ElementsMatch(t, []string{"groupid", "groupname", "owner", "affiliations", "type", "lastModified"}, keys(line))
			require.Equal(t, []any{string(r.app) + "_ana", 1.0, "group"}, []any{line["owner"], line["affiliations"], line["type"]})
			got = append(got, line["groupid"].(string))
		}
		next, more := m["cursor"].(string)
		require.EqualValues(t, 2, m["count"])
		if !more {
			break
		}
		cursor = "&cursor=" + next
	}
	require.Equal(t, slices.Concat(all[:3], all[4:]), got)
	bo := r.userToken("bo")
	refused(t, r.do("GET", "~/chatgroups", bo, nil), 401, "unauthorized")
	refused(t, r.do("GET", "~/chatgroups?cursor=%00", r.token, nil), 400, "illegal_argument")

	first := r.do("GET", "~/publicchatgroups?limit=3", bo, nil).json
	second := r.do("GET", "~/publicchatgroups?version=v3&limit=3&cursor="+first["cursor"].(string), bo, nil).json
	require.Equal(t, []any{
		map[string]any{"groupid": public[0], "groupname": "g0"},
		map[string]any{"groupid": public[1], "groupname": "g2"},
		map[string]any{"groupid": public[2], "groupname": "g4"},
	}, first["data"])
	require.Equal(t, []any{map[string]any{"id": public[3], "name": "g6"}}, second["data"], "in the other dialect")
	require.NotContains(t, second, "cursor")
}

func TestJoinedGroups(t *testing.T) {
	r := newRig(t)
	r.user("ana", "bo", "cy")
	var ids []string
	for i := range 6 {
		ids = append(ids, r.groupWith(map[string]any{"groupname": fmt.Sprintf("g%d", i), "owner": "ana", "members": []string{"bo"}}))
	}
	r.ok("DELETE", "~/chatgroups/"+ids[0]+"/users/bo", nil)
	r.ok("DELETE", "~/chatgroups/"+ids[1], nil)
	r.ok("POST", "~/chatgroups/"+ids[2]+"/admin", map[string]any{"newadmin": "bo"})
	bo := r.userToken("bo")
	require.EqualValues(t, 4, r.as(bo, "GET", "~/chatgroups/user/bo/joined_count", nil))
	names := func(m answer) (out []string) {
		for _, g := range m.json["data"].([]any) {
			out = append(out, g.(map[string]any)["groupid"].(string))
		}
		return out
	}
	m := r.do("GET", "~/users/bo/joined_chatgroups?pagenum=1&pagesize=3", bo, nil)
	require.Equal(t, ids[2:5], names(m), "the SDKs count from 1")
	require.Equal(t, ids[2:5], names(r.do("GET", "~/users/bo/joined_chatgroups?pagenum=0&pagesize=3", bo, nil)), "0 is 1")
	require.Equal(t, ids[5:], names(r.do("GET", "~/users/bo/joined_chatgroups?pagenum=1&pagesize=3", r.token, nil)), "back ends count from 0")
	require.Contains(t, m.json["uri"], "joined_chatgroups", "the SDKs search it")
	require.Equal(t, ids[5:], names(r.do("GET", "~/users/bo/joined_chatgroups?pagenum=2&pagesize=3", bo, nil)))
	require.Empty(t, names(r.do("GET", "~/users/bo/joined_chatgroups?pagenum=9223372036854775807&pagesize=3", bo, nil)))
	require.Equal(t, ids[2:], names(r.do("GET", "~/users/bo/joined_chatgroups", bo, nil)), "all")
	require.Equal(t, ids[2:], names(r.do("GET", "~/users/bo/joined_chatgroups?pagenum=0", bo, nil)))
	v3 := r.as(bo, "GET", "~/users/bo/joined_chatgroups?pagenum=0&pagesize=2&version=v3", nil).([]any)
	require.Equal(t, map[string]any{"id": ids[2], "name": "g2", "disabled": false, "permission": "admin"}, v3[0])
	e := r.do("GET", "~/chatgroups/user/bo?pagenum=0&pagesize=1&needAffiliations=true&needRole=true", bo, nil).json
	require.EqualValues(t, 4, e["total"])
	entity := e["entities"].([]any)[0].(map[string]any)
	require.Subset(t, keys(entity), []string{
		"affiliations_count", "name", "groupId", "permission", "disabled", "membersonly", "allowinvites", "description", "maxusers", "public",
	})
	require.Equal(t, []any{ids[2], "admin", 2.0}, []any{entity["groupId"], entity["permission"], entity["affiliations_count"]})
	refused(t, r.do("GET", "~/users/ana/joined_chatgroups", bo, nil), 403, "forbidden_op")
	refused(t, r.do("GET", "~/chatgroups/user/nobody", r.token, nil), 404, "service_resource_not_found")
	refused(t, r.do("GET", "~/chatgroups/user/bo?pagenum=-1", r.token, nil), 400, "illegal_argument")
	require.Equal(t, 4, len(r.ok("GET", "~/chatgroups/user/ana?pagenum=0&pagesize=4", nil)["entities"].([]any)))
	require.EqualValues(t, 0, r.ok("GET", "~/chatgroups/user/cy/joined_count", nil)["data"])
}

func TestJoinedLimit(t *testing.T) {
	r := newRig(t, func(c *rest.Config) { c.Settings.JoinedGroups = 2 })
	r.user("ana", "bo")
	for range 2 {
		r.groupWith(map[string]any{"owner": "ana", "public": true})
	}
	full := r.do("POST", "~/chatgroups", r.token, map[string]any{"owner": "ana"})
	refused(t, full, 403, "forbidden_op")
	gid := r.groupWith(map[string]any{"owner": "bo", "public": true})
	ana := r.userToken("ana")
	for _, a := range []answer{
		r.do("POST", "~/chatgroups/"+gid+"/apply", ana, map[string]any{}),
		r.do("POST", "~/chatgroups/"+gid+"/users/ana", r.token, nil),
		r.do("POST", "~/chatgroups/"+gid+"/users", r.token, map[string]any{"usernames": []string{"ana"}}),
	} {
		refused(t, a, 403, "forbidden_op")
		require.Equal(t, "the user has joined too many groups!", a.json["error_description"])
	}
}

// ACC-07: who is deleted leaves no group without an owner.
func TestDeletedUsersGroups(t *testing.T) {
	r := newRig(t)
	r.user("ana", "bo", "cy")
	own, other := r.group("ana", "bo"), r.group("bo", "ana", "cy")
	r.ok("POST", "~/chatgroups/"+other+"/admin", map[string]any{"newadmin": "ana"})
	r.ok("DELETE", "~/users/ana", nil)
	refused(t, r.do("GET", "~/chatgroups/"+own, r.token, nil), 404, "service_resource_not_found")
	require.ElementsMatch(t, []string{"owner bo", "member cy"}, r.membersOf(other))
	require.Empty(t, r.head(other).Admins)
	r.user("ana")
	require.EqualValues(t, 0, r.ok("GET", "~/chatgroups/user/ana/joined_count", nil)["data"], "the name made anew inherits nothing")
	r.ok("DELETE", "~/users?limit=100", nil)
	refused(t, r.do("GET", "~/chatgroups/"+other, r.token, nil), 404, "service_resource_not_found")
}

func TestGroupRefusals(t *testing.T) {
	r := newRig(t, func(c *rest.Config) { c.Settings.GroupUsers = 500 })
	r.user("ana", "bo", "cy")
	gid := r.group("ana", "bo")
	bo, cy := r.userToken("bo"), r.userToken("cy")
	many := make([]string, 1001)
	for i := range many {
		many[i] = "u" + strconv.Itoa(i)
	}
	group := func(more map[string]any) map[string]any {
		body := map[string]any{"owner": "ana"}
		maps.Copy(body, more)
		return body
	}
	one := func(k string, v any) map[string]any { return map[string]any{k: v} }
	at := "~/chatgroups/" + gid
	for name, c := range map[string]struct {
		method, path, token string
		body                any
		status              int
		error, description  string
	}{
		"no token":                 {"POST", "~/chatgroups", "", group(nil), 401, "unauthorized", ""},
		"no owner":                 {"POST", "~/chatgroups", r.token, one("groupname", "x"), 400, "illegal_argument", ""},
		"owner is nobody":          {"POST", "~/chatgroups", r.token, group(one("owner", "nobody")), 404, "service_resource_not_found", "Service resource not found: user not found"},
		"owner is another":         {"POST", "~/chatgroups", bo, group(nil), 403, "forbidden_op", ""},
		"a member is nobody":       {"POST", "~/chatgroups", r.token, group(one("members", []string{"bo", "nobody"})), 404, "service_resource_not_found", ""},
		"a member of a bad name":   {"POST", "~/chatgroups", r.token, group(one("members", []string{"a/b"})), 400, "illegal_argument", ""},
		"too many members":         {"POST", "~/chatgroups", r.token, group(one("members", many)), 400, "illegal_argument", ""},
		"more than it may have":    {"POST", "~/chatgroups", r.token, group(map[string]any{"maxusers": 2, "members": []string{"bo", "cy"}}), 403, "forbidden_op", "members size is greater than max user size !"},
		"maxusers over the limit":  {"POST", "~/chatgroups", r.token, group(one("maxusers", 501)), 400, "illegal_argument", ""},
		"maxusers of 0":            {"POST", "~/chatgroups", r.token, group(one("maxusers", 0)), 400, "illegal_argument", ""},
		"maxusers of letters":      {"POST", "~/chatgroups", r.token, group(one("maxusers", "x")), 400, "illegal_argument", ""},
		"long name":                {"POST", "~/chatgroups", r.token, group(one("groupname", strings.Repeat("名", 129))), 400, "illegal_argument", ""},
		"long description":         {"POST", "~/chatgroups", r.token, group(one("description", strings.Repeat("x", 513))), 400, "illegal_argument", ""},
		"long avatar":              {"POST", "~/chatgroups", r.token, group(one("avatar", strings.Repeat("x", 1025))), 400, "illegal_argument", ""},
		"long ext":                 {"POST", "~/chatgroups", r.token, group(one("custom", strings.Repeat("x", 8193))), 400, "illegal_argument", ""},
		"a group id of letters":    {"POST", "~/chatgroups", r.token, group(one("groupid", "a1")), 400, "illegal_argument", "group ID illegal, please check it"},
		"a group id of 21 digits":  {"POST", "~/chatgroups", r.token, group(one("groupid", strings.Repeat("1", 21))), 400, "illegal_argument", ""},
		"a group id that is taken": {"POST", "~/chatgroups", r.token, group(one("groupid", gid)), 400, "duplicate_unique_property_exists", ""},
		"public is a word":         {"POST", "~/chatgroups", r.token, group(one("public", "yes")), 400, "illegal_argument", "public has the wrong type"},

		"change of nothing":            {"PUT", at, r.token, "{}", 400, "illegal_argument", ""},
		"change of members":            {"PUT", at, r.token, one("members", []string{"cy"}), 400, "invalid_parameter", ""},
		"change of an unknown field":   {"PUT", at, r.token, map[string]any{"groupname": "x", "color": 1}, 400, "invalid_parameter", ""},
		"change to the wrong type":     {"PUT", at, r.token, one("groupname", 7), 400, "illegal_argument", "groupname has the wrong type"},
		"change to null":               {"PUT", at, r.token, one("public", nil), 400, "illegal_argument", ""},
		"change below the members":     {"PUT", at, r.token, one("maxusers", 1), 400, "illegal_argument", ""},
		"change to too many":           {"PUT", at, r.token, one("maxusers", 501), 400, "illegal_argument", ""},
		"change to a long name":        {"PUT", at, r.token, one("groupname", strings.Repeat("x", 129)), 400, "illegal_argument", ""},
		"change by a stranger":         {"PUT", at, cy, one("groupname", "x"), 403, "forbidden_op", "users are not members of this group"},
		"change of a missing group":    {"PUT", "~/chatgroups/1", r.token, one("groupname", "x"), 404, "service_resource_not_found", "do not find this group"},
		"new owner and more":           {"PUT", at, r.token, map[string]any{"newowner": "bo", "groupname": "x"}, 400, "invalid_parameter", ""},
		"new owner is no name":         {"PUT", at, r.token, one("newowner", 7), 400, "illegal_argument", ""},
		"destruction by a stranger":    {"DELETE", at, cy, nil, 403, "forbidden_op", ""},
		"destruction of a bad id":      {"DELETE", "~/chatgroups/x", r.token, nil, 404, "service_resource_not_found", ""},
		"members, by a stranger":       {"GET", at + "/users", cy, nil, 403, "forbidden_op", ""},
		"members, a foreign cursor":    {"GET", at + "/users?cursor=%00", bo, nil, 400, "illegal_argument", ""},
		"members, page 0":              {"GET", at + "/users?pagenum=0&pagesize=5", r.token, nil, 400, "illegal_argument", ""},
		"adding, by a member":          {"POST", at + "/users/cy", bo, nil, 403, "forbidden_op", ""},
		"adding, by a stranger":        {"POST", at + "/users/cy", cy, nil, 403, "forbidden_op", "users are not members of this group"},
		"adding nobody":                {"POST", at + "/users/nobody", r.token, nil, 404, "service_resource_not_found", "Service resource not found: user not found"},
		"adding a member":              {"POST", at + "/users/bo", r.token, nil, 403, "forbidden_op", "invite users to join group failed, reason: user already in group"},
		"adding members only":          {"POST", at + "/users", r.token, one("usernames", []string{"ana", "bo"}), 403, "forbidden_op", ""},
		"adding no one":                {"POST", at + "/users", r.token, one("usernames", []string{}), 400, "illegal_argument", ""},
		"adding 61":                    {"POST", at + "/users", r.token, one("usernames", many[:61]), 400, "illegal_argument", ""},
		"adding to a missing group":    {"POST", "~/chatgroups/1/users/bo", r.token, nil, 404, "service_resource_not_found", "do not find this group"},
		"removing the owner":           {"DELETE", at + "/users/ana", r.token, nil, 403, "forbidden_op", ""},
		"removing a stranger":          {"DELETE", at + "/users/cy", r.token, nil, 403, "forbidden_op", "users are not members of this group"},
		"removing nobody":              {"DELETE", at + "/users/nobody", r.token, nil, 403, "forbidden_op", ""},
		"removing, by a member":        {"DELETE", at + "/users/ana,bo", bo, nil, 403, "forbidden_op", ""},
		"removing oneself as a member": {"DELETE", at + "/users/bo", bo, nil, 403, "forbidden_op", ""},
		"removing, by a stranger":      {"DELETE", at + "/users/ana,bo", cy, nil, 403, "forbidden_op", "users are not members of this group"},
		"removing 61":                  {"DELETE", at + "/users/" + strings.Join(many[:61], ","), r.token, nil, 400, "illegal_argument", ""},
		"removing an empty name":       {"DELETE", at + "/users/bo,,", r.token, nil, 400, "illegal_argument", ""},
		"admins, by a stranger":        {"GET", at + "/admin", cy, nil, 403, "forbidden_op", ""},
		"admin is a stranger":          {"POST", at + "/admin", r.token, one("newadmin", "cy"), 403, "forbidden_op", "users are not members of this group"},
		"admin is the owner":           {"POST", at + "/admin", r.token, one("newadmin", "ana"), 403, "forbidden_op", ""},
		"admin by a member":            {"POST", at + "/admin", bo, one("newadmin", "bo"), 403, "forbidden_op", ""},
		"admin of no name":             {"POST", at + "/admin", r.token, "{}", 400, "illegal_argument", ""},
		"no admin to remove":           {"DELETE", at + "/admin/bo", r.token, nil, 403, "forbidden_op", ""},
		"a stranger as admin":          {"DELETE", at + "/admin/cy", r.token, nil, 403, "forbidden_op", ""},
		"role of the app":              {"GET", at + "/roles", r.token, nil, 401, "unauthorized", ""},
		"is_joined, by a stranger":     {"GET", at + "/user/bo/is_joined", cy, nil, 403, "forbidden_op", ""},
		"quitting as the app":          {"DELETE", at + "/quit", r.token, nil, 401, "unauthorized", ""},
		"quitting as a stranger":       {"DELETE", at + "/quit", cy, nil, 403, "forbidden_op", "users are not members of this group"},
		"shield of a stranger":         {"POST", at + "/shield", cy, nil, 403, "forbidden_op", ""},
		"shield of no group":           {"DELETE", "~/chatgroups/1/shield", cy, nil, 404, "service_resource_not_found", ""},
		"applying to a private group":  {"POST", at + "/apply", cy, "{}", 403, "forbidden_op", ""},
		"applying as a member":         {"POST", at + "/apply", bo, "{}", 403, "forbidden_op", "invite users to join group failed, reason: user already in group"},
		"applying as the app":          {"POST", at + "/apply", r.token, "{}", 401, "unauthorized", ""},
		"applying with a long reason":  {"POST", at + "/apply", cy, one("message", strings.Repeat("x", 3000)), 403, "forbidden_op", ""},
		"no such application":          {"POST", at + "/apply_verify", r.token, map[string]any{"applicant": "cy", "verifyResult": true}, 404, "resource_not_found", ""},
		"an application of a member":   {"POST", at + "/apply_verify", r.token, map[string]any{"applicant": "bo", "verifyResult": true}, 403, "forbidden_op", ""},
		"no verdict":                   {"POST", at + "/apply_verify", r.token, one("applicant", "cy"), 400, "illegal_argument", "verifyResult is required"},
		"a verdict by a member":        {"POST", at + "/apply_verify", bo, map[string]any{"applicant": "cy", "verifyResult": false}, 403, "forbidden_op", ""},
		"inviting, by a member":        {"POST", at + "/invite", bo, one("usernames", []string{"cy"}), 403, "forbidden_op", ""},
		"inviting nobody":              {"POST", at + "/invite", r.token, one("usernames", []string{"nobody"}), 404, "service_resource_not_found", ""},
		"inviting members only":        {"POST", at + "/invite", r.token, one("usernames", []string{"ana", "bo"}), 403, "forbidden_op", "invite users to join group failed, reason: user already in group"},
		"inviting 61":                  {"POST", at + "/invite", r.token, one("usernames", many[:61]), 400, "illegal_argument", ""},
		"no such invitation":           {"POST", at + "/invite_verify", cy, map[string]any{"invitee": "cy", "verifyResult": true}, 404, "resource_not_found", ""},
		"another's invitation":         {"POST", at + "/invite_verify", cy, map[string]any{"invitee": "bo", "verifyResult": true}, 403, "forbidden_op", ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := r.do(c.method, c.path, c.token, c.body)
			refused(t, a, c.status, c.error)
			if c.description != "" {
				require.Equal(t, c.description, a.json["error_description"])
			}
		})
	}
	require.Equal(t, domain.Seq(2), r.head(gid).Seq, "nothing happened")
}
