package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"parley/delivery/gateway"
	"parley/delivery/lease"
	"parley/ingest/shard"
	"parley/projections"
	"parley/projections/runner"
	"parley/schemas/table"
	"parley/storage/cassandra"
	"parley/storage/kafka"
	"parley/storage/pebble"
)

// logStorage is the log: the embedded one, or Kafka.
type logStorage interface {
	shard.Log
	Failed() <-chan struct{} // closed when the log can do nothing any more
	Close() error
}

// tableStorage holds state and read models: the embedded store, or Cassandra.
type tableStorage interface {
	runner.Store
	Sync(ctx context.Context) error
	Failed() <-chan struct{} // closed when the store can do nothing any more
	Close() error
}

// tables are all there are.
func tables() []*table.Table {
	out := append(shard.Tables(), projections.Tables()...)
	return append(out, gateway.Cursors, gateway.Devices, lease.Rows, lease.Nodes)
}

// openStorage opens the log and the store that are set. With create, what is missing in Kafka and Cassandra is made.
func (n *node) openStorage(ctx context.Context, create bool) (err error) {
	if n.logs, err = n.openLog(ctx, create); err != nil {
		return fmt.Errorf("open the log: %w", err)
	}
	if n.store, err = n.openTables(ctx, create); err != nil {
		return fmt.Errorf("open the store: %w", err)
	}
	return nil
}

func (n *node) openLog(ctx context.Context, create bool) (logStorage, error) {
	if n.cfg.Storage.Log == enginePebble {
		l, err := pebble.OpenLog(filepath.Join(n.cfg.Data, "log"), n.pebbleOptions("log"))
		if err != nil {
			return nil, err // not l: it is no log
		}
		return l, nil
	}
	o, err := n.cfg.Kafka.options(n.cfg.Partitions)
	if err != nil {
		return nil, err
	}
	o.Create, o.Logger, o.Metrics = create, n.log, n.reg
	l, err := kafka.Open(ctx, o)
	if err != nil {
		return nil, err
	}
	return lasting{l}, nil
}

func (n *node) openTables(ctx context.Context, create bool) (tableStorage, error) {
	if n.cfg.Storage.Tables == enginePebble {
		s, err := pebble.OpenStore(filepath.Join(n.cfg.Data, "store"), n.pebbleOptions("store"))
		if err != nil {
			return nil, err // not s: it is no store
		}
		return s, nil
	}
	o, err := n.cfg.Cassandra.options()
	if err != nil {
		return nil, err
	}
	if !create {
		o.Create = 0
	}
	o.Tables, o.Logger, o.Metrics = tables(), n.log, n.reg
	s, err := cassandra.Open(ctx, o)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (n *node) pebbleOptions(db string) pebble.Options {
	return pebble.Options{
		Reserve: n.cfg.Storage.LogReserve, Logger: n.log,
		Metrics: prometheus.WrapRegistererWith(prometheus.Labels{"db": db}, n.reg),
	}
}

// lasting is a log that never fails for good: a cluster comes back.
type lasting struct{ *kafka.Log }

// Failed implements logStorage.
func (lasting) Failed() <-chan struct{} { return nil }

// checkpointLag is how far checkpoints trail the rows: on the embedded store they are one write.
func (n *node) checkpointLag() time.Duration {
	if n.cfg.Storage.Tables == enginePebble {
		return 0
	}
	return n.cfg.Storage.CheckpointLag
}
