package crash

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
)

// walked is what `parley log verify` has found in all partitions.
type walked struct{ claims, voids, repeats int }

// walk reads the whole log by the rule by which all read: indexes without gaps, checksums, times that grow, entries numbered without holes.
// Records without effect are no fault: a deposed owner writes such.
func (r *rig) walk() (sum walked) {
	s := r.servers()[0]
	s.t.Helper()
	var dev struct {
		Key string `json:"admin_key"`
	}
	b, err := os.ReadFile(filepath.Join(s.data, "dev.json"))
	if err == nil {
		err = json.Unmarshal(b, &dev)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.CommandContext(s.t.Context(), s.bin, "log", "verify", "--format", "json", "--list", "0", "--admin", "http://"+s.admin)
	cmd.Env = append(os.Environ(), "PARLEY_ADMIN_KEY="+dev.Key)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	err = s.place.inside(cmd.Run)
	var parts []struct {
		Partition, Claims, Voids, Repeats int
		Broken                            string
	}
	if err != nil || json.Unmarshal(out.Bytes(), &parts) != nil || len(parts) == 0 {
		s.t.Errorf("log verify: %v\n%s\n%s", err, complaints.String(), out.String())
	}
	for _, p := range parts {
		if p.Broken != "" {
			s.t.Errorf("partition %d of the log is broken: %s", p.Partition, p.Broken)
		}
		sum.claims, sum.voids, sum.repeats = sum.claims+p.Claims, sum.voids+p.Voids, sum.repeats+p.Repeats
	}
	return sum
}

// judgeLog walks the log after a fault and notes what is new in it.
func (x *trial) judgeLog() {
	was := x.rig.walked
	x.rig.walked = x.rig.walk()
	is := x.rig.walked
	x.notef("in the log %d claims, %d void and %d repeated records", is.claims-was.claims, is.voids-was.voids, is.repeats-was.repeats)
}
