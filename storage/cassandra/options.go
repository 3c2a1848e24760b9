package cassandra

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"regexp"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"parley/schemas/table"
)

// Options of the store. Hosts, Keyspace and Tables are needed, the rest has defaults.
type Options struct {
	Hosts      []string // host or host:port of some nodes
	Keyspace   string
	Datacentre string // "datacenter1": whose nodes are asked, and whose quorum counts
	Tables     []*table.Table

	// Create makes the keyspace and tables that are missing, with so many replicas; 0: they must be there.
	Create int

	TLS      *tls.Config
	User     string
	Password string

	RequestTimeout time.Duration // of one try; 0: 2 s
	Concurrency    int           // statements at once; 0: 128
	Logger         *slog.Logger
	Metrics        prometheus.Registerer // nil: none
}

// keyspaceName is what a keyspace may be called without quotes.
var keyspaceName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,47}$`)

// Validate reports everything that is wrong.
func (o Options) Validate() error {
	var problems []error
	if len(o.Hosts) == 0 {
		problems = append(problems, errors.New("cassandra: no hosts"))
	}
	if !keyspaceName.MatchString(o.Keyspace) {
		problems = append(problems, errors.New("cassandra: keyspace must be 1 to 48 of a-z, 0-9 and '_', a letter first"))
	}
	if o.Create < 0 || o.RequestTimeout < 0 || o.Concurrency < 0 {
		problems = append(problems, errors.New("cassandra: a negative number"))
	}
	return errors.Join(problems...)
}

func (o Options) withDefaults() Options {
	if o.Datacentre == "" {
		o.Datacentre = "datacenter1"
	}
	if o.RequestTimeout == 0 {
		o.RequestTimeout = 2 * time.Second
	}
	if o.Concurrency == 0 {
		o.Concurrency = 128
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}
