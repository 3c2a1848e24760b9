// Command cli starts and stops real engines: see ops/engines/README.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	"parley/ops/engines"
)

const usage = `usage: engines start kafka|kafka3|cassandra|cassandra3 ... [options]
       engines stop [--dir DIR]

`

type options struct {
	dir                      string
	kafka, cassandra, gossip int
	patience                 time.Duration
	measure                  bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "engines:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, args []string) error {
	var o options
	flags := flag.NewFlagSet("engines", flag.ContinueOnError)
	flags.StringVar(&o.dir, "dir", "engines-data", "folder of data, logs and pids; it is made")
	flags.IntVar(&o.kafka, "kafka-port", 29092, "first port of Kafka; it takes two a broker")
	flags.IntVar(&o.cassandra, "cassandra-port", 9042, "Cassandra's port for clients")
	flags.IntVar(&o.gossip, "cassandra-storage-port", 7000, "Cassandra's port among its nodes")
	flags.DurationVar(&o.patience, "patience", 2*time.Minute, "how long to wait until all are ready")
	flags.BoolVar(&o.measure, "measure", false, "let Java compile as in production; warm after some minutes of load")
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage)
		flags.PrintDefaults()
	}
	var words []string
	for len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		words, args = append(words, args[0]), args[1:]
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	switch {
	case len(words) > 1 && words[0] == "start":
		return start(ctx, out, words[1:], &o)
	case len(words) == 1 && words[0] == "stop":
		n, err := engines.StopAll(o.dir)
		fmt.Fprintf(out, "%d processes stopped\n", n)
		return err
	default:
		flags.Usage()
		return errors.New("nothing to do")
	}
}

func start(ctx context.Context, out io.Writer, names []string, o *options) error {
	if err := engines.Missing(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, o.patience)
	defer cancel()
	for _, name := range names {
		c, err := prepare(ctx, name, o)
		if err != nil {
			return err
		}
		if o.measure {
			c.ForMeasurements()
		}
		began := time.Now()
		if err := c.Start(ctx); err != nil {
			return fmt.Errorf("start %s: %w", name, err)
		}
		fmt.Fprintf(out, "%s is ready after %.1f s: %s\n", name, time.Since(began).Seconds(), strings.Join(c.Addrs(), ","))
	}
	return nil
}

func prepare(ctx context.Context, name string, o *options) (*engines.Cluster, error) {
	switch name {
	case "kafka":
		return engines.Kafka(ctx, o.dir, 1, o.kafka)
	case "kafka3":
		return engines.Kafka(ctx, o.dir, 3, o.kafka)
	case "cassandra":
		return engines.Cassandra(ctx, o.dir, 1, o.cassandra, o.gossip)
	case "cassandra3":
		return engines.Cassandra(ctx, o.dir, 3, o.cassandra, o.gossip)
	default:
		return nil, fmt.Errorf("%q is none of kafka, kafka3, cassandra, cassandra3", name)
	}
}
