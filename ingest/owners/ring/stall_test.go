package ring

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// childJoins names the variable that makes this test binary a node, "b", that joins an address and serves until its input ends.
const childJoins = "PARLEY_RING_TEST_JOINS"

func runChild(join string) {
	r, err := Start(config("b", 1, join))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	r.Serve()
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// TestStalledNodeComesBack stops a node's process for longer than it takes to die, and lets it run on: neither it nor anybody else is told to do anything.
func TestStalledNodeComesBack(t *testing.T) {
	t.Parallel()
	a := start(t, config("a", 1))
	a.Serve()
	child := exec.Command(os.Args[0], "-test.run=^$")
	child.Env = append(os.Environ(), childJoins+"="+a.Address())
	child.Stderr = os.Stderr
	_, err := child.StdinPipe() // it ends with this process
	require.NoError(t, err)
	require.NoError(t, child.Start())
	t.Cleanup(func() {
		_ = child.Process.Kill()
		_ = child.Wait()
	})
	agree(t, []*Ring{a}, Serving, "a", "b")
	b, _ := a.Member("b")

	require.NoError(t, child.Process.Signal(syscall.SIGSTOP))
	agree(t, []*Ring{a}, Serving, "a")
	time.Sleep(2 * time.Second) // it stays dead as long as it is stopped
	require.Len(t, a.Members(), 1)

	require.NoError(t, child.Process.Signal(syscall.SIGCONT))
	at := time.Now()
	agree(t, []*Ring{a}, Serving, "a", "b")
	t.Logf("back after %v", time.Since(at).Round(time.Millisecond))
	again, _ := a.Member("b")
	require.Equal(t, b, again, "it is the same life")

	require.NoError(t, child.Process.Kill())
	agree(t, []*Ring{a}, Serving, "a")
}
