package rest_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"parley/domain"
	"parley/ingest/rest"
)

// envelopeKeys are those that every enveloped answer has.
var envelopeKeys = []string{
	"action", "application", "applicationName", "organization", "uri", "path", "entities", "timestamp", "duration",
}

func TestRegisterAndGet(t *testing.T) {
	r := newRig(t)
	m := r.ok("POST", "~/users", map[string]any{"username": "Ana.B_-1", "password": "p", "nickname": "小明"})
	require.ElementsMatch(t, envelopeKeys, keys(m))
	path := "/org/" + r.app.Name()
	require.Equal(t, []any{"post", r.made.UUID, r.app.Name(), "org", "http://chat.example" + path + "/users", "/users"},
		[]any{m["action"], m["application"], m["applicationName"], m["organization"], m["uri"], m["path"]})
	e := m["entities"].([]any)[0].(map[string]any)
	require.ElementsMatch(t, []string{"uuid", "type", "created", "modified", "username", "activated", "nickname"}, keys(e))
	require.Equal(t, []any{"ana.b_-1", "user", true, "小明", e["created"]}, []any{e["username"], e["type"], e["activated"], e["nickname"], e["modified"]})

	m = r.ok("GET", "~/users/ANA.b_-1", nil)
	require.Equal(t, e, m["entities"].([]any)[0])
	require.EqualValues(t, 1, m["count"])

	m = r.ok("DELETE", "~/users/ana.b_-1", nil)
	require.Equal(t, e, m["entities"].([]any)[0])
	for _, method := range []string{"GET", "DELETE"} {
		a := r.do(method, "~/users/ana.b_-1", r.token, nil)
		require.Equal(t, []any{404, "service_resource_not_found"}, []any{a.status, a.json["error"]})
	}
}

// Of two who register a name at the same time one gets it, and the other learns that it is taken.
func TestRegistrationsRace(t *testing.T) {
	r := newRig(t)
	const callers = 8
	answers := make([]answer, callers)
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			answers[i] = r.do("POST", "~/users", "", map[string]any{"username": "same", "password": fmt.Sprintf("p%d", i)})
		})
	}
	wg.Wait()
	winner := slices.IndexFunc(answers, func(a answer) bool { return a.status == 200 })
	require.GreaterOrEqual(t, winner, 0)
	for i, a := range answers {
		if i != winner {
			refused(t, a, 400, "duplicate_unique_property_exists")
		}
		login := r.do("POST", "~/token", "", map[string]any{"grant_type": "password", "username": "same", "password": fmt.Sprintf("p%d", i)})
		require.Equal(t, i == winner, login.status == 200, "only the winner's password counts")
	}
}

func TestOpenRegistration(t *testing.T) {
	r := newRig(t)
	require.Equal(t, 200, r.do("POST", "~/users", "", map[string]any{"username": "open", "password": "p"}).status)
	require.Equal(t, 401, r.do("POST", "~/users", r.userToken("open"), map[string]any{"username": "x", "password": "p"}).status,
		"a user registers nobody")
	require.Equal(t, 401, r.do("POST", "~/users", "", []any{map[string]any{"username": "x", "password": "p"}}).status, "many: the app only")
	closed := newRig(t, func(c *rest.Config) { c.Apps = closedApps{c.Apps} })
	a := closed.do("POST", "~/users", "", map[string]any{"username": "x", "password": "p"})
	require.Equal(t, []any{401, "unauthorized", "Registration is not open, please contact the administrator."},
		[]any{a.status, a.json["error"], a.json["error_description"]})
	closed.user("by-the-app")
}

type closedApps struct{ rest.Apps }

func (c closedApps) App(id domain.AppID) (rest.App, bool) {
	a, ok := c.Apps.App(id)
	a.OpenRegistration = false
	return a, ok
}

func TestRegisterMany(t *testing.T) {
	r := newRig(t)
	var body []any
	var names []string
	for i := range 7 {
		names = append(names, fmt.Sprintf("n%d", i))
		body = append(body, map[string]any{"username": names[i], "password": "p"})
	}
	body = append(body,
		map[string]any{"username": "n0", "password": "p"}, map[string]any{"username": "not valid!", "password": "p"},
		map[string]any{"username": "nopassword"}, map[string]any{"username": 7}, "no object",
	)
	m := r.ok("POST", "~/users", body)
	require.Equal(t, names, entities(m))
	var failed []any
	for _, d := range m["data"].([]any) {
		require.ElementsMatch(t, []string{"username", "registerUserFailReason"}, keys(d.(map[string]any)))
		require.NotEmpty(t, d.(map[string]any)["registerUserFailReason"])
		failed = append(failed, d.(map[string]any)["username"])
	}
	require.Equal(t, []any{"n0", "not valid!", "nopassword", "", ""}, failed)

	for name, n := range map[string]int{"none": 0, "61": 61} {
		many := make([]any, n)
		for i := range many {
			many[i] = map[string]any{"username": fmt.Sprintf("x%d", i), "password": "p"}
		}
		require.Equal(t, 400, r.do("POST", "~/users", r.token, many).status, name)
	}
	require.Equal(t, 404, r.do("GET", "~/users/x0", r.token, nil).status, "none of the 61")
}

func TestUsersPaging(t *testing.T) {
	r := newRig(t)
	var names []string
	for i := range 25 {
		names = append(names, fmt.Sprintf("page-%02d", 99-i)) // the order is that of registration
	}
	r.user(names...)
	read := func(limit int) (seen []string) {
		cursor := ""
		for range 40 {
			path := fmt.Sprintf("~/users?limit=%d", limit)
			if cursor != "" {
				path += "&cursor=" + cursor
			}
			m := r.ok("GET", path, nil)
			require.EqualValues(t, len(entities(m)), m["count"])
			require.Equal(t, []any{fmt.Sprint(limit)}, m["params"].(map[string]any)["limit"])
			seen = append(seen, entities(m)...)
			next, more := m["cursor"]
			if !more {
				return seen
			}
			require.Len(t, entities(m), limit, "only the last page is short")
			cursor = next.(string)
		}
		t.Fatal("no last page")
		return nil
	}
	for _, limit := range []int{1, 10, 25, 100} {
		require.Equal(t, names, read(limit), "limit %d", limit)
	}
	require.Len(t, entities(r.ok("GET", "~/users", nil)), 10)
	require.Len(t, entities(r.ok("GET", "~/users?limit=1000", nil)), 25)

	m := r.ok("DELETE", "~/users?limit=7", nil)
	require.Equal(t, names[:7], entities(m))
	require.EqualValues(t, 7, m["count"])
	require.NotEmpty(t, m["cursor"])
	require.Equal(t, names[7:], read(10), "those that are left, listed at once")
	r.ok("DELETE", "~/users/"+names[12], nil)
	require.Equal(t, append(append([]string{}, names[7:12]...), names[13:]...), read(3))
	require.Equal(t, names[7:9], entities(r.ok("GET", "~/users?limit=2&_v=1700000000000", nil)))
}

func TestTenantsAreApart(t *testing.T) {
	r, other := newRig(t), newRig(t)
	r.user("ana")
	require.Empty(t, entities(other.ok("GET", "~/users", nil)))
	require.Equal(t, 404, other.do("GET", "~/users/ana", other.token, nil).status)
	for name, tok := range map[string]string{"app": r.token, "user": r.userToken("ana")} {
		a := other.do("GET", "~/users/ana/resources", tok, nil)
		require.Equal(t, []any{401, "auth_bad_access_token"}, []any{a.status, a.json["error"]}, name)
	}
}

func TestSessions(t *testing.T) {
	r := newRig(t)
	r.user("ana", "bo")
	r.people.devices["ana"] = []rest.Device{{Resource: "webim_1", DeviceUUID: "u-1", DeviceName: "Firefox"}}
	require.Equal(t, []any{map[string]any{"res": "webim_1", "device_uuid": "u-1", "device_name": "Firefox"}}, r.ok("GET", "~/users/ana/resources", nil)["data"])
	require.Equal(t, []any{}, r.ok("GET", "~/users/bo/resources", nil)["data"])
	require.Equal(t, 404, r.do("GET", "~/users/nobody/resources", r.token, nil).status)
	for name, want := range map[string]string{"ana": "online", "bo": "offline", "nobody": "offline", "not valid!": "offline"} {
		require.Equal(t, map[string]any{name: want}, r.ok("GET", "~/users/"+pathOf(name)+"/status", nil)["data"])
	}
	require.Equal(t, []any{map[string]any{"ana": "online"}, map[string]any{"x y": "offline"}},
		r.ok("POST", "~/users/batch/status", map[string]any{"usernames": []string{"ana", "x y"}})["data"])

	r.people.waiting["ana"] = 3
	require.Equal(t, map[string]any{"ana": 3.0}, r.ok("GET", "~/users/ana/offline_msg_count", nil)["data"])
	require.Equal(t, map[string]any{"bo": 0.0}, r.ok("GET", "~/users/bo/offline_msg_count", nil)["data"])
	r.people.seen[7], r.people.seen[8] = true, false
	require.Equal(t, map[string]any{"7": "delivered"}, r.ok("GET", "~/users/ana/offline_msg_status/7", nil)["data"])
	require.Equal(t, map[string]any{"8": "undelivered"}, r.ok("GET", "~/users/ana/offline_msg_status/8", nil)["data"])
	require.Equal(t, 404, r.do("GET", "~/users/ana/offline_msg_status/9", r.token, nil).status)
}

func pathOf(s string) string {
	out := ""
	for _, c := range []byte(s) {
		out += fmt.Sprintf("%%%02X", c)
	}
	return out
}
