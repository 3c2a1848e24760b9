package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestDivide(t *testing.T) {
	for files, want := range map[int]connections{
		100: {38, 12}, 1024: {384, 128}, 4096: {1536, 512}, 20_000: {13_350, 4450}, 1 << 20: {784_782, 261_594},
	} {
		got := divide(files)
		require.Equal(t, want, got, files)
		require.GreaterOrEqual(t, files-got.sessions-got.http, min(files/2, maxReserve), files)
	}
}

// TestConnectionsLeaveFiles opens more connections than the process may have files: the databases must go on making theirs.
func TestConnectionsLeaveFiles(t *testing.T) {
	data := t.TempDir()
	s := run(t, nil, exec.Command("sh", "-c", `ulimit -n 200 && exec "$0" "$@"`, binary(t), "serve", "--dev", "--data", data,
		"--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"))
	s.await("parley is ready", &s.out)
	s.await("raise the limit on open files", &s.log)
	var err error
	s.dev, err = readDev(data)
	require.NoError(t, err)
	addr := strings.TrimPrefix(s.dev.REST, "http://")
	var open []net.Conn
	defer func() {
		for _, c := range open {
			_ = c.Close() // the server has closed most of them
		}
	}()
	for range 400 {
		c, err := net.Dial("tcp", addr)
		require.NoError(t, err)
		open = append(open, c)
	}
	kept := open
	for deadline := time.Now().Add(10 * time.Second); len(kept) > divide(200).http && time.Now().Before(deadline); {
		kept = stillOpen(t, kept)
	}
	require.Len(t, stillOpen(t, kept), divide(200).http)
	for range 3 {
		status(t, s.dev.Admin+"/readyz", http.StatusOK)
	}
	for _, c := range open {
		require.NoError(t, c.Close())
	}
	require.Eventually(t, func() bool {
		r, err := http.Post(s.dev.REST+"/demo/chat/users", "application/json", strings.NewReader(`{"username":"ana","password":"p"}`))
		if err != nil {
			return false
		}
		defer r.Body.Close()
		return r.StatusCode == http.StatusOK
	}, 5*time.Second, 20*time.Millisecond)
	require.NotContains(t, s.log.String(), "too many open files")
}

func status(t *testing.T, url string, want int) {
	t.Helper()
	r, err := http.Get(url)
	require.NoError(t, err)
	require.NoError(t, r.Body.Close())
	require.Equal(t, want, r.StatusCode, fmt.Sprint(url))
}

// stillOpen returns the connections that the server has not closed.
func stillOpen(t *testing.T, all []net.Conn) (kept []net.Conn) {
	t.Helper()
	for _, c := range all {
		require.NoError(t, c.SetReadDeadline(time.Now().Add(20*time.Millisecond)))
		if _, err := c.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
			kept = append(kept, c)
		}
	}
	return kept
}
