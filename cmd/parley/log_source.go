package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"parley/ingest/control"
	"parley/storage/pebble"
)

// askLog runs a verb: on a log that can be opened here, else by a running server. Its log is found by --admin, by --config (Kafka is
// read directly, with the server's settings), or in the data folder, which a running server keeps to itself.
func askLog(cmd *cobra.Command, verb string, q url.Values) error {
	ctx := contextOf(cmd)
	ask, err := parseLogAsk(q, time.Now())
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(cmd.OutOrStdout(), 64<<10)
	if cmd.Flag("admin").Changed || os.Getenv("PARLEY_ADMIN") != "" {
		return askServer(ctx, cmd, verb, q, out)
	}
	n, err := openReading(ctx, cmd)
	if errors.Is(err, pebble.ErrLocked) {
		return askServer(ctx, cmd, verb, q, out)
	}
	if errors.Is(err, errNoLog) && knowsServer(cmd) {
		if asked := askServer(ctx, cmd, verb, q, out); asked != nil {
			return fmt.Errorf("%w; and the server of that folder: %w", err, asked)
		}
		return nil
	}
	if err != nil {
		return err
	}
	if ask.follow && n.cfg.Storage.Log == enginePebble {
		return errors.Join(errNobodyWrites, n.close())
	}
	v, err := n.openView(ctx)
	if err == nil {
		err = logVerbs[verb](ctx, v, ask, out)
	}
	return errors.Join(err, n.close())
}

// knowsServer tells whether the folder has a dev.json of a server whose log is elsewhere.
func knowsServer(cmd *cobra.Command) bool {
	c, _ := configFrom(cmd)
	if c.Storage.Log == "" {
		return false // what is wrong has been said
	}
	d, err := readDev(c.Data)
	return err == nil && d.Admin != ""
}

var errNoLog = errors.New("there is no log")

var errNobodyWrites = errors.New("there is nothing to follow: no server runs on this folder, and none could start while it is read")

// openReading opens the log that the settings name, to read. Of the settings only those of the engines have to be right: who reads a log
// need not have the server's keys.
func openReading(ctx context.Context, cmd *cobra.Command) (*node, error) {
	c, err := configFrom(cmd)
	if c.Storage.Log == "" {
		return nil, err // there is no such file, or it cannot be read
	}
	var p problems
	c.validateEngines(&p)
	if len(p) > 0 {
		return nil, fmt.Errorf("the configuration is wrong:\n%w", errors.Join(p...))
	}
	n := &node{cfg: c, log: slog.New(slog.DiscardHandler), reg: prometheus.NewRegistry()}
	if c.Storage.Log != enginePebble {
		n.logs, err = n.openLog(ctx, false)
		return n, err
	}
	dir := filepath.Join(c.Data, "log")
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("%w in this folder: %w (a log in Kafka is found by the server's --config file or --admin address, an embedded one also by its --data folder)",
			errNoLog, err)
	}
	l, err := pebble.OpenLog(dir, pebble.Options{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	n.logs = l
	return n, nil
}

// openView reads which partitions the log has.
func (n *node) openView(ctx context.Context) (*logView, error) {
	c := control.New(readOnly{n.logs}, n.log, time.Now)
	if err := c.Load(ctx); err != nil {
		return nil, err
	}
	return viewOf(c, n.logs)
}

// errTrailer is where a server says that what it wrote is not all, or not well: the status was sent long before.
const errTrailer = "Parley-Error"

// askServer lets a running server look, and copies what it writes.
func askServer(ctx context.Context, cmd *cobra.Command, verb string, q url.Values, out sink) error {
	c, err := adminFrom(cmd)
	if err != nil {
		return err
	}
	return c.stream(ctx, "/api/log/"+verb+"?"+q.Encode(), out)
}

// stream copies an answer that may never end.
func (c *adminClient) stream(ctx context.Context, path string, out sink) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	res, err := (&http.Client{}).Do(req) // no limit: it ends when the server, or ctx, does
	if err != nil {
		return fmt.Errorf("the server does not answer: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return answerError(res)
	}
	if err := copyFlushing(out, res.Body); err != nil {
		return fmt.Errorf("the answer ended early: %w", err)
	}
	if text := res.Trailer.Get(errTrailer); text != "" {
		return errors.New(text)
	}
	return nil
}

// copyFlushing copies what comes as it comes.
func copyFlushing(out sink, in io.Reader) error {
	buf := make([]byte, 64<<10)
	for {
		n, err := in.Read(buf)
		if _, werr := out.Write(buf[:n]); werr != nil {
			return werr
		}
		if werr := out.Flush(); werr != nil {
			return werr
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
