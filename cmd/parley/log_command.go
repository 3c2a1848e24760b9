package main

import (
	"net/url"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func logCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "log", Short: "Look at the log: bounds, tail, verify, export; reset it", Args: cobra.NoArgs, RunE: showHelp,
		Long: `Look at the log, which holds every change that was ever acknowledged. Anybody's Kafka consumer can decode its records, but some of them
have no effect (what a deposed owner wrote, what was written twice): these commands apply the rule by which all of parley reads.

The log is found by --admin (a running server looks and answers), by --config (the server's file: a log in Kafka is read directly), or in the
--data folder. While a server runs on that folder the folder is its own, and the server is asked, as dev.json or the settings say.

What people wrote is not shown without --bodies; hashes of passwords never are. ops/replay.md explains records, lines and fields.`,
		Example: `  parley log bounds
  parley log tail -f --partition 3
  parley log verify --config parley.yaml
  parley log export --from 2026-07-28 --to 2026-07-29`,
	}
	adminFlags(cmd)
	f := cmd.PersistentFlags()
	f.Int("partition", -1, "this partition only; chats are numbered from 0, rooms from 2048")
	cmd.AddCommand(boundsCommand(), tailCommand(), verifyCommand(), exportCommand(), resetCommand())
	return cmd
}

// showHelp is what a command does that is there for those below it. Without it cobra takes a command that there is not for a wish for help.
func showHelp(cmd *cobra.Command, _ []string) error { return cmd.Help() }

// logCall makes the command of a verb: its flags are what it asks.
func logCall(verb string, cmd *cobra.Command) *cobra.Command {
	cmd.Args = cobra.NoArgs
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		q := url.Values{}
		cmd.Flags().Visit(func(f *pflag.Flag) {
			switch f.Name {
			case "config", "data", "admin", "key-file":
			default:
				q.Set(f.Name, f.Value.String())
			}
		})
		return askLog(cmd, verb, q)
	}
	return cmd
}

func boundsCommand() *cobra.Command {
	cmd := logCall("bounds", &cobra.Command{
		Use: "bounds", Short: "Print where each partition starts and ends",
		Long: `Print where each partition starts and ends, how many records that is, and where its newest anchor stands: a place from which a reader can
go on without the history before it.`,
		Example: `  parley log bounds
  parley log bounds --format json --admin http://10.0.0.5:9090 --key-file admin.key`,
	})
	formatFlag(cmd)
	return cmd
}

func formatFlag(cmd *cobra.Command) {
	cmd.Flags().String("format", "text", "text or json")
	completed(cmd, "format", []string{"text", "json"})
}

func tailCommand() *cobra.Command {
	cmd := logCall("tail", &cobra.Command{
		Use: "tail", Short: "Print the last commits, and with -f those that come",
		Long: `Print the last commits, an event a line: time, place, index, stream, seq, what it is, and its fields. With -f those that come, until
interrupted. With --all also records without effect, with the reason.`,
		Example: `  parley log tail
  parley log tail -f --lines 0
  parley log tail --from -15m --bodies
  parley log tail --partition 3 --from 1024 --all`,
	})
	f := cmd.Flags()
	f.BoolP("follow", "f", false, "go on with what comes")
	f.IntP("lines", "n", defaultLines, "so many of the last records")
	f.String("from", "", "instead of --lines: all from this offset (with --partition) or time on")
	f.Bool("all", false, "void and repeated records too")
	f.Bool("bodies", false, "show what people wrote")
	return cmd
}

func verifyCommand() *cobra.Command {
	cmd := logCall("verify", &cobra.Command{
		Use: "verify", Short: "Read everything and check it: order, gaps, checksums; exit 1 when broken",
		Long: `Read every record by the rule by which all of parley reads, and check: each can be decoded, the running checksum fits, indexes have no gap,
time grows, the entries of each stream are numbered without a hole, and the newest anchor stands where it did. Void and repeated records are
counted and listed with the reason; they are no fault. Exits with 1 when a partition is broken; the others are read all the same.

It needs about 50 bytes of memory for each stream of a partition.`,
		Example: `  parley log verify
  parley log verify --partition 3 --list 1000
  parley log verify --format json --config parley.yaml`,
	})
	formatFlag(cmd)
	cmd.Flags().Int("list", defaultList, "list so many void and repeated records of each partition")
	return cmd
}

func exportCommand() *cobra.Command {
	cmd := logCall("export", &cobra.Command{
		Use: "export", Short: "Write accepted commits as JSON lines, an event a line, for analysis",
		Long: `Write accepted commits as JSON lines to stdout, an event a line, partition by partition: in a partition by time, each event once. Without --to
it ends where the log ended when it began. ops/replay.md documents the lines; their fields are stable.

Times are UTC unless they say otherwise: 2026-07-28, 2026-07-28T12:00, 2026-07-28T12:00:00+02:00, or before now: -24h. --from is inside, --to is not.
An export that ends with an error has written whole lines, but not all.`,
		Example: `  parley log export > all.jsonl
  parley log export --from -24h --bodies
  parley log export --from 2026-07-28 --to 2026-07-29T06:00 --config parley.yaml
  parley log export --partition 3 --from 1024 --to 2048`,
	})
	f := cmd.Flags()
	f.String("from", "", "offset (with --partition) or time; default: the log's start")
	f.String("to", "", "offset (with --partition) or time; default: where the log ends now")
	f.String("format", "jsonl", "jsonl")
	f.Bool("bodies", false, "write what people wrote, too")
	completed(cmd, "format", []string{"jsonl"})
	return cmd
}
