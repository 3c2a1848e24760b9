package engines

import (
	"context"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// needEngines leaves a test out, loudly, unless it was asked for by make engines-test.
func needEngines(t *testing.T) context.Context {
	t.Helper()
	if os.Getenv("ENGINES") == "" {
		t.Skip("NOT RUN: real engines are started by make engines-test")
	}
	require.NoError(t, Missing())
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func connects(addr string) bool {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return false
	}
	return c.Close() == nil
}

// A cluster is started, one of its nodes killed, stalled and started again, and all are stopped by their folder alone.
func TestEngineLife(t *testing.T) {
	ctx := needEngines(t)
	dir := t.TempDir()
	c, err := Kafka(ctx, dir, 3, 31092)
	require.NoError(t, err)
	require.NoError(t, c.Start(ctx))
	t.Cleanup(func() { require.NoError(t, c.Kill()) })
	for _, addr := range c.Addrs() {
		require.True(t, connects(addr), addr)
	}
	n := c.Nodes[1]
	require.Error(t, n.Start(), "it runs")
	require.NoError(t, n.Signal(syscall.SIGSTOP))
	require.NoError(t, n.Signal(syscall.SIGCONT))
	pid := n.PID()
	require.NoError(t, n.Kill())
	require.Zero(t, n.PID())
	require.False(t, connects(n.Addr))
	require.NoError(t, n.Start())
	require.NotEqual(t, pid, n.PID())
	require.NoError(t, n.Ready(ctx))

	stopped, err := StopAll(dir)
	require.NoError(t, err)
	require.Equal(t, 3, stopped)
	for _, addr := range c.Addrs() {
		require.Eventually(t, func() bool { return !connects(addr) }, 10*time.Second, 10*time.Millisecond, addr)
	}
}

// Three nodes of Cassandra are ready when each knows the others and all of them take a write.
func TestEngineCassandra(t *testing.T) {
	ctx := needEngines(t)
	c, err := Cassandra(ctx, t.TempDir(), 3, 19042, 17000)
	require.NoError(t, err)
	require.NoError(t, c.Start(ctx))
	t.Cleanup(func() { require.NoError(t, c.Kill()) })
	require.NoError(t, cassandraProbe(ctx, c))
	require.NoError(t, c.Nodes[2].Kill())
	require.Error(t, cassandraProbe(ctx, c), "a node is missing")
}

// A pid counts only while its process runs in the node's folder: nobody else's process is ever ended.
func TestForeignPID(t *testing.T) {
	dir := t.TempDir()
	n := &Node{dir: dir}
	require.NoError(t, os.WriteFile(n.pidFile(), []byte("1"), 0o600))
	require.Zero(t, n.PID())
	require.NoError(t, n.Kill())
	require.Error(t, n.Signal(syscall.SIGSTOP))
	require.NoError(t, os.WriteFile(n.pidFile(), []byte("junk"), 0o600))
	require.Zero(t, n.PID())
}
