package rest_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"parley/domain"
	"parley/domain/token"
	"parley/ingest/rest"
)

type adminRig struct {
	t     *testing.T
	admin *rest.Admin
}

func newAdmin(t *testing.T, key string) *adminRig {
	t.Helper()
	a, err := rest.NewAdmin(rest.AdminConfig{
		Key: key, Settings: freeSettings(), Apps: apps{shared.control}, Owners: shared.owners, Tokens: shared.signer,
		Waiter: waiter{shared.runner}, Now: time.Now, Logger: slog.New(slog.NewTextHandler(shared.logs, nil)), Registerer: prometheus.NewRegistry(),
	})
	require.NoError(t, err)
	return &adminRig{t, a}
}

func (r *adminRig) do(method, path, authorization string, body any) answer {
	r.t.Helper()
	raw, err := json.Marshal(body)
	require.NoError(r.t, err)
	if body == nil {
		raw = nil
	}
	req := httptest.NewRequestWithContext(r.t.Context(), method, path, strings.NewReader(string(raw)))
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	return serve(r.t, r.admin, req)
}

func TestAdminKey(t *testing.T) {
	r := newAdmin(t, "key")
	for _, authorization := range []string{"", "Bearer", "Bearer wrong", "Bearer key2", "Basic key", "key"} {
		for _, path := range []string{"/api/apps", "/api/tokens", "/api/nothing"} {
			refused(t, r.do("GET", path, authorization, nil), 401, "unauthorized")
		}
	}
	require.Equal(t, 200, r.do("GET", "/api/apps", "Bearer key", nil).status)
	for _, authorization := range []string{"", "Bearer", "Bearer ", "Bearer key"} {
		require.Equal(t, 401, newAdmin(t, "").do("GET", "/api/apps", authorization, nil).status, "without a key nobody is let in")
	}
}

func TestAdminApps(t *testing.T) {
	r := newAdmin(t, "key")
	const bearer = "Bearer key"
	id := fmt.Sprintf("acme#shop%d", appNumber.Add(1))
	made := r.do("POST", "/api/apps", bearer, map[string]any{"id": id, "open_registration": true})
	require.Equal(t, 200, made.status, made.text)
	require.ElementsMatch(t, []string{"id", "uuid", "client_id", "client_secret", "open_registration", "created"}, keys(made.json))
	require.GreaterOrEqual(t, len(made.json["client_secret"].(string)), 43, "32 random bytes")

	refused(t, r.do("POST", "/api/apps", bearer, map[string]any{"id": id}), 400, "illegal_argument")
	for _, bad := range []any{"noapp", "a#b#c", "#", "a#", 7, nil} {
		refused(t, r.do("POST", "/api/apps", bearer, map[string]any{"id": bad}), 400, "illegal_argument")
	}
	var listed map[string]any
	for _, a := range r.do("GET", "/api/apps", bearer, nil).json["apps"].([]any) {
		if a.(map[string]any)["id"] == id {
			listed = a.(map[string]any)
		}
	}
	require.ElementsMatch(t, []string{"id", "uuid", "client_id", "open_registration", "created"}, keys(listed), "the secret is shown once")
	require.Equal(t, made.json["uuid"], listed["uuid"])

	api := newRig(t)
	api.app = domain.AppID(id)
	api.made = rest.NewApp{ClientID: made.json["client_id"].(string), Secret: made.json["client_secret"].(string)}
	api.token = api.appToken()
	api.user("ana")

	path := "/api/apps/" + strings.ReplaceAll(id, "#", "/")
	require.Equal(t, 200, r.do("DELETE", path, bearer, nil).status)
	refused(t, r.do("DELETE", path, bearer, nil), 404, "organization_application_not_found")
	refused(t, api.do("GET", "~/users", api.token, nil), 404, "organization_application_not_found")
	refused(t, r.do("POST", "/api/apps", bearer, map[string]any{"id": id}), 400, "illegal_argument")
	refused(t, r.do("GET", "/api/nothing", bearer, nil), 404, "service_resource_not_found")
	refused(t, r.do("PUT", "/api/apps", bearer, nil), 405, "method_not_allowed")
	require.NotContains(t, shared.logs.String(), made.json["client_secret"])
}

func TestAdminTokens(t *testing.T) {
	r, api := newAdmin(t, "key"), newRig(t)
	const bearer = "Bearer key"
	mint := func(more map[string]any) answer {
		more["app"] = string(api.app)
		return r.do("POST", "/api/tokens", bearer, more)
	}
	refused(t, mint(map[string]any{"user": "ana"}), 404, "service_resource_not_found")
	refused(t, mint(map[string]any{"user": "a b"}), 400, "illegal_argument")
	refused(t, r.do("POST", "/api/tokens", bearer, map[string]any{"app": "no#where", "user": "ana"}), 404, "organization_application_not_found")
	made := mint(map[string]any{"user": "Ana", "create": true, "ttl": 60})
	require.Equal(t, 200, made.status, made.text)
	require.Equal(t, []any{60.0, "ana"}, []any{made.json["expires_in"], made.json["user"].(map[string]any)["username"]})
	require.Equal(t, 200, api.do("GET", "~/users/ana/resources", made.json["access_token"].(string), nil).status)
	require.Equal(t, made.json["user"], mint(map[string]any{"user": "ana"}).json["user"])

	app := mint(map[string]any{})
	claims, err := shared.signer.Verify(token.Token(app.json["access_token"].(string)), time.Now())
	require.NoError(t, err)
	require.True(t, claims.Admin, "without a user: the app's")
	require.Equal(t, 200, api.do("GET", "~/users", app.json["access_token"].(string), nil).status)
}
