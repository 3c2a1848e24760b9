package main

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"parley/delivery/directory"
	links "parley/delivery/rpc"
	"parley/domain"
	"parley/domain/conversation"
	"parley/ingest/owners"
	"parley/ingest/owners/ring"
	ingest "parley/ingest/rpc"
	"parley/projections/runner"
)

// cluster is what a node has because there are others. A node that is alone has none.
type cluster struct {
	node      *node
	self      domain.Node
	number    domain.Partition // of the ids of what is not logged
	listener  net.Listener
	devSecret string // of the app that --dev makes: the same on every node
	server    *grpc.Server
	dialling  []grpc.DialOption
	ring      *ring.Ring
	peers     *ingest.Peers
	links     *links.Links

	mu    sync.Mutex
	conns map[domain.NodeName]*conn
}

// conn is the connection to a node, at the address that it had when it was made.
type conn struct {
	addr string
	*grpc.ClientConn
}

// buildCluster makes what talks to other nodes, listens for them, and makes this node known as one that starts.
func (n *node) buildCluster(ctx context.Context) error {
	if !n.cfg.Cluster.on() {
		return nil
	}
	c := &cluster{node: n, conns: make(map[domain.NodeName]*conn)}
	c.self = domain.Node{Name: n.cfg.Cluster.name(), Life: uint64(time.Now().UnixMicro())}
	var err error
	if c.number, err = n.control.EnsureNode(ctx, c.self.Name); err != nil {
		return err
	}
	key, err := n.cfg.Cluster.secretKey()
	if err != nil {
		return err
	}
	c.devSecret = hex.EncodeToString(derive(key, "development app"))
	server, client, err := identity(key)
	if err != nil {
		return err
	}
	if c.listener, err = listen(ctx, "cluster.rpc", n.cfg.Cluster.RPC); err != nil {
		return err
	}
	c.server = grpc.NewServer(append(links.ServerOptions(), grpc.Creds(credentials.NewTLS(server)))...)
	c.dialling = append(links.DialOptions(), grpc.WithTransportCredentials(credentials.NewTLS(client)))
	c.peers = ingest.NewPeers(ingest.PeersConfig{Dial: c.dial, Logger: n.log, Registerer: n.reg})
	n.cluster = c
	return as(roleRing, func(context.Context) error { return c.join(key) })(ctx)
}

// join makes this node known to the others.
func (c *cluster) join(key []byte) (err error) {
	n, set := c.node, &c.node.cfg.Cluster
	advertised := cmp.Or(set.AdvertiseRPC, c.listener.Addr().String())
	c.ring, err = ring.Start(ring.Config{
		Node: c.self, Number: c.number, Listen: set.Gossip, Advertise: set.AdvertiseGossip, RPC: advertised, Join: set.Join,
		Key: derive(key, "gossip"), Partitions: n.slots.Partitions(), Settings: set.ring(), Logger: n.log, Registerer: n.reg,
	})
	return err
}

// tell returns how a party tells other nodes; nil: there are none.
func (n *node) tell(kind links.Kind) func(fact []byte) {
	if n.cluster == nil {
		return nil
	}
	return func(fact []byte) { n.cluster.links.Tell(kind, fact) }
}

// synced returns when the other nodes have applied what was told before; at once when there are none.
func (n *node) synced(ctx context.Context) {
	if n.cluster != nil {
		n.cluster.links.Sync(ctx)
	}
}

// offer makes the links, and offers other nodes what this one has: everything else is built.
func (c *cluster) offer() {
	n := c.node
	c.links = links.New(links.Config{
		Self: c.self, Dial: c.dial, Settings: n.cfg.Cluster.Links, Logger: n.log, Registerer: n.reg,
		Parties: map[links.Kind]links.Party{links.Sessions: n.users, links.Leases: n.leases, links.Volatile: n.router},
		Settle: func(ctx context.Context, d links.Device) error {
			return n.gateway.Settle(ctx, directory.Key{App: d.App, User: d.User}, d.Incarnation, d.Resource)
		},
	})
	links.Register(c.server, c.links)
	ingest.Register(c.server, ingest.ServerConfig{
		Owners: n.owners, Projections: passed{n}, Operator: n.edge.operator.forNodes(), Logger: n.log, Registerer: n.reg,
	})
}

// Settle implements gateway.Elsewhere.
func (c *cluster) Settle(ctx context.Context, node domain.NodeName, k directory.Key, inc domain.Incarnation, r domain.Resource) error {
	return c.links.Settle(ctx, node, links.Device{App: k.App, User: k.User, Incarnation: inc, Resource: r})
}

// run keeps the links to the nodes that live, until ctx ends.
func (c *cluster) run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { _ = c.peers.Run(ctx) }) // it ends with ctx, without an error
	wg.Go(func() { _ = c.links.Run(ctx) })
	for {
		changed := c.ring.Changed()
		var others []domain.Node
		living := make(map[domain.NodeName]string)
		for _, m := range c.ring.Members() {
			living[m.Name] = m.RPC
			if m.Name != c.self.Name {
				others = append(others, m.Node)
			}
		}
		c.links.Members(others)
		c.forget(living)
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
	}
}

// serve answers other nodes until ctx ends.
func (c *cluster) serve(ctx context.Context) error {
	stop := context.AfterFunc(ctx, c.server.Stop)
	defer stop()
	if err := c.server.Serve(c.listener); ctx.Err() == nil {
		return err
	}
	return nil // it was stopped
}

var errNoNode = errors.New("there is no such node now")

// dial returns the connection to a node that lives.
func (c *cluster) dial(name domain.NodeName) (*grpc.ClientConn, error) {
	m, ok := c.ring.Member(name)
	if !ok {
		return nil, errNoNode
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.conns[name]
	if old != nil && old.addr == m.RPC {
		return old.ClientConn, nil
	}
	to, err := grpc.NewClient("passthrough:///"+m.RPC, c.dialling...)
	if err != nil {
		return nil, fmt.Errorf("dial node %s: %w", name, err)
	}
	if old != nil {
		_ = old.Close() // the node has another address now
	}
	c.conns[name] = &conn{m.RPC, to}
	return to, nil
}

// forget closes connections to nodes that do not live, or have another address now.
func (c *cluster) forget(living map[domain.NodeName]string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, to := range c.conns {
		if living[name] != to.addr {
			_ = to.Close()
			delete(c.conns, name)
		}
	}
}

// leaveTime is how long others are told that this node leaves.
const leaveTime = time.Second

// close says good-bye and closes what is open.
func (c *cluster) close() (err error) {
	if c.ring != nil {
		ctx, cancel := context.WithTimeout(context.Background(), leaveTime)
		defer cancel()
		err = c.ring.Leave(ctx)
	}
	c.server.Stop()
	_ = c.listener.Close() // closed already when it was served
	c.forget(nil)
	return err
}

const (
	handOverTime = 3 * time.Second       // the longest that a node which stops waits for others to take its partitions over
	waitEvery    = 10 * time.Millisecond // between looks of a node that starts or stops
)

// handOver gives this node's partitions to the others, as far as there are others.
func (c *cluster) handOver(ctx context.Context) {
	begin := time.Now()
	ctx, cancel := context.WithTimeout(ctx, handOverTime)
	defer cancel()
	c.ring.Drain()
	left := 0
	if !until(ctx, waitEvery, func() bool { left = c.left(); return left == 0 }) {
		c.node.log.Warn("partitions were not taken over in time", "left", left)
		return
	}
	c.node.log.Info("partitions handed over", "took_ms", time.Since(begin).Milliseconds())
}

// left returns how many partitions are here that another node is to own.
func (c *cluster) left() (n int) {
	for _, p := range c.node.owners.Partitions() {
		here, _ := c.node.owners.Here(p)
		if _, taken := c.ring.Owner(p); here && taken {
			n++
		}
	}
	return n
}

// awaitKnown waits until this node knows what is not on the log: who is online elsewhere, and who views what.
func (c *cluster) awaitKnown(ctx context.Context) error {
	if !until(ctx, waitEvery, func() bool { return c.links.Ready() == nil }) {
		return ctx.Err()
	}
	return nil
}

// others returns how many other nodes live.
func (n *node) others() int {
	if n.cluster == nil {
		return 0
	}
	return len(n.cluster.ring.Members()) - 1
}

// named is the ring as owners see it.
type named struct{ *ring.Ring }

// Owner implements owners.Ring.
func (r named) Owner(p domain.Partition) (domain.NodeName, bool) {
	m, ok := r.Ring.Owner(p)
	return m.Name, ok
}

// From implements owners.Ring.
func (r named) From(p domain.Partition) (domain.NodeName, bool) {
	m, ok := r.Ring.From(p)
	return m.Name, ok
}

var (
	_ owners.Ring  = named{}
	_ owners.Peers = (*ingest.Peers)(nil)
)

// passed waits for read models, here and on other nodes.
type passed struct{ *node }

// Wait returns when the named read models, all when none is named, have passed a position, wherever they run.
func (w passed) Wait(ctx context.Context, p domain.Partition, index domain.Index, names ...string) error {
	err := w.runner.Wait(ctx, p, index, names...)
	if w.cluster == nil || !errors.Is(err, runner.ErrNotHere) {
		return err
	}
	return w.elsewhere(ctx, map[domain.Partition]domain.Index{p: index}, names)
}

// WaitAll is Wait for several partitions.
func (w passed) WaitAll(ctx context.Context, positions map[domain.Partition]domain.Index, names ...string) error {
	elsewhere := make(map[domain.Partition]domain.Index)
	for p, index := range positions {
		err := w.runner.Wait(ctx, p, index, names...)
		if w.cluster != nil && errors.Is(err, runner.ErrNotHere) {
			elsewhere[p] = index
		} else if err != nil {
			return err
		}
	}
	return w.elsewhere(ctx, elsewhere, names)
}

// elsewhere asks each node about the partitions that it has, at the same time.
func (w passed) elsewhere(ctx context.Context, positions map[domain.Partition]domain.Index, names []string) error {
	byNode := make(map[domain.NodeName]map[domain.Partition]domain.Index)
	for p, index := range positions {
		name, ok := w.owners.Owner(p)
		if !ok || name == w.cluster.self.Name {
			return runner.ErrNotHere // it is moving: late, as those who wait see it
		}
		if byNode[name] == nil {
			byNode[name] = make(map[domain.Partition]domain.Index)
		}
		byNode[name][p] = index
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	for name, some := range byNode {
		wg.Go(func() {
			if err := w.cluster.peers.Wait(ctx, name, some, names); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, fmt.Errorf("node %s: %w", name, err))
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// How long is waited for what another node has acknowledged to be readable here, and between looks.
const (
	arriveLimit = 500 * time.Millisecond
	arrivePause = 5 * time.Millisecond
)

// arrived waits until all is readable here that the owner of a stream has acknowledged until now. It answers false where the
// owner is, where it always is, and when it is not in time.
func (w passed) arrived(ctx context.Context, stream domain.StreamID) bool {
	p, ok := w.owners.Partition(stream)
	if w.cluster == nil || !ok {
		return false
	}
	if here, _ := w.owners.Here(p); here {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, arriveLimit)
	defer cancel()
	rows, err := w.owners.Heads(ctx, []domain.StreamID{stream})
	if err != nil {
		return false
	}
	head := conversation.HeadOf(rows[0])
	if head == nil || head.Seq == 0 {
		return false
	}
	return until(ctx, arrivePause, func() bool { // if only since a moment ago
		entries, err := w.queries.Entries(ctx, stream, head.Seq, head.Seq, 1, 1)
		return err == nil && len(entries) > 0
	})
}

// WaitHere implements ingest.Projections.
func (w passed) WaitHere(ctx context.Context, positions map[domain.Partition]domain.Index, names []string) error {
	for p, index := range positions {
		err := w.runner.Wait(ctx, p, index, names...)
		switch {
		case errors.Is(err, runner.ErrNotHere):
			return fmt.Errorf("partition %d: %w", p, ingest.ErrNotHere)
		case errors.Is(err, runner.ErrLate):
			return fmt.Errorf("partition %d: %w", p, ingest.ErrLate)
		case err != nil:
			return err
		}
	}
	return nil
}

// forNodes is the operator's part of the admin API for other nodes, which have shown that they have the cluster's key.
func (o *operator) forNodes() http.Handler {
	mux := http.NewServeMux()
	o.handle(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("Authorization", "Bearer "+string(o.node.cfg.AdminKey))
		mux.ServeHTTP(w, r)
	})
}
