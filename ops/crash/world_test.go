package crash

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// world is a network of its own (a network namespace): who starts in one finds its own loopback there, and what net lays to it. It ends with
// the last process in it; nothing of the machine's own network is touched. A nil world is the machine's.
//
// Why not proxies or packet filters: a member of the cluster tells one address to all others, so a proxy before it sees senders it cannot tell
// apart, and a filter would have to be put into the machine's own network. Here a link is a pair of interfaces, and cut for TCP and UDP alike.
type world struct {
	space *os.File
}

// newWorlds makes some. Where that is not allowed the test is left out, loudly.
func newWorlds(t *testing.T, n int) []*world {
	t.Helper()
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("NOT RUN: the program ip is missing; install iproute2 to see what a cut network does")
	}
	var out []*world
	for range n {
		w, err := newWorld()
		if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) {
			t.Skip("NOT RUN: networks cannot be made here; run as root to see what a cut network does")
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = w.space.Close() })
		if err := w.ip("link set lo up"); err != nil {
			t.Fatal(err)
		}
		out = append(out, w)
	}
	return out
}

func newWorld() (*world, error) {
	w := &world{}
	err := onThread(func() error {
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			w.space, err = os.Open("/proc/thread-self/ns/net")
		}
		return err
	})
	return w, err
}

// onThread runs do on a thread of its own that is thrown away.
func onThread(do func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		done <- do()
	}()
	return <-done
}

// inside runs do there: sockets that it makes, and processes that it starts, belong to that world for good.
func (w *world) inside(do func() error) error {
	if w == nil {
		return do()
	}
	return onThread(func() error {
		if err := unix.Setns(int(w.space.Fd()), unix.CLONE_NEWNET); err != nil {
			return err
		}
		return do()
	})
}

// dial connects to an address there.
func (w *world) dial(ctx context.Context, network, addr string) (c net.Conn, err error) {
	err = w.inside(func() error {
		c, err = (&net.Dialer{Timeout: time.Second, KeepAlive: -1}).DialContext(ctx, network, addr)
		return err
	})
	return c, err
}

func (w *world) listen(addr string) (l net.Listener, err error) {
	err = w.inside(func() error {
		l, err = (&net.ListenConfig{}).Listen(context.Background(), "tcp", addr)
		return err
	})
	return l, err
}

// ip runs that program there.
func (w *world) ip(args string) error {
	return w.inside(func() error {
		out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("ip %s: %w: %s", args, err, out)
		}
		return nil
	})
}

// path names the world to other programs.
func (w *world) path() string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), w.space.Fd()) }

// web connects each of some worlds with each other one by a link of its own. World i has the address of i in all of them.
type web []*world

// address is where a world is found by the others.
func (web) address(i int) string { return fmt.Sprintf("10.77.0.%d", i+1) }

// lay makes the links. Who is at the other end is written down on both sides: nobody has to ask, so a cut is not told by a question without
// an answer.
func (ws web) lay(t *testing.T) {
	t.Helper()
	must := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	for i, w := range ws {
		must(w.ip("addr add " + ws.address(i) + "/32 dev lo"))
	}
	for i := range ws {
		for k := i + 1; k < len(ws); k++ {
			must(ws[i].ip(fmt.Sprintf("link add %s address %s type veth peer name %s address %s netns %s",
				port(k), hardware(i, k), port(i), hardware(k, i), ws[k].path())))
			for _, end := range [][2]int{{i, k}, {k, i}} {
				w, to := ws[end[0]], end[1]
				must(w.ip("link set " + port(to) + " up"))
				must(w.ip(fmt.Sprintf("route add %s/32 dev %s src %s", ws.address(to), port(to), ws.address(end[0]))))
			}
			must(ws.heal(i, k))
		}
	}
}

// port names the interface toward world k.
func port(k int) string { return fmt.Sprintf("to%d", k) }

// hardware is the address of world i's interface toward world k.
func hardware(i, k int) string { return fmt.Sprintf("02:00:00:00:%02x:%02x", i, k) }

// nobody is the address of no interface: what is sent to it is dropped without a word, and connections stay open.
const nobody = "02:00:00:00:ff:ff"

// cut silences the link between two worlds in both directions; heal ends that.
func (ws web) cut(i, k int) error { return errors.Join(ws.point(i, k, nobody), ws.point(k, i, nobody)) }

func (ws web) heal(i, k int) error {
	return errors.Join(ws.point(i, k, hardware(k, i)), ws.point(k, i, hardware(i, k)))
}

func (ws web) point(i, k int, at string) error {
	return ws[i].ip(fmt.Sprintf("neigh replace %s lladdr %s dev %s nud permanent", ws.address(k), at, port(k)))
}
