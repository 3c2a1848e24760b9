package engines

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Node is one process of a cluster, in a folder of its own: its log is DIR/log.txt, its pid is in DIR/pid.
type Node struct {
	Addr  string   // where clients connect
	more  []string // where it listens besides
	dir   string
	java  string
	args  []string
	ready func(ctx context.Context) error // waits until it serves
}

func (n *Node) logFile() string { return filepath.Join(n.dir, "log.txt") }
func (n *Node) pidFile() string { return filepath.Join(n.dir, "pid") }

// Start starts the process and does not wait for it to serve. It goes on when the caller ends.
func (n *Node) Start() error {
	if pid := n.PID(); pid != 0 {
		return fmt.Errorf("%s runs already, as %d", n.dir, pid)
	}
	for _, addr := range append(n.more, n.Addr) { // who was there before may not be gone yet
		if err := free(addr); err != nil {
			return err
		}
	}
	out, err := os.OpenFile(n.logFile(), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := exec.CommandContext(context.Background(), n.java, n.args...) // it ends by Stop or Kill
	cmd.Dir, cmd.Stdout, cmd.Stderr = n.dir, out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	go cmd.Wait() //nolint:errcheck // that it ends is seen by its pid
	return os.WriteFile(n.pidFile(), []byte(strconv.Itoa(cmd.Process.Pid)), 0o644)
}

// free waits until nobody listens on an address.
func free(addr string) error {
	for range 100 {
		l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", addr)
		if err == nil {
			return l.Close()
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("%s is in use", addr)
}

// Ready waits until the node serves.
func (n *Node) Ready(ctx context.Context) error {
	if err := n.ready(ctx); err != nil {
		return fmt.Errorf("%s is not ready: %w\n%s", n.dir, err, n.tail())
	}
	return nil
}

// PID returns the running process's number, 0 when it does not run.
func (n *Node) PID() int {
	text, err := os.ReadFile(n.pidFile())
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(string(text))
	if err != nil || !ours(pid, n.dir) {
		return 0
	}
	return pid
}

// ours tells whether a pid is still that of a process that runs in a folder, and not of a later one.
func ours(pid int, dir string) bool {
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	cwd, err := os.Readlink(filepath.Join(proc, "cwd"))
	if err != nil || cwd != dir {
		return false
	}
	stat, err := os.ReadFile(filepath.Join(proc, "stat"))
	if err != nil {
		return false
	}
	_, rest, ok := strings.Cut(string(stat), ") ")
	return ok && !strings.HasPrefix(rest, "Z")
}

// Signal sends a signal: SIGSTOP stalls the node, SIGCONT wakes it.
func (n *Node) Signal(s syscall.Signal) error {
	pid := n.PID()
	if pid == 0 {
		return fmt.Errorf("%s does not run", n.dir)
	}
	return syscall.Kill(pid, s)
}

// Kill ends the process at once, and waits until it is gone with all its ports. One that does not run is no error.
func (n *Node) Kill() error {
	if err := n.end(syscall.SIGKILL, 10*time.Second); err != nil {
		return err
	}
	return n.freed()
}

// Stop asks the process to end, and kills it when it takes long.
func (n *Node) Stop() error {
	if err := n.end(syscall.SIGTERM, 8*time.Second); err != nil {
		return n.Kill()
	}
	return n.freed()
}

// freed waits until nobody listens where the node did: a process is gone before the last of its threads, which hold its files.
func (n *Node) freed() error {
	for _, addr := range append(n.more, n.Addr) {
		if addr == "" {
			continue // found by its folder
		}
		if err := free(addr); err != nil {
			return err
		}
	}
	return nil
}

func (n *Node) end(s syscall.Signal, patience time.Duration) error {
	pid := n.PID()
	if pid == 0 {
		return nil
	}
	if err := syscall.Kill(pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		if n.PID() == 0 {
			if err := os.Remove(n.pidFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			return nil
		}
	}
	return fmt.Errorf("process %d does not end", pid)
}

// awaitLine waits until the node has logged a text. A process that has ended will not.
func (n *Node) awaitLine(ctx context.Context, text string) error {
	for {
		b, err := os.ReadFile(n.logFile())
		if err != nil {
			return err
		}
		if bytes.Contains(b, []byte(text)) {
			return nil
		}
		if n.PID() == 0 {
			return errors.New("it has ended")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// tail returns the last lines of the log.
func (n *Node) tail() string {
	b, err := os.ReadFile(n.logFile())
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(lines[max(len(lines)-15, 0):], "\n")
}
