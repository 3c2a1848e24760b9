package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"parley/ops/engines"
)

// A broker whose disk was put back from a copy: the partition halts, and goes on after a reset.
func TestEngineLogReset(t *testing.T) {
	if os.Getenv("ENGINES") == "" {
		t.Skip("NOT RUN: real engines are started by make engines-test")
	}
	require.NoError(t, engines.Missing())
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	dir := t.TempDir()
	c, err := engines.Kafka(ctx, dir, 1, 31592)
	require.NoError(t, err)
	require.NoError(t, c.Start(ctx))
	t.Cleanup(func() { require.NoError(t, c.Kill()) })
	keyFile := write(t, filepath.Join(dir, "token.key"), randomHex(minKey), 0o600)
	data, brokerData, copied := filepath.Join(dir, "data"), filepath.Join(dir, "kafka-1", "data"), filepath.Join(dir, "copy")
	require.NoError(t, os.Mkdir(data, 0o700))
	file := write(t, filepath.Join(dir, "parley.yaml"), fmt.Sprintf(`data: %s
listen: 127.0.0.1:0
admin: 127.0.0.1:31598
token_key_file: %s
admin_key: %s
storage: {log: kafka}
partitions: {chats: 2, rooms: 1}
kafka: {brokers: ['%s'], replicas: 1}
`, data, keyFile, randomHex(16), c.Addrs()[0]), 0o600)
	serve := func() *served {
		s := launch(t, nil, "--config", file)
		s.await(`"msg":"serving"`, &s.log)
		return s
	}
	s := serve()
	asked(t, nil, "app", "create", "acme#shop", "--config", file)
	create := func(user string) {
		asked(t, nil, "token", "--app", "acme#shop", "--user", user, "--create", "--config", file)
	}
	create("ana")
	s.stop()
	require.NoError(t, c.Stop())
	require.NoError(t, os.CopyFS(copied, os.DirFS(brokerData)))
	require.NoError(t, c.Start(ctx))
	s = serve()
	for i := range 8 {
		create(fmt.Sprint("user", i))
	}
	s.stop()
	require.NoError(t, c.Kill())
	require.NoError(t, os.RemoveAll(brokerData))
	require.NoError(t, os.Rename(copied, brokerData))
	require.NoError(t, c.Start(ctx))

	s = launch(t, nil, "--config", file)
	s.await("partition halted", &s.log)
	s.signal(syscall.SIGKILL)
	s.ended(drainLimit)
	out, errs, code := command(t, nil, "log", "reset", "--config", file)
	require.Equal(t, 1, code)
	require.Contains(t, errs, "nothing was changed")
	t.Log(out)
	out, errs, code = command(t, nil, "log", "reset", "--config", file, "--yes")
	require.Zero(t, code, "%s %s", out, errs)
	out, errs, code = command(t, nil, "log", "verify", "--config", file)
	require.Zero(t, code, "%s %s", out, errs)
	s = serve()
	for i := range 8 {
		create(fmt.Sprint("user", i))
	}
	s.stop()
	out, errs, code = command(t, nil, "log", "verify", "--config", file)
	require.Zero(t, code, "%s %s", out, errs)
	t.Log(out)
}
