package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"parley/domain"
	"parley/ingest/control"
	"parley/storage/pebble"
)

func resetCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "reset", Short: "After the log has lost its end: say what is gone, and with --yes go on from what there is", Args: cobra.NoArgs,
		Long: `When brokers, or a disk that was put back from a copy, have lost records that were acknowledged, the store knows more than the log, and the
partition halts rather than guess. If those records cannot be brought back, this lets it go on. Every node must be stopped.

Without --yes it only says what is lost. With --yes the log is the truth: what it lost never happened. It writes a claim and empty records until
no number of a lost record can be given out again, writes down in the control topic what was done, and removes everything that was derived from
the log: the streams' state, the read models, and the devices' cursors. The next start makes state and read models anew from all of the log, in
all partitions: until then history is not complete. Devices are sent again what their users have not read, as far back as a new device.

Take copies of log and store before. What a client has received and the log has lost stays on that client's device alone. A log that does not
begin at offset 0, or is broken in itself (parley log verify), cannot be reset.`,
		Example: `  parley log reset --config parley.yaml
  parley log reset --config parley.yaml --partition 3 --yes`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flag("admin").Changed {
				return errors.New("reset works on log and store themselves, with every node stopped: name --config or --data, not --admin")
			}
			p, err := cmd.Flags().GetInt("partition")
			if err != nil {
				return err
			}
			ctx := contextOf(cmd)
			n, err := openStopped(ctx, cmd)
			if err != nil {
				return err
			}
			out := bufio.NewWriter(cmd.OutOrStdout())
			return errors.Join(n.resetLog(ctx, p, yes, out), out.Flush(), n.close())
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do it")
	return cmd
}

// openStopped opens log and store, to change them. Nothing is made that is not there.
func openStopped(ctx context.Context, cmd *cobra.Command) (*node, error) {
	c, err := configFrom(cmd)
	if c.Storage.Log == "" {
		return nil, err
	}
	var p problems
	c.validateEngines(&p)
	if len(p) > 0 {
		return nil, fmt.Errorf("the configuration is wrong:\n%w", errors.Join(p...))
	}
	for engine, name := range map[string]string{"log": c.Storage.Log, "store": c.Storage.Tables} {
		if _, err := os.Stat(filepath.Join(c.Data, engine)); name == enginePebble && err != nil {
			return nil, fmt.Errorf("there is no %s: %w (name the server's --data folder or its --config file)", engine, err)
		}
	}
	n := &node{cfg: c, log: slog.New(slog.DiscardHandler), reg: prometheus.NewRegistry()}
	err = n.openStorage(ctx, false)
	if errors.Is(err, pebble.ErrLocked) {
		err = fmt.Errorf("a server runs on this folder: stop it first: %w", err)
	}
	if err != nil {
		return nil, errors.Join(err, n.close())
	}
	return n, nil
}

var (
	errNotChanged = errors.New("nothing was changed: --yes does it")
	errWritten    = errors.New("somebody writes to this partition: stop every node first")
)

// resetMargin is how far the log goes on above what is known to have been: records that nobody's checkpoint had passed yet had offsets, too, and
// reactors told other partitions of some of them.
const resetMargin = 100_000

// resetLog finds the partitions that are cut, and with yes lets them go on.
func (n *node) resetLog(ctx context.Context, only int, yes bool, out io.Writer) error {
	v, err := n.openView(ctx)
	if err != nil {
		return err
	}
	if _, err := v.only(only); err != nil {
		return err
	}
	c := control.New(n.logs, n.log, time.Now)
	if err := c.Load(ctx); err != nil {
		return err
	}
	cuts, err := n.cuts(ctx, v, c)
	if err != nil {
		return err
	}
	begun := 0
	for _, r := range c.Resets() {
		if !r.Done {
			begun++
			fmt.Fprintf(out, "partition %d: a reset was begun at %s and not finished\n", r.Partition, r.At.Format(time.RFC3339))
		}
	}
	if len(cuts) == 0 && begun == 0 {
		_, err := fmt.Fprintln(out, "the log has all that the store has seen: there is nothing to reset")
		return err
	}
	for i := range cuts {
		cuts[i].describe(out)
		if only >= 0 && domain.Partition(only) != cuts[i].partition {
			return fmt.Errorf("partition %d is cut, too: what is derived from all logs is made anew together. Leave --partition out", cuts[i].partition)
		}
	}
	if !yes {
		return errNotChanged
	}
	if err := n.reset(ctx, c, cuts); err != nil {
		return fmt.Errorf("the reset was begun, run it again: %w", err)
	}
	_, err = fmt.Fprintln(out, "done: the next start makes everything anew from the log")
	return err
}
