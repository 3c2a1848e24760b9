package rpc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	"parley/domain"
	"parley/schemas/cluster"
	"parley/schemas/cluster/clusterpb"
)

// Dial returns the connection to a node: one per node, kept, made without waiting for it, with ConnectParams. An error means that there is no
// such node now.
type Dial func(node domain.NodeName) (*grpc.ClientConn, error)

// ConnectParams are those that connections of Dial need: gRPC's own wait for a second and then ever longer before they try again, and a link
// can open no sooner than its connection.
func ConnectParams() grpc.ConnectParams {
	return grpc.ConnectParams{
		Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 2, Jitter: 0.2, MaxDelay: time.Second},
		MinConnectTimeout: 3 * time.Second,
	}
}

// PeersConfig says how other nodes are reached. Dial must be set.
type PeersConfig struct {
	Dial       Dial
	Settings   Settings
	Logger     *slog.Logger          // nil: none
	Registerer prometheus.Registerer // nil: none
}

// Peers are the links to the other nodes of the cluster.
type Peers struct {
	dial    Dial
	set     Settings
	log     *slog.Logger
	metrics *peerMetrics
	name    string        // of this life
	streams atomic.Uint64 // opened so far
	work    sync.WaitGroup

	mu    sync.RWMutex
	links map[domain.NodeName]*link
	run   context.Context //nolint:containedctx // of Run, under which links live that are made later; nil before
	ended bool
}

// NewPeers returns peers that send nothing until Run; what is submitted before waits. Settings are checked by their Validate.
func NewPeers(cfg PeersConfig) *Peers {
	return &Peers{
		dial: cfg.Dial, set: cfg.Settings.withDefaults(), log: cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler)),
		metrics: newPeerMetrics(cfg.Registerer), name: newPeerName(), links: make(map[domain.NodeName]*link),
	}
}

// tickEvery is how often deadlines are looked at.
const tickEvery = 50 * time.Millisecond

// Run keeps the links until ctx ends. Then it answers all that has no answer, and everything that is submitted later.
func (p *Peers) Run(ctx context.Context) error {
	p.mu.Lock()
	if p.run != nil {
		p.mu.Unlock()
		return errors.New("peers run already")
	}
	p.run = ctx
	for _, l := range p.links {
		p.start(l)
	}
	p.mu.Unlock()
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case now := <-tick.C:
			p.look(now)
		}
	}
	p.mu.Lock()
	p.ended = true
	p.mu.Unlock()
	p.work.Wait()
	return nil
}

// start runs a link under Run. It is called with mu held.
func (p *Peers) start(l *link) {
	ctx, cancel := context.WithCancel(p.run)
	l.cancel = cancel
	p.work.Go(func() {
		defer cancel()
		l.run(ctx)
	})
}

// link returns the link to a node.
func (p *Peers) link(node domain.NodeName) (*link, error) {
	p.mu.RLock()
	l, ended := p.links[node], p.ended
	p.mu.RUnlock()
	switch {
	case ended:
		return nil, errStopping
	case l != nil:
		return l, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return nil, errStopping
	}
	if l = p.links[node]; l == nil {
		l = newLink(p, node)
		p.links[node] = l
		if p.run != nil {
			p.start(l)
		}
	}
	return l, nil
}

// look answers what is overdue, and closes links that nobody uses.
func (p *Peers) look(now time.Time) {
	p.mu.RLock()
	links := make([]*link, 0, len(p.links))
	for _, l := range p.links {
		links = append(links, l)
	}
	p.mu.RUnlock()
	for _, l := range links {
		l.look(now)
		if l.idle(now, p.set.Idle) {
			p.retire(l, now)
		}
	}
}

// retire closes a link that is still unused; whoever holds it already and calls is told to look for another.
func (p *Peers) retire(l *link, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l.retire(now, p.set.Idle) {
		delete(p.links, l.node)
		l.cancel()
	}
}

// put hands a call to the link of a node, and returns it.
func (p *Peers) put(node domain.NodeName, c *call) (*link, error) {
	for {
		l, err := p.link(node)
		if err != nil {
			return nil, err
		}
		if err = l.put(c); !errors.Is(err, errRetired) {
			return l, err
		}
	}
}

// Submit sends a command to a node. It never blocks. hops is how often the command was forwarded before. The request's Deadline travels
// as the time left; without one the owner's default counts.
//
// Done is called exactly once: by a goroutine of Peers with the owner's answer, or with the code Unknown when the link broke or when there
// was none in time; at once, by the caller's goroutine, when the command cannot be taken (Busy, Stopping, TooLarge), as a shard does.
func (p *Peers) Submit(node domain.NodeName, req domain.Request, hops int) {
	if err := p.submit(node, req, hops); err != nil {
		p.metrics.answered.WithLabelValues(commandCall, string(domain.CodeOf(err))).Inc()
		req.Done(domain.Result{Err: err})
	}
}

func (p *Peers) submit(node domain.NodeName, req domain.Request, hops int) error {
	name, body, err := cluster.EncodeCommand(req.Command)
	if err != nil {
		return domain.Fail(domain.Internal, fmt.Errorf("submit to another node: %w", err))
	}
	size := len(body) + len(req.Stream) + len(name)
	if size > p.set.CommandBytes {
		return errTooLarge
	}
	now := time.Now()
	c := &call{what: commandCall, size: size + callOverhead, at: now, deadline: req.Deadline}
	c.want = &clusterpb.Call{Want: &clusterpb.Call_Command{Command: &clusterpb.Command{
		Stream: []byte(req.Stream), Name: name, Body: body, Hops: uint32(max(hops, 0)),
	}}}
	c.done = func(a *clusterpb.Answer, err error) {
		if err != nil {
			req.Done(domain.Result{Err: err})
			return
		}
		req.Done(cluster.DecodeResult(a))
	}
	_, err = p.put(node, c)
	return err
}
