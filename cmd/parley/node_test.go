package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// opened is a node in this process that does not run yet. close it, or run it, which closes it.
func opened(t *testing.T) *node {
	t.Helper()
	c := defaults(true)
	c.Data, c.Listen, c.Admin = t.TempDir(), "127.0.0.1:0", "127.0.0.1:0"
	c.Partitions = partitionConfig{Chats: 2, Rooms: 1}
	require.NoError(t, c.validate())
	n, err := openNode(t.Context(), c, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	return n
}

// readyz asks the admin listener's handler.
func readyz(t *testing.T, n *node) (int, []string) {
	t.Helper()
	w := httptest.NewRecorder()
	n.edge.adminServer.Handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
	var answer struct{ Reasons []string }
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &answer))
	return w.Code, answer.Reasons
}

func TestReadyzNamesWhatIsNotReady(t *testing.T) {
	n := opened(t)
	status, reasons := readyz(t, n)
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Len(t, reasons, 4, "nobody owns the partitions yet")
	for i, partition := range []string{"starting", "partition 0", "partition 1", "partition 2048"} {
		require.Contains(t, reasons[i], partition)
	}
	var parts sync.WaitGroup
	n.start(t.Context(), &parts, "projections of partition 1", func(context.Context) error { return errors.New("the store is away") })
	n.start(t.Context(), &parts, "router of partition 1", func(context.Context) error { return nil })
	parts.Wait()
	_, reasons = readyz(t, n)
	require.Len(t, reasons, 5)
	require.Contains(t, reasons, "projections of partition 1: the store is away")
	require.NoError(t, n.close())
}

func TestReadyzWhileItRuns(t *testing.T) {
	n := opened(t)
	ctx, stop := context.WithCancel(t.Context())
	ended, said := make(chan error, 1), make(chan struct{})
	go func() {
		ended <- n.run(ctx, func() error {
			status, reasons := readyz(t, n)
			if status == http.StatusOK {
				t.Errorf("ready before dev.json is there: %v", reasons)
			}
			return nil
		}, func() error {
			status, reasons := readyz(t, n)
			if status != http.StatusOK {
				t.Errorf("not ready, but says so: %v", reasons)
			}
			close(said)
			return nil
		})
	}()
	require.Eventually(t, func() bool { status, _ := readyz(t, n); return status == http.StatusOK }, 10*time.Second, time.Millisecond)
	<-said
	var parts sync.WaitGroup
	n.start(t.Context(), &parts, "gateway", func(context.Context) error { return errors.New("ended") })
	parts.Wait()
	status, reasons := readyz(t, n)
	require.Equal(t, http.StatusServiceUnavailable, status, "a part that has ended makes it unready")
	require.Equal(t, []string{"gateway: ended"}, reasons)
	stop()
	require.NoError(t, <-ended)
	_, reasons = readyz(t, n)
	require.Contains(t, reasons, "stopping")
}

func TestAskedToStopBeforeItIsReady(t *testing.T) {
	n := opened(t)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	require.NoError(t, n.run(ctx, func() error {
		require.Fail(t, "it calls itself ready")
		return nil
	}, nil))
	require.NoFileExists(t, devFile(n.cfg.Data))
}

func TestCannotAnnounce(t *testing.T) {
	n := opened(t)
	no := errors.New("no room for dev.json")
	require.ErrorIs(t, n.run(t.Context(), func() error { return no }, nil), no, "then it ends and says why")
}

func TestTokenKeyIsMadeOnce(t *testing.T) {
	c := defaults(true)
	c.Data = t.TempDir()
	first, err := c.tokenKey()
	require.NoError(t, err)
	require.Len(t, first, minKey)
	again, err := c.tokenKey()
	require.NoError(t, err)
	require.Equal(t, first, again)
	files, err := os.ReadDir(c.Data)
	require.NoError(t, err)
	require.Len(t, files, 1, "nothing is left of the making")
	info, err := files[0].Info()
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	c = defaults(false)
	c.Data = t.TempDir()
	_, err = c.tokenKey()
	require.Error(t, err, "only --dev makes one")
	files, err = os.ReadDir(c.Data)
	require.NoError(t, err)
	require.Empty(t, files)
}

func TestLogger(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  logConfig
		want string // a part of what is written; empty: nothing is
	}{
		{"JSON where no terminal is", logConfig{"info", "auto"}, `"msg":"hello"`},
		{"JSON", logConfig{"warn", "json"}, ""},
		{"text", logConfig{"info", "text"}, `msg=hello`},
		{"debug is more", logConfig{"debug", "text"}, `msg=hello`},
		{"error is less", logConfig{"error", "text"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, err := os.Create(filepath.Join(t.TempDir(), "log"))
			require.NoError(t, err)
			defer f.Close()
			newLogger(c.cfg, f).Info("hello", "key", secret("sesame"))
			b, err := os.ReadFile(f.Name())
			require.NoError(t, err)
			require.NotContains(t, string(b), "sesame")
			if c.want == "" {
				require.Empty(t, string(b))
			}
			require.Contains(t, string(b), c.want)
		})
	}
}

func TestStoppedWhileOpening(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	n, err := unlessStopped(ctx, time.Minute, func() (*node, error) { return &node{}, nil })
	require.NoError(t, err)
	require.NotNil(t, n)
	room := make(chan struct{})
	defer close(room)
	cancel()
	_, err = unlessStopped(ctx, time.Millisecond, func() (*node, error) { <-room; return nil, nil })
	require.ErrorIs(t, err, context.Canceled)
}
