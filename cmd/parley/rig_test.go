package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"parley/delivery/gateway/client"
	"parley/schemas/msync"
)

// startLimit is how long a start may take before a test gives up; the promise of 2 s has a test of its own.
const startLimit = 30 * time.Second

func TestMain(m *testing.M) {
	for _, e := range os.Environ() {
		if name, _, _ := strings.Cut(e, "="); strings.HasPrefix(name, "PARLEY_") {
			_ = os.Unsetenv(name)
		}
	}
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if binaryDir != "" {
		_ = os.RemoveAll(binaryDir)
	}
	os.Exit(code)
}

var binaryDir string

// build makes the binary, once for all tests.
var build = sync.OnceValues(func() (string, error) {
	var err error
	if binaryDir, err = os.MkdirTemp("", "parley-cmd"); err != nil {
		return "", err
	}
	bin := filepath.Join(binaryDir, "parley")
	if out, err := exec.Command("go", "build", "-o", bin, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return bin, nil
})

func binary(t *testing.T) string {
	t.Helper()
	bin, err := build()
	require.NoError(t, err)
	return bin
}

// within bounds what a test does.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startLimit)
	t.Cleanup(cancel)
	return ctx
}

// command runs the binary to its end.
func command(t *testing.T, env []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(within(t), binary(t), args...)
	cmd.Env, cmd.Dir = append(os.Environ(), env...), t.TempDir()
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); !ok {
		require.NoError(t, err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// asked runs a command that prints JSON.
func asked(t *testing.T, env []string, args ...string) map[string]any {
	t.Helper()
	out, errs, code := command(t, env, args...)
	require.Zero(t, code, "%v: %s", args, errs)
	answer := map[string]any{}
	require.NoError(t, json.Unmarshal([]byte(out), &answer), out)
	return answer
}

// output is what a process has written so far.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// served is a running `parley serve`.
type served struct {
	t        *testing.T
	cmd      *exec.Cmd
	out, log output
	began    time.Time
	exited   chan struct{}

	rest, ws, admin string
	dev             devInfo  // of a development server
	tokens          []string // that it has made
}

// launch starts `parley serve` with these arguments. It is killed with the test, if it still runs.
func launch(t *testing.T, env []string, args ...string) *served {
	t.Helper()
	return run(t, env, exec.Command(binary(t), append([]string{"serve"}, args...)...))
}

// run starts a command that becomes `parley serve`.
func run(t *testing.T, env []string, cmd *exec.Cmd) *served {
	t.Helper()
	s := &served{t: t, cmd: cmd, exited: make(chan struct{})}
	s.cmd.Env, s.cmd.Dir = append(os.Environ(), env...), t.TempDir()
	s.cmd.Stdout, s.cmd.Stderr = &s.out, &s.log
	s.began = time.Now()
	require.NoError(t, s.cmd.Start())
	go func() {
		_ = s.cmd.Wait() // the tests look at ProcessState
		close(s.exited)
	}()
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill() // it may have ended
		<-s.exited
		if t.Failed() {
			t.Logf("the server wrote:\n%s\n%s", &s.out, &s.log)
		}
	})
	return s
}

// serveDev starts a development server on free ports and waits until it is ready.
func serveDev(t *testing.T, data string, env ...string) *served {
	t.Helper()
	s := launch(t, env, "--dev", "--data", data, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")
	s.await("parley is ready", &s.out)
	var err error
	s.dev, err = readDev(data)
	require.NoError(t, err)
	s.rest, s.ws, s.admin = s.dev.REST, s.dev.WS, s.dev.Admin
	return s
}

// serveFor starts a server that is no development server, with a file of settings and keys, and waits until it is ready.
func serveFor(t *testing.T, settings string, env ...string) (s *served, adminKey string) {
	t.Helper()
	dir := t.TempDir()
	data, keyFile := filepath.Join(dir, "data"), filepath.Join(dir, "token.key")
	require.NoError(t, os.Mkdir(data, 0o700))
	write(t, keyFile, randomHex(minKey), 0o600)
	adminKey = randomHex(16)
	file := write(t, filepath.Join(dir, "parley.yaml"), fmt.Sprintf(
		"data: %s\nlisten: 127.0.0.1:0\nadmin: 127.0.0.1:0\ntoken_key_file: %s\nadmin_key: %s\n%s", data, keyFile, adminKey, settings), 0o600)
	s = launch(t, env, "--config", file)
	line := s.await(`"msg":"serving"`, &s.log)
	var said struct{ REST, WS, Admin string }
	require.NoError(t, json.Unmarshal([]byte(line), &said))
	s.rest, s.ws, s.admin = said.REST, said.WS, "http://"+said.Admin
	return s, adminKey
}

// await returns the first line that holds a text.
func (s *served) await(text string, in fmt.Stringer) string {
	s.t.Helper()
	for time.Since(s.began) < startLimit {
		for line := range strings.Lines(in.String()) {
			if strings.Contains(line, text) && strings.HasSuffix(line, "\n") {
				return line
			}
		}
		select {
		case <-s.exited:
			require.Contains(s.t, in.String(), text, "it has ended: %s\n%s", &s.out, &s.log)
		case <-time.After(2 * time.Millisecond):
		}
	}
	require.FailNow(s.t, "nothing like it was written", "%s\n%s\n%s", text, &s.out, &s.log)
	return ""
}

func (s *served) signal(sig syscall.Signal) {
	s.t.Helper()
	require.NoError(s.t, s.cmd.Process.Signal(sig))
}

// ended waits for the process's end and tells how long that took.
func (s *served) ended(limit time.Duration) time.Duration {
	s.t.Helper()
	begin := time.Now()
	select {
	case <-s.exited:
	case <-time.After(limit):
		require.FailNow(s.t, "it still runs", "after %s:\n%s", limit, &s.log)
	}
	return time.Since(begin)
}

// stop ends it in order.
func (s *served) stop() {
	s.t.Helper()
	s.signal(syscall.SIGTERM)
	s.ended(drainLimit)
	require.Zero(s.t, s.cmd.ProcessState.ExitCode(), "%s", &s.log)
}

// web asks without keeping connections, so that none is left at the end.
var web = &http.Client{Timeout: startLimit, Transport: &http.Transport{DisableKeepAlives: true}}

// ask does one request with headers "Name: value" and returns status and body.
func ask(t *testing.T, c *http.Client, method, url, body string, headers ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(within(t), method, url, strings.NewReader(body))
	require.NoError(t, err)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	res, err := c.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	if res.StatusCode == http.StatusSwitchingProtocols {
		return res.StatusCode, ""
	}
	b, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(b)
}

// upgrade asks for a WebSocket and returns the status.
func upgrade(t *testing.T, url string, headers ...string) int {
	t.Helper()
	headers = append(headers, "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
	status, _ := ask(t, web, http.MethodGet, strings.Replace(url, "ws", "http", 1), "", headers...)
	return status
}

// login connects a user's device.
func login(t *testing.T, url, app, user, token string, set ...func(*client.Options)) *client.Client {
	t.Helper()
	o := client.Options{AppKey: app, User: user, Token: msync.Token(token), Resource: "web_" + user}
	for _, f := range set {
		f(&o)
	}
	c, err := client.Dial(within(t), url, o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Cut() })
	return c
}

// token makes a token of a development server's user, and the user.
func (s *served) token(user string) string {
	s.t.Helper()
	text := tokenOf(s.t, asked(s.t, []string{"PARLEY_ADMIN_KEY=" + s.dev.AdminKey}, "token", "--admin", s.admin, "--user", user, "--create"))
	s.tokens = append(s.tokens, text)
	return text
}

func tokenOf(t *testing.T, answer map[string]any) string {
	t.Helper()
	text, ok := answer["access_token"].(string)
	require.True(t, ok, answer)
	require.NotEmpty(t, text)
	return text
}

// send sends a text and wants it acknowledged.
func send(t *testing.T, c *client.Client, to, text string) {
	t.Helper()
	ack, err := c.SendText(within(t), to, text)
	require.NoError(t, err)
	require.Equal(t, msync.Status_OK, ack.Code, ack.Reason)
}

// receive wants the next entry to hold a text.
func receive(t *testing.T, c *client.Client, text string) {
	t.Helper()
	r, err := c.Receive(within(t))
	require.NoError(t, err)
	assert.Contains(t, string(r.Meta.Payload), text)
}

func write(t *testing.T, name, content string, mode os.FileMode) string {
	t.Helper()
	require.NoError(t, os.WriteFile(name, []byte(content), mode))
	require.NoError(t, os.Chmod(name, mode))
	return name
}
