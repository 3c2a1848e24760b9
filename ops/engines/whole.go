package engines

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"time"

	"github.com/gocql/gocql"
)

// cassandraWhole waits until every node knows all others and a write at ALL succeeds: an open port is not enough.
func cassandraWhole(ctx context.Context, c *Cluster) error {
	for {
		err := cassandraProbe(ctx, c)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(300 * time.Millisecond):
		}
	}
}

func cassandraProbe(ctx context.Context, c *Cluster) error {
	for _, n := range c.Nodes {
		if err := knowsAll(ctx, n.Addr, len(c.Nodes)-1); err != nil {
			return err
		}
	}
	s, err := session(c.Nodes[0].Addr)
	if err != nil {
		return err
	}
	defer s.Close()
	for _, q := range []string{
		fmt.Sprintf(`CREATE KEYSPACE IF NOT EXISTS engines WITH replication = {'class': 'SimpleStrategy', 'replication_factor': %d}`, len(c.Nodes)),
		`CREATE TABLE IF NOT EXISTS engines.ready (id int PRIMARY KEY)`,
		`INSERT INTO engines.ready (id) VALUES (1)`,
	} {
		if err := s.Query(q).WithContext(ctx).Consistency(gocql.All).Exec(); err != nil {
			return err
		}
	}
	return nil
}

func knowsAll(ctx context.Context, addr string, others int) error {
	s, err := session(addr)
	if err != nil {
		return err
	}
	defer s.Close()
	var n int
	if err := s.Query(`SELECT count(*) FROM system.peers_v2`).WithContext(ctx).Consistency(gocql.One).Scan(&n); err != nil {
		return err
	}
	if n != others {
		return fmt.Errorf("%s knows %d of %d others", addr, n, others)
	}
	return nil
}

// session connects to one node only.
func session(addr string) (*gocql.Session, error) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return nil, err
	}
	cfg := gocql.NewCluster(host)
	cfg.Port, cfg.ProtoVersion, cfg.DisableInitialHostLookup, cfg.NumConns = port, 4, true, 1
	cfg.ConnectTimeout, cfg.Timeout = 5*time.Second, 10*time.Second
	cfg.Logger = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo) // what it says comes back as errors
	return cfg.CreateSession()
}
