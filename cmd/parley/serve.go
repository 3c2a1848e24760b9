package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// drainLimit is how long an orderly stop may take. One that takes longer is cut off, which loses nothing that was acknowledged.
const drainLimit = 10 * time.Second

func serveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "serve", Short: "Run parley", Args: cobra.NoArgs,
		Long: `Run parley: one process with all roles, the embedded log and store in the data folder, REST and WebSocket on one port
(/ws, and any path that ends in /websocket), and metrics, health, profiles and the admin API on another.

Without --dev nothing is made or guessed: the data folder must be there, admin_key and token_key (or token_key_file) must be set, and apps
are made by ` + "`parley app create`" + `. A key is made by ` + "`openssl rand -hex 32`" + `; files with keys must be their owner's alone (chmod 600).

For TLS set tls.cert and tls.key, or put a proxy in front and name its network in trusted_proxies: then its X-Forwarded-For, -Proto and
-Host count, and it must set or drop each of them. Everybody else's are thrown away.

SIGTERM or SIGINT drains and exits 0 within 10 s; a second one exits at once.`,
		Example: `  parley serve --dev
  parley serve --dev --data /tmp/parley --listen 127.0.0.1:0 --admin 127.0.0.1:0
  parley serve --config parley.yaml
  PARLEY_ADMIN_KEY=… PARLEY_TOKEN_KEY=… parley serve --data /var/lib/parley --listen 0.0.0.0:8080`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := configFrom(cmd)
			if err != nil {
				return fmt.Errorf("the configuration is wrong:\n%w", err)
			}
			return serve(cmd.Context(), c, cmd.OutOrStdout(), os.Stderr)
		},
	}
	configFlags(cmd)
	return cmd
}

// serve runs until a signal, or until something that cannot be mended ends it.
func serve(ctx context.Context, c config, out io.Writer, logs *os.File) error {
	if ctx == nil {
		ctx = context.Background()
	}
	log := newLogger(c.Log, logs)
	ctx, stop := untilSignal(ctx)
	defer stop()
	n, err := unlessStopped(ctx, openPatience, func() (*node, error) { return openNode(ctx, c, log) })
	if err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil // asked to stop before it had begun
	}
	if err != nil {
		return err
	}
	return n.run(ctx, n.publish, func() error { return n.announce(out) })
}

// openPatience is how long a stop waits for databases that are being opened.
const openPatience = 5 * time.Second

// unlessStopped opens a node. Databases on a full disk wait for room and know nothing of ctx: when it ends they get some time, and are left
// behind then. The process is about to end, and what they have acknowledged is in the log.
func unlessStopped(ctx context.Context, patience time.Duration, open func() (*node, error)) (*node, error) {
	type opened struct {
		n   *node
		err error
	}
	done := make(chan opened, 1)
	go func() {
		n, err := open()
		done <- opened{n, err}
	}()
	select {
	case o := <-done:
		return o.n, o.err
	case <-ctx.Done():
	}
	select {
	case o := <-done:
		return o.n, o.err
	case <-time.After(patience):
		return nil, ctx.Err()
	}
}

// untilSignal ends the context with the first signal to stop. When that shows, the second one already ends the process at once, as it would
// have without us.
func untilSignal(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := context.WithCancel(ctx)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		defer stop()
		select {
		case <-signals:
		case <-ctx.Done():
		}
		signal.Stop(signals)
		if len(signals) > 0 { // the second came before that
			os.Exit(1)
		}
	}()
	return ctx, stop
}

func newLogger(c logConfig, f *os.File) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		level = slog.LevelInfo // Validate has refused every other text
	}
	o := &slog.HandlerOptions{Level: level}
	if c.Format == "text" || c.Format == "auto" && term.IsTerminal(int(f.Fd())) {
		return slog.New(slog.NewTextHandler(f, o))
	}
	return slog.New(slog.NewJSONHandler(f, o))
}

// listen listens without TCP's keep-alive, which costs four system calls for each socket and a packet every 15 s afterwards: whoever says
// nothing for long is closed by the gateway's and the HTTP servers' own time-outs.
func listen(ctx context.Context, name, addr string) (net.Listener, error) {
	l, err := (&net.ListenConfig{KeepAlive: -1}).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return l, nil
}
