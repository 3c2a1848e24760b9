package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"parley/domain"
	"parley/domain/fence"
	"parley/ingest/control"
	"parley/projections/logtest"
	"parley/schemas/event"
	"parley/storage/pebble"
)

// exported are the lines of an export.
func exported(t *testing.T, text string) (out []map[string]any) {
	t.Helper()
	for line := range strings.Lines(text) {
		require.True(t, strings.HasSuffix(line, "}\n"), line)
		m := map[string]any{}
		require.NoError(t, json.Unmarshal([]byte(line), &m), line)
		out = append(out, m)
	}
	return out
}

func ofType(lines []map[string]any, name string) (out []map[string]any) {
	for _, m := range lines {
		if m["type"] == name {
			out = append(out, m)
		}
	}
	return out
}

// The same questions, asked of a running server and of the folder that it has left.
func TestLogOfAServer(t *testing.T) {
	data := t.TempDir()
	s := serveDev(t, data)
	ana := login(t, s.ws, s.dev.App, "ana", s.token("ana"))
	s.token("bob")
	for _, text := range []string{"first secret", "second secret"} {
		send(t, ana, "bob", text)
	}
	status, body := ask(t, web, http.MethodPost, s.rest+"/demo/chat/users", `{"username":"cleo","password":"sesame"}`, "Content-Type: application/json")
	require.Equal(t, http.StatusOK, status, body)
	middle := time.Now()
	send(t, ana, "bob", "third secret")

	said := map[string]string{}
	asks := map[string][]string{
		"bounds": {"log", "bounds"}, "bounds as JSON": {"log", "bounds", "--format", "json"}, "tail": {"log", "tail", "-n", "100", "--all"},
		"export": {"log", "export"}, "bodies": {"log", "export", "--bodies"}, "verify": {"log", "verify"}, "verify as JSON": {"log", "verify", "--format", "json"},
		"later": {"log", "export", "--from", middle.UTC().Format(time.RFC3339Nano)}, "earlier": {"log", "export", "--to", middle.UTC().Format(time.RFC3339Nano)},
	}
	for name, args := range asks {
		out, errs, code := command(t, nil, append(args, "--data", data)...)
		require.Zero(t, code, "%s: %s", name, errs)
		said[name] = out
	}
	for name, out := range said {
		if name != "bodies" {
			require.NotContains(t, out, "secret", name)
		}
		require.NotContains(t, out, "$2a$", "%s: hashes of passwords", name)
		require.NotContains(t, out, "password", name)
	}
	require.Contains(t, said["tail"], "demo#chat/d/ana/bob #0 member_added")
	require.Regexp(t, `(?m)^\S+Z p\d+ @\d+ +i\d+ demo#chat/d/ana/bob #\d+ message_sent \{"from":"ana",.*"kind":"text"`, said["tail"])
	lines := exported(t, said["export"])
	sent := ofType(lines, "message_sent")
	require.Len(t, sent, 3)
	first := sent[0]
	require.Equal(t, "direct", first["kind"])
	require.Equal(t, "demo#chat", first["app"])
	fields, ok := first["data"].(map[string]any)
	require.True(t, ok)
	require.Equal(t, "text", fields["kind"])
	require.Equal(t, []any{}, fields["no_history"])
	id, err := strconv.ParseUint(first["t"].(string), 10, 64)
	require.NoError(t, err)
	at, err := time.Parse(time.RFC3339Nano, first["time"].(string))
	require.NoError(t, err)
	require.True(t, at.Equal(domain.T(id).Time()))
	require.Len(t, ofType(lines, "user_registered"), 3)
	for i, m := range ofType(exported(t, said["bodies"]), "message_sent") {
		payload, err := json.Marshal(m["data"].(map[string]any)["body"])
		require.NoError(t, err)
		require.Contains(t, string(payload), []string{"first", "second", "third"}[i]+" secret")
	}
	require.Len(t, ofType(exported(t, said["later"]), "message_sent"), 1)
	require.Len(t, ofType(exported(t, said["earlier"]), "message_sent"), 2)
	t.Run("follow", func(t *testing.T) { followed(t, data, func() { send(t, ana, "bob", "while it follows") }) })
	t.Run("the key", func(t *testing.T) {
		for _, path := range []string{"/api/log/export", "/api/rebuilds", "/api/quarantine"} {
			status, _ := ask(t, web, http.MethodGet, s.admin+path, "", "Authorization: Bearer wrong")
			require.Equal(t, http.StatusUnauthorized, status, path)
		}
		status, _ := ask(t, web, http.MethodPost, s.admin+"/api/backup", `{"dir":"/tmp/x"}`)
		require.Equal(t, http.StatusUnauthorized, status)
	})
	t.Run("mistakes", func(t *testing.T) {
		for args, want := range map[string]string{
			"log tail --partition 77": "there is no partition 77", "log export --from yesterday": "neither an offset (1024) nor a time",
			"log export --from 5": "name it with partition", "log bounds --format xml": `there is no format "xml"`,
			"log verify --list -1": "not a number from 0", "log reset": "stop it first", "log bounds more": "unknown command",
		} {
			_, errs, code := command(t, nil, append(strings.Fields(args), "--data", data)...)
			require.Equal(t, 1, code, args)
			require.Contains(t, errs, want, args)
			if strings.HasPrefix(args, "log tail") { // the server refuses in the same words
				status, body := ask(t, web, http.MethodGet, s.admin+"/api/log/tail?partition=77", "", "Authorization: Bearer "+s.dev.AdminKey)
				require.Equal(t, http.StatusBadRequest, status)
				require.Contains(t, body, want)
			}
		}
	})
	before, _, _ := command(t, nil, "log", "export", "--bodies", "--data", data)
	s.stop()
	after, errs, code := command(t, nil, "log", "export", "--bodies", "--data", data)
	require.Zero(t, code, errs)
	require.Equal(t, before, after, "the folder says what the server said")
	_, errs, code = command(t, nil, "log", "verify", "--data", data)
	require.Zero(t, code, errs)
	_, errs, code = command(t, nil, "log", "tail", "-f", "--data", data)
	require.Equal(t, 1, code)
	require.Contains(t, errs, "nothing to follow")
	_, errs, code = command(t, nil, "log", "bounds", "--data", filepath.Join(data, "none"))
	require.Equal(t, 1, code)
	require.Contains(t, errs, "there is no log")
	require.NoDirExists(t, filepath.Join(data, "none"))
}

// followed follows a server's log, sees what happens, and is interrupted.
func followed(t *testing.T, data string, happen func()) {
	t.Helper()
	tail := run(t, nil, exec.Command(binary(t), "log", "tail", "-f", "--lines", "1", "--data", data))
	tail.await("\n", &tail.out) // it has begun
	happen()
	tail.await("message_sent", &tail.out)
	require.NotContains(t, tail.out.String(), "while it follows")
	tail.signal(syscall.SIGINT)
	tail.ended(5 * time.Second)
}

// A server that stops ends those who follow its log, and says so.
func TestStoppingEndsFollowers(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := serveDev(t, data)
	tail := run(t, nil, exec.Command(binary(t), "log", "tail", "-f", "--data", data))
	tail.await("claimed by", &tail.out)
	begin := time.Now()
	s.stop()
	require.Less(t, time.Since(begin), drainLimit/3, "the follower did not hold it up")
	tail.ended(5 * time.Second)
	require.Equal(t, 1, tail.cmd.ProcessState.ExitCode())
	require.Contains(t, tail.log.String(), "stopping")
}

// lines is a sink.
type lineSink struct{ bytes.Buffer }

func (*lineSink) Flush() error { return nil }

// world is a log on disk that a test writes by hand, with a slot map.
func world(t *testing.T) (*logtest.World, *pebble.Log, *control.Control) {
	t.Helper()
	log, err := pebble.OpenLog(filepath.Join(t.TempDir(), "log"), pebble.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, log.Close()) })
	c := control.New(log, slog.New(slog.DiscardHandler), time.Now)
	require.NoError(t, c.Load(t.Context()))
	_, err = c.EnsureSlotMap(t.Context(), 2, 1)
	require.NoError(t, err)
	w := logtest.NewWorld(t, log, 0)
	w.Register("ann")
	w.Register("bob")
	return w, log, c
}

// asking runs a verb on a log that is at hand.
func asking(t *testing.T, log logReads, c *control.Control, verb, query string) (string, error) {
	t.Helper()
	v, err := viewOf(c, log)
	require.NoError(t, err)
	q, err := url.ParseQuery(query)
	require.NoError(t, err)
	a, err := parseLogAsk(q, time.Now())
	require.NoError(t, err)
	var out lineSink
	err = logVerbs[verb](t.Context(), v, a, &out)
	return out.String(), err
}

// What a deposed owner wrote, and what was written twice, is told and has no effect.
func TestLogWithVoidsAndRepeats(t *testing.T) {
	t.Parallel()
	w, log, c := world(t)
	for i := range 20 {
		w.Send("ann", "bob", fmt.Sprint("message ", i))
		if i%5 == 4 {
			w.Repeat()
			w.Claim()
			w.Deposed()
		}
	}
	out, err := asking(t, log, c, "verify", "format=json&partition=0")
	require.NoError(t, err)
	var all []verified
	require.NoError(t, json.Unmarshal([]byte(out), &all))
	r := all[0]
	require.Len(t, all, 1)
	require.EqualValues(t, len(w.Accepted), r.Commits)
	require.Equal(t, w.At().Index, r.Index)
	require.Equal(t, fmt.Sprintf("%016x", w.At().Prev), r.Checksum)
	require.EqualValues(t, 5, r.Claims)
	require.EqualValues(t, 4, r.Repeats)
	require.GreaterOrEqual(t, r.Voids, uint64(4))
	require.Equal(t, r.Records, r.Claims+r.Commits+r.Voids+r.Repeats)
	require.Len(t, r.Findings, int(r.Voids+r.Repeats))
	require.Equal(t, w.At().Next, r.End)

	out, err = asking(t, log, c, "verify", "partition=0&list=1")
	require.NoError(t, err)
	require.Contains(t, out, "more without effect")
	out, err = asking(t, log, c, "tail", "lines=1000&all=true")
	require.NoError(t, err)
	require.Contains(t, out, "-- VOID: commit ")
	require.Contains(t, out, "whose owner was deposed by term ")
	require.Contains(t, out, "-- REPEAT: commit ")
	out, err = asking(t, log, c, "tail", "lines=1000")
	require.NoError(t, err)
	require.NotContains(t, out, "VOID")
	out, err = asking(t, log, c, "tail", "lines=3")
	require.NoError(t, err)
	require.LessOrEqual(t, strings.Count(out, "\n"), 3)

	out, err = asking(t, log, c, "export", "")
	require.NoError(t, err)
	lines, n := exported(t, out), 0
	for i := range w.Accepted {
		for k := range w.Accepted[i].Commit.Events {
			m, ev := lines[n], w.Accepted[i].Commit.Events[k]
			require.Equal(t, fmt.Sprint(uint64(ev.T)), m["t"])
			require.EqualValues(t, w.Accepted[i].Index, m["index"])
			require.EqualValues(t, k, m["n"])
			require.EqualValues(t, w.Accepted[i].Offset, m["offset"])
			n++
		}
	}
	require.Len(t, lines, n, "each event once")
	last := w.Accepted[len(w.Accepted)-1]
	out, err = asking(t, log, c, "export", fmt.Sprintf("partition=0&from=%d&to=%d", w.Accepted[5].Offset, last.Offset))
	require.NoError(t, err)
	lines = exported(t, out)
	require.EqualValues(t, w.Accepted[5].Index, lines[0]["index"])
	require.EqualValues(t, last.Index-1, lines[len(lines)-1]["index"])
}

// lowest is a log that knows from where it was read.
type lowest struct {
	*pebble.Log
	from atomic.Int64
}

func (l *lowest) Read(
	ctx context.Context, p domain.Partition, from domain.Offset, size int, wait time.Duration,
) ([]domain.LogRecord, error) {
	l.from.Store(min(l.from.Load(), int64(from)))
	return l.Log.Read(ctx, p, from, size, wait)
}

// An anchor saves reading what is before it, and nothing else changes; verify reads all and checks the anchor.
func TestLogFromAnAnchor(t *testing.T) {
	t.Parallel()
	w, log, c := world(t)
	for i := range 20 {
		w.Send("ann", "bob", fmt.Sprint(i))
	}
	at := w.Accepted[12]
	query := fmt.Sprintf("partition=0&from=%d", at.Offset+3)
	byTime := "partition=0&from=" + w.Accepted[15].Commit.Events[0].T.Time().UTC().Format(time.RFC3339Nano)
	want, err := asking(t, log, c, "export", query)
	require.NoError(t, err)
	wantByTime, err := asking(t, log, c, "export", byTime)
	require.NoError(t, err)
	require.NotEmpty(t, wantByTime)
	anchor := control.Anchor{Partition: 0, Offset: at.Offset + 1, Term: at.Term, Index: at.Index, Prev: at.Prev, T: at.Commit.LastT()}
	require.NoError(t, c.PutAnchor(t.Context(), anchor))
	for q, want := range map[string]string{query: want, byTime: wantByTime} {
		l := &lowest{Log: log}
		l.from.Store(1 << 40)
		got, err := asking(t, l, c, "export", q)
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.EqualValues(t, anchor.Offset, l.from.Load(), "read from the anchor")
	}
	_, err = asking(t, log, c, "verify", "partition=0")
	require.NoError(t, err)
	anchor.Offset, anchor.Prev = anchor.Offset+1, anchor.Prev+1
	require.NoError(t, c.PutAnchor(t.Context(), anchor))
	out, err := asking(t, log, c, "verify", "partition=0")
	require.ErrorIs(t, err, errBroken)
	require.Contains(t, out, "it is not what it was when an anchor stood behind it")
	anchor.Offset = 1000
	require.NoError(t, c.PutAnchor(t.Context(), anchor))
	out, err = asking(t, log, c, "verify", "partition=0")
	require.ErrorIs(t, err, errBroken)
	require.Contains(t, out, "truncated: the log ends at offset")
}

// Whatever halts readers is found, and what comes before it is counted.
func TestBrokenLogs(t *testing.T) {
	t.Parallel()
	h := func(term domain.Term, index domain.Index, prev uint64) []byte {
		return fence.AppendHeader(nil, fence.Header{Term: term, Index: index, Prev: prev})
	}
	for _, c := range []struct {
		name string
		raw  func(at fence.Reader) []byte
		want string
	}{
		{"a gap", func(at fence.Reader) []byte { return h(at.Term, at.Index+2, at.Prev) }, "gap"},
		{"a checksum that differs", func(at fence.Reader) []byte { return h(at.Term, at.Index+1, at.Prev+1) }, "damaged"},
		{"a term that nobody claimed", func(at fence.Reader) []byte { return h(at.Term+1, at.Index+1, at.Prev) }, "future_term"},
		{"no record", func(fence.Reader) []byte { return []byte("hello") }, "malformed"},
		{"no content", func(at fence.Reader) []byte { return h(at.Term, at.Index+1, at.Prev) }, "undecodable"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w, log, ctl := world(t)
			w.Send("ann", "bob", "x")
			good := len(w.Accepted)
			value := c.raw(w.At())
			at, err := log.Append(t.Context(), 0, domain.Batch{Keys: [][]byte{nil}, Values: [][]byte{value}, Plain: true})
			require.NoError(t, err)
			out, err := asking(t, log, ctl, "verify", "format=json")
			require.ErrorIs(t, err, errBroken)
			require.ErrorContains(t, err, "in partition 0")
			var all []verified
			require.NoError(t, json.Unmarshal([]byte(out), &all))
			require.Len(t, all, 3, "the others are read all the same")
			require.Contains(t, all[0].Broken, c.want)
			require.Contains(t, all[0].Broken, fmt.Sprint("offset ", at))
			require.EqualValues(t, good, all[0].Commits)
			require.Empty(t, all[1].Broken)
			out, err = asking(t, log, ctl, "export", "")
			require.ErrorContains(t, err, c.want)
			require.NotEmpty(t, exported(t, out), "whole lines up to there")
		})
	}
}

func TestMarks(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 7, 28, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]mark{
		"0": {}, "1024": {offset: 1024}, "-90m": {t: domain.TAt(now.Add(-90 * time.Minute)), isTime: true},
		"2026-07-28": {t: domain.TAt(now.Add(-12 * time.Hour)), isTime: true}, "2026-07-28T14:00:00+02:00": {t: domain.TAt(now), isTime: true},
		"2026-07-28 12:00": {t: domain.TAt(now), isTime: true},
	} {
		got, err := parseMark(text, now)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"-5", "1h", "now", "2026-13-01", "x"} {
		_, err := parseMark(text, now)
		require.Error(t, err, text)
	}
}

// Every field of every event has a name and a value in JSON, bytes aside: the schema may grow, the lines must stay whole.
func TestLinesOfEveryGoldenRecord(t *testing.T) {
	t.Parallel()
	dir := filepath.Join("..", "..", "schemas", "event", "testdata", "golden")
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.NotEmpty(t, files)
	types := map[string]bool{}
	for _, f := range files {
		text, err := os.ReadFile(filepath.Join(dir, f.Name()))
		require.NoError(t, err)
		value, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
		require.NoError(t, err)
		rec, err := event.DecodeRecord(value)
		require.NoError(t, err)
		for _, w := range []lineWriter{{}, {bodies: true}, {sparse: true}} {
			j := judged{record: domain.LogRecord{Value: value}, verdict: fence.Accepted, content: rec}
			lines, err := w.events(&j, func(domain.T) bool { return true })
			require.NoError(t, err, f.Name())
			require.NotContains(t, string(lines), "password\"")
			require.NotContains(t, string(lines), "password_base64")
			s := bufio.NewScanner(bytes.NewReader(lines))
			s.Buffer(nil, 1<<20)
			for s.Scan() {
				m := map[string]any{}
				require.NoError(t, json.Unmarshal(s.Bytes(), &m), "%s: %s", f.Name(), s.Text())
				types[m["type"].(string)] = true
			}
			_, err = w.tailLine(&j)
			require.NoError(t, err, f.Name())
		}
	}
	require.GreaterOrEqual(t, len(types), 25, "%v", types)
}
