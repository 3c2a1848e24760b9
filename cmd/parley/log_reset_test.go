package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"parley/ingest/control"
	"parley/storage/pebble"
)

// What an interrupted reset leaves keeps nodes from starting, until it is done again.
func TestLogResetIsFinished(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	s := serveDev(t, data)
	send(t, login(t, s.ws, s.dev.App, "ana", s.token("ana")), "bob", s.token("bob"))
	s.stop()
	log, err := pebble.OpenLog(filepath.Join(data, "log"), pebble.Options{})
	require.NoError(t, err)
	c := control.New(log, slog.New(slog.DiscardHandler), time.Now)
	require.NoError(t, c.Load(t.Context()))
	require.NoError(t, c.PutReset(t.Context(), control.Reset{Partition: 1, At: time.Now().UTC()}))
	require.NoError(t, log.Close())
	_, errs, code := command(t, nil, "serve", "--dev", "--data", data, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")
	require.Equal(t, 1, code)
	require.Contains(t, errs, "run parley log reset --yes again")
	out, errs, code := command(t, nil, "log", "reset", "--data", data, "--yes")
	require.Zero(t, code, errs)
	require.Contains(t, out, "was begun at")
	serveDev(t, data).stop()
}

// A log that was put back from a copy lacks what was acknowledged later, and the store knows of it: nothing goes on until an operator has said
// so. Then what the log has is there, what it lost is not, and what is new reaches even the device that had come further.
func TestLogReset(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data, copied := filepath.Join(dir, "data"), filepath.Join(dir, "copy")
	s := serveDev(t, data)
	anaToken, bobToken := s.token("ana"), s.token("bob")
	bob := login(t, s.ws, s.dev.App, "bob", bobToken)
	send(t, login(t, s.ws, s.dev.App, "ana", anaToken), "bob", "one")
	receive(t, bob, "one")
	_, errs, code := command(t, nil, "log", "reset", "--data", data)
	require.Equal(t, 1, code)
	require.Contains(t, errs, "a server runs on this folder")
	s.stop()
	out, errs, code := command(t, nil, "log", "reset", "--data", data, "--yes")
	require.Zero(t, code, errs)
	require.Contains(t, out, "there is nothing to reset")
	require.NoError(t, os.CopyFS(copied, os.DirFS(filepath.Join(data, "log"))))

	s = serveDev(t, data)
	bob = login(t, s.ws, s.dev.App, "bob", bobToken)
	ana := login(t, s.ws, s.dev.App, "ana", anaToken)
	for _, text := range []string{"two", "three", "four"} {
		send(t, ana, "bob", text)
		receive(t, bob, text)
	}
	s.token("carl")
	s.stop()
	lost, errs, code := command(t, nil, "log", "export", "--bodies", "--data", data)
	require.Zero(t, code, errs)
	before := ofType(exported(t, lost), "message_sent")
	require.Len(t, before, 4)

	require.NoError(t, os.RemoveAll(filepath.Join(data, "log")))
	require.NoError(t, os.Rename(copied, filepath.Join(data, "log")))
	halted := launch(t, nil, "--dev", "--data", data, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")
	halted.await("partition halted", &halted.log)
	halted.signal(syscall.SIGKILL)
	halted.ended(drainLimit)

	out, errs, code = command(t, nil, "log", "reset", "--data", data)
	require.Equal(t, 1, code)
	require.Contains(t, errs, "nothing was changed")
	require.Contains(t, out, "commits are lost")
	require.Contains(t, out, "the state's checkpoint stands at offset")
	again, _, code := command(t, nil, "log", "reset", "--data", data)
	require.Equal(t, 1, code)
	require.Equal(t, out, again, "looking changes nothing")
	_, errs, code = command(t, nil, "log", "reset", "--data", data, "--partition", "2051", "--yes")
	require.Equal(t, 1, code)
	require.Contains(t, errs, "is cut, too")
	out, errs, code = command(t, nil, "log", "reset", "--data", data, "--yes")
	require.Zero(t, code, "%s %s", out, errs)
	require.Contains(t, out, "done")
	out, _, code = command(t, nil, "log", "reset", "--data", data)
	require.Zero(t, code)
	require.Contains(t, out, "there is nothing to reset")

	s = serveDev(t, data)
	bob = login(t, s.ws, s.dev.App, "bob", bobToken)
	receive(t, bob, "one") // he has not read it
	ana = login(t, s.ws, s.dev.App, "ana", anaToken)
	send(t, ana, "bob", "five")
	receive(t, bob, "five")
	require.NoError(t, bob.Cut())
	for _, text := range []string{"six", "seven", "eight"} { // over the place to which he had come before
		send(t, ana, "bob", text)
	}
	bob = login(t, s.ws, s.dev.App, "bob", bobToken)
	var got []string
	for len(got) == 0 || got[len(got)-1] != "eight" {
		r, err := bob.Receive(within(t))
		require.NoError(t, err)
		for _, text := range []string{"one", "two", "three", "four", "five", "six", "seven", "eight"} {
			if strings.Contains(string(r.Meta.Payload), text) {
				got = append(got, text)
			}
		}
	}
	require.Equal(t, []string{"six", "seven", "eight"}, got[len(got)-3:])
	require.NotContains(t, got, "two")
	s.stop()
	out, errs, code = command(t, nil, "log", "verify", "--data", data)
	require.Zero(t, code, "%s %s", out, errs)
	export, errs, code := command(t, nil, "log", "export", "--bodies", "--data", data)
	require.Zero(t, code, errs)
	after := ofType(exported(t, export), "message_sent")
	require.Len(t, after, 5, "one, five, six, seven, eight")
	require.Equal(t, before[0]["t"], after[0]["t"])
	require.Greater(t, after[1]["t"], before[3]["t"], "no id is given out again")
	require.Greater(t, after[1]["offset"], before[3]["offset"], "no offset is given out again")
	require.Equal(t, before[1]["seq"], after[1]["seq"], "seqs go on where the log does")
}
