package rest_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"parley/domain"
	"parley/domain/token"
	"parley/ingest/rest"
)

// refused demands a refusal: its status, its error, and exactly the keys that callers read.
func refused(t *testing.T, a answer, status int, name string) {
	t.Helper()
	require.Equal(t, []any{status, name}, []any{a.status, a.json["error"]}, a.text)
	want := []string{"error", "exception", "error_description", "timestamp", "duration"}
	if _, ok := a.json["error_code"]; ok {
		want = append(want, "error_code")
	}
	require.ElementsMatch(t, want, keys(a.json))
	require.True(t, strings.HasPrefix(a.header.Get("Content-Type"), "application/json"))
	require.InDelta(t, time.Now().UnixMilli(), a.json["timestamp"], 60_000)
	require.NotEmpty(t, a.json["error_description"])
	require.NotEqual(t, 406, status)
}

func TestRefusals(t *testing.T) {
	r := newRig(t, func(c *rest.Config) { c.Settings.MaxBody = 16 << 10 })
	r.user("ana", "bo")
	user := r.userToken("ana")
	expired := r.ok("POST", "~/token", map[string]any{"grant_type": "inherit", "username": "ana", "ttl": 1})["access_token"].(string)
	text := func(more map[string]any) map[string]any {
		body := map[string]any{"from": "ana", "to": []string{"bo"}, "type": "txt", "body": map[string]any{"msg": "x"}}
		maps.Copy(body, more)
		return body
	}
	without := func(key string) map[string]any {
		body := text(nil)
		delete(body, key)
		return body
	}
	many := make([]string, 601)
	for i := range many {
		many[i] = fmt.Sprintf("u%d", i)
	}
	queue := map[string]any{"queue": "bo@easemob.com"}
	grant := func(more ...string) map[string]any {
		body := map[string]any{}
		for i := 0; i < len(more); i += 2 {
			body[more[i]] = more[i+1]
		}
		return body
	}
	app, none := r.token, ""
	for name, c := range map[string]struct {
		method, path, token string
		body                any
		status              int
		error               string
		description         string
	}{
		// Nobody's paths, and what no path is.
		"outside of any app":         {"GET", "/nothing", none, nil, 404, "service_resource_not_found", "this path is not offered"},
		"the root":                   {"GET", "/", none, nil, 404, "service_resource_not_found", ""},
		"an app's root":              {"GET", "/org/x", none, nil, 404, "service_resource_not_found", ""},
		"unknown app":                {"GET", "/demo/elsewhere/users", none, nil, 404, "organization_application_not_found", "Could not find application for demo/elsewhere from URI"},
		"unknown app, unknown path":  {"GET", "/demo/elsewhere/x/y", none, nil, 404, "organization_application_not_found", ""},
		"path not offered":           {"GET", "~/threads/1/users", app, nil, 404, "service_resource_not_found", "this path is not offered"},
		"path not offered, no token": {"POST", "~/a/b/c/d/e", none, "{}", 404, "service_resource_not_found", ""},
		"below an account":           {"DELETE", "~/users/x/y/z", app, nil, 404, "service_resource_not_found", ""},
		"method not taken":           {"PATCH", "~/token", none, "{}", 405, "method_not_allowed", ""},
		"method not taken by sends":  {"GET", "~/messages/users", app, nil, 405, "method_not_allowed", ""},
		// Who calls.
		"no token":               {"GET", "~/users", none, nil, 401, "unauthorized", "Unable to authenticate (OAuth)"},
		"forged token":           {"GET", "~/users", "forged.token.here", nil, 401, "auth_bad_access_token", "Unable to authenticate (OAuth)"},
		"changed token":          {"GET", "~/users", app[:len(app)-2] + "AA", nil, 401, "auth_bad_access_token", ""},
		"expired token":          {"GET", "~/users/ana/resources", expired, nil, 401, "auth_bad_access_token", ""},
		"user's token":           {"DELETE", "~/users/ana", user, nil, 401, "unauthorized", "Unable to authenticate (OAuth)"},
		"user's token for sends": {"POST", "~/messages/users", user, text(nil), 401, "unauthorized", ""},
		"another user's history": {"POST", "~/users/bo/messageroaming", user, queue, 403, "forbidden_op", ""},
		"another user's list":    {"GET", "~/sdk/user/bo/user_channels/list", user, nil, 403, "forbidden_op", ""},
		"another user's devices": {"GET", "~/users/bo/resources", user, nil, 403, "forbidden_op", ""},
		"inherit without token":  {"POST", "~/token", none, grant("grant_type", "inherit", "username", "ana"), 401, "unauthorized", ""},
		"inherit by a user":      {"POST", "~/token", user, grant("grant_type", "inherit", "username", "ana"), 401, "unauthorized", ""},
		"inherit of nobody":      {"POST", "~/token", app, grant("grant_type", "inherit", "username", "nobody"), 404, "service_resource_not_found", "Service resource not found: user not found"},
		"inherit of a bad name":  {"POST", "~/token", app, grant("grant_type", "inherit", "username", "名"), 400, "illegal_argument", ""},
		"wrong secret":           {"POST", "~/token", none, grant("grant_type", "client_credentials", "client_id", r.made.ClientID, "client_secret", "x"), 400, "invalid_grant", ""},
		"wrong client":           {"POST", "~/token", none, grant("grant_type", "client_credentials", "client_id", "x", "client_secret", r.made.Secret), 400, "invalid_grant", ""},
		"unknown grant":          {"POST", "~/token", none, grant("grant_type", "x"), 400, "illegal_argument", ""},
		"no grant":               {"POST", "~/token", none, "{}", 400, "illegal_argument", ""},
		"ttl below 0":            {"POST", "~/token", none, map[string]any{"grant_type": "client_credentials", "ttl": -1}, 400, "illegal_argument", ""},
		"ttl of centuries":       {"POST", "~/token", none, map[string]any{"grant_type": "client_credentials", "ttl": 1e12}, 400, "illegal_argument", ""},
		"ttl that is none":       {"POST", "~/token", none, map[string]any{"grant_type": "client_credentials", "ttl": "soon"}, 400, "illegal_argument", ""},
		"wrong password":         {"POST", "~/token", none, grant("grant_type", "password", "username", "ana", "password", "x"), 400, "invalid_grant", "invalid password"},
		"no password":            {"POST", "~/token", none, grant("grant_type", "password", "username", "ana"), 400, "invalid_grant", "invalid password"},
		"password of nobody":     {"POST", "~/token", none, grant("grant_type", "password", "username", "nobody", "password", "x"), 400, "invalid_grant", "user not found"},
		"password of a bad name": {"POST", "~/token", none, grant("grant_type", "password", "username", "a b", "password", "x"), 400, "invalid_grant", "user not found"},
		// Bodies.
		"broken JSON":         {"POST", "~/users", app, `{"username": `, 400, "json_parse", ""},
		"empty body":          {"POST", "~/users", app, "", 400, "invalid_request_body", ""},
		"array for an object": {"POST", "~/token", none, "[]", 400, "illegal_argument", ""},
		"wrong types":         {"POST", "~/users", app, map[string]any{"username": 7, "password": []int{}}, 400, "illegal_argument", "password has the wrong type"},
		"body over the limit": {"POST", "~/users", app, `{"username":"` + strings.Repeat("x", 20<<10) + `"}`, 413, "request_entity_too_large", ""},
		"two values":          {"POST", "~/token", none, "{} {}", 400, "json_parse", ""},
		"deep nesting":        {"POST", "~/messages/users", app, strings.Repeat("[", 12000), 400, "json_parse", ""},
		// Users.
		"name taken":         {"POST", "~/users", app, grant("username", "ANA", "password", "p"), 400, "duplicate_unique_property_exists", ""},
		"bad name":           {"POST", "~/users", app, grant("username", "a b", "password", "p"), 400, "illegal_argument", ""},
		"empty name":         {"POST", "~/users", app, grant("username", "", "password", "p"), 400, "illegal_argument", ""},
		"long name":          {"POST", "~/users", app, grant("username", strings.Repeat("x", 65), "password", "p"), 400, "illegal_argument", ""},
		"no password to set": {"POST", "~/users", app, grant("username", "x"), 400, "illegal_argument", ""},
		"long password":      {"POST", "~/users", app, grant("username", "x", "password", strings.Repeat("x", 65)), 400, "illegal_argument", ""},
		"long nickname":      {"POST", "~/users", app, grant("username", "x", "password", "p", "nickname", strings.Repeat("x", 101)), 400, "illegal_argument", ""},
		"nobody":             {"GET", "~/users/nobody", app, nil, 404, "service_resource_not_found", "Service resource not found: user not found"},
		"nobody to delete":   {"DELETE", "~/users/nobody", app, nil, 404, "service_resource_not_found", ""},
		"nobody's password":  {"PUT", "~/users/nobody/password", app, grant("newpassword", "x"), 404, "service_resource_not_found", ""},
		"empty new password": {"PUT", "~/users/ana/password", app, "{}", 400, "illegal_argument", ""},
		"page of 0":          {"GET", "~/users?limit=0", app, nil, 400, "illegal_argument", ""},
		"page of x":          {"GET", "~/users?limit=x", app, nil, 400, "illegal_argument", ""},
		"foreign cursor":     {"GET", "~/users?cursor=%00%ff", app, nil, 400, "illegal_argument", ""},
		"deleting with x":    {"DELETE", "~/users?limit=-3", app, nil, 400, "illegal_argument", ""},
		"status of none":     {"POST", "~/users/batch/status", app, `{"usernames":[]}`, 400, "illegal_argument", ""},
		"status of 101":      {"POST", "~/users/batch/status", app, map[string]any{"usernames": many[:101]}, 400, "illegal_argument", ""},
		"waiting of nobody":  {"GET", "~/users/nobody/offline_msg_count", app, nil, 404, "service_resource_not_found", ""},
		"message id":         {"GET", "~/users/ana/offline_msg_status/x", app, nil, 400, "illegal_argument", ""},
		// Sends.
		"empty sender":         {"POST", "~/messages/users", app, text(map[string]any{"from": ""}), 400, "illegal_argument", "'From' can't be empty."},
		"sender of a bad name": {"POST", "~/messages/users", app, text(map[string]any{"from": "a/b"}), 400, "illegal_argument", ""},
		"no recipients":        {"POST", "~/messages/users", app, text(map[string]any{"to": []string{}}), 400, "illegal_argument", ""},
		"recipients absent":    {"POST", "~/messages/users", app, without("to"), 400, "illegal_argument", ""},
		"one for many":         {"POST", "~/messages/users", app, text(map[string]any{"to": "bo"}), 400, "illegal_argument", "to has the wrong type"},
		"601 recipients":       {"POST", "~/messages/users", app, text(map[string]any{"to": many}), 400, "illegal_argument", ""},
		"bad recipient":        {"POST", "~/messages/users", app, text(map[string]any{"to": []string{"a/b"}}), 400, "illegal_argument", ""},
		"no type":              {"POST", "~/messages/users", app, without("type"), 400, "illegal_argument", "type is not valid"},
		"no body":              {"POST", "~/messages/users", app, without("body"), 400, "illegal_argument", ""},
		"no text":              {"POST", "~/messages/users", app, text(map[string]any{"body": map[string]any{}}), 400, "illegal_argument", "body.msg is required"},
		"ext is no object":     {"POST", "~/messages/users", app, text(map[string]any{"ext": []int{1}}), 400, "illegal_argument", "ext is not valid"},
		"routetype":            {"POST", "~/messages/users", app, text(map[string]any{"routetype": "x"}), 400, "illegal_argument", ""},
		"bad ignored user":     {"POST", "~/messages/users", app, text(map[string]any{"roam_ignore_users": []string{""}}), 400, "illegal_argument", ""},
		"too large":            {"POST", "~/messages/users", app, text(map[string]any{"body": map[string]any{"msg": strings.Repeat("x", 5<<10)}}), 400, "message_send_error", "message is too large"},
		"ext too large":        {"POST", "~/messages/users", app, text(map[string]any{"ext": map[string]any{"k": strings.Repeat("x", 5<<10)}}), 400, "message_send_error", "message is too large"},
		// History and lists.
		"no queue":            {"POST", "~/users/ana/messageroaming", user, "{}", 400, "illegal_argument", ""},
		"foreign queue":       {"POST", "~/users/ana/messageroaming", user, `{"queue":"bo@example.org"}`, 400, "illegal_argument", ""},
		"queue of a bad name": {"POST", "~/users/ana/messageroaming", user, `{"queue":"a/b@easemob.com"}`, 400, "illegal_argument", ""},
		"group's queue":       {"POST", "~/users/ana/messageroaming", user, `{"queue":"1@conference.easemob.com"}`, 404, "resource_not_found", "the user is not in this group"},
		"start of letters":    {"POST", "~/users/ana/messageroaming", user, `{"queue":"bo@easemob.com","start":"abc"}`, 400, "illegal_argument", ""},
		"start is a fraction": {"POST", "~/users/ana/messageroaming", user, `{"queue":"bo@easemob.com","start":1.5}`, 400, "illegal_argument", ""},
		"page of nothing":     {"POST", "~/users/ana/messageroaming", user, `{"queue":"bo@easemob.com","pull_number":0}`, 400, "illegal_argument", ""},
		"unknown type":        {"POST", "~/users/ana/messageroaming", user, `{"queue":"bo@easemob.com","msgType":"txt,x"}`, 400, "illegal_argument", ""},
		"history of nobody":   {"POST", "~/users/nobody/messageroaming", app, queue, 404, "service_resource_not_found", ""},
		"list's cursor":       {"GET", "~/sdk/user/ana/user_channels/list?cursor=x", user, nil, 400, "illegal_argument", ""},
		"list's limit":        {"GET", "~/sdk/user/ana/user_channels/list?limit=x", user, nil, 400, "illegal_argument", ""},
		"old list's page":     {"GET", "~/users/ana/user_channels/page?pageNum=0&pageSize=5", user, nil, 400, "illegal_argument", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if c.token == expired {
				time.Sleep(1100 * time.Millisecond)
			}
			a := r.do(c.method, c.path, c.token, c.body)
			refused(t, a, c.status, c.error)
			if c.description != "" {
				require.Equal(t, c.description, a.json["error_description"])
			}
			if c.error == "message_send_error" {
				require.EqualValues(t, 14007, a.json["error_code"])
			}
		})
	}
	require.Equal(t, []string{"ana", "bo"}, entities(r.ok("GET", "~/users?limit=100", nil)), "nothing was made or deleted")
}

func TestContentType(t *testing.T) {
	r := newRig(t)
	body := map[string]any{"username": "ana", "password": "p"}
	refused(t, r.do("POST", "~/users", r.token, body, "Content-Type", "application/x-www-form-urlencoded"), 415, "web_application")
	refused(t, r.do("POST", "~/users", r.token, body, "Content-Type", ";;"), 415, "web_application")
	require.Equal(t, 200, r.do("POST", "~/users", r.token, body, "Content-Type", "application/json;charset=UTF-8").status)
}

func TestRateLimits(t *testing.T) {
	now := time.Now()
	r := newRig(t, func(c *rest.Config) {
		c.Settings.Rate, c.Settings.Burst, c.Settings.Rates = 2, 3, map[string]float64{"delete_users": 0.5}
		c.Now = func() time.Time { return now }
	})
	get := func(path string) int { return r.do("GET", path, r.token, nil).status }
	require.Equal(t, []int{200, 200, 200}, []int{get("~/users"), get("~/users/x/status"), get("~/users")}, "users share a bucket")
	a := r.do("GET", "~/users", r.token, nil)
	refused(t, a, 429, "reach_limit")
	require.Equal(t, []any{"EasemobReachLimitException", "This request has reached api limit"}, []any{a.json["exception"], a.json["error_description"]})
	require.Equal(t, 401, r.do("GET", "~/users", "forged", nil).status, "who may not call takes nothing from the bucket")
	require.Equal(t, 404, get("~/sdk/user/x/user_channels/list"), "another API has its own")
	other := newRig(t)
	other.server = r.server
	require.Equal(t, 200, other.do("GET", "~/users", other.token, nil).status, "another app has its own")
	now = now.Add(time.Second)
	require.Equal(t, []int{200, 200, 429}, []int{get("~/users"), get("~/users"), get("~/users")})
	del := func() int { return r.do("DELETE", "~/users?limit=1", r.token, nil).status }
	require.Equal(t, []int{200, 200, 200, 429}, []int{del(), del(), del(), del()})
	now = now.Add(time.Second)
	require.Equal(t, 429, del(), "half a call a second")
	now = now.Add(time.Second)
	require.Equal(t, 200, del())
}

// failing parts, to see what the caller sees of them.
type failingOwners struct{ err error }

func (f failingOwners) Submit(r domain.Request) { r.Done(domain.Result{Err: f.err}) }
func (f failingOwners) Heads(context.Context, []domain.StreamID) ([]domain.Row, error) {
	return nil, f.err
}

type panickingApps struct{ rest.Apps }

func (panickingApps) App(domain.AppID) (rest.App, bool) { panic("a bug with a secret-value") }

func TestFailures(t *testing.T) {
	for name, c := range map[string]struct {
		err    error
		status int
		error  string
	}{
		"a full owner":        {domain.Refuse(domain.Busy, "the tail is full"), 503, "service_unavailable"},
		"a stopping owner":    {domain.Refuse(domain.Stopping, ""), 503, "service_unavailable"},
		"an unknown outcome":  {domain.Refuse(domain.Unknown, "moved"), 503, "service_unavailable"},
		"a bug":               {errors.New("secret detail"), 500, "internal"},
		"what is not offered": {domain.Refuse(domain.Unsupported, "no"), 501, "unsupported_service_operation"},
		"a code of tomorrow":  {domain.Refuse("tomorrow", "secret detail"), 500, "internal"},
		"too many devices":    {domain.Refuse(domain.TooManyDevices, "secret detail"), 500, "internal"},
		"what is not there":   {domain.Refuse(domain.NotFound, "no such thing"), 404, "resource_not_found"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(c2 *rest.Config) {
				c2.Owners, c2.Settings.RetryFor = failingOwners{c.err}, 50*time.Millisecond
			})
			for _, a := range []answer{
				r.do("GET", "~/users/ana", r.token, nil),
				r.do("POST", "~/users", r.token, map[string]any{"username": "ana", "password": "p"}),
				r.do("POST", "~/messages/users", r.token, map[string]any{"to": []string{"bo"}, "type": "txt", "body": map[string]any{"msg": "x"}}),
			} {
				refused(t, a, c.status, c.error)
				require.NotContains(t, a.text, "secret detail")
			}
		})
	}
	r := newRig(t)
	r.config.Apps, r.config.Registerer = panickingApps{}, nil
	server, err := rest.New(r.config)
	require.NoError(t, err)
	r.server = server
	a := r.do("GET", "~/users", "", nil)
	refused(t, a, 500, "internal")
	require.NotContains(t, a.text, "secret-value")
}

// A commit whose answer never comes is unknown in time, and the call ends.
type silentOwners struct{ rest.Owners }

func (silentOwners) Submit(domain.Request) {}

func TestNoAnswerInTime(t *testing.T) {
	r := newRig(t, func(c *rest.Config) {
		c.Owners, c.Settings.Timeout, c.Settings.RetryFor = silentOwners{shared.owners}, time.Second, time.Second
	})
	begin := time.Now()
	refused(t, r.do("POST", "~/users", r.token, map[string]any{"username": "ana", "password": "p"}), 503, "service_unavailable")
	require.Less(t, time.Since(begin), 5*time.Second)
}

func TestLateReadModels(t *testing.T) {
	r := newRig(t, func(c *rest.Config) { c.Waiter, c.Settings.WaitAtMost = lateWaiter{}, 50*time.Millisecond })
	begin := time.Now()
	r.user("ana")
	require.Less(t, time.Since(begin), 3*time.Second, "answered all the same")
}

type lateWaiter struct{}

func (lateWaiter) Wait(ctx context.Context, _ domain.Partition, _ domain.Index) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestCORS(t *testing.T) {
	r := newRig(t)
	preflight := func(path, origin string) *httptest.ResponseRecorder {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodOptions, "http://chat.example"+path, nil)
		req.Header.Set("Origin", origin)
		req.Header.Set("Access-Control-Request-Method", "DELETE")
		w := httptest.NewRecorder()
		r.server.ServeHTTP(w, req)
		return w
	}
	for _, path := range []string{"/org/x/users", "/org/x/no/such/path", "/anything", "/", "/easemob/server.json"} {
		w := preflight(path, "https://app.example")
		require.Equal(t, http.StatusNoContent, w.Code, path)
		require.Equal(t, "https://app.example", w.Header().Get("Access-Control-Allow-Origin"))
		for _, name := range []string{"Authorization", "Content-Type", "restrict-access", "share-secret", "X-Requested-With", "Accept"} {
			require.Contains(t, w.Header().Get("Access-Control-Allow-Headers"), name)
		}
		for _, method := range []string{"GET", "POST", "PUT", "DELETE"} {
			require.Contains(t, w.Header().Get("Access-Control-Allow-Methods"), method)
		}
		require.Empty(t, preflight(path, "https://evil.example").Header().Get("Access-Control-Allow-Origin"))
	}
	for origin, want := range map[string]string{"https://app.example": "https://app.example", "http://chat.example": "http://chat.example", "null": "", "https://evil.example": ""} {
		for _, path := range []string{"~/users", "~/no/such/path", "/nothing"} {
			require.Equal(t, want, r.do("GET", path, r.token, nil, "Origin", origin).header.Get("Access-Control-Allow-Origin"), origin+path)
		}
	}
	all := newRig(t, func(c *rest.Config) { c.Settings.Origins = []string{"*"} })
	require.Equal(t, "null", all.do("GET", "~/users", all.token, nil, "Origin", "null").header.Get("Access-Control-Allow-Origin"))
}

func TestClientsAsTheyAre(t *testing.T) {
	r := newRig(t)
	r.user("ana")
	require.Equal(t, 200, r.do("Post", "~/token", "", map[string]any{"grant_type": "password", "username": "ana", "password": "p"}).status, "method names")
	require.Equal(t, 200, r.do("get", "~/users/", r.token, nil).status, "a slash at the end")
	refused(t, r.do("DELETE", "~/users/", r.token, nil), 404, "service_resource_not_found")
	require.Equal(t, 200, r.do("GET", "~/users/ana", r.token, nil).status, "a slash at the end of DELETE, where a name should be")
	require.Equal(t, 200, r.do("GET", "~/users?limit=10&_v=1&x=%zz;y=a+c&&=&limit2", r.token, nil).status, "values that are not encoded")
	m := r.ok("GET", "~/users?note=a+b==&bad=%zz", nil)
	require.Equal(t, map[string]any{"note": []any{"a+b=="}, "bad": []any{"%zz"}}, m["params"])
	require.Equal(t, 200, r.do("DELETE", "~/users/ana", r.token, `{"a body":1}`).status, "a body on DELETE")
	require.Equal(t, 200, r.do("GET", "~/users", "", nil, "Authorization", "bearer  "+r.token).status)
	refused(t, r.do("GET", "~/users", "", nil, "Authorization", "Basic abc"), 401, "unauthorized")
	refused(t, r.do("GET", "~/users", "", nil, "Authorization", "Bearer"), 401, "unauthorized")
}

// badTokens signs nothing: what then is said is internal.
type badTokens struct{ rest.Tokens }

func (badTokens) Sign(token.Claims) (token.Token, error) { return "", errors.New("no key") }

func TestSignerFails(t *testing.T) {
	r := newRig(t)
	config := r.config
	config.Tokens, config.Registerer = badTokens{shared.signer}, nil
	server, err := rest.New(config)
	require.NoError(t, err)
	r.server = server
	refused(t, r.do("POST", "~/token", r.token, map[string]any{"grant_type": "inherit", "username": "x", "autoCreateUser": true}), 500, "internal")
}

func TestNothingSecretIsLogged(t *testing.T) {
	r := newRig(t)
	r.ok("POST", "~/users", map[string]any{"username": "ana", "password": "hush-password"})
	tok := r.userToken("ana")
	r.text("ana", "bo", "hush-body")
	r.do("POST", "~/token", "", map[string]any{"grant_type": "password", "username": "ana", "password": "hush-password"})
	r.do("GET", "~/users?share-secret=hush-query", r.token, nil)
	logs := shared.logs.String()
	require.Contains(t, logs, "api=register")
	for _, secret := range []string{"hush-", tok, r.token, r.made.Secret} {
		require.NotContains(t, logs, secret)
	}
}
