package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"parley/delivery/directory"
	"parley/delivery/gateway"
	"parley/delivery/lease"
	"parley/delivery/room"
	"parley/delivery/router"
	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/fence"
	"parley/domain/token"
	"parley/domain/user"
	"parley/ingest/control"
	"parley/ingest/owners"
	"parley/ingest/owners/ring"
	"parley/ingest/shard"
	"parley/projections"
	"parley/projections/feed"
	"parley/projections/queries"
	"parley/projections/reactor"
	"parley/projections/runner"
)

// node is one process with all roles: everything that serve runs, and the order in which it starts and stops.
//
// The core (shards, projections, routers, rooms) outlives the edge (listeners, gateway, REST): on stop the edge drains first, then the
// shards finish what is in flight and flush, leases are written as the last sockets left them, then the databases close.
type node struct {
	cfg config
	log *slog.Logger
	reg *prometheus.Registry

	cluster *cluster // nil: this node is alone
	slots   *control.SlotMap
	places  map[domain.Partition]fence.Reader // of a cluster: where checkpoints stood at the start

	logs     logStorage
	store    tableStorage
	control  *control.Control
	feeds    map[domain.Partition]*feed.Feed
	owners   *owners.Owners
	runner   *runner.Runner
	rebuilds *rebuilds
	reactors *reactor.Runner
	queries  *queries.Queries
	signer   *token.Signer
	users    *directory.Directory
	leases   *lease.Leases
	rooms    *room.Rooms
	router   *router.Router
	gateway  *gateway.Gateway
	edge     *edge
	dev      devInfo
	maxHTTP  int // connections of clients that are not WebSockets; 0: no bound

	mu     sync.Mutex
	halted map[string]error // parts that have ended and should not have
	phase  error            // why the node as a whole does not serve: not yet, or no more; nil while it does
}

var (
	errLogDisk   = errors.New("the log's disk has failed: start again when it is mended")
	errStoreDisk = errors.New("the store's disk has failed: start again when it is mended")
)

// drainMargin is what is left of drainLimit for ending the process.
const drainMargin = 500 * time.Millisecond

// feedBytes bounds what the recent commits of one partition hold in memory.
const feedBytes = 8 << 20

// openNode opens the databases and builds all parts. Nothing runs yet, but the listeners are bound.
func openNode(ctx context.Context, c config, log *slog.Logger) (n *node, err error) {
	n = &node{cfg: c, log: log, reg: prometheus.NewRegistry(), phase: errStarting, halted: map[string]error{}, feeds: map[domain.Partition]*feed.Feed{}}
	n.reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	defer func() {
		if err != nil {
			err = errors.Join(err, n.close())
		}
	}()
	if c.Dev {
		if err := os.MkdirAll(c.Data, 0o700); err != nil {
			return n, fmt.Errorf("data: %w", err)
		}
	}
	if err := as(roleStorage, func(ctx context.Context) error { return n.openStorage(ctx, c.Dev) })(ctx); err != nil {
		return n, err
	}
	if err := n.buildCore(ctx); err != nil {
		return n, err
	}
	if err := n.buildEdge(ctx); err != nil {
		return n, err
	}
	return n, nil
}

// buildCore makes the write side, the feeds and the read models.
func (n *node) buildCore(ctx context.Context) error {
	n.control = control.New(n.logs, n.log, time.Now)
	if err := n.control.Load(ctx); err != nil {
		return err
	}
	if err := unfinishedReset(n.control); err != nil {
		return err
	}
	var err error
	if n.slots, err = n.control.EnsureSlotMap(ctx, n.cfg.Partitions.Chats, n.cfg.Partitions.Rooms); err != nil {
		return err
	}
	if err := n.buildCluster(ctx); err != nil {
		return err
	}
	feedMetrics := feed.NewMetrics(n.reg)
	settings := feed.DefaultSettings()
	settings.Bytes = feedBytes
	for _, p := range n.slots.Partitions() {
		n.feeds[p] = feed.New(p, n.logs, settings, feedMetrics)
	}
	rules := map[domain.Kind]domain.Rules{
		domain.KindDirect: conversation.NewRules(n.cfg.Limits.message()),
		domain.KindGroup:  conversation.NewGroupRules(n.cfg.Limits.message()),
		domain.KindRoom:   conversation.NewRoomRules(n.cfg.Limits.message()),
		domain.KindUser:   user.Rules{},
	}
	var others owners.Peers
	var standing owners.Ring
	if n.cluster != nil {
		others, standing = n.cluster.peers, named{n.cluster.ring}
	}
	n.owners, err = owners.New(owners.Config{
		Node: n.cfg.Cluster.name(), Ring: standing, Peers: others, Control: n.control,
		Log: appended{n.logs, inRole(ctx, roleAppend)}, Store: flushed{n.store, inRole(ctx, roleFlush)},
		Feed:  func(p domain.Partition) shard.Feed { return n.feeds[p] },
		Rules: func(k domain.Kind) domain.Rules { return rules[k] },
		Shard: shard.Settings{CheckpointLag: n.checkpointLag()},
		Now:   time.Now, Metrics: n.reg, Logger: n.log,
	})
	if err != nil {
		return err
	}
	reading := runner.DefaultSettings()
	reading.CheckpointLag = n.checkpointLag()
	n.runner, err = runner.New(ctx, n.store, projections.Kinds(), reading, runner.NewMetrics(n.reg), n.log)
	if err != nil {
		return err
	}
	n.rebuilds = newRebuilds(n.runner, n.owners.Partitions(), n.log)
	if n.cluster != nil {
		if err := n.loadPlaces(ctx); err != nil {
			return err
		}
	}
	n.queries = queries.New(n.store, queries.FeedOf(n.feedOf), n.runner)
	n.reactors = reactor.New(n.store, n.owners, reactor.All(n.queries, n.runner), reactor.DefaultSettings(), reactor.NewMetrics(n.reg), n.log)
	return nil
}

// feedOf finds the feed of a stream's partition.
func (n *node) feedOf(stream domain.StreamID) (queries.Feed, bool) {
	p, ok := n.control.SlotMap().Partition(stream)
	f := n.feeds[p]
	return f, ok && f != nil
}

// run serves until ctx ends. When all parts run it calls publish, is ready, and calls say. It returns nil after an orderly stop.
func (n *node) run(ctx context.Context, publish, say func() error) error {
	core, stopCore := context.WithCancel(context.WithoutCancel(ctx))
	defer stopCore()
	var wg sync.WaitGroup
	n.start(core, &wg, "control", as(roleControl, n.control.Run))
	n.start(core, &wg, "shards", as(roleShard, n.owners.Run))
	n.startPartitions(core, &wg)
	n.start(core, &wg, "rebuilds", n.rebuilds.run)
	edge, stopEdge := context.WithCancel(ctx)
	defer stopEdge()
	var edges sync.WaitGroup
	n.start(context.WithoutCancel(ctx), &edges, "admin", as(roleAdmin, n.edge.serveAdmin))
	err := n.startCore(ctx, core, &wg)
	if err == nil {
		n.start(edge, &edges, "gateway", as(roleGateway, n.gateway.Run))
		n.start(edge, &edges, "giving memory back", func(ctx context.Context) error { return new(quiet).run(ctx, n.gateway.Sessions) })
		n.start(context.WithoutCancel(ctx), &edges, "api", as(roleREST, n.edge.serveAPI))
		if err = publish(); err == nil {
			n.setPhase(nil) // before it is said: who reads that parley is ready finds it ready
			err = say()
		}
	}
	if err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		err = nil // asked to stop before it was ready
	}
	if err == nil {
		select {
		case <-ctx.Done():
		case <-n.logs.Failed():
			err = errLogDisk
		case <-n.store.Failed():
			err = errStoreDisk
		}
	}
	n.setPhase(errStopping)
	n.log.Info("stopping")
	overdue := time.AfterFunc(drainLimit-drainMargin, n.cutOff)
	defer overdue.Stop()
	if n.cluster != nil {
		n.cluster.handOver(core)
	}
	stopEdge()
	n.edge.shutdown()
	edges.Wait()
	stopCore()
	wg.Wait()
	err = errors.Join(err, n.close())
	n.log.Info("stopped")
	return err
}

// cutOff ends a process that does not stop by itself.
func (n *node) cutOff() {
	n.log.Error("not stopped in time: cut off")
	os.Exit(1)
}

// start runs one part. One that ends with an error is remembered: it makes the node unready, and the others go on.
func (n *node) start(ctx context.Context, wg *sync.WaitGroup, name string, run func(context.Context) error) {
	wg.Go(func() {
		err := run(ctx)
		if err == nil || ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			return
		}
		n.log.Error("a part has ended", "part", name, "err", err)
		n.mu.Lock()
		n.halted[name] = err
		n.mu.Unlock()
	})
}

// awaitShards waits until every partition is owned. It fails when ctx ends or a disk does.
func (n *node) awaitShards(ctx context.Context) error {
	begin := time.Now()
	warned := begin
	for {
		err := n.owners.Ready()
		if err == nil {
			n.log.Info("partitions owned", "partitions", len(n.feeds), "took_ms", time.Since(begin).Milliseconds())
			return nil
		}
		if time.Since(warned) > 5*time.Second {
			warned = time.Now()
			n.log.Warn("waiting for partitions", "err", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-n.logs.Failed():
			return errLogDisk
		case <-n.store.Failed():
			return errStoreDisk
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// startCore brings up what must run before clients come: the partitions that are to be here, and what hands entries on. A node among others
// first reads who viewed what, tells them and learns what they know, and then takes its share.
func (n *node) startCore(ctx, core context.Context, wg *sync.WaitGroup) error {
	if n.cluster == nil {
		if err := n.awaitShards(ctx); err != nil {
			return err
		}
		return n.startDelivery(core, wg, n.reached())
	}
	if err := n.leases.Load(ctx); err != nil { // before others hear what this node says, and that there is no more
		return err
	}
	n.start(core, wg, "other nodes", as(roleLinks, n.cluster.run))
	n.start(core, wg, "answers to other nodes", as(roleLinks, n.cluster.serve))
	if err := n.cluster.awaitKnown(ctx); err != nil {
		return err
	}
	n.cluster.ring.Serve()
	if err := n.awaitShards(ctx); err != nil {
		return err
	}
	return n.startDelivery(core, wg, n.places)
}

// startDelivery loads who viewed which room and starts what hands entries on. Leases are brought in line with the rooms when the routers
// see what changes from now on.
func (n *node) startDelivery(ctx context.Context, wg *sync.WaitGroup, from map[domain.Partition]fence.Reader) error {
	if n.cluster == nil {
		if err := n.leases.Load(ctx); err != nil {
			return err
		}
	}
	n.startRouters(ctx, wg, from)
	n.start(ctx, wg, "leases of rooms", as(roleLeases, n.leases.Run))
	n.start(ctx, wg, "rooms", as(roleRooms, n.rooms.Run))
	return n.gateway.CheckRooms(ctx)
}

// reached returns where the shards of a node that is alone stand.
func (n *node) reached() map[domain.Partition]fence.Reader {
	out := make(map[domain.Partition]fence.Reader, len(n.feeds))
	for _, at := range n.owners.Positions() {
		out[at.Partition] = fence.Reader{Next: at.Offset + 1, Term: at.Term, Index: at.Index, Prev: at.Prev}
	}
	return out
}

// startRouters routes every partition from a place on: what came before is read by sessions at log-in.
func (n *node) startRouters(ctx context.Context, wg *sync.WaitGroup, places map[domain.Partition]fence.Reader) {
	for _, p := range n.owners.Partitions() {
		f, from := n.feeds[p], places[p]
		n.start(ctx, wg, fmt.Sprintf("router of partition %d", p), as(roleRouter, func(ctx context.Context) error {
			return n.router.Run(ctx, p, from.Index, f.Reader(from))
		}))
	}
}

// Why a node does not serve.
var (
	errStarting = errors.New("starting")
	errStopping = errors.New("stopping")
	errDraining = errors.New("draining: this node owns nothing any more")
)

func (n *node) setPhase(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.phase = err
}

// readiness says what is not ready, nil when all is.
func (n *node) readiness() error {
	n.mu.Lock()
	errs := []error{n.phase}
	for _, name := range slices.Sorted(maps.Keys(n.halted)) {
		errs = append(errs, fmt.Errorf("%s: %w", name, n.halted[name]))
	}
	n.mu.Unlock()
	if n.cluster != nil && n.cluster.ring.Self().State == ring.Draining {
		errs = append(errs, errDraining)
	}
	return errors.Join(append(errs, n.owners.Ready())...)
}

// close closes what is open: listeners, other nodes, and databases.
func (n *node) close() error {
	var errs []error
	if n.cluster != nil {
		errs = append(errs, n.cluster.close())
	}
	if n.edge != nil {
		n.edge.close()
	}
	if n.store != nil {
		errs = append(errs, n.store.Close())
	}
	if n.logs != nil {
		errs = append(errs, n.logs.Close())
	}
	return errors.Join(errs...)
}

// publish writes dev.json under --dev.
func (n *node) publish() error {
	if !n.cfg.Dev {
		return nil
	}
	n.dev.REST, n.dev.WS = n.edge.urls()
	n.dev.Admin = "http://" + n.edge.admin.Addr().String()
	return n.dev.write(n.cfg.Data)
}

// announce says that parley is ready, and under --dev how to connect.
func (n *node) announce(out io.Writer) error {
	rest, ws := n.edge.urls()
	if !n.cfg.Dev {
		n.log.Info("serving", "rest", rest, "ws", ws, "admin", n.edge.admin.Addr().String())
		return nil
	}
	_, err := fmt.Fprintf(out, `parley is ready. Development mode: every origin may connect, and anybody may register.

  REST       %s
  WebSocket  %s
  admin      %s  (metrics, health, profiles)
  app        %s
  secrets    %s

Connect with agora-chat or easemob-websdk:

  const conn = new sdk.connection({
    appKey: %q, isHttpDNS: false, url: %q, apiUrl: %q, autoReconnectNumMax: 100
  })

`, rest, ws, n.dev.Admin, n.dev.App, devFile(n.cfg.Data), n.dev.App, ws, rest)
	return err
}
