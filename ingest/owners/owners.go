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
	Node        domain.NodeName
	Control     Control // with a slot map
	Log         shard.Log
	Store       shard.Store
	Feed        func(domain.Partition) shard.Feed
	Rules       func(domain.Kind) domain.Rules
	Ring        Ring                  // nil: this node is alone
	Peers       Peers                 // with a ring
	Now         func() time.Time      // default: time.Now
	Shard       shard.Settings        // of each shard; CacheRows 0: an equal part of a million, at least 10,000
	TailBytes   int64                 // of all tails together; 512 MiB
	AnchorEvery time.Duration         // 10 minutes
	Waiting     int                   // commands that wait for one partition while it comes or goes; 16,384
	Metrics     prometheus.Registerer // nil: none
	Logger      *slog.Logger          // nil: none
}

// Owners runs the shards of this node, and knows the way to those of others.
type Owners struct {
	cfg     Config
	name    domain.NodeName
	ring    Ring
	peers   Peers // nil: this node is alone
	slots   *control.SlotMap
	tenures map[domain.Partition]*tenure
	order   []domain.Partition
	routes  *routes
	metrics *metrics
	budget  *shard.Budget
}

// Defaults of a node.
const (
	defaultAnchorEvery = 10 * time.Minute
	defaultTailBytes   = 512 << 20
	defaultWaiting     = 16384
	nodeRows           = 1_000_000
	leastRows          = 10_000
)

// Refusals of the router.
var (
	errStream   = domain.Refuse(domain.BadRequest, "malformed stream")
	errMoved    = domain.Refuse(domain.Unknown, "moved")
	errStopping = domain.Refuse(domain.Stopping, "the node stops")
	errFull     = domain.Refuse(domain.Busy, "too many wait for the partition")
	errExpired  = domain.Refuse(domain.Busy, "waited too long")
)

var (
	errNoSlotMap = errors.New("owners: control has no slot map")
	errPartition = errors.New("owners: no such partition")
	errWaiting   = errors.New("owners: waiting is negative")
	errNobody    = errors.New("no node serves")

	errTakingOver = errors.New("taking over")
)

// New makes a place for every partition of the slot map, with its shard if the node is alone: commands wait there. Nothing runs until Run.
func New(cfg Config) (*Owners, error) {
	slots := cfg.Control.SlotMap()
	if slots == nil {
		return nil, errNoSlotMap
	}
	if cfg.Waiting < 0 {
		return nil, errWaiting
	}
	o := &Owners{
		name: cfg.Node, ring: cfg.Ring, peers: cfg.Peers, slots: slots, tenures: make(map[domain.Partition]*tenure),
		order: slots.Partitions(), routes: newRoutes(),
	}
	if o.ring == nil {
		o.ring, o.peers = alone{cfg.Node}, nil
	}
	o.cfg = cfg.withDefaults(len(o.order))
	o.budget = shard.NewBudget(o.cfg.TailBytes)
	o.metrics = newMetrics(o.cfg.Metrics)
	for _, p := range o.order {
		o.tenures[p] = &tenure{o: o, p: p, asks: make(chan chan struct{})}
	}
	return o, o.openAll()
}

// openAll makes the shards of a node that is alone. With others it makes one for nothing, to find out now what is wrong with the settings.
func (o *Owners) openAll() error {
	if o.peers != nil {
		cfg := o.shardConfig(o.order[0])
		cfg.Metrics = nil
		_, err := shard.New(cfg)
		return err
	}
	for _, p := range o.order {
		if _, err := o.tenures[p].open(); err != nil {
			return err
		}
	}
	return nil
}

func (c Config) withDefaults(partitions int) Config {
	c.AnchorEvery = cmp.Or(c.AnchorEvery, defaultAnchorEvery)
	c.TailBytes = cmp.Or(c.TailBytes, defaultTailBytes)
	c.Waiting = cmp.Or(c.Waiting, defaultWaiting)
	c.Shard.Deadline = cmp.Or(c.Shard.Deadline, shard.DefaultDeadline)
	c.Shard.CacheRows = cmp.Or(c.Shard.CacheRows, max(leastRows, nodeRows/partitions))
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func (o *Owners) shardConfig(p domain.Partition) shard.Config {
	return shard.Config{
		Partition: p, Node: string(o.name), Log: o.cfg.Log, Store: o.cfg.Store, Feed: o.cfg.Feed(p), Rules: o.cfg.Rules,
		Ring: func() fence.Ring { return o.ring.Standing(p) }, Now: o.cfg.Now, Settings: o.cfg.Shard,
		Budget: o.budget, Metrics: o.cfg.Metrics, Logger: o.cfg.Logger,
	}
}

// Run runs the shards that the ring gives this node until ctx ends and all of them have stopped.
func (o *Owners) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	errs := make([]error, len(o.order))
	for i, p := range o.order {
		wg.Go(func() { errs[i] = o.tenures[p].run(ctx) })
	}
	wg.Go(func() { o.writeAnchors(ctx) })
	wg.Go(func() { o.expire(ctx) })
	wg.Wait()
	return errors.Join(errs...)
}

// Partition returns the partition that holds a stream. ok is false when the id is not canonical.
func (o *Owners) Partition(id domain.StreamID) (p domain.Partition, ok bool) {
	return o.slots.Partition(id)
}

// Partitions returns all partitions of the slot map, in order. The slice must not be changed.
func (o *Owners) Partitions() []domain.Partition { return o.order }

func (o *Owners) tenure(id domain.StreamID) (*tenure, *domain.Error) {
	p, ok := o.slots.Partition(id)
	if !ok {
		return nil, errStream
	}
	return o.tenures[p], nil
}

// Owner returns the node that is to own a partition; ok is false when nobody serves.
func (o *Owners) Owner(p domain.Partition) (node domain.NodeName, ok bool) { return o.ring.Owner(p) }

// Here returns whether the shard of a partition runs on this node, and whether it owns the partition.
func (o *Owners) Here(p domain.Partition) (here, owns bool) {
	t := o.tenures[p]
	if t == nil {
		return false, false
	}
	s := t.at.Load()
	return s != nil, s != nil && s.Owns()
}

// Position returns that of the last accepted commit of a partition that is here; ok tells.
func (o *Owners) Position(p domain.Partition) (at domain.Position, ok bool) {
	t := o.tenures[p]
	if t == nil {
		return at, false
	}
	s := t.at.Load()
	if s == nil {
		return at, false
	}
	return s.Position(), true
}

// Tail returns how many commits of a partition that is here come after its checkpoint.
func (o *Owners) Tail(p domain.Partition) int {
	t := o.tenures[p]
	if t == nil {
		return 0
	}
	s := t.at.Load()
	if s == nil {
		return 0
	}
	return s.TailCommits()
}

// Positions returns that of the last accepted commit of each partition that is here, in the order of Partitions.
func (o *Owners) Positions() []domain.Position {
	out := make([]domain.Position, 0, len(o.order))
	for _, p := range o.order {
		if at, ok := o.Position(p); ok {
			out = append(out, at)
		}
	}
	return out
}

// Ready returns nil when every partition that this node is to own is ready and every other has an owner, else all that are not, with the reason.
func (o *Owners) Ready() error {
	var errs []error
	for _, p := range o.order {
		if err := o.ready(p); err != nil {
			errs = append(errs, fmt.Errorf("partition %d: %w", p, err))
		}
	}
	return errors.Join(errs...)
}

func (o *Owners) ready(p domain.Partition) error {
	if s := o.tenures[p].at.Load(); s != nil {
		return s.Ready()
	}
	node, ok := o.ring.Owner(p)
	switch {
	case !ok:
		return errNobody
	case node == o.name:
		return errTakingOver
	default:
		return nil
	}
}
