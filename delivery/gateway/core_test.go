package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"parley/delivery/gateway"
	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/message"
	"parley/domain/token"
	"parley/domain/user"
	"parley/ingest/control"
	"parley/ingest/owners"
	"parley/ingest/shard"
	"parley/projections"
	"parley/projections/feed"
	"parley/projections/memberships"
	"parley/projections/queries"
	"parley/projections/reactor"
	"parley/projections/runner"
	"parley/schemas/table"
	"parley/storage/pebble"
)

// shared is the write side and the read models on which all tests run, each with an app and a gateway of its own.
var shared *core

func TestMain(m *testing.M) { goleak.VerifyTestMain(withCore{m}) }

type withCore struct{ m *testing.M }

// Run starts the core around the tests.
func (w withCore) Run() int {
	dir, err := os.MkdirTemp("", "parley-gateway-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	shared = start(dir)
	defer shared.stop()
	return w.m.Run()
}

// core is the real thing behind gateways: log, owners, feeds, projections and queries over Pebble.
type core struct {
	log     *slowLog
	store   *brittleStore
	control *control.Control
	owners  *owners.Owners
	feeds   map[domain.Partition]*feed.Feed
	runner  *runner.Runner
	queries *queries.Queries
	signer  *token.Signer
	cancel  context.CancelFunc
	wg      sync.WaitGroup
}

// slowLog is a log whose appends wait as long as the test says, fail, or lose their answers.
type slowLog struct {
	*pebble.Log
	delay        atomic.Int64 // ns
	fails, loses atomic.Bool
}

func (l *slowLog) Append(ctx context.Context, p domain.Partition, b domain.Batch) (domain.Offset, error) {
	time.Sleep(time.Duration(l.delay.Load()))
	if l.fails.Load() {
		return 0, errDown
	}
	at, err := l.Log.Append(ctx, p, b)
	if l.loses.Load() {
		return 0, errDown
	}
	return at, err
}

// brittleStore is a store that does not answer while the test says so.
type brittleStore struct {
	*pebble.Store
	down    atomic.Bool
	devices atomic.Int64 // writes of devices' rows
}

var errDown = errors.New("the store does not answer")

func (s *brittleStore) Write(ctx context.Context, writes []table.Write) error {
	if s.down.Load() {
		return errDown
	}
	for i := range writes {
		if writes[i].Table == gateway.Devices {
			s.devices.Add(1)
		}
	}
	return s.Store.Write(ctx, writes)
}

func (s *brittleStore) Get(ctx context.Context, t *table.Table, keys []table.RowKey) ([]table.Row, error) {
	if s.down.Load() {
		return nil, errDown
	}
	return s.Store.Get(ctx, t, keys)
}

func (s *brittleStore) Scan(ctx context.Context, q table.Query) ([]table.Row, error) {
	if s.down.Load() {
		return nil, errDown
	}
	return s.Store.Scan(ctx, q)
}

func (s *brittleStore) Sync(ctx context.Context) error {
	if s.down.Load() {
		return errDown
	}
	return s.Store.Sync(ctx)
}

// leaseStore is a part of the store for the leases of one app's rig, each of which is a node of its own.
type leaseStore struct {
	*brittleStore
	app domain.AppID
}

func (s leaseStore) own(k table.Key) table.Key {
	return append(table.Key(nil).Text(string(s.app)), k...)
}

func (s leaseStore) Write(ctx context.Context, writes []table.Write) error {
	own := slices.Clone(writes)
	for i := range own {
		own[i].Partition = s.own(own[i].Partition)
	}
	return s.brittleStore.Write(ctx, own)
}

func (s leaseStore) Scan(ctx context.Context, q table.Query) ([]table.Row, error) {
	q.Partition = s.own(q.Partition)
	return s.brittleStore.Scan(ctx, q)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

var quiet = slog.New(slog.DiscardHandler)

func start(dir string) *core {
	ctx, cancel := context.WithCancel(context.Background())
	c := &core{cancel: cancel, feeds: map[domain.Partition]*feed.Feed{}}
	c.log = &slowLog{Log: must(pebble.OpenLog(filepath.Join(dir, "log"), pebble.Options{}))}
	c.store = &brittleStore{Store: must(pebble.OpenStore(filepath.Join(dir, "store"), pebble.Options{}))}
	c.control = control.New(c.log, quiet, time.Now)
	if err := c.control.Load(ctx); err != nil {
		panic(err)
	}
	slots := must(c.control.EnsureSlotMap(ctx, 4, 1))
	reg := prometheus.NewRegistry()
	feedMetrics := feed.NewMetrics(reg)
	for _, p := range slots.Partitions() {
		c.feeds[p] = feed.New(p, c.log, feed.DefaultSettings(), feedMetrics)
	}
	rules := map[domain.Kind]domain.Rules{
		domain.KindDirect: conversation.NewRules(message.DefaultLimits), domain.KindGroup: conversation.NewGroupRules(message.DefaultLimits),
		domain.KindUser: user.Rules{}, domain.KindRoom: conversation.NewRoomRules(message.DefaultLimits),
	}
	c.owners = must(owners.New(owners.Config{
		Node: "n", Control: c.control, Log: c.log, Store: c.store, Metrics: reg, Now: time.Now,
		Feed:  func(p domain.Partition) shard.Feed { return c.feeds[p] },
		Rules: func(k domain.Kind) domain.Rules { return rules[k] },
	}))
	c.runner = must(runner.New(ctx, c.store, projections.Kinds(), runner.DefaultSettings(), runner.NewMetrics(reg), quiet))
	c.queries = queries.New(c.store, queries.FeedOf(c.feedOf), c.runner)
	c.signer = must(token.NewSigner(token.Key{ID: "k", Secret: bytes.Repeat([]byte{7}, 32)}))
	c.run(func() error { return c.owners.Run(ctx) })
	reactors := reactor.New(c.store, c.owners, reactor.All(c.queries, c.runner), reactor.DefaultSettings(), reactor.NewMetrics(reg), quiet)
	for _, f := range c.feeds {
		c.run(func() error { return c.runner.Run(ctx, f) })
		c.run(func() error { return reactors.Run(ctx, f) })
	}
	for c.owners.Ready() != nil {
		time.Sleep(time.Millisecond)
	}
	return c
}

func (c *core) run(f func() error) {
	c.wg.Go(func() {
		if err := f(); err != nil {
			panic(err)
		}
	})
}

func (c *core) stop() {
	c.cancel()
	c.wg.Wait()
	if err := errors.Join(c.store.Close(), c.log.Close()); err != nil {
		panic(err)
	}
}

func (c *core) feedOf(stream domain.StreamID) (queries.Feed, bool) {
	p, ok := c.control.SlotMap().Partition(stream)
	return c.feeds[p], ok
}

// reads adapts queries and runner as the command does.
type reads struct {
	*queries.Queries
	runner *runner.Runner
}

func (r reads) WaitMemberships(ctx context.Context, positions map[domain.Partition]domain.Index) error {
	for p, index := range positions {
		if index == 0 {
			continue
		}
		if err := r.runner.Wait(ctx, p, index, memberships.Kind.Name); err != nil {
			return err
		}
	}
	return nil
}

type apps struct{ control *control.Control }

func (a apps) AppExists(id domain.AppID) bool {
	_, ok := a.control.App(id)
	return ok
}

// failingHeads cannot read accounts.
type failingHeads struct{ *owners.Owners }

func (failingHeads) Heads(context.Context, []domain.StreamID) ([]domain.Row, error) {
	return nil, domain.Fail(domain.Busy, errDown)
}

// changingOwners changes an account right after its first read.
type changingOwners struct {
	*owners.Owners
	once   sync.Once
	change func()
}

func (o *changingOwners) Heads(ctx context.Context, ids []domain.StreamID) ([]domain.Row, error) {
	rows, err := o.Owners.Heads(ctx, ids)
	o.once.Do(func() {
		o.change()
		time.Sleep(20 * time.Millisecond) // the router finds no session
	})
	return rows, err
}
