package shard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"parley/domain"
	"parley/domain/fence"
	"parley/schemas/table"
)

// Log is the partitioned log. Its calls return soon after ctx ends.
type Log interface {
	// Append writes the batch whole and returns the offset of its first record. Every error means: it may have happened.
	Append(ctx context.Context, p domain.Partition, b domain.Batch) (domain.Offset, error)
	// Read returns records from an offset on, waiting up to wait for the first. Below the log's start: domain.ErrTruncated.
	Read(ctx context.Context, p domain.Partition, from domain.Offset, maxBytes int, wait time.Duration) ([]domain.LogRecord, error)
	// Bounds returns the first offset that is there and the next that will be written. The log never takes the end back.
	Bounds(ctx context.Context, p domain.Partition) (start, end domain.Offset, err error)
}

// Store keeps the tables of this package.
type Store interface {
	// Write is atomic where the store can be; the checkpoint comes last.
	Write(ctx context.Context, writes []table.Write) error
	// Get returns one row per key, in order. A row that is not there is a Row without cells; no answer is an error.
	Get(ctx context.Context, t *table.Table, keys []table.RowKey) ([]table.Row, error)
}

// Feed takes every accepted commit once, in index order, from the moment that the shard first owns its partition. It must not block.
type Feed interface {
	Publish(commits []domain.Accepted)
}

// Config says what a shard is made of. The fields without a default must be set.
type Config struct {
	Partition domain.Partition
	Node      string // in claims, for people
	Log       Log
	Store     Store
	Feed      Feed
	Rules     func(domain.Kind) domain.Rules // nil: no streams of that kind here
	Ring      func() fence.Ring              // what the ring says now; asked often. Default: always NamedAtOnce
	Now       func() time.Time               // the clock that ids are made from. Default: time.Now
	Settings  Settings
	Budget    *Budget               // of the tails of all shards of the node. nil: none
	Metrics   prometheus.Registerer // nil: none
	Logger    *slog.Logger          // nil: none
}

// Settings are bounds and times. Zero means the default in brackets.
type Settings struct {
	Mailbox       int           // undecided commands (16,384)
	Deadline      time.Duration // how long a command may wait when it does not say (5 s)
	CommitBytes   int           // the largest commit (256 KiB)
	BatchCommits  int           // commits in a batch (512)
	BatchBytes    int           // a batch is full when it has these (512 KiB)
	SmallBatch    int           // after a batch of up to so many commits, the next is not held back (8)
	BatchWait     time.Duration // how long a batch is held back at most (1 ms)
	AppendTimeout time.Duration // after which an append's outcome is unknown (10 s)
	TailCommits   int           // commits after the checkpoint (200,000)
	TailBytes     int           // and their bytes in the log (128 MiB)
	CacheRows     int           // rows in memory (200,000); more while they are not in the store
	FlushEvery    time.Duration // (1 s)
	FlushRows     int           // rows in one write to the store (4,096)
	FlushTimeout  time.Duration // (10 s)
	CheckpointLag time.Duration // how far checkpoints trail the rows (0); 10 s on a store whose acknowledged writes can be lost
	LoadRows      int           // rows in one load (1,024)
	Loaders       int           // loads at once (4)
	LoadTimeout   time.Duration // (5 s)
	RetryAfter    time.Duration // the pause after the store failed (100 ms), doubled up to 2 s
	StopTimeout   time.Duration // how long a stop may take (5 s)
	Hearing       time.Duration // after which a sender on any node knows that an outcome is unknown, and what it sent before is here (500 ms)
	Fence         fence.Config  // Claim and Jitter are the shard's own
}

// DefaultDeadline is how long a command may wait when neither it nor the settings say.
const DefaultDeadline = 5 * time.Second

func (s Settings) withDefaults() Settings {
	def(&s.Mailbox, 16384)
	def(&s.Deadline, DefaultDeadline)
	def(&s.CommitBytes, 256<<10)
	def(&s.BatchCommits, 512)
	def(&s.BatchBytes, 512<<10)
	def(&s.SmallBatch, 8)
	def(&s.BatchWait, time.Millisecond)
	def(&s.AppendTimeout, 10*time.Second)
	def(&s.TailCommits, 200_000)
	def(&s.TailBytes, 128<<20)
	def(&s.CacheRows, 200_000)
	def(&s.FlushEvery, time.Second)
	def(&s.FlushRows, 4096)
	def(&s.FlushTimeout, 10*time.Second)
	def(&s.LoadRows, 1024)
	def(&s.Loaders, 4)
	def(&s.LoadTimeout, 5*time.Second)
	def(&s.RetryAfter, 100*time.Millisecond)
	def(&s.StopTimeout, 5*time.Second)
	def(&s.Hearing, 500*time.Millisecond)
	return s
}

func def[V int | time.Duration](field *V, value V) {
	if *field == 0 {
		*field = value
	}
}

// Validate reports every problem at once.
func (s Settings) Validate() error {
	var errs []error
	positive := func(name string, v int) {
		if v < 0 {
			errs = append(errs, fmt.Errorf("%s is negative", name))
		}
	}
	for _, f := range []struct {
		name  string
		value int
	}{
		{"mailbox", s.Mailbox},
		{"deadline", int(s.Deadline)},
		{"commit_bytes", s.CommitBytes},
		{"batch_commits", s.BatchCommits},
		{"batch_bytes", s.BatchBytes},
		{"small_batch", s.SmallBatch},
		{"batch_wait", int(s.BatchWait)},
		{"append_timeout", int(s.AppendTimeout)},
		{"tail_commits", s.TailCommits},
		{"tail_bytes", s.TailBytes},
		{"cache_rows", s.CacheRows},
		{"flush_every", int(s.FlushEvery)},
		{"flush_rows", s.FlushRows},
		{"flush_timeout", int(s.FlushTimeout)},
		{"checkpoint_lag", int(s.CheckpointLag)},
		{"load_rows", s.LoadRows},
		{"loaders", s.Loaders},
		{"load_timeout", int(s.LoadTimeout)},
		{"retry_after", int(s.RetryAfter)},
		{"stop_timeout", int(s.StopTimeout)},
		{"hearing", int(s.Hearing)},
	} {
		positive(f.name, f.value)
	}
	if d := s.withDefaults(); d.TailCommits < 2*d.BatchCommits {
		errs = append(errs, errors.New("tail_commits must hold two batches"))
	}
	return errors.Join(errs...)
}

func (c Config) withDefaults() Config {
	c.Settings = c.Settings.withDefaults()
	if c.Ring == nil {
		c.Ring = func() fence.Ring { return fence.NamedAtOnce }
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Logger = c.Logger.With("partition", int(c.Partition))
	return c
}

func (c Config) validate() error {
	errs := []error{c.Settings.Validate()}
	for name, missing := range map[string]bool{
		"log": c.Log == nil, "store": c.Store == nil, "feed": c.Feed == nil, "rules": c.Rules == nil, "node": c.Node == "",
	} {
		if missing {
			errs = append(errs, fmt.Errorf("%s is missing", name))
		}
	}
	return errors.Join(errs...)
}
