package main

import (
	"context"
	"io"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"parley/ops/bench"
)

func benchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "bench", Short: "Load a running server on this machine and print the figures",
		Long: `Load a running server on this machine and print latency, throughput, CPU and memory of both sides.

The server is the one that dev.json describes; flags change single values. A run that finds a message lost, repeated or out
of order, or a session broken, exits non-zero.`,
		Example: `  parley serve --dev &
  parley bench direct --rate 10000 --duration 20s
  parley bench idle --connections 9000
  parley bench group --members 20 --rate 5000
  parley bench login --groups 2000`,
	}
	cmd.AddCommand(benchDirectCommand(), benchIdleCommand(), benchGroupCommand(), benchLoginCommand())
	return cmd
}

func benchDirectCommand() *cobra.Command {
	c := bench.DefaultDirect()
	cmd := &cobra.Command{
		Use: "direct", Short: "Direct chats, open loop", Args: cobra.NoArgs,
		Example: `  parley bench direct
  parley bench direct --rate 20000 --duration 60s --json`,
	}
	f := cmd.Flags()
	f.IntVar(&c.Pairs, "pairs", c.Pairs, "senders, each with a receiver of its own")
	f.IntVar(&c.Rate, "rate", c.Rate, "messages a second, over all pairs")
	f.DurationVar(&c.Duration, "duration", c.Duration, "measured time")
	f.DurationVar(&c.Warmup, "warmup", c.Warmup, "loaded and checked before, not measured")
	f.DurationVar(&c.Drain, "drain", c.Drain, "the longest wait for stragglers")
	f.IntVar(&c.Size, "size", c.Size, "bytes of text")
	f.BoolVar(&c.Receipts, "receipts", c.Receipts, "receivers answer each message with a delivery receipt")
	benchFlags(cmd, &c.Target, func(ctx context.Context, log io.Writer) (benchReport, error) { return bench.Direct(ctx, c, log) })
	return cmd
}

func benchIdleCommand() *cobra.Command {
	c := bench.DefaultIdle()
	cmd := &cobra.Command{
		Use: "idle", Short: "Sessions that do nothing: what each costs the server", Args: cobra.NoArgs,
		Example: `  parley bench idle --connections 9000
  parley bench idle --storm    cut all at once and let them come back`,
	}
	f := cmd.Flags()
	f.IntVar(&c.Connections, "connections", c.Connections, "sessions, each of its own user")
	f.DurationVar(&c.Settle, "settle", c.Settle, "wait before memory is read")
	f.BoolVar(&c.Storm, "storm", c.Storm, "afterwards cut all at once and let them come back")
	benchFlags(cmd, &c.Target, func(ctx context.Context, log io.Writer) (benchReport, error) { return bench.Idle(ctx, c, log) })
	return cmd
}

func benchGroupCommand() *cobra.Command {
	c := bench.DefaultGroup()
	cmd := &cobra.Command{
		Use: "group", Short: "Groups whose members all listen, open loop", Args: cobra.NoArgs,
		Example: `  parley bench group
  parley bench group --groups 50 --members 20 --rate 500`,
	}
	f := cmd.Flags()
	f.IntVar(&c.Groups, "groups", c.Groups, "groups")
	f.IntVar(&c.Members, "members", c.Members, "members of each group, each with a session")
	f.IntVar(&c.Senders, "senders", c.Senders, "members of each group who write")
	f.IntVar(&c.Rate, "rate", c.Rate, "messages a second, over all groups")
	f.DurationVar(&c.Duration, "duration", c.Duration, "measured time")
	f.DurationVar(&c.Warmup, "warmup", c.Warmup, "loaded and checked before, not measured")
	f.DurationVar(&c.Drain, "drain", c.Drain, "the longest wait for stragglers")
	f.IntVar(&c.Size, "size", c.Size, "bytes of text")
	benchFlags(cmd, &c.Target, func(ctx context.Context, log io.Writer) (benchReport, error) { return bench.Group(ctx, c, log) })
	return cmd
}

func benchLoginCommand() *cobra.Command {
	c := bench.DefaultLogin()
	cmd := &cobra.Command{
		Use: "login", Short: "Log-ins of a user who is in many groups", Args: cobra.NoArgs,
		Example: `  parley bench login
  parley bench login --groups 200 --times 50 --news 0`,
	}
	f := cmd.Flags()
	f.IntVar(&c.Groups, "groups", c.Groups, "groups that the user is a member of")
	f.IntVar(&c.Times, "times", c.Times, "log-ins that are measured")
	f.IntVar(&c.News, "news", c.News, "groups that get a message before each log-in")
	benchFlags(cmd, &c.Target, func(ctx context.Context, log io.Writer) (benchReport, error) { return bench.Login(ctx, c, log) })
	return cmd
}

// benchReport is what every load has to say.
type benchReport interface {
	Print(w io.Writer) error
	JSON(w io.Writer) error
	Err() error // what a correct server would not have done
}

// benchFlags adds what the loads share, and runs the one that was asked for.
func benchFlags(cmd *cobra.Command, t *bench.Target, run func(ctx context.Context, log io.Writer) (benchReport, error)) {
	f := cmd.Flags()
	dev := f.String("dev-file", devFile("parley-data"), "where the server's addresses and secrets are")
	rest := f.String("rest", "", "REST address, instead of the dev file's")
	ws := f.String("ws", "", "WebSocket address, instead of the dev file's")
	admin := f.String("admin", "", "address of the metrics, instead of the dev file's")
	asJSON := f.Bool("json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		found, err := bench.ReadTarget(*dev)
		if err != nil {
			return err
		}
		*t = found
		for _, o := range []struct{ to, from *string }{{&t.REST, rest}, {&t.WS, ws}, {&t.Admin, admin}} {
			if *o.from != "" {
				*o.to = *o.from
			}
		}
		return runBench(cmd, *asJSON, run)
	}
}

func runBench(cmd *cobra.Command, asJSON bool, run func(ctx context.Context, log io.Writer) (benchReport, error)) error {
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
