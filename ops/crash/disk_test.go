package crash

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

const diskSize = 320 << 20 // bytes of the disk that is filled

// TestFullDisk fills the disk under a loaded server and makes room again. Meanwhile nothing may be acknowledged that is not stored, readiness
// says why, and afterwards it goes on without being touched.
func TestFullDisk(t *testing.T) {
	bin := build(t)
	for _, tc := range []struct {
		name  string
		leave uint64 // bytes left free
		env   []string
	}{
		{name: "below the reserve", leave: 32 << 20},
		{name: "no room at all", leave: 0, env: []string{"PARLEY_STORAGE_LOG_RESERVE=-1"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := smallDisk(t)
			s := newServer(t, bin, filepath.Join(dir, "data"), tc.env...)
			l := startLoad(t, &s.target, plan{pairs: 10, rate: 100, patience: answerLimit}, 1)
			time.Sleep(1500 * time.Millisecond)
			ballast := fill(t, dir, tc.leave)
			reasons := awaitFull(t, s)
			before := l.acked()
			time.Sleep(2 * time.Second)
			during := l.acked() - before
			if err := os.Remove(ballast); err != nil {
				t.Fatal(err)
			}
			recovered := awaitRoom(t, s, l)
			time.Sleep(1500 * time.Millisecond)
			l.drain(40 * time.Second)
			if s.dead() {
				t.Error("the server has ended")
			}
			// What was read so far came from memory in part: the next life knows only what is on the disk.
			s.kill()
			s.start()
			l.stop()
			v := l.verdict()
			t.Log("\n" + table(slices.Concat(v.rows(), l.rows(), [][2]string{
				{"acknowledged while full", fmt.Sprint(during)},
				{"goes on after", recovered.Round(time.Millisecond).String()},
				{"readiness said", strings.Join(reasons[:min(len(reasons), 2)], "; ")},
			})))
			if n := l.gaveUp(); n > 0 {
				t.Errorf("%d times a user had no answer in time and connected anew: the server has to ask its log again meanwhile", n)
			}
			verify(t, v)
		})
	}
}

// smallDisk mounts a disk in memory.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	err := syscall.Mount("parley-crash", dir, "tmpfs", 0, fmt.Sprintf("size=%d", diskSize))
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) {
		t.Skip("NOT RUN: a disk of its own cannot be mounted here; run as root to see what a full disk does")
	}
	if err != nil {
		t.Fatalf("mount: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

// fill writes a file until only so much is free.
func fill(t *testing.T, dir string, leave uint64) string {
	t.Helper()
	file := filepath.Join(dir, "ballast")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	zeros := make([]byte, 256<<10)
	for {
		var fs syscall.Statfs_t
		if err := syscall.Statfs(dir, &fs); err != nil {
			t.Fatal(err)
		}
		free := fs.Bavail * uint64(fs.Bsize)
		if free <= leave {
			return file
		}
		_, err := f.Write(zeros[:min(free-leave, uint64(len(zeros)))])
		if errors.Is(err, syscall.ENOSPC) {
			return file
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// awaitFull waits until the server says that it is not ready, and why.
func awaitFull(t *testing.T, s *server) []string {
	t.Helper()
	var reasons []string
	for until := time.Now().Add(15 * time.Second); time.Now().Before(until); time.Sleep(50 * time.Millisecond) {
		var ok bool
		if ok, reasons = s.ready(); ok {
			continue
		}
		if !slices.ContainsFunc(reasons, func(r string) bool { return strings.Contains(r, "full") || strings.Contains(r, "space") }) {
			t.Errorf("readiness does not say that the disk is full: %q", reasons)
		}
		return reasons
	}
	t.Errorf("15 s after the disk was filled the server calls itself ready")
	return reasons
}

// awaitRoom waits until the server is ready and messages are acknowledged again.
func awaitRoom(t *testing.T, s *server, l *load) time.Duration {
	t.Helper()
	begin, before := time.Now(), l.acked()
	for ; time.Since(begin) < 20*time.Second; time.Sleep(20 * time.Millisecond) {
		if ok, _ := s.ready(); ok && l.acked() > before {
			return time.Since(begin)
		}
	}
	_, reasons := s.ready()
	t.Errorf("20 s after there is room again the server has not gone on: %q", reasons)
	return time.Since(begin)
}
