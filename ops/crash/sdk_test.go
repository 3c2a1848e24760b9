package crash

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// sdkReport is what sdk.mjs says in the end.
type sdkReport struct {
	Clients, Acknowledged, Unanswered, Owed, Received, Reconnecting, Disconnected int
	Errors, Faults                                                                []string
}

// TestFaultsSDK restarts three nodes one by one, twice, under SDKs as apps use them: with their own way and their own patience to come back.
func TestFaultsSDK(t *testing.T) {
	needFaults(t)
	r := newEngines(t, 1)
	f := r.newFleet(3, nil)
	sdks := startSDKs(t, f)
	begin := time.Now()
	for range 2 {
		for _, s := range f.nodes {
			s.stop()
			s.start()
			f.settle(t)
		}
	}
	took := time.Since(begin)
	report := sdks.stop()
	t.Logf("6 restarts in %s: %d SDK clients, %d messages acknowledged, %d without an answer %q, %d of %d received, %d times reconnecting, %d times disconnected",
		round(took), report.Clients, report.Acknowledged, report.Unanswered, report.Errors, report.Received, report.Owed, report.Reconnecting, report.Disconnected)
	for _, fault := range report.Faults {
		t.Error(fault)
	}
	if report.Acknowledged < 500 || report.Reconnecting < report.Clients {
		t.Error("that shows little")
	}
	f.close(t)
}

// sdks is the process in which the SDKs run.
type sdks struct {
	t    *testing.T
	cmd  *exec.Cmd
	in   io.WriteCloser
	said *bufio.Reader
}

// startSDKs starts it on a fleet and waits until all write.
func startSDKs(t *testing.T, f *fleet) *sdks {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("NOT RUN: the SDKs need Node 20 or newer")
	}
	tool(t, "../conformance/run", "--list") // installs what it needs
	dev := map[string]any{}
	if err := json.Unmarshal(f.r.dev, &dev); err != nil {
		t.Fatal(err)
	}
	dev["rest"], dev["ws"] = f.target.REST, f.target.WS
	b, err := json.Marshal(dev)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "dev.json")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	s := &sdks{t: t, cmd: exec.CommandContext(t.Context(), node, "sdk.mjs", file)}
	s.cmd.Stderr = os.Stderr
	out, err := s.cmd.StdoutPipe()
	if err == nil {
		s.in, err = s.cmd.StdinPipe()
	}
	if err == nil {
		err = s.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
	})
	s.said = bufio.NewReader(out)
	if line := s.line(); line != "ready" {
		t.Fatalf("the SDKs do not begin: %q", line)
	}
	return s
}

// line returns what is said next.
func (s *sdks) line() string {
	line, err := s.said.ReadString('\n')
	if err != nil {
		s.t.Errorf("the SDKs have ended: %v", err)
	}
	return strings.TrimSpace(line)
}

// stop ends the writing and returns what came of it.
func (s *sdks) stop() (r sdkReport) {
	s.t.Helper()
	if _, err := fmt.Fprintln(s.in); err != nil {
		s.t.Error(err)
	}
	if line := s.line(); json.Unmarshal([]byte(line), &r) != nil {
		s.t.Errorf("the SDKs said %q", line)
	}
	return r
}
