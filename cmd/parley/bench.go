package main

import (
	"context"
	"io"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

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
  parley bench room --viewers 1000 --rate 500
  parley bench storm --connections 3000
  parley bench login --groups 2000
  parley bench all             every budget, against servers of its own
  parley bench soak            all shapes for half an hour: nothing may grow`,
	}
	cmd.AddCommand(
		benchDirectCommand(), benchIdleCommand(), benchGroupCommand(), benchRoomCommand(), benchStormCommand(), benchLoginCommand(),
		benchAllCommand(), benchSoakCommand(),
	)
	return cmd
}

func benchDirectCommand() *cobra.Command {
	c := bench.DefaultDirect()
	cmd := &cobra.Command{
		Use: "direct", Short: "Direct chats, open loop", Args: cobra.NoArgs,
		Long: `Load direct chats. Besides latencies it prints how many commits projections, reactors and checkpoints were behind meanwhile, and with
--roles the CPU of each role of the server and where it goes: ops/sizing.md says how to read that.`,
		Example: `  parley bench direct
  parley bench direct --rate 20000 --duration 60s --json
  parley bench direct --rate 1000 --roles
  parley bench direct --rate 1000 --dev-file n1/dev.json --nodes n2/dev.json,n3/dev.json`,
	}
	f := cmd.Flags()
	f.IntVar(&c.Pairs, "pairs", c.Pairs, "senders, each with a receiver of its own")
	f.IntVar(&c.Rate, "rate", c.Rate, "messages a second, over all pairs")
	f.DurationVar(&c.Duration, "duration", c.Duration, "measured time")
	f.DurationVar(&c.Warmup, "warmup", c.Warmup, "loaded and checked before, not measured")
	f.DurationVar(&c.Drain, "drain", c.Drain, "the longest wait for the next straggler")
	f.IntVar(&c.Size, "size", c.Size, "bytes of text")
	f.BoolVar(&c.Roles, "roles", c.Roles, "report the server's CPU by role, and where it goes")
	f.BoolVar(&c.Receipts, "receipts", c.Receipts, "receivers answer each message with a delivery receipt")
	churnFlags(f, &c.Churn, &c.Every, &c.Hold, "receivers who are cut and come back, or stop reading for a while; their latency is not counted")
	nodes := f.StringSlice("nodes", nil, "dev files of other nodes of the same cluster: clients use all nodes in turn, and their figures are added up")
	benchFlags(cmd, &c.Target, func(ctx context.Context, log io.Writer) (bench.Report, error) {
		for _, file := range *nodes {
			other, err := bench.ReadTarget(file)
			if err != nil {
				return nil, err
			}
			c.Target.Others = append(c.Target.Others, other)
		}
		return bench.Direct(ctx, c, log)
	})
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
	benchFlags(cmd, &c.Target, func(ctx context.Context, log io.Writer) (bench.Report, error) { return bench.Idle(ctx, c, log) })
	return cmd
}

func benchGroupCommand() *cobra.Command {
	c := bench.DefaultGroup()
	cmd := &cobra.Command{
		Use: "group", Short: "Groups whose members all listen, open loop", Args: cobra.NoArgs,
		Long: `Load groups: some members write, all listen and check what they get. With --churn, what a member misses beyond gateway.group_cap of the
server is left to history, and told as lost.`,
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
	f.DurationVar(&c.Drain, "drain", c.Drain, "the longest wait for the next straggler")
	f.IntVar(&c.Size, "size", c.Size, "bytes of text")
	churnFlags(f, &c.Churn, &c.Every, &c.Hold, "of each group, members who are cut and come back, or stop reading for a while; their latency is not counted")
	benchFlags(cmd, &c.Target, func(ctx context.Context, log io.Writer) (bench.Report, error) { return bench.Group(ctx, c, log) })
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
	benchFlags(cmd, &c.Target, func(ctx context.Context, log io.Writer) (bench.Report, error) { return bench.Login(ctx, c, log) })
	return cmd
}

func benchRoomCommand() *cobra.Command {
	c := bench.DefaultRoom()
	cmd := &cobra.Command{
		Use: "room", Short: "A room and its viewers, open loop", Args: cobra.NoArgs,
		Long: `Load a room: some write, and all view. Every message is counted on every connection; one viewer in ten checks each for order, loss,
repeats and its id, and gives the latency. The client's own share of the CPU is told.`,
		Example: `  parley bench room
  parley bench room --viewers 1000 --rate 40
  parley bench room --rate 5000 --priority low    what is shed, and told with its reason`,
	}
	f := cmd.Flags()
	f.IntVar(&c.Viewers, "viewers", c.Viewers, "viewers, each of a user of its own")
	f.IntVar(&c.Senders, "senders", c.Senders, "users besides who view and write")
	f.IntVar(&c.Rate, "rate", c.Rate, "messages a second, over all senders")
	f.DurationVar(&c.Duration, "duration", c.Duration, "measured time")
	f.DurationVar(&c.Warmup, "warmup", c.Warmup, "loaded and checked before, not measured")
	f.DurationVar(&c.Drain, "drain", c.Drain, "the longest wait for the next straggler")
	f.DurationVar(&c.Settle, "settle", c.Settle, "wait before memory is read")
	f.IntVar(&c.Size, "size", c.Size, "bytes of text")
	f.StringVar(&c.Priority, "priority", c.Priority, "of all messages: high, normal or low")
	churnFlags(f, &c.Churn, &c.Every, &c.Hold, "viewers besides who leave and come, are cut and come back, or stop reading for a while")
	benchFlags(cmd, &c.Target, func(ctx context.Context, log io.Writer) (bench.Report, error) { return bench.Room(ctx, c, log) })
	return cmd
}

func benchStormCommand() *cobra.Command {
	c := bench.DefaultStorm()
	cmd := &cobra.Command{
		Use: "storm", Short: "Sessions that are cut all at once and come back", Args: cobra.NoArgs,
		Example: `  parley bench storm
  parley bench storm --connections 9000`,
	}
	f := cmd.Flags()
	f.IntVar(&c.Connections, "connections", c.Connections, "sessions, each of its own user")
	f.DurationVar(&c.Settle, "settle", c.Settle, "wait before the storm")
	benchFlags(cmd, &c.Target, func(ctx context.Context, log io.Writer) (bench.Report, error) { return bench.Storm(ctx, c, log) })
	return cmd
}

// churnFlags adds what lets receivers do something besides listening.
func churnFlags(f *pflag.FlagSet, churn *int, every, hold *time.Duration, who string) {
	f.IntVar(churn, "churn", *churn, who)
	f.DurationVar(every, "every", *every, "between two such things")
	f.DurationVar(hold, "hold", *hold, "how long one stops reading")
}
