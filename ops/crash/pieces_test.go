package crash

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestCutIsSilent holds the cut to being one: what is sent is dropped in both directions for TCP and UDP, connections stay open, a third world is
// still reached, and after the cut what was sent over TCP arrives.
func TestCutIsSilent(t *testing.T) {
	ws := web(newWorlds(t, 3))
	ws.lay(t)
	l, err := ws[0].listen(ws.address(0) + ":7000")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	link := func(from int) (near, far net.Conn) {
		t.Helper()
		near, err := ws[from].dial(t.Context(), "tcp", l.Addr().String())
		if err == nil {
			far, err = l.Accept()
		}
		if err != nil {
			t.Fatal(err)
		}
		if got, want := far.RemoteAddr().(*net.TCPAddr).IP.String(), ws.address(from); got != want {
			t.Errorf("world %d comes from %s, want %s", from, got, want)
		}
		return near, far
	}
	hears := func(near, far net.Conn, wait time.Duration) bool {
		t.Helper()
		if _, err := near.Write([]byte("x")); err != nil {
			t.Errorf("a write is refused: %v", err)
		}
		_ = far.SetReadDeadline(time.Now().Add(wait))
		_, err := far.Read(make([]byte, 8))
		return err == nil
	}
	near1, far1 := link(1)
	near2, far2 := link(2)
	t.Cleanup(func() {
		for _, c := range []net.Conn{near1, far1, near2, far2} {
			_ = c.Close()
		}
	})
	if !hears(near1, far1, time.Second) {
		t.Fatal("the link carries nothing")
	}
	if err := ws.cut(0, 1); err != nil {
		t.Fatal(err)
	}
	if hears(near1, far1, 300*time.Millisecond) || hears(far1, near1, 300*time.Millisecond) {
		t.Error("a cut link carries something")
	}
	if !hears(near2, far2, time.Second) || !hears(far2, near2, time.Second) {
		t.Error("a link that is not cut carries nothing")
	}
	if n := datagrams(t, ws, 1); n != 0 {
		t.Errorf("%d datagrams came over a cut link", n)
	}
	if err := ws.heal(0, 1); err != nil {
		t.Fatal(err)
	}
	_ = far1.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := far1.Read(make([]byte, 8)); err != nil {
		t.Errorf("what was sent over the cut link has not come after it: %v", err)
	}
	if n := datagrams(t, ws, 1); n == 0 {
		t.Error("a link that was healed carries no datagrams")
	}
}

// datagrams sends some from a world to world 0 and counts what arrives.
func datagrams(t *testing.T, ws web, from int) (n int) {
	t.Helper()
	var in net.PacketConn
	err := ws[0].inside(func() (err error) {
		in, err = (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", ws.address(0)+":7001")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := ws[from].dial(t.Context(), "udp", ws.address(0)+":7001")
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	for range 3 {
		if _, err := out.Write([]byte("x")); err != nil {
			t.Errorf("a datagram is refused: %v", err)
		}
	}
	_ = in.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	for ; ; n++ {
		if _, _, err := in.ReadFrom(make([]byte, 8)); err != nil {
			return n
		}
	}
}

// TestBalancer holds it to sending new connections to nodes that are ready, and to leaving the others alone.
func TestBalancer(t *testing.T) {
	var ready [2]atomic.Bool
	var backends []*backend
	for i := range ready {
		ready[i].Store(true)
		health := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if !ready[i].Load() {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		}))
		t.Cleanup(health.Close)
		l, err := (*world)(nil).listen("127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() { _, _ = fmt.Fprintf(c, "%d\n", i); _, _ = io.Copy(c, c); _ = c.Close() }()
			}
		}()
		backends = append(backends, &backend{name: fmt.Sprint(i), ready: health.URL, addr: l.Addr().String(), dial: (*world)(nil).dial})
	}
	b := newBalancer(t, backends...)
	until(t, "both nodes are ready", func() bool { return backends[0].up.Load() && backends[1].up.Load() })
	connect := func() (net.Conn, *bufio.Reader, string) {
		c, err := (*world)(nil).dial(t.Context(), "tcp", b.addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		r := bufio.NewReader(c)
		who, _ := r.ReadString('\n')
		return c, r, strings.TrimSpace(who)
	}
	got := map[string]int{}
	var onZero net.Conn
	var fromZero *bufio.Reader
	for range 10 {
		c, r, who := connect()
		if got[who]++; who == "0" {
			onZero, fromZero = c, r
		}
	}
	if got["0"] != 5 || got["1"] != 5 {
		t.Fatalf("connections went to %v, want 5 each", got)
	}
	ready[0].Store(false)
	until(t, "one node is not", func() bool { return !backends[0].up.Load() })
	for range 4 {
		if _, _, who := connect(); who != "1" {
			t.Errorf("a connection went to %q, which is not ready", who)
		}
	}
	if _, err := onZero.Write([]byte("still there?\n")); err != nil {
		t.Error(err)
	}
	if line, err := fromZero.ReadString('\n'); err != nil || line != "still there?\n" {
		t.Errorf("a connection did not stay where it was: %q %v", line, err)
	}
	ready[1].Store(false)
	until(t, "none is", func() bool { return !backends[1].up.Load() })
	if _, _, who := connect(); who != "" || b.refused.Load() != 1 {
		t.Errorf("a connection was let in by %q, %d were refused", who, b.refused.Load())
	}
}

func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for begin := time.Now(); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Since(begin) > 5*time.Second {
			t.Fatalf("never came to be: %s", what)
		}
	}
}

// TestClock holds a clock that is set back to doing that to the time of day, at once and in a process that runs, and not to spans of time.
func TestClock(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module clock\n\ngo 1.26\n",
		"main.go": `package main

import ("bufio"; "fmt"; "os"; "time")

func main() {
	begin := time.Now()
	for in := bufio.NewScanner(os.Stdin); in.Scan(); { fmt.Println(time.Now().UnixMilli(), time.Since(begin).Milliseconds()) }
}
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	bin := filepath.Join(dir, "clock")
	if err := buildWithClock(".", bin); err != nil {
		t.Fatal(err)
	}
	c := newClock(t)
	cmd := exec.CommandContext(t.Context(), bin)
	cmd.Env = append(os.Environ(), c.env())
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close(); _ = cmd.Wait() }()
	r := bufio.NewReader(out)
	for _, step := range []time.Duration{0, -5 * time.Second, 7 * time.Second, 0} {
		c.set(t, step)
		_, _ = fmt.Fprintln(in)
		var day, span int64
		if _, err := fmt.Fscanln(r, &day, &span); err != nil {
			t.Fatal(err)
		}
		if off := time.Until(time.UnixMilli(day)) - step; off.Abs() > time.Second || span < 0 || span > 4000 {
			t.Errorf("set by %s: the time of day is wrong by %s more, %d ms have passed", step, off, span)
		}
	}
}
