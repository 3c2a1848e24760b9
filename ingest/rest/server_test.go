package rest_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"parley/ingest/rest"
)

func TestDiscovery(t *testing.T) {
	for name, c := range map[string]struct{ public, target, protocol, domain, port string }{
		"as it was called": {"", "http://chat.example:8080", "http", "chat.example", "8080"},
		"no port":          {"", "http://chat.example", "http", "chat.example", "80"},
		"tls":              {"", "https://chat.example", "https", "chat.example", "443"},
		"public url":       {"https://im.example/", "http://10.0.0.1:8080", "https", "im.example", "443"},
		"ipv6":             {"", "http://[::1]:8080", "http", "[::1]", "8080"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(c2 *rest.Config) { c2.PublicURL = c.public })
			a := serve(t, r.server, httptest.NewRequestWithContext(t.Context(), "GET", c.target+"/easemob/server.json?app_key=demo%23chat&_v=1", nil))
			require.Equal(t, 200, a.status)
			require.Equal(t, "demo#chat", a.json["app_key"])
			for _, kind := range []string{"rest", "msync-wx"} {
				host := a.json[kind].(map[string]any)["hosts"].([]any)[0].(map[string]any)
				require.Equal(t, []any{c.protocol, c.domain, c.port}, []any{host["protocol"], host["domain"], host["port"]})
			}
			require.Equal(t, "false", a.json["enableReportLogs"], "texts")
		})
	}
}

func TestMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	r := newRig(t, func(c *rest.Config) { c.Registerer = reg })
	r.user("ana")
	r.do("GET", "~/users/nobody", r.token, nil)
	r.do("GET", "~/no/such/path", r.token, nil)
	count := func(api, status string) (n float64) {
		families, err := reg.Gather()
		require.NoError(t, err)
		for _, f := range families {
			require.True(t, strings.HasPrefix(f.GetName(), "parley_rest_"))
			if f.GetName() != "parley_rest_requests_total" {
				continue
			}
			for _, m := range f.GetMetric() {
				if m.GetLabel()[0].GetValue() == api && m.GetLabel()[1].GetValue() == status {
					n += m.GetCounter().GetValue()
				}
			}
		}
		return n
	}
	require.Equal(t, []float64{1, 1, 1, 1}, []float64{
		count("token", "200"), count("register", "200"), count("get_user", "404"), count("unknown", "404"),
	})
}

// Whoever sends half a body and stops is answered when the call's time is up, and holds no goroutine after that.
func TestSlowBody(t *testing.T) {
	r := newRig(t, func(c *rest.Config) { c.Settings.Timeout, c.Settings.RetryFor = time.Second, time.Second })
	server := httptest.NewServer(r.server)
	defer server.Close()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "POST /%s/%s/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"grant", r.app.Org(), r.app.Name())
	require.NoError(t, err)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(10*time.Second)))
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, 400, resp.StatusCode)
	require.Contains(t, string(body), "invalid_request_body")
}

// FuzzServe sends anything to any path: the answer is JSON of a status that the SDKs know, and no call panics.
func FuzzServe(f *testing.F) {
	for _, s := range []struct{ method, path, body string }{
		{"POST", "/token", `{"grant_type":"password","username":"ana","password":"p"}`},
		{"POST", "/users", `[{"username":"x","password":"p"},7]`},
		{"GET", "/users?limit=1&cursor=AAAAAAAAAAA", ""},
		{"Delete", "/users?limit=1", "{}"},
		{"PUT", "/users/ana/password", `{"newpassword":"q"}`},
		{"POST", "/messages/users", `{"to":["bo"],"type":"txt","body":{"msg":"x"},"ext":{"a":{}}}`},
		{"POST", "/users/ana/messageroaming", `{"queue":"bo@easemob.com","start":"1"}`},
		{"GET", "/sdk/user/ana/user_channels/list?cursor=&limit=3", ""},
		{"GET", "/users/ana/user_channels/page?pageNum=2&pageSize=1", ""},
		{"GET", "/users/ana/offline_msg_status/1", ""},
		{"POST", "/users/batch/status", `{"usernames":["a"]}`},
		{"GET", "/%2e%2e//x/%zz", ""},
	} {
		f.Add(s.method, s.path, s.body, true)
		f.Add(s.method, s.path, s.body, false)
	}
	f.Fuzz(func(t *testing.T, method, path, body string, authorized bool) {
		r := newRig(t, func(c *rest.Config) { c.Settings.Timeout = 5 * time.Second })
		req, err := http.NewRequestWithContext(t.Context(), method, "http://chat.example/"+r.app.Org()+"/"+r.app.Name()+path, strings.NewReader(body))
		if err != nil || method == http.MethodOptions {
			return
		}
		if authorized {
			req.Header.Set("Authorization", "Bearer "+r.token)
		}
		a := serve(t, r.server, req)
		if !slices.Contains([]int{200, 400, 401, 403, 404, 405, 413, 429}, a.status) {
			t.Fatalf("%d %s", a.status, a.text)
		}
		if a.status != 200 {
			refused(t, a, a.status, fmt.Sprint(a.json["error"]))
		}
	})
}
