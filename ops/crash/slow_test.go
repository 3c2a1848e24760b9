package crash

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// slowdown is how many writes a second a slow disk does: each that is waited for takes 100 ms, as on a disk that is busy with something else.
const slowdown = 10

// throttles is where the kernel is told how fast a process may use a disk.
const throttles = "/sys/fs/cgroup/blkio"

// slowDisk is a disk of its own, in a file, that can be made slow for those who are put on it.
type slowDisk struct {
	dir    string // where it is mounted
	group  string // of processes for whom it can be slow
	number string // major:minor
}

// newSlowDisk makes one. Where that is not allowed the test is left out, loudly.
func newSlowDisk(t *testing.T) *slowDisk {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("NOT RUN: a disk of its own cannot be mounted here; run as root to see what a slow disk does")
	}
	limit := filepath.Join(throttles, "blkio.throttle.write_iops_device")
	if _, err := os.Stat(limit); err != nil {
		t.Skipf("NOT RUN: the kernel does not offer %s, by which a disk is made slow", limit)
	}
	image := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, 1<<30); err != nil {
		t.Fatal(err)
	}
	d := &slowDisk{dir: t.TempDir(), group: filepath.Join(throttles, fmt.Sprintf("parley-crash-%d", os.Getpid()))}
	device := tool(t, "losetup", "--find", "--show", image)
	t.Cleanup(func() { tool(t, "losetup", "--detach", device) })
	var stat unix.Stat_t
	if err := unix.Stat(device, &stat); err != nil {
		t.Fatal(err)
	}
	d.number = fmt.Sprintf("%d:%d", unix.Major(stat.Rdev), unix.Minor(stat.Rdev))
	tool(t, "mkfs.ext4", "-q", "-E", "lazy_itable_init=0", device)
	if err := syscall.Mount(device, d.dir, "ext4", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(d.dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	if err := os.Mkdir(d.group, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.Remove(d.group); err != nil {
			t.Error(err)
		}
	})
	return d
}

// tool runs a program of the system and returns what it says.
func tool(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute) // of cleanups, too
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", name, err, out)
	}
	return strings.TrimSpace(string(out))
}

// put lets a process feel how slow the disk is.
func (d *slowDisk) put(t *testing.T, pid int) {
	t.Helper()
	d.tell(t, "cgroup.procs", strconv.Itoa(pid))
}

// slow bounds the writes a second; 0 ends that.
func (d *slowDisk) slow(t *testing.T, writes int) {
	t.Helper()
	d.tell(t, "blkio.throttle.write_iops_device", fmt.Sprintf("%s %d", d.number, writes))
}

func (d *slowDisk) tell(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(d.group, file), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestSlowDisk makes the disk of the embedded log slow under load for a while. Answers take longer then; nothing is lost or shown twice.
func TestSlowDisk(t *testing.T) {
	bin := build(t)
	d := newSlowDisk(t)
	s := newServer(t, bin, filepath.Join(d.dir, "data"))
	d.put(t, s.cmd.Process.Pid)
	l := startLoad(t, &s.target, plan{pairs: 10, groups: 4, members: 5, rate: 60, patience: answerLimit}, 1)
	time.Sleep(2 * time.Second)
	l.calm()
	before := l.acked()
	d.slow(t, slowdown)
	time.Sleep(15 * time.Second)
	slowest, during := l.slowest(), l.acked()-before
	d.slow(t, 0)
	time.Sleep(2 * time.Second)
	l.drain(40 * time.Second)
	s.kill() // what was read so far came from memory in part: the next life knows only what is on the disk
	s.start()
	l.stop()
	v := l.verdict()
	t.Log("\n" + table(slices.Concat(v.rows(), l.rows(), [][2]string{
		{"acknowledged while slow", fmt.Sprint(during)},
		{"slowest answer", slowest.Round(time.Millisecond).String()},
	})))
	if slowest < time.Second/slowdown {
		t.Errorf("the slowest answer took %s, so the disk was not slow", slowest)
	}
	if during < 100 {
		t.Errorf("only %d messages were acknowledged while the disk was slow", during)
	}
	verify(t, v)
}
