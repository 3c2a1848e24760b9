package main

import (
	"bufio"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"parley/delivery/gateway/client"
)

// One development server, looked at from all sides.
func TestServeDev(t *testing.T) {
	data := filepath.Join(t.TempDir(), "new", "data")
	s := serveDev(t, data)
	t.Run("dev.json says how to connect", func(t *testing.T) { devJSON(t, s, data) })
	t.Run("health", func(t *testing.T) {
		for path, want := range map[string]string{"/healthz": `{"status":"ok"}`, "/readyz": `{"status":"ok"}`} {
			status, body := ask(t, web, http.MethodGet, s.admin+path, "")
			require.Equal(t, http.StatusOK, status, path)
			require.JSONEq(t, want, body, path)
		}
		status, _ := ask(t, web, http.MethodGet, s.admin+"/debug/pprof/goroutine?debug=1", "")
		require.Equal(t, http.StatusOK, status)
	})
	t.Run("what is for operators is not on the public port", func(t *testing.T) {
		for _, path := range []string{"/metrics", "/healthz", "/readyz", "/debug/pprof/", "/api/apps"} {
			status, body := ask(t, web, http.MethodGet, s.rest+path, "", "Authorization: Bearer "+s.dev.AdminKey)
			require.Equal(t, http.StatusNotFound, status, path)
			require.True(t, json.Valid([]byte(body)), path)
		}
	})
	t.Run("the admin API wants the key", func(t *testing.T) { adminKeyWanted(t, s) })
	t.Run("sockets at every path that SDKs use", func(t *testing.T) {
		ana := s.token("ana")
		for _, path := range []string{"/ws", "/websocket", "/anything/websocket", "/a/b/c/websocket"} {
			c := login(t, strings.TrimSuffix(s.ws, "/ws")+path, s.dev.App, "ana", ana)
			require.NoError(t, c.Close())
		}
		for _, path := range []string{"/wss", "/ws/", "/ws/more", "/websocketing", "/"} {
			require.NotEqual(t, http.StatusSwitchingProtocols, upgrade(t, strings.TrimSuffix(s.ws, "/ws")+path), path)
		}
	})
	t.Run("metrics of each stage", func(t *testing.T) { stages(t, s) })
	t.Run("secrets are not logged", func(t *testing.T) {
		require.NotEmpty(t, s.tokens)
		for _, secret := range append(s.tokens, s.dev.AdminKey, s.dev.ClientSecret) {
			require.NotContains(t, s.out.String()+s.log.String(), secret)
		}
	})
}

func devJSON(t *testing.T, s *served, data string) {
	info, err := os.Stat(filepath.Join(data, "dev.json"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	info, err = os.Stat(data)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	b, err := os.ReadFile(filepath.Join(data, "dev.json"))
	require.NoError(t, err)
	said := map[string]string{}
	require.NoError(t, json.Unmarshal(b, &said))
	for _, key := range []string{"app", "client_id", "client_secret", "rest", "ws", "admin", "admin_key"} {
		require.NotEmpty(t, said[key], key)
	}
	require.Len(t, said, 7)
	require.Equal(t, "demo#chat", said["app"])
	for _, key := range []string{"rest", "ws", "admin"} {
		require.Contains(t, said[key], "://127.0.0.1:")
		require.NotContains(t, said[key], "127.0.0.1:0", "the port is the real one")
		require.Contains(t, s.out.String(), said[key])
	}
	require.Equal(t, "ws"+strings.TrimPrefix(said["rest"], "http")+"/ws", said["ws"])
	// The secret is good for a token, over REST.
	status, body := ask(t, web, http.MethodPost, s.rest+"/demo/chat/token",
		`{"grant_type":"client_credentials","client_id":"`+said["client_id"]+`","client_secret":"`+said["client_secret"]+`"}`,
		"Content-Type: application/json")
	require.Equal(t, http.StatusOK, status, body)
}

func adminKeyWanted(t *testing.T, s *served) {
	for _, c := range []struct{ method, path string }{
		{http.MethodGet, "/api/apps"},
		{http.MethodPost, "/api/apps"},
		{http.MethodDelete, "/api/apps/demo/chat"},
		{http.MethodPost, "/api/tokens"},
	} {
		for name, headers := range map[string][]string{
			"no key": nil, "wrong key": {"Authorization: Bearer x" + s.dev.AdminKey[1:]}, "wrong scheme": {"Authorization: Basic " + s.dev.AdminKey},
			"the app's secret": {"Authorization: Bearer " + s.dev.ClientSecret},
		} {
			status, body := ask(t, web, c.method, s.admin+c.path, `{"id":"a#b","app":"demo#chat"}`, headers...)
			require.Equal(t, http.StatusUnauthorized, status, "%s %s with %s", c.method, c.path, name)
			require.True(t, json.Valid([]byte(body)))
		}
	}
	status, body := ask(t, web, http.MethodGet, s.admin+"/api/apps", "", "Authorization: Bearer "+s.dev.AdminKey)
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, body, "demo#chat")
	require.NotContains(t, body, "a#b", "what was refused was not done")
}

// families are what the metrics name for each stage of a message, all above 0 once one was delivered.
var families = map[string][]string{
	"connect":    {"parley_gateway_connects_total", "parley_gateway_frames_total", "parley_gateway_closes_total"},
	"login":      {"parley_gateway_logins_total", "parley_gateway_login_seconds_count"},
	"command":    {"parley_gateway_commands_total", "parley_shard_commands_total", "parley_shard_decide_wait_seconds_count"},
	"ack":        {"parley_gateway_ack_seconds_count", "parley_shard_ack_seconds_count"},
	"log append": {"parley_pebble_log_batches_total", "parley_pebble_log_records_total", "parley_shard_append_seconds_count"},
	"projection": {"parley_runner_commits_total", "parley_runner_writes_total", "parley_runner_batch_seconds_count"},
	"delivery": {
		"parley_router_entries_total", "parley_router_entry_age_seconds_count", "parley_gateway_delivered_total", "parley_gateway_delivery_seconds_count",
	},
	"REST": {"parley_rest_requests_total", "parley_rest_request_seconds_count", "parley_rest_admin_requests_total"},
}

func stages(t *testing.T, s *served) {
	ana, bob := login(t, s.ws, s.dev.App, "ana", s.token("ana")), login(t, s.ws, s.dev.App, "bob", s.token("bob"))
	send(t, ana, "bob", "counted")
	receive(t, bob, "counted")
	require.NoError(t, bob.Logout(within(t), "done"))
	require.NoError(t, ana.Close())
	_, err := client.Dial(within(t), s.ws, client.Options{AppKey: s.dev.App, User: "ana", Token: "forged", Resource: "web_x"})
	var refused *client.ProvisionError
	require.ErrorAs(t, err, &refused)
	var silent []string
	for begin := time.Now(); time.Since(begin) < 10*time.Second; time.Sleep(20 * time.Millisecond) { // some count after they have answered
		silent = nil
		got := counted(t, s)
		for stage, names := range families {
			for _, name := range names {
				if got[name] == 0 {
					silent = append(silent, stage+": "+name)
				}
			}
		}
		if silent == nil {
			break
		}
	}
	require.Empty(t, silent, "these have not counted")
	status, body := ask(t, web, http.MethodGet, s.admin+"/metrics", "")
	require.Equal(t, http.StatusOK, status)
	for _, reason := range []string{`parley_gateway_closes_total{reason="`, `parley_gateway_logins_total{outcome="`} {
		require.Contains(t, body, reason)
	}
	for _, name := range []string{"go_goroutines", "process_resident_memory_bytes"} {
		require.Contains(t, body, name)
	}
}

// counted sums the samples of each metric over its labels.
func counted(t *testing.T, s *served) map[string]float64 {
	t.Helper()
	_, body := ask(t, web, http.MethodGet, s.admin+"/metrics", "")
	sums := map[string]float64{}
	lines := bufio.NewScanner(strings.NewReader(body))
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, "#") {
			continue
		}
		name, _, _ := strings.Cut(line, " ")
		name, _, _ = strings.Cut(name, "{")
		v, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
		require.NoError(t, err, line)
		sums[name] += v
	}
	return sums
}

// The promise is 2 s. A machine that is busy with other things gets three tries.
func TestServeIsReadyInTwoSeconds(t *testing.T) {
	binary(t) // not counted
	var took []time.Duration
	for range 3 {
		s := serveDev(t, t.TempDir())
		status, _ := ask(t, web, http.MethodGet, s.admin+"/readyz", "")
		took = append(took, time.Since(s.began))
		require.Equal(t, http.StatusOK, status)
		s.stop()
		if took[len(took)-1] < 2*time.Second {
			t.Logf("ready after %s", took)
			return
		}
	}
	require.Fail(t, "not ready in 2 s", "%s", took)
}

func TestRestartKeepsEverything(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := serveDev(t, data)
	before, ana, bob := s.dev, s.token("ana"), s.token("bob")
	asked(t, nil, "app", "create", "acme#shop", "--data", data)
	status, body := ask(t, web, http.MethodPost, s.rest+"/demo/chat/users", `{"username":"cleo","password":"sesame"}`, "Content-Type: application/json")
	require.Equal(t, http.StatusOK, status, body)
	c := login(t, s.ws, s.dev.App, "ana", ana)
	send(t, c, "bob", "over the night")
	s.stop()
	key, err := os.ReadFile(filepath.Join(data, "token.key"))
	require.NoError(t, err)

	s = serveDev(t, data)
	require.NotEqual(t, before.REST, s.dev.REST, "both took a free port")
	before.REST, before.WS, before.Admin = s.dev.REST, s.dev.WS, s.dev.Admin
	require.Equal(t, before, s.dev, "app, client id, secret and admin key")
	again, err := os.ReadFile(filepath.Join(data, "token.key"))
	require.NoError(t, err)
	require.Equal(t, string(key), string(again))
	receive(t, login(t, s.ws, s.dev.App, "bob", bob), "over the night")
	send(t, login(t, s.ws, s.dev.App, "ana", ana), "bob", "good morning")
	status, body = ask(t, web, http.MethodPost, s.rest+"/demo/chat/token", `{"grant_type":"password","username":"cleo","password":"sesame"}`,
		"Content-Type: application/json")
	require.Equal(t, http.StatusOK, status, body)
	status, body = ask(t, web, http.MethodPost, s.rest+"/demo/chat/token",
		`{"grant_type":"client_credentials","client_id":"`+before.ClientID+`","client_secret":"`+before.ClientSecret+`"}`, "Content-Type: application/json")
	require.Equal(t, http.StatusOK, status, body)
	out, _, code := command(t, nil, "app", "list", "--data", data)
	require.Zero(t, code)
	require.Contains(t, out, "acme#shop")
}

// An operator may delete the app that --dev made. That must not keep the server from starting.
func TestRestartAfterTheDemoAppWasDeleted(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := serveDev(t, data)
	asked(t, nil, "app", "delete", "demo#chat", "--data", data)
	s.stop()
	s = serveDev(t, data)
	require.Empty(t, s.dev.ClientSecret)
	out, _, code := command(t, nil, "app", "list", "--data", data)
	require.Zero(t, code)
	require.NotContains(t, out, "demo#chat")
	s.stop()
}

func TestTermDrains(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			data := t.TempDir()
			s := serveDev(t, data)
			ana, bob := s.token("ana"), s.token("bob")
			c := login(t, s.ws, s.dev.App, "ana", ana)
			login(t, s.ws, s.dev.App, "bob", bob)
			send(t, c, "bob", "just before")
			hold(t, s.rest)
			s.signal(sig)
			took := s.ended(drainLimit)
			require.Zero(t, s.cmd.ProcessState.ExitCode(), "%s", &s.log)
			require.Contains(t, s.log.String(), `"msg":"stopped"`)
			t.Logf("ended after %s, with a request that hung", took)
			select {
			case <-c.Done():
			case <-time.After(drainLimit):
				require.Fail(t, "the socket was not closed")
			}
			require.NotErrorIs(t, c.Err(), client.ErrClosed, "the server has closed it")
		})
	}
}

// hold opens a request whose body never comes.
func hold(t *testing.T, rest string) {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(within(t), "tcp", strings.TrimPrefix(rest, "http://"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_, err = conn.Write([]byte("POST /demo/chat/users HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{"))
	require.NoError(t, err)
	time.Sleep(50 * time.Millisecond) // until the server reads
}

func TestASecondTermEndsAtOnce(t *testing.T) {
	t.Parallel()
	s := serveDev(t, t.TempDir())
	hold(t, s.rest)
	s.signal(syscall.SIGTERM)
	s.await(`"msg":"stopping"`, &s.log)
	s.signal(syscall.SIGTERM)
	took := s.ended(drainLimit)
	require.Less(t, took, time.Second)
	status, ok := s.cmd.ProcessState.Sys().(syscall.WaitStatus)
	require.True(t, ok)
	require.True(t, status.Signaled() && status.Signal() == syscall.SIGTERM, "ended by the signal: %v", status)
	require.NotContains(t, s.log.String(), `"msg":"stopped"`)
}

func TestDataFolderIsOneProcess(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := serveDev(t, data)
	before, err := os.ReadFile(filepath.Join(data, "dev.json"))
	require.NoError(t, err)
	out, errs, code := command(t, nil, "serve", "--dev", "--data", data, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")
	require.Equal(t, 1, code)
	require.Empty(t, out)
	require.Contains(t, errs, data)
	require.Contains(t, errs, "in use by another process")
	after, err := os.ReadFile(filepath.Join(data, "dev.json"))
	require.NoError(t, err)
	require.Equal(t, string(before), string(after))
	status, _ := ask(t, web, http.MethodGet, s.admin+"/readyz", "")
	require.Equal(t, http.StatusOK, status, "the first goes on")
}

func TestPortInUse(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	for _, name := range []string{"listen", "admin"} {
		args := []string{"serve", "--dev", "--data", t.TempDir(), "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--" + name, l.Addr().String()}
		_, errs, code := command(t, nil, args...)
		require.Equal(t, 1, code)
		require.Contains(t, errs, "parley: "+name+": listen tcp "+l.Addr().String())
	}
}

func TestDevJSONThatOthersMayReadIsRefused(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	write(t, filepath.Join(data, "dev.json"), `{"admin_key":"0123456789abcdef"}`, 0o644)
	_, errs, code := command(t, nil, "serve", "--dev", "--data", data, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")
	require.Equal(t, 1, code)
	require.Contains(t, errs, "dev.json can be read by others (mode 0644): chmod 600")
}
