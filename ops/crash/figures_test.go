package crash

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
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
	t.Run("not another machine", func(t *testing.T) {
		if _, err := run("direct", "--ws", "ws://192.0.2.1:8080/ws"); err == nil {
			t.Error("a server elsewhere was put under load")
		}
	})
}
