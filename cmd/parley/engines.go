package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"parley/storage/cassandra"
	"parley/storage/kafka"
)

// Engines of the log and of the tables.
const (
	enginePebble    = "pebble" // embedded, in the data folder
	engineKafka     = "kafka"
	engineCassandra = "cassandra"
)

var (
	logEngines   = []string{enginePebble, engineKafka}
	tableEngines = []string{enginePebble, engineCassandra}
)

type storageConfig struct {
	Log        string `mapstructure:"log"`         // pebble or kafka
	Tables     string `mapstructure:"tables"`      // pebble or cassandra
	LogReserve int64  `mapstructure:"log_reserve"` // bytes of the disk that the embedded log leaves free
	// How far checkpoints trail the rows on Cassandra, whose acknowledged writes of the last moments are lost when all replicas die: its
	// commit log's period.
	CheckpointLag time.Duration `mapstructure:"checkpoint_lag"`
}

type kafkaConfig struct {
	Brokers        []string      `mapstructure:"brokers"`   // host:port of some
	Prefix         string        `mapstructure:"prefix"`    // of the topics' names
	Replicas       int           `mapstructure:"replicas"`  // of topics that are made: 3, or 1 for trying things out
	Retention      time.Duration `mapstructure:"retention"` // how long chats and rooms must be kept at least; 0: for ever
	Fencing        bool          `mapstructure:"fencing"`   // brokers refuse what older owners write, and drop repeats
	Compression    string        `mapstructure:"compression"`
	RequestTimeout time.Duration `mapstructure:"request_timeout"`
	TLS            bool          `mapstructure:"tls"`
	CA             string        `mapstructure:"ca"`        // file of certificates to trust; empty: the system's
	Mechanism      string        `mapstructure:"mechanism"` // of SASL
	User           string        `mapstructure:"user"`      // empty: no SASL
	Password       secret        `mapstructure:"password"`
}

type cassandraConfig struct {
	Hosts          []string      `mapstructure:"hosts"` // host or host:port of some nodes
	Keyspace       string        `mapstructure:"keyspace"`
	Datacentre     string        `mapstructure:"datacentre"` // whose nodes are asked
	Replicas       int           `mapstructure:"replicas"`   // of a keyspace that is made
	RequestTimeout time.Duration `mapstructure:"request_timeout"`
	Concurrency    int           `mapstructure:"concurrency"` // statements at once
	TLS            bool          `mapstructure:"tls"`
	CA             string        `mapstructure:"ca"`   // file of certificates to trust; empty: the system's
	User           string        `mapstructure:"user"` // empty: none
	Password       secret        `mapstructure:"password"`
}

func defaultKafka() kafkaConfig {
	return kafkaConfig{
		Prefix: "parley.", Replicas: 3, Fencing: true, Compression: "zstd", RequestTimeout: kafka.DefaultRequestTimeout, Mechanism: kafka.Plain,
	}
}

func defaultCassandra() cassandraConfig {
	return cassandraConfig{
		Keyspace: "parley", Datacentre: "datacenter1", Replicas: 3, RequestTimeout: 2 * time.Second, Concurrency: 128,
	}
}

func (c *kafkaConfig) options(p partitionConfig) (kafka.Options, error) {
	o := kafka.Options{
		Brokers: c.Brokers, Prefix: c.Prefix, Chats: p.Chats, Rooms: p.Rooms, Fencing: c.Fencing, Dev: c.Replicas == 1, Retention: c.Retention,
		Compression: c.Compression, RequestTimeout: c.RequestTimeout, Mechanism: c.Mechanism, User: c.User, Password: string(c.Password),
	}
	var err error
	if c.TLS {
		o.TLS, err = trusting(c.CA)
	}
	return o, err
}

func (c *cassandraConfig) options() (cassandra.Options, error) {
	o := cassandra.Options{
		Hosts: c.Hosts, Keyspace: c.Keyspace, Datacentre: c.Datacentre, Create: c.Replicas, RequestTimeout: c.RequestTimeout,
		Concurrency: c.Concurrency, User: c.User, Password: string(c.Password),
	}
	var err error
	if c.TLS {
		o.TLS, err = trusting(c.CA)
	}
	return o, err
}

// trusting returns the settings of connections to those whom the certificates in a file vouch for.
func trusting(file string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if file == "" {
		return c, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	c.RootCAs = x509.NewCertPool()
	if !c.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificates", file)
	}
	return c, nil
}

// validateEngines checks what is said of engines that are used.
func (c *config) validateEngines(p *problems) {
	p.oneOf("storage.log", c.Storage.Log, logEngines)
	p.oneOf("storage.tables", c.Storage.Tables, tableEngines)
	if c.Storage.CheckpointLag < 0 {
		p.badf("storage.checkpoint_lag", "%s is negative", c.Storage.CheckpointLag)
	}
	if c.Storage.Log == engineKafka {
		if c.Kafka.Replicas == 0 || c.Kafka.Replicas == 2 {
			p.badf("kafka.replicas", "%d keeps less than it costs: 3 or more, or 1 for trying things out", c.Kafka.Replicas)
		}
		o, err := c.Kafka.options(c.Partitions)
		p.all("kafka", errors.Join(err, o.Validate()))
	}
	if c.Storage.Tables == engineCassandra {
		p.between("cassandra.replicas", c.Cassandra.Replicas, 1, 9)
		o, err := c.Cassandra.options()
		p.all("cassandra", errors.Join(err, o.Validate()))
	}
}

// all adds problems that an engine's package found in its options.
func (p *problems) all(name string, err error) {
	for _, e := range flatten(err) {
		p.badf(name, "%w", e)
	}
}
