package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"parley/domain"
	"parley/domain/conversation"
	"parley/ingest/control"
	"parley/projections"
	"parley/projections/feed"
	"parley/projections/runner"
	"parley/schemas/msync"
	"parley/schemas/table"
	"parley/storage/pebble"
)

func builtList(t *testing.T, data string) map[string][]builtView {
	t.Helper()
	out, errs, code := command(t, nil, "rebuild", "--list", "--format", "json", "--data", data)
	require.Zero(t, code, errs)
	var all []builtView
	require.NoError(t, json.Unmarshal([]byte(out), &all))
	byName := map[string][]builtView{}
	for _, v := range all {
		byName[v.Name] = append(byName[v.Name], v)
	}
	return byName
}

// A rebuild is seen to go on, a restart does not end it, and what is read is the same before and after.
func TestRebuildOfAServer(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := serveDev(t, data)
	ana := login(t, s.ws, s.dev.App, "ana", s.token("ana"))
	s.token("bob")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 250 {
				if ack, err := ana.SendText(within(t), "bob", fmt.Sprint("text ", i)); err != nil || ack.Code != msync.Status_OK {
					t.Errorf("send: %v %v", ack, err)
					return
				}
			}
		})
	}
	wg.Wait()
	_, errs, code := command(t, nil, "rebuild", "timelines", "--data", data)
	require.Equal(t, 1, code)
	require.Contains(t, errs, `there is no read model "timelines"`)
	_, errs, code = command(t, nil, "rebuild", "--data", data)
	require.Equal(t, 1, code)
	require.Contains(t, errs, "name the read model")
	out, errs, code := command(t, nil, "rebuild", "profiles", "--wait", "--data", data)
	require.Zero(t, code, errs)
	require.Contains(t, out, "profiles: version 2 is read now, version 1 no more")

	out, errs, code = command(t, nil, "rebuild", "timeline", "--rate", "1", "--data", data)
	require.Zero(t, code, errs)
	require.Contains(t, out, "is being rebuilt")
	_, errs, code = command(t, nil, "rebuild", "timeline", "--data", data)
	require.Equal(t, 1, code)
	require.Contains(t, errs, "being rebuilt already")
	var two []builtView
	require.Eventually(t, func() bool {
		two = builtList(t, data)["timeline"]
		return len(two) == 2 && two[1].Commits > 0 && two[1].Behind > 0
	}, 20*time.Second, 50*time.Millisecond)
	require.Equal(t, "read", two[0].State)
	require.Equal(t, "building", two[1].State)
	require.Zero(t, two[0].Behind)
	require.Greater(t, two[1].Lag, 0.0)
	text, _, _ := command(t, nil, "rebuild", "--list", "--positions", "--data", data)
	require.Regexp(t, `(?m)^ +timeline +2 +building`, text)
	s.stop()

	s = serveDev(t, data)
	require.Eventually(t, func() bool {
		list := builtList(t, data)["timeline"]
		return len(list) == 1 && list[0].Version == 2 && list[0].State == "read" && list[0].Behind == 0 && list[0].Commits >= 2000
	}, 20*time.Second, 50*time.Millisecond, "it goes on")
	require.Contains(t, s.log.String(), "a rebuild goes on")
	bob := login(t, s.ws, s.dev.App, "bob", s.token("bob"))
	for range 2000 { // from the version that was rebuilt
		r, err := bob.Receive(within(t))
		require.NoError(t, err)
		require.Contains(t, string(r.Meta.Payload), "text ")
	}
}

// spoiled applies timeline, except for messages that say so.
type spoiled struct{ runner.Projection }

func (p spoiled) Apply(dst []table.Write, a *domain.Accepted) ([]table.Write, error) {
	for i := range a.Commit.Events {
		if m, ok := a.Commit.Events[i].Body.(conversation.MessageSent); ok && strings.Contains(string(m.Body), "spoiled") {
			return dst, errors.New("this one is spoiled")
		}
	}
	return p.Projection.Apply(dst, a)
}

// spoil makes the store of a log anew, with a timeline that cannot apply some messages.
func spoil(t *testing.T, data string) {
	t.Helper()
	require.NoError(t, os.RemoveAll(filepath.Join(data, "store")))
	log, err := pebble.OpenLog(filepath.Join(data, "log"), pebble.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, log.Close()) }()
	store, err := pebble.OpenStore(filepath.Join(data, "store"), pebble.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	c := control.New(readOnly{log}, slog.New(slog.DiscardHandler), time.Now)
	require.NoError(t, c.Load(t.Context()))
	var kinds []runner.Kind
	for _, k := range projections.Kinds() {
		if k.Name == "timeline" {
			healthy := k.New
			k.New = func(v int) runner.Projection { return spoiled{healthy(v)} }
			kinds = append(kinds, k)
		}
	}
	reg := prometheus.NewRegistry()
	r, err := runner.New(t.Context(), store, kinds, runner.DefaultSettings(), runner.NewMetrics(reg), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	metrics := feed.NewMetrics(reg)
	for _, p := range c.SlotMap().Partitions() {
		f := feed.New(p, log, feed.DefaultSettings(), metrics)
		wg.Go(func() { _ = r.Run(ctx, f) })
	}
	require.Eventually(t, func() bool {
		held, err := r.Quarantine(t.Context())
		return err == nil && len(held) == 2 && held[0].Waiting > 1 && held[1].Waiting > 1
	}, 20*time.Second, 10*time.Millisecond)
	cancel()
	wg.Wait()
}

func TestQuarantineOfAServer(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := serveDev(t, data)
	ana := login(t, s.ws, s.dev.App, "ana", s.token("ana"))
	for _, to := range []string{"bob", "cleo"} {
		s.token(to)
		for _, text := range []string{"before", "spoiled", "after"} {
			send(t, ana, to, text+" for "+to)
		}
	}
	s.stop()
	spoil(t, data)

	s = serveDev(t, data)
	out, errs, code := command(t, nil, "quarantine", "list", "--data", data)
	require.Zero(t, code, errs)
	require.Equal(t, 3, strings.Count(out, "\n"), out)
	for _, want := range []string{"demo#chat/d/ana/bob", "demo#chat/d/ana/cleo", "this one is spoiled"} {
		require.Contains(t, out, want)
	}
	require.Contains(t, metricsOf(t, s), `parley_runner_quarantined_streams`)
	for args, want := range map[string]string{
		"replay timeline demo#chat/d/ana/dora": "is not in quarantine", "replay nothing demo#chat/d/ana/bob": "is not in quarantine",
		"skip timeline ana": "is no stream",
	} {
		_, errs, code := command(t, nil, append(append([]string{"quarantine"}, strings.Fields(args)...), "--data", data)...)
		require.Equal(t, 1, code)
		require.Contains(t, errs, want)
	}
	answer := asked(t, nil, "quarantine", "replay", "timeline", "demo#chat/d/ana/bob", "--data", data)
	require.Equal(t, true, answer["released"])
	require.EqualValues(t, 0, answer["skipped"])
	// The timeline of this server would apply the other one, too: there is nothing to leave out.
	answer = asked(t, nil, "quarantine", "skip", "timeline", "demo#chat/d/ana/cleo", "--data", data)
	require.EqualValues(t, 0, answer["skipped"])
	out, _, _ = command(t, nil, "quarantine", "list", "--data", data)
	require.Equal(t, "nothing is in quarantine\n", out)
	for _, user := range []string{"bob", "cleo"} {
		c := login(t, s.ws, s.dev.App, user, s.token(user))
		for _, text := range []string{"before", "spoiled", "after"} {
			receive(t, c, text+" for "+user)
		}
	}
}

func metricsOf(t *testing.T, s *served) string {
	t.Helper()
	_, body := ask(t, web, http.MethodGet, s.admin+"/metrics", "")
	return body
}

// The drill: load, a backup under load, a kill, and the backup brought back: everything acknowledged before the backup began is there, once,
// in order, and the node serves.
func TestRestoreDrill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data, backup, restored := filepath.Join(dir, "data"), filepath.Join(dir, "backup"), filepath.Join(dir, "restored")
	s := serveDev(t, data)
	const senders = 4
	var acked [senders]atomic.Int64
	for i := range senders {
		s.token(fmt.Sprint("to", i))
	}
	ctx, cancel := context.WithCancel(t.Context())
	var load sync.WaitGroup
	for i := range senders {
		user := fmt.Sprint("from", i)
		c := login(t, s.ws, s.dev.App, user, s.token(user))
		load.Go(func() {
			for n := int64(1); ctx.Err() == nil; n++ {
				ack, err := c.SendText(ctx, fmt.Sprint("to", i), fmt.Sprintf("message %d of %d.", n, i))
				if err != nil || ack.Code != msync.Status_OK {
					return // cut off by the kill
				}
				acked[i].Store(n)
			}
		})
	}
	defer load.Wait()
	defer cancel()
	enoughAcked := func(n int64) func() bool {
		return func() bool {
			for i := range acked {
				if acked[i].Load() < n {
					return false
				}
			}
			return true
		}
	}
	require.Eventually(t, enoughAcked(200), startLimit, time.Millisecond)
	var before [senders]int64
	for i := range acked {
		before[i] = acked[i].Load()
	}
	_, errs, code := command(t, nil, "backup", filepath.Join(data, "inside"), "--data", data)
	require.Equal(t, 1, code)
	require.Contains(t, errs, "is in the data folder")
	out, errs, code := command(t, nil, "backup", backup, "--data", data)
	require.Zero(t, code, errs)
	require.Contains(t, out, "the backup is made")
	require.Eventually(t, enoughAcked(before[0]+400), startLimit, time.Millisecond, "messages flow meanwhile and afterwards")
	_, errs, code = command(t, nil, "backup", backup, "--data", data)
	require.Equal(t, 1, code)
	require.Contains(t, errs, "file exists")
	ownersAlone(t, backup)

	s.signal(syscall.SIGKILL)
	s.ended(drainLimit)
	cancel()
	load.Wait()
	require.NoError(t, os.RemoveAll(data))
	out, errs, code = command(t, nil, "restore", backup, "--data", restored)
	require.Zero(t, code, errs)
	require.Contains(t, out, "is ready to be served from")
	_, errs, code = command(t, nil, "restore", backup, "--data", restored)
	require.Equal(t, 1, code)
	require.Contains(t, errs, "is not empty")

	export, errs, code := command(t, nil, "log", "export", "--bodies", "--data", restored)
	require.Zero(t, code, errs)
	var next [senders]int64
	for _, m := range ofType(exported(t, export), "message_sent") {
		text, err := json.Marshal(m["data"].(map[string]any)["body"])
		require.NoError(t, err)
		i := strings.TrimPrefix(m["data"].(map[string]any)["from"].(string), "from")[0] - '0'
		next[i]++
		require.Contains(t, string(text), fmt.Sprintf("message %d of %d.", next[i], i), "in order, none twice, none missing")
	}
	for i := range next {
		require.GreaterOrEqual(t, next[i], before[i], "acknowledged before the backup")
	}

	s = serveDev(t, restored)
	for i := range senders {
		to := login(t, s.ws, s.dev.App, fmt.Sprint("to", i), s.token(fmt.Sprint("to", i)))
		for n := range next[i] {
			receive(t, to, fmt.Sprintf("message %d of %d.", n+1, i))
		}
		user := fmt.Sprint("from", i)
		send(t, login(t, s.ws, s.dev.App, user, s.token(user)), fmt.Sprint("to", i), "after the restore")
		receive(t, to, "after the restore")
	}
	_, errs, code = command(t, nil, "log", "verify", "--data", restored)
	require.Zero(t, code, errs)
	s.stop()
	_, errs, code = command(t, nil, "log", "verify", "--data", restored)
	require.Zero(t, code, errs)
	out, errs, code = command(t, nil, "log", "verify", "--data", backup)
	require.Zero(t, code, "the backup has not changed: %s %s", out, errs)
}

// ownersAlone wants every file that a backup makes itself to be its owner's alone, behind a folder that is.
func ownersAlone(t *testing.T, dir string) {
	t.Helper()
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o700), info.Mode().Perm())
	for _, name := range []string{"backup.json", "dev.json", "token.key"} {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, fs.FileMode(0o600), info.Mode().Perm(), name)
	}
}

// A folder that is no backup, or one whose log lost its end, is not called ready.
func TestRestoreOfWhatIsNoBackup(t *testing.T) {
	t.Parallel()
	binary(t) // that it is made first is not the commands' time
	dir := t.TempDir()
	_, errs, code := command(t, nil, "restore", dir, "--data", filepath.Join(dir, "to"))
	require.Equal(t, 1, code)
	require.Contains(t, errs, "is no backup")
	data, backup, later := filepath.Join(dir, "data"), filepath.Join(dir, "backup"), filepath.Join(dir, "later")
	s := serveDev(t, data)
	ana := login(t, s.ws, s.dev.App, "ana", s.token("ana"))
	s.token("bob")
	_, errs, code = command(t, nil, "backup", backup, "--data", data)
	require.Zero(t, code, errs)
	send(t, ana, "bob", "x")
	s.stop()
	s = serveDev(t, data) // the store is flushed
	_, errs, code = command(t, nil, "backup", later, "--data", data)
	require.Zero(t, code, errs)
	s.stop()
	// The log of the first with the store of the second: checkpoints stand above the log's end.
	require.NoError(t, os.RemoveAll(filepath.Join(later, "log")))
	require.NoError(t, os.Rename(filepath.Join(backup, "log"), filepath.Join(later, "log")))
	_, errs, code = command(t, nil, "restore", later, "--data", filepath.Join(dir, "to"))
	require.Equal(t, 1, code)
	require.Contains(t, errs, "do not serve from it")
	require.Contains(t, errs, "truncated")
}
