package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
)

func migrateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "migrate", Short: "Make what is missing in Kafka and Cassandra: topics, the keyspace, tables", Args: cobra.NoArgs,
		Long: `Make what is missing in Kafka and Cassandra: topics, the keyspace, tables. What is there is checked and never changed: serve refuses to
start on what could lose messages. Running it again is harmless. The embedded log and store need nothing.`,
		Example: "  parley migrate --config parley.yaml",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := configFrom(cmd)
			if err != nil {
				return fmt.Errorf("the configuration is wrong:\n%w", err)
			}
			if err := migrate(cmd.Context(), c); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "log (%s) and tables (%s) are as they should be\n", c.Storage.Log, c.Storage.Tables)
			return err
		},
	}
	configFlags(cmd)
	return cmd
}

func migrate(ctx context.Context, c config) error {
	if ctx == nil {
		ctx = context.Background()
	}
	n := &node{cfg: c, log: newLogger(c.Log, os.Stderr), reg: prometheus.NewRegistry()}
	var errs []error
	if c.Storage.Log != enginePebble {
		logs, err := n.openLog(ctx, true)
		errs = append(errs, err)
		n.logs = logs
	}
	if c.Storage.Tables != enginePebble {
		store, err := n.openTables(ctx, true)
		errs = append(errs, err)
		n.store = store
	}
	return errors.Join(append(errs, n.close())...)
}
