package kafka

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"

	"parley/domain"
)

// Options of the log. Brokers, Chats and Rooms are needed, the rest has defaults.
type Options struct {
	Brokers []string // host:port of some brokers
	Prefix  string   // of the topics' names; "": "parley."
	Chats   int      // partitions of chats, 1 to 2048
	Rooms   int      // partitions of rooms, 1 to 1024

	// Fencing gives commits producer ids, epochs and sequences. Without it brokers neither refuse older terms nor drop repeats.
	Fencing bool
	// Create makes missing topics, with what Verify demands.
	Create bool
	// Dev makes missing topics, with one replica, and accepts settings that can lose data.
	Dev bool
	// Retention is how long chats and rooms must be kept at least; 0: for ever.
	Retention time.Duration

	// Compression of commits: none, gzip, snappy, lz4 or zstd. "": none.
	Compression string

	TLS       *tls.Config
	Mechanism string // of SASL: Plain, Scram256 or Scram512. "": Plain
	User      string // "": no SASL
	Password  string

	// RequestTimeout is how long one request may take, of which a broker waits half for its replicas. 0: DefaultRequestTimeout.
	RequestTimeout time.Duration
	Logger         *slog.Logger
	Metrics        prometheus.Registerer // nil: none
}

// DefaultRequestTimeout bounds how long a partition waits for a leader that stalls: it is asked again when another one leads by then. Measured
// with a leader stopped for 8 s, in a cluster that moves leaders after 3 s: the longest pause was 8.0 s with a limit of 10 s, 6.1 s with 6 s,
// 4.1 s with 4 s, 6.0 s with 3 s (twice to the one that stalls), 4.1 s with 2 s; with a follower stopped it was 2.7 to 4.8 s, the shorter
// limits the longer. Four sends of a batch (fence.Config.Sends) should outlast the cluster's own patience (9 s by default).
const DefaultRequestTimeout = 4 * time.Second

// Validate reports everything that is wrong.
func (o Options) Validate() error {
	var problems []error
	if len(o.Brokers) == 0 {
		problems = append(problems, errors.New("kafka: no brokers"))
	}
	if o.Chats < 1 || o.Chats > int(domain.FirstRooms) {
		problems = append(problems, fmt.Errorf("kafka: chats has %d partitions, allowed are 1 to %d", o.Chats, domain.FirstRooms))
	}
	if most := int(domain.FirstNode - domain.FirstRooms); o.Rooms < 1 || o.Rooms > most {
		problems = append(problems, fmt.Errorf("kafka: rooms has %d partitions, allowed are 1 to %d", o.Rooms, most))
	}
	if _, err := o.codec(); err != nil {
		problems = append(problems, err)
	}
	if _, err := o.mechanism(); err != nil {
		problems = append(problems, err)
	}
	if o.RequestTimeout < 0 || o.Retention < 0 {
		problems = append(problems, errors.New("kafka: a negative duration"))
	}
	return errors.Join(problems...)
}

func (o Options) withDefaults() Options {
	if o.Prefix == "" {
		o.Prefix = "parley."
	}
	if o.RequestTimeout == 0 {
		o.RequestTimeout = DefaultRequestTimeout
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Mechanisms of SASL.
const (
	Plain    = "plain"
	Scram256 = "scram-sha-256"
	Scram512 = "scram-sha-512"
)

// mechanism returns how to log in at brokers, nil for not at all.
func (o Options) mechanism() (sasl.Mechanism, error) {
	switch {
	case o.User == "":
		return nil, nil
	case o.Mechanism == "" || o.Mechanism == Plain:
		return plain.Mechanism{Username: o.User, Password: o.Password}, nil
	case o.Mechanism == Scram256:
		return scram.Mechanism(scram.SHA256, o.User, o.Password)
	case o.Mechanism == Scram512:
		return scram.Mechanism(scram.SHA512, o.User, o.Password)
	default:
		return nil, fmt.Errorf("kafka: mechanism %q is none of %s, %s, %s", o.Mechanism, Plain, Scram256, Scram512)
	}
}

// codec returns how commits are compressed.
func (o Options) codec() (kafkago.Compression, error) {
	var c kafkago.Compression
	if o.Compression == "" {
		return c, nil
	}
	if err := c.UnmarshalText([]byte(o.Compression)); err != nil {
		return c, fmt.Errorf("kafka: compression: %w", err)
	}
	return c, nil
}

// topic is one of the log's topics.
type topic struct {
	name       string
	partitions int
	compacted  bool
}

func (o Options) topics() []topic {
	return []topic{
		{name: o.Prefix + "chats", partitions: o.Chats},
		{name: o.Prefix + "rooms", partitions: o.Rooms},
		{name: o.Prefix + "control", partitions: 1, compacted: true},
	}
}

var errNoPartition = errors.New("there is no such partition")

// place returns the topic and Kafka's number of a partition.
func (o Options) place(p domain.Partition) (name string, number int, err error) {
	switch {
	case p == domain.Control:
		return o.Prefix + "control", 0, nil
	case p.IsRooms() && int(p-domain.FirstRooms) < o.Rooms:
		return o.Prefix + "rooms", int(p - domain.FirstRooms), nil
	case p < domain.FirstRooms && int(p) < o.Chats:
		return o.Prefix + "chats", int(p), nil
	default:
		return "", 0, fmt.Errorf("partition %d: %w", p, errNoPartition)
	}
}
