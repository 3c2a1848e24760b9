package rest_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"parley/domain"
	"parley/ingest/rest"
)

func TestAddAndRemoveMembers(t *testing.T) {
	r := newRig(t)
	r.user("ana", "bo", "cy", "di", "ed")
	gid := r.group("ana")
	at := "~/chatgroups/" + gid
	require.Equal(t, map[string]any{"result": true, "groupid": gid, "action": "add_member", "user": "bo"}, r.as(r.token, "POST", at+"/users/BO", nil))
	require.Equal(t, map[string]any{"newmembers": []any{"cy", "di"}, "groupid": gid, "action": "add_member"},
		r.as(r.token, "POST", at+"/users", map[string]any{"usernames": []string{"bo", "cy", "di", "CY"}}), "who was a member is not named")
	require.Equal(t, []string{"member di", "member cy", "member bo", "owner ana"}, r.membersOf(gid), "the newest first")
	refused(t, r.do("POST", at+"/users", r.token, map[string]any{"usernames": []string{"ed", "nobody"}}), 404, "service_resource_not_found")
	require.NotContains(t, r.membersOf(gid), "member ed", "all or nobody, when one does not exist")

	require.Equal(t, map[string]any{"result": true, "groupid": gid, "action": "remove_member", "user": "bo"},
		r.as(r.token, "DELETE", at+"/users/bo?need_notify=false", nil))
	item := func(user, reason string) map[string]any {
		out := map[string]any{"result": reason == "", "groupid": gid, "action": "remove_member", "user": user}
		if reason != "" {
			out["reason"] = reason
		}
		return out
	}
	stranger := "users are not members of this group"
	require.Equal(t, []any{item("cy", ""), item("bo", stranger), item("nobody", stranger), item("ana", "the owner cannot be removed")},
		r.as(r.token, "DELETE", at+"/users/cy,bo,nobody,ana", nil))
	require.Equal(t, []any{item("cy", stranger), item("bo", stranger)}, r.as(r.token, "DELETE", at+"/users/cy,bo", nil), "twice")
	require.Equal(t, []string{"member di", "owner ana"}, r.membersOf(gid))

	// An admin removes members, not other admins.
	r.as(r.token, "POST", at+"/users", map[string]any{"usernames": []string{"bo", "cy"}})
	for _, u := range []string{"bo", "cy"} {
		r.as(r.token, "POST", at+"/admin", map[string]any{"newadmin": u})
	}
	bo := r.userToken("bo")
	require.Equal(t, []any{item("di", ""), item("cy", "the admin cannot be removed"), item("ana", "the owner cannot be removed"), item("bo", "the admin cannot be removed")},
		r.as(bo, "DELETE", at+"/users/di,cy,ana,bo", nil))
	refused(t, r.do("DELETE", at+"/users/cy", bo, nil), 403, "forbidden_op")
	require.Equal(t, true, r.as(bo, "POST", at+"/users/ed", nil).(map[string]any)["result"])
}

func TestBulkAfterALostAnswer(t *testing.T) {
	lossy := &forgetful{}
	r := newRig(t, func(c *rest.Config) { lossy.Owners = c.Owners; c.Owners = lossy })
	r.user("ana", "bo", "cy")
	gid := r.group("ana")
	lossy.lose.Store(1)
	require.Equal(t, []any{"bo", "cy"}, r.as(r.token, "POST", "~/chatgroups/"+gid+"/users", map[string]any{"usernames": []string{"bo", "cy"}}).(map[string]any)["newmembers"])
	lossy.lose.Store(1)
	for _, item := range r.as(r.token, "DELETE", "~/chatgroups/"+gid+"/users/bo,cy", nil).([]any) {
		require.Equal(t, true, item.(map[string]any)["result"])
	}
	require.Equal(t, []string{"owner ana"}, r.membersOf(gid))
}

// What was done though its answer was lost is answered as done.
func TestGroupsAfterALostAnswer(t *testing.T) {
	lossy := &forgetful{}
	r := newRig(t, func(c *rest.Config) { lossy.Owners = c.Owners; c.Owners = lossy })
	r.user("ana", "bo")
	gid := r.groupWith(map[string]any{"owner": "ana", "public": true})
	at, bo := "~/chatgroups/"+gid, r.userToken("bo")
	for _, c := range []struct {
		method, path, token string
		body                any
	}{
		{"POST", at + "/users/bo", r.token, nil},
		{"POST", at + "/admin", r.token, map[string]any{"newadmin": "bo"}},
		{"DELETE", at + "/admin/bo", r.token, nil},
		{"DELETE", at + "/quit", bo, nil},
		{"POST", at + "/apply", bo, map[string]any{}},
		{"PUT", at, r.token, map[string]any{"newowner": "bo"}},
		{"PUT", at, bo, map[string]any{"newowner": "ana"}}, // refused: who is the owner no more may not do it
		{"DELETE", at + "/users/bo", r.token, nil},
		{"DELETE", at, r.token, nil},
	} {
		lossy.lose.Store(1)
		a := r.do(c.method, c.path, c.token, c.body)
		if c.path == at && c.token == bo {
			refused(t, a, 403, "forbidden_op")
			continue
		}
		require.Equal(t, 200, a.status, "%s %s: %s", c.method, c.path, a.text)
	}
	refused(t, r.do("DELETE", at, r.token, nil), 404, "service_resource_not_found")
}

func TestListMembers(t *testing.T) {
	r := newRig(t)
	r.user("ana")
	gid := r.groupWith(map[string]any{"owner": "ana", "maxusers": 50})
	at := "~/chatgroups/" + gid
	want := []string{"owner ana"}
	for i := range 9 {
		u := fmt.Sprintf("u%d", i)
		r.user(u)
		r.as(r.token, "POST", at+"/users/"+u, nil)
		want = append([]string{"member " + u}, want...)
	}
	r.as(r.token, "POST", at+"/admin", map[string]any{"newadmin": "u4"})
	r.as(r.token, "DELETE", at+"/users/u7", nil)
	r.as(r.token, "POST", at+"/users/u7", nil)
	want = append([]string{"member u7", want[0]}, append(want[2:4:4], want[4:]...)...)

	page := r.ok("GET", at+"/users?pagenum=2&pagesize=4", nil)
	require.Equal(t, want[4:8], affiliations(page["data"]), "back ends see admins as members")
	require.EqualValues(t, 4, page["count"])
	require.NotContains(t, page, "cursor")
	require.NotContains(t, page["data"].([]any)[0], "joined_time")
	require.Equal(t, want, affiliations(r.ok("GET", at+"/users", nil)["data"]), "the first ten")
	require.Empty(t, r.ok("GET", at+"/users?pagenum=4&pagesize=4", nil)["data"])
	require.Empty(t, r.ok("GET", at+"/users?pagenum=1000000000&pagesize=1000", nil)["data"])

	want[4] = "admin u4"
	u1 := r.userToken("u1")
	var got []string
	for cursor := ""; ; {
		a := r.do("GET", at+"/users?limit=4&joined_time=true"+cursor, u1, nil)
		require.Equal(t, 200, a.status, a.text)
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
	require.Equal(t, want, got)
}

func TestIsJoinedAndRoles(t *testing.T) {
	r := newRig(t)
	r.user("ana", "bo", "cy")
	gid := r.group("ana", "bo")
	at := "~/chatgroups/" + gid
	bo, cy := r.userToken("bo"), r.userToken("cy")
	for u, want := range map[string]bool{"ana": true, "BO": true, "cy": false, "nobody": false} {
		require.Equal(t, want, r.as(r.token, "GET", at+"/user/"+u+"/is_joined", nil), u)
	}
	require.Equal(t, false, r.as(cy, "GET", at+"/user/cy/is_joined", nil), "oneself, as a stranger")

	require.Equal(t, map[string]any{"result": "success", "newadmin": "bo"}, r.as(r.token, "POST", at+"/admin", map[string]any{"newadmin": "Bo"}))
	refused(t, r.do("POST", at+"/admin", r.token, map[string]any{"newadmin": "bo"}), 403, "forbidden_op")
	admins := r.do("GET", at+"/admin", bo, nil).json
	require.Equal(t, []any{[]any{"bo"}, 1.0}, []any{admins["data"], admins["count"]})
	require.Equal(t, map[string]any{"user": "bo", "role": "admin"}, r.as(bo, "GET", at+"/roles", nil))
	require.Equal(t, map[string]any{"user": "cy", "role": "none"}, r.as(cy, "GET", at+"/roles", nil))
	require.Equal(t, map[string]any{"result": "success", "oldadmin": "bo"}, r.as(r.token, "DELETE", at+"/admin/bo", nil))
	require.Equal(t, []any{}, r.as(r.token, "GET", at+"/admin", nil))
	require.Equal(t, map[string]any{"user": "bo", "role": "member"}, r.as(bo, "GET", at+"/roles", nil))
}

func TestTooManyAdmins(t *testing.T) {
	r := newRig(t)
	r.user("ana")
	gid := r.groupWith(map[string]any{"owner": "ana", "maxusers": 200})
	for i := range 100 {
		u := fmt.Sprintf("u%d", i)
		r.user(u)
		r.as(r.token, "POST", "~/chatgroups/"+gid+"/users/"+u, nil)
		a := r.do("POST", "~/chatgroups/"+gid+"/admin", r.token, map[string]any{"newadmin": u})
		if i < 99 {
			require.Equal(t, 200, a.status, a.text)
		} else {
			refused(t, a, 403, "exceed_limit")
		}
	}
}

func TestQuitAndShield(t *testing.T) {
	r := newRig(t)
	r.user("ana", "bo")
	gid := r.group("ana", "bo")
	at := "~/chatgroups/" + gid
	ana, bo := r.userToken("ana"), r.userToken("bo")
	shielded := func() any {
		return r.as(bo, "GET", at, nil).([]any)[0].(map[string]any)["shieldgroup"]
	}
	for range 2 {
		require.Equal(t, map[string]any{"result": true}, r.as(bo, "POST", at+"/shield?version=v3&resource=web", nil))
		require.Equal(t, true, shielded())
	}
	require.Equal(t, map[string]any{"result": true}, r.as(bo, "DELETE", at+"/shield?version=v3&resource=web", nil))
	require.Equal(t, false, shielded())

	refused(t, r.do("DELETE", at+"/quit", ana, nil), 403, "forbidden_op")
	require.Equal(t, map[string]any{"result": true}, r.as(bo, "DELETE", at+"/quit?resource=web", nil))
	refused(t, r.do("DELETE", at+"/quit", bo, nil), 403, "forbidden_op")
	require.Equal(t, []string{"owner ana"}, r.membersOf(gid))
	// Who comes back is a member again.
	r.as(r.token, "POST", at+"/users/bo", nil)
	require.Equal(t, []string{"member bo", "owner ana"}, r.membersOf(gid))
}

func TestApplications(t *testing.T) {
	r := newRig(t)
	r.user("ana", "bo", "cy", "di")
	open := r.groupWith(map[string]any{"owner": "ana", "public": true, "maxusers": 2})
	asks := r.groupWith(map[string]any{"owner": "ana", "public": true, "membersonly": true})
	ana, bo, cy := r.userToken("ana"), r.userToken("bo"), r.userToken("cy")
	require.Equal(t, map[string]any{"result": true, "action": "apply", "user": "bo", "groupid": open, "id": open, "reason": "me"},
		r.as(bo, "POST", "~/chatgroups/"+open+"/apply?resource=web", map[string]any{"message": "me"}))
	require.Equal(t, []string{"member bo", "owner ana"}, r.membersOf(open), "at once")
	full := r.do("POST", "~/chatgroups/"+open+"/apply", cy, map[string]any{"message": ""})
	refused(t, full, 403, "forbidden_op")
	require.Equal(t, "group member list is full!", full.json["error_description"])

	r.as(bo, "POST", "~/chatgroups/"+asks+"/apply", map[string]any{"message": "please"})
	r.as(bo, "POST", "~/chatgroups/"+asks+"/apply", map[string]any{"message": "please"})
	r.as(cy, "POST", "~/chatgroups/"+asks+"/apply", map[string]any{"message": "please"})
	require.Equal(t, []string{"owner ana"}, r.membersOf(asks), "not yet")
	verify := "~/chatgroups/" + asks + "/apply_verify?resource=web"
	yes := map[string]any{"applicant": "bo", "verifyResult": true, "reason": ""}
	require.Equal(t, map[string]any{"result": true, "action": "apply_verify", "user": "bo", "groupid": asks}, r.as(ana, "POST", verify, yes))
	refused(t, r.do("POST", verify, ana, yes), 403, "forbidden_op")
	no := map[string]any{"applicant": "cy", "verifyResult": false, "reason": "full"}
	require.Equal(t, map[string]any{"result": true, "action": "apply_verify", "user": "cy", "groupid": asks}, r.as(ana, "POST", verify, no))
	refused(t, r.do("POST", verify, ana, no), 403, "forbidden_op")
	refused(t, r.do("POST", verify, cy, no), 403, "forbidden_op")
	require.Equal(t, []string{"member bo", "owner ana"}, r.membersOf(asks))
	r.ok("DELETE", "~/users/cy", nil)
	refused(t, r.do("POST", verify, r.token, map[string]any{"applicant": "cy", "verifyResult": true}), 404, "service_resource_not_found")
}

func TestInvitations(t *testing.T) {
	r := newRig(t)
	r.user("ana", "bo", "cy", "di")
	asks := r.group("ana", "bo")
	ana, cy, di := r.userToken("ana"), r.userToken("cy"), r.userToken("di")
	item := func(user, reason string) map[string]any {
		out := map[string]any{"result": reason == "", "groupid": asks, "id": asks, "action": "invite", "user": user}
		if reason != "" {
			out["reason"] = reason
		}
		return out
	}
	require.Equal(t, []any{
		item("cy", ""), item("bo", "invite users to join group failed, reason: user already in group"), item("di", ""),
		item("nobody", "Service resource not found: user not found"),
	}, r.as(ana, "POST", "~/chatgroups/"+asks+"/invite?resource=web", map[string]any{"usernames": []string{"cy", "bo", "di", "nobody"}}))
	require.ElementsMatch(t, []string{"member bo", "owner ana"}, r.membersOf(asks), "not yet")
	verify := "~/chatgroups/" + asks + "/invite_verify?resource=web"
	require.Equal(t, map[string]any{"result": true, "action": "invite_verify", "user": "cy", "groupid": asks},
		r.as(cy, "POST", verify, map[string]any{"invitee": "CY", "verifyResult": true}))
	require.Equal(t, true, r.as(di, "POST", verify, map[string]any{"invitee": "di", "verifyResult": false}).(map[string]any)["result"])
	for tok, who := range map[string]string{cy: "cy", di: "di"} {
		refused(t, r.do("POST", verify, tok, map[string]any{"invitee": who, "verifyResult": true}), 403, "forbidden_op")
	}
	require.ElementsMatch(t, []string{"member cy", "member bo", "owner ana"}, r.membersOf(asks))

	// Where members may invite, and who is invited is not asked.
	direct := r.groupWith(map[string]any{"owner": "ana", "members": []string{"bo"}, "allowinvites": true, "invite_need_confirm": false})
	bo := r.userToken("bo")
	r.as(bo, "POST", "~/chatgroups/"+direct+"/invite", map[string]any{"usernames": []string{"cy"}})
	require.ElementsMatch(t, []string{"member cy", "member bo", "owner ana"}, r.membersOf(direct))
}

// What a user does over REST from a device is of that device: it is not told of it.
func TestGroupActor(t *testing.T) {
	r := newRig(t)
	r.user("ana", "bo")
	gid := r.group("ana", "bo")
	r.as(r.userToken("bo"), "DELETE", "~/chatgroups/"+gid+"/quit?resource=web_7", nil)
	events, err := shared.queries.Entries(t.Context(), domain.GroupStream(r.app, gid), 3, 3, 1, 1)
	require.NoError(t, err)
	require.Len(t, events, 1)
	require.Contains(t, fmt.Sprintf("%+v", events[0].Body), "{User:bo Resource:web_7}")
}
