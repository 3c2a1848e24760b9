package owners

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"parley/domain"
	"parley/domain/fence"
	"parley/ingest/control"
	"parley/ingest/shard"
)

// Control is what owners needs of package control.
type Control interface {
	SlotMap() *control.SlotMap
	Anchor(p domain.Partition) (control.Anchor, bool)
	PutAnchor(ctx context.Context, a control.Anchor) error
}

// Config says what a node owns with. The fields without a default must be set.
type Config struct {
	Node        string
	Control     Control // with a slot map
	Log         shard.Log
	Store       shard.Store
	Feed        func(domain.Partition) shard.Feed
	Rules       func(domain.Kind) domain.Rules
	Ring        func(domain.Partition) fence.Ring // default: this node is the only one
	Now         func() time.Time                  // default: time.Now
	Shard       shard.Settings                    // of each shard; CacheRows 0: an equal part of a million, at least 10,000
	TailBytes   int64                             // of all tails together; 512 MiB
	AnchorEvery time.Duration                     // 10 minutes
	Metrics     prometheus.Registerer             // nil: none
	Logger      *slog.Logger                      // nil: none
}

// Owners runs the shards of this node.
type Owners struct {
	cfg    Config
	slots  *control.SlotMap
	shards map[domain.Partition]*shard.Shard
	order  []domain.Partition
	budget *shard.Budget
}

// Defaults of a node.
const (
	defaultAnchorEvery = 10 * time.Minute
	defaultTailBytes   = 512 << 20
	nodeRows           = 1_000_000
	leastRows          = 10_000
)

// Refusals of the router.
var (
	errStream = domain.Refuse(domain.BadRequest, "malformed stream")
	errMoved  = domain.Refuse(domain.Unknown, "moved")
)

var errNoSlotMap = errors.New("owners: control has no slot map")

// New makes a shard for every partition of the slot map. They do nothing until Run.
func New(cfg Config) (*Owners, error) {
	slots := cfg.Control.SlotMap()
	if slots == nil {
		return nil, errNoSlotMap
	}
	o := &Owners{slots: slots, shards: make(map[domain.Partition]*shard.Shard), order: slots.Partitions()}
	o.cfg = cfg.withDefaults(len(o.order))
	o.budget = shard.NewBudget(o.cfg.TailBytes)
	for _, p := range o.order {
		s, err := shard.New(o.shardConfig(p))
		if err != nil {
			return nil, fmt.Errorf("owners: %w", err)
		}
		o.shards[p] = s
	}
	return o, nil
}

func (c Config) withDefaults(partitions int) Config {
	c.AnchorEvery = cmp.Or(c.AnchorEvery, defaultAnchorEvery)
	c.TailBytes = cmp.Or(c.TailBytes, defaultTailBytes)
	c.Shard.CacheRows = cmp.Or(c.Shard.CacheRows, max(leastRows, nodeRows/partitions))
	if c.Ring == nil {
		c.Ring = func(domain.Partition) fence.Ring { return fence.NamedAtOnce }
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func (o *Owners) shardConfig(p domain.Partition) shard.Config {
	return shard.Config{
		Partition: p, Node: o.cfg.Node, Log: o.cfg.Log, Store: o.cfg.Store, Feed: o.cfg.Feed(p), Rules: o.cfg.Rules,
		Ring: func() fence.Ring { return o.cfg.Ring(p) }, Now: o.cfg.Now, Settings: o.cfg.Shard,
		Budget: o.budget, Metrics: o.cfg.Metrics, Logger: o.cfg.Logger,
	}
}

// Run runs the shards until ctx ends and all of them have stopped.
func (o *Owners) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	errs := make([]error, len(o.order))
	for i, p := range o.order {
		wg.Go(func() { errs[i] = o.shards[p].Run(ctx) })
	}
	wg.Go(func() { o.writeAnchors(ctx) })
	wg.Wait()
	return errors.Join(errs...)
}

// Partition returns the partition that holds a stream. ok is false when the id is not canonical.
func (o *Owners) Partition(id domain.StreamID) (p domain.Partition, ok bool) {
	return o.slots.Partition(id)
}

// Partitions returns all partitions of the slot map, in order. The slice must not be changed.
func (o *Owners) Partitions() []domain.Partition { return o.order }

// Submit routes a command to the owner of its stream. It never blocks.
func (o *Owners) Submit(req domain.Request) {
	s, err := o.shard(req.Stream)
	if err != nil {
		req.Done(domain.Result{Err: err})
		return
	}
	s.Submit(req)
}

func (o *Owners) shard(id domain.StreamID) (*shard.Shard, error) {
	p, ok := o.slots.Partition(id)
	if !ok {
		return nil, errStream
	}
	s, ok := o.shards[p]
	if !ok {
		return nil, errMoved
	}
	return s, nil
}

// Positions returns that of the last accepted commit of each partition, in the order of Partitions.
func (o *Owners) Positions() []domain.Position {
	out := make([]domain.Position, len(o.order))
	for i, p := range o.order {
		out[i] = o.shards[p].Position()
	}
	return out
}

// Ready returns nil when every partition is ready, else all that are not, with the reason.
func (o *Owners) Ready() error {
	var errs []error
	for _, p := range o.order {
		if err := o.shards[p].Ready(); err != nil {
			errs = append(errs, fmt.Errorf("partition %d: %w", p, err))
		}
	}
	return errors.Join(errs...)
}
