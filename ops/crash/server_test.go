package crash

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"parley/ops/bench"
)

// startLimit is how long a start may take at all. The budget is less; a slow machine is no reason to call a message lost.
const (
	startLimit   = 30 * time.Second
	enginesLimit = 2 * time.Minute // the first on engines: tables are made one after the other
)

// buildOnce makes the binary in a folder that TestMain removes.
var buildOnce = sync.OnceValues(func() (bin string, err error) {
	dir, err := os.MkdirTemp("", "parley-crash")
	if err != nil {
		return "", err
	}
	bin = filepath.Join(dir, "parley")
	out, err := exec.Command("go", "build", "-o", bin, "parley/cmd/parley").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("build: %w\n%s", err, out)
	}
	return bin, err
})

// build returns the binary under test.
func build(t *testing.T) string {
	t.Helper()
	if *binFlag != "" {
		return *binFlag
	}
	built.Store(true)
	bin, err := buildOnce()
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

// built tells whether there is a binary to remove.
var built atomic.Bool

// server is a child process that is killed and started again on the same data and ports.
type server struct {
	t         *testing.T
	bin, data string
	listen    string
	admin     string
	env       []string
	limit     time.Duration
	log       *os.File // what all its lives have written
	cmd       *exec.Cmd
	exited    chan error
	http      *http.Client
	target    bench.Target
	place     *world // where it runs; nil: in the machine's own network
}

// newServer starts one and waits until it serves. It is ended with the test.
func newServer(t *testing.T, bin, data string, env ...string) *server {
	t.Helper()
	s := prepareServer(t, bin, data, env...)
	s.start()
	s.readTarget(filepath.Join(data, "dev.json"))
	return s
}

// prepareServer is newServer without its start.
func prepareServer(t *testing.T, bin, data string, env ...string) *server {
	t.Helper()
	log, err := os.Create(filepath.Join(logDir(t), "server.log"))
	if err != nil {
		t.Fatal(err)
	}
	s := &server{
		t: t, limit: startLimit, bin: bin, data: data, listen: freeAddr(t), admin: freeAddr(t), env: env, log: log,
	}
	s.http = &http.Client{Timeout: startLimit, Transport: &http.Transport{DisableKeepAlives: true, DialContext: s.dial}}
	t.Cleanup(func() {
		s.kill()
		if t.Failed() {
			t.Logf("the server's last words:\n%s", s.lastWords())
		}
		_ = log.Close()
	})
	return s
}

// logDir is where a server's log goes. It stays when the test fails.
func logDir(t *testing.T) string {
	t.Helper()
	dir, err := tempDir("parley-crash-log")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("logs are kept in %s", dir)
		} else if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// tempDir makes a folder that outlives the test.
func tempDir(name string) (string, error) { return os.MkdirTemp("", name) }

// readTarget reads what the first life writes a moment after it is ready.
func (s *server) readTarget(file string) {
	s.t.Helper()
	for begin := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		target, err := bench.ReadTarget(file)
		if err == nil {
			s.target = target
			return
		}
		if !errors.Is(err, os.ErrNotExist) || time.Since(begin) > startLimit {
			s.t.Fatal(err)
		}
	}
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// start starts a life and waits until it answers REST and calls itself ready. It returns how long that took.
func (s *server) start() time.Duration {
	s.t.Helper()
	begin := time.Now()
	s.cmd = exec.Command(s.bin, "serve", "--dev", "--data", s.data, "--listen", s.listen, "--admin", s.admin, "--log.format", "json")
	s.cmd.Env = append(os.Environ(), s.env...)
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	if err := s.place.inside(s.cmd.Start); err != nil {
		s.t.Fatalf("start: %v", err)
	}
	cmd, exited := s.cmd, make(chan error, 1)
	s.exited = exited
	go func() { exited <- cmd.Wait() }()
	for _, url := range []string{"http://" + s.listen + "/", "http://" + s.admin + "/readyz"} {
		if err := s.await(begin, url); err != nil {
			s.t.Fatalf("the server does not come up: %v\n%s", err, s.lastWords())
		}
	}
	return time.Since(begin)
}

// await waits for an answer, whose status matters only for readiness.
func (s *server) await(begin time.Time, url string) error {
	for {
		status, body, err := s.get(url)
		if err == nil && (status == http.StatusOK || !strings.HasSuffix(url, "/readyz")) {
			return nil
		}
		if time.Since(begin) > s.limit {
			return fmt.Errorf("%s: %d %s %w", url, status, body, err)
		}
		select {
		case err := <-s.exited:
			s.exited <- err
			return fmt.Errorf("it has ended: %w", err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (s *server) get(url string) (status int, body string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	return resp.StatusCode, string(b), err
}

// ready asks /readyz; the reasons are what it says when it is not.
func (s *server) ready() (ok bool, reasons []string) {
	status, body, err := s.get("http://" + s.admin + "/readyz")
	if err != nil {
		return false, []string{err.Error()}
	}
	var answer struct {
		Reasons []string `json:"reasons"`
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		return false, []string{body}
	}
	return status == http.StatusOK, answer.Reasons
}

// kill ends the life in the middle of whatever it does, and waits until it is gone.
func (s *server) kill() {
	if s.cmd == nil {
		return
	}
	if err := s.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.t.Errorf("kill: %v", err)
	}
	<-s.exited
	s.cmd = nil
}

// stop ends the life in good order and returns how long that took.
func (s *server) stop() time.Duration {
	s.t.Helper()
	begin := time.Now()
	s.signal(syscall.SIGTERM)
	select {
	case err := <-s.exited:
		if err != nil {
			s.t.Errorf("an orderly stop ends with %v\n%s", err, s.lastWords())
		}
		s.cmd = nil
	case <-time.After(startLimit):
		s.t.Errorf("an orderly stop takes longer than %s", startLimit)
		s.kill()
	}
	return time.Since(begin)
}

// dial connects to an address where the server runs.
func (s *server) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	return s.place.dial(ctx, network, addr)
}

// signal sends one: SIGSTOP stalls the server, SIGCONT wakes it.
func (s *server) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Errorf("%v: %v", sig, err)
	}
}

// said returns how often the log has a text.
func (s *server) said(text string) int {
	b, err := os.ReadFile(s.log.Name())
	if err != nil {
		s.t.Error(err)
	}
	return strings.Count(string(b), text)
}

// dead tells whether the server has ended without being killed.
func (s *server) dead() bool {
	select {
	case err := <-s.exited:
		s.exited <- err
		return true
	default:
		return false
	}
}

// lastWords returns the end of the log.
func (s *server) lastWords() string {
	b, err := os.ReadFile(s.log.Name())
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-6000):])
}
