package crash

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"parley/ops/bench"
)

// TestFigures runs the load generators of the command for a moment on a real server, so that nobody finds them broken on the day of need.
func TestFigures(t *testing.T) {
	bin, data := build(t), t.TempDir()
	newServer(t, bin, data)
	run := func(args ...string) (string, error) {
		args = append([]string{"bench"}, append(args, "--dev-file", filepath.Join(data, "dev.json"))...)
		cmd := exec.CommandContext(t.Context(), bin, args...)
		var complaints strings.Builder
		cmd.Stderr = &complaints
		out, err := cmd.Output()
		t.Logf("parley %s\n%s%s", strings.Join(args, " "), complaints.String(), out)
		return string(out), err
	}
	t.Run("direct", func(t *testing.T) {
		out, err := run("direct", "--rate", "400", "--pairs", "8", "--duration", "1s", "--warmup", "500ms", "--receipts", "--json")
		var r bench.DirectReport
		if err != nil || json.Unmarshal([]byte(out), &r) != nil {
			t.Fatal(err)
		}
		if r.Sent != 600 || r.Acked != r.Sent || r.Arrived != r.Sent || r.ReceiptsBack != int64(r.Sent) || r.ServerCPU <= 0 || r.RSSAfter <= 0 {
			t.Errorf("the figures do not add up: %+v", r)
		}
	})
	t.Run("idle and storm", func(t *testing.T) {
		out, err := run("idle", "--connections", "60", "--settle", "100ms", "--storm", "--json")
		var r bench.IdleReport
		if err != nil || json.Unmarshal([]byte(out), &r) != nil {
			t.Fatal(err)
		}
		if r.Connected != 60 || r.Answered != 60 || r.Storm == nil || r.Storm.Failed != 0 {
			t.Errorf("the figures do not add up: %+v", r)
		}
	})
	t.Run("group", func(t *testing.T) {
		out, err := run("group", "--groups", "2", "--members", "5", "--senders", "3", "--rate", "300", "--duration", "1s", "--warmup", "500ms", "--json")
		var r bench.GroupReport
		if err != nil || json.Unmarshal([]byte(out), &r) != nil {
			t.Fatal(err)
		}
		if r.Sent != 450 || r.Acked != r.Sent || r.Stored != r.Sent || r.Delivered != 4*r.Sent || r.Expected != r.Delivered || r.ServerCPU <= 0 {
			t.Errorf("the figures do not add up: %+v", r)
		}
	})
	t.Run("login", func(t *testing.T) {
		out, err := run("login", "--groups", "60", "--times", "3", "--news", "20", "--json")
		var r bench.LoginReport
		if err != nil || json.Unmarshal([]byte(out), &r) != nil {
			t.Fatal(err)
		}
		if r.First.Listed != 60 || r.First.Server <= 0 || r.Missing != 0 || len(r.Listed) != 3 || slices.Min(r.Listed) != 20 {
			t.Errorf("the figures do not add up: %+v", r)
		}
	})
	t.Run("not another machine", func(t *testing.T) {
		if _, err := run("direct", "--ws", "ws://192.0.2.1:8080/ws"); err == nil {
			t.Error("a server elsewhere was put under load")
		}
	})
}
