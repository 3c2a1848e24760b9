package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"parley/ops/bench"
)

// benchFlags adds what the loads share, and runs the one that was asked for.
func benchFlags(cmd *cobra.Command, t *bench.Target, run func(ctx context.Context, log io.Writer) (bench.Report, error)) {
	f := cmd.Flags()
	dev := f.String("dev-file", devFile("parley-data"), "where the server's addresses and secrets are")
	rest := f.String("rest", "", "REST address, instead of the dev file's")
	ws := f.String("ws", "", "WebSocket address, instead of the dev file's")
	admin := f.String("admin", "", "address of the metrics, instead of the dev file's")
	profiles := f.String("profile", "", "folder for CPU, allocation, mutex and block profiles of the server")
	asJSON := f.Bool("json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		found, err := bench.ReadTarget(*dev)
		if err != nil {
			return err
		}
		*t = found
		t.Profiles = *profiles
		for _, o := range []struct{ to, from *string }{{&t.REST, rest}, {&t.WS, ws}, {&t.Admin, admin}} {
			if *o.from != "" {
				*o.to = *o.from
			}
		}
		return runBench(cmd, *asJSON, run)
	}
}

func runBench(cmd *cobra.Command, asJSON bool, run func(ctx context.Context, log io.Writer) (bench.Report, error)) error {
	ctx, stop := signal.NotifyContext(contextOf(cmd), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	r, err := run(ctx, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	show := r.Print
	if asJSON {
		show = r.JSON
	}
	if err := show(cmd.OutOrStdout()); err != nil {
		return err
	}
	return r.Err()
}

// contextOf is never nil, which cobra's is when a command is executed without one.
func contextOf(cmd *cobra.Command) context.Context {
	if ctx := cmd.Context(); ctx != nil {
		return ctx
	}
	return context.Background()
}

func benchAllCommand() *cobra.Command {
	var c bench.AllConfig
	cmd := &cobra.Command{
		Use: "all", Short: "Every budget that needs no cluster, beside what is measured", Args: cobra.NoArgs,
		Long: `Try the budgets one after the other and print each beside what was measured. A missed one exits non-zero.

Each row has a server of its own: this binary under --dev, in a folder that goes with it. With --dev-file they share the one that it describes.`,
		Example: `  parley bench all
  parley bench all --short --only room-40,room-500
  parley bench all --profile profiles`,
	}
	f := cmd.Flags()
	dev := f.String("dev-file", "", "run against the server that this describes, not against servers of its own")
	f.StringVar(&c.Dir, "dir", "", "where the servers' folders are, on a disk like the real one (default: where temporary files go)")
	f.StringVar(&c.Profiles, "profile", "", "folder for CPU, allocation, mutex and block profiles of the servers, one below it for each row")
	f.BoolVar(&c.Brief, "short", false, "a quick pass: the same rates for less time, fewer sessions and groups")
	f.StringSliceVar(&c.Only, "only", nil, "names of rows")
	asJSON := f.Bool("json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		if c.Binary, err = os.Executable(); err != nil {
			return fmt.Errorf("this binary: %w", err)
		}
		if *dev != "" {
			t, err := bench.ReadTarget(*dev)
			if err != nil {
				return err
			}
			c.Target = &t
		}
		return runBench(cmd, *asJSON, func(ctx context.Context, log io.Writer) (bench.Report, error) { return bench.All(ctx, c, log) })
	}
	return cmd
}

func benchSoakCommand() *cobra.Command {
	c := bench.DefaultSoak()
	cmd := &cobra.Command{
		Use: "soak", Short: "All shapes at once for long: nothing may be lost, and nothing may grow", Args: cobra.NoArgs,
		Long: `Load direct chats, a group and a room at once with a third of their budgets, while some receivers are cut and come back, leave and
come, or stop reading for a while. Everything is checked as in the single loads; and at the end the server's memory, goroutines, open files
and lag must be what they were before: the median of the last third of the time is held to that of the middle third.

The server is one of its own, this binary under --dev, unless --dev-file names one. That needs a gateway.cap and gateway.group_cap so high that
log-in delivers all that somebody has missed.`,
		Example: `  parley bench soak
  parley bench soak --duration 5m --dev-file parley-data/dev.json
  parley bench soak --short    two minutes with little load`,
	}
	f := cmd.Flags()
	dev := f.String("dev-file", "", "run against the server that this describes, not against one of its own")
	dir := f.String("dir", "", "where the server's folder is, on a disk like the real one (default: where temporary files go)")
	brief := f.Bool("short", false, "two minutes with little load, whatever the other flags say")
	f.DurationVar(&c.Duration, "duration", c.Duration, "how long")
	f.DurationVar(&c.Every, "sample", c.Every, "between two samples of the server")
	f.Float64Var(&c.Tolerance, "tolerance", c.Tolerance, "what may grow from the middle third to the last, as a share")
	profiles := f.String("profile", "", "folder for CPU, allocation, mutex and block profiles of the server")
	asJSON := f.Bool("json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *brief {
			c = bench.ShortSoak()
		}
		return runBench(cmd, *asJSON, func(ctx context.Context, log io.Writer) (bench.Report, error) {
			return soak(ctx, c, *dev, *dir, *profiles, log)
		})
	}
	return cmd
}

// soak runs against the server of a dev file, or one of its own.
func soak(ctx context.Context, c bench.SoakConfig, dev, dir, profiles string, log io.Writer) (r bench.Report, err error) {
	if dev != "" {
		if c.Target, err = bench.ReadTarget(dev); err != nil {
			return nil, err
		}
		c.Target.Profiles = profiles
		return bench.Soak(ctx, c, log)
	}
	bin, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("this binary: %w", err)
	}
	s, err := bench.StartServer(ctx, bin, dir, bench.SoakSettings...)
	if err != nil {
		return nil, err
	}
	c.Target = s.Target
	c.Target.Profiles = profiles
	start := time.Now()
	report, err := bench.Soak(ctx, c, log)
	if died := s.Err(); died != nil {
		err = fmt.Errorf("after %s: %w", time.Since(start).Round(time.Second), died)
	}
	if stopped := s.Stop(); err == nil {
		err = stopped
	}
	if err != nil {
		return nil, err
	}
	return report, nil
}
