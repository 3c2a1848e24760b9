package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// A health check of the binary itself: 0 while it serves, 1 before and after.
func TestHealth(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := serveDev(t, data)
	out, errs, code := command(t, nil, "health", "--data", data)
	require.Zero(t, code, errs)
	require.Equal(t, "ready\n", out)
	_, port, err := net.SplitHostPort(strings.TrimPrefix(s.admin, "http://"))
	require.NoError(t, err)
	for _, admin := range []string{s.admin, s.admin + "/", strings.TrimPrefix(s.admin, "http://"), "0.0.0.0:" + port, ":" + port} {
		_, errs, code = command(t, []string{"PARLEY_ADMIN=" + admin}, "health")
		require.Zero(t, code, "%s: %s", admin, errs)
		_, errs, code = command(t, nil, "health", "--admin", admin)
		require.Zero(t, code, "%s: %s", admin, errs)
	}
	s.signal(syscall.SIGKILL)
	s.ended(drainLimit)
	out, errs, code = command(t, nil, "health", "--data", data)
	require.Equal(t, 1, code)
	require.Empty(t, out)
	require.Contains(t, errs, "the server does not answer")
}

func TestHealthSaysWhatIsNotReady(t *testing.T) {
	n := opened(t)
	server := httptest.NewServer(n.edge.adminServer.Handler)
	err := askReady(t.Context(), server.URL)
	server.Close()
	require.NoError(t, n.close())
	require.ErrorContains(t, err, "not ready\n")
	for _, reason := range []string{"starting", "partition 0", "partition 2048"} {
		require.ErrorContains(t, err, reason)
	}
}

func TestHealthBelievesParleyOnly(t *testing.T) {
	for name, answer := range map[string]string{"no JSON": "ok", "another's JSON": "{}", "said not to be": `{"status":"not ready"}`} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, answer) }))
			defer server.Close()
			require.Error(t, askReady(t.Context(), server.URL))
		})
	}
}
