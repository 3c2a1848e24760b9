package cassandra

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gocql/gocql"

	"parley/schemas/cql"
	"parley/schemas/table"
)

// Store is the store on Cassandra. It is safe for concurrent use.
type Store struct {
	o       Options
	session *gocql.Session
	places  chan struct{} // one for each statement at work
	metrics *metrics
	never   chan struct{}
}

// Open connects, makes what is missing if it may, and checks that every table is there as it is described.
func Open(ctx context.Context, o Options) (*Store, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	s := &Store{o: o, places: make(chan struct{}, o.Concurrency), metrics: newMetrics(o.Metrics), never: make(chan struct{})}
	var err error
	if s.session, err = o.connect(); err != nil {
		return nil, fmt.Errorf("open cassandra: %w", err)
	}
	if o.Create > 0 {
		err = s.create(ctx)
	}
	if err == nil {
		err = s.verify(ctx)
	}
	if err != nil {
		s.session.Close()
		return nil, fmt.Errorf("open cassandra: %w", err)
	}
	return s, nil
}

func (o *Options) connect() (*gocql.Session, error) {
	c := gocql.NewCluster(o.Hosts...)
	c.ProtoVersion = 4
	c.Consistency = gocql.LocalQuorum
	c.ConnectTimeout, c.Timeout = 5*time.Second, o.RequestTimeout
	c.WriteCoalesceWaitTime = 0 // waiting to write several at once costs a millisecond
	c.DisableSkipMetadata = true
	c.ReconnectInterval = time.Second
	c.NumConns = 2
	c.PoolConfig.HostSelectionPolicy = gocql.TokenAwareHostPolicy(gocql.DCAwareRoundRobinPolicy(o.Datacentre), gocql.ShuffleReplicas())
	c.Logger = quietLogger{o.Logger}
	if o.User != "" {
		c.Authenticator = gocql.PasswordAuthenticator{Username: o.User, Password: o.Password}
	}
	if o.TLS != nil {
		c.SslOpts = &gocql.SslOptions{Config: o.TLS, EnableHostVerification: !o.TLS.InsecureSkipVerify}
	}
	return c.CreateSession()
}

// create makes the keyspace and the tables that are missing.
func (s *Store) create(ctx context.Context) error {
	statements := []string{cql.Keyspace(s.o.Keyspace, s.o.Datacentre, s.o.Create)}
	for _, t := range s.o.Tables {
		statements = append(statements, cql.Table(s.o.Keyspace, t))
	}
	for _, text := range statements {
		err := s.again(ctx, func(ctx context.Context) error { return s.session.Query(text).WithContext(ctx).Idempotent(true).Exec() })
		if err != nil {
			return fmt.Errorf("%s: %w", text, err)
		}
	}
	return s.session.AwaitSchemaAgreement(ctx)
}

// verify checks that every table is there and answers for all its columns.
func (s *Store) verify(ctx context.Context) error {
	var problems []error
	for _, t := range s.o.Tables {
		_, err := s.Scan(ctx, table.Query{Table: t, Partition: table.Key{0}, Limit: 1})
		if err != nil {
			problems = append(problems, fmt.Errorf("table %s: %w", t.Name, err))
		}
	}
	return errors.Join(problems...)
}

// Close closes the connections.
func (s *Store) Close() error {
	s.session.Close()
	return nil
}

// Failed is closed when the store can do nothing any more: never, a cluster comes back.
func (s *Store) Failed() <-chan struct{} { return s.never }

// Sync returns when what was written lasts: a quorum has acknowledged it already.
func (s *Store) Sync(context.Context) error { return nil }

// SignedTimes tells that write timestamps have 63 bits.
func (s *Store) SignedTimes() bool { return true }

// Drop removes all rows of a table.
func (s *Store) Drop(ctx context.Context, t *table.Table) error {
	err := s.again(ctx, func(ctx context.Context) error {
		return s.session.Query(cql.Truncate(s.o.Keyspace, t)).WithContext(ctx).Consistency(gocql.All).Idempotent(true).Exec()
	})
	if err != nil {
		return fmt.Errorf("drop %s: %w", t.Name, err)
	}
	return nil
}
