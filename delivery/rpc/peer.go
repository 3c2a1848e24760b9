package rpc

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"parley/domain"
	"parley/schemas/cluster/clusterpb"
)

// peer is one life of another node as it is heard, while it is a member.
type peer struct {
	links *Links
	node  domain.Node
	since time.Time   // when it became a member
	whole atomic.Bool // its snapshot has arrived
	log   *slog.Logger

	mu    sync.Mutex // held while the parties are told of the node
	begun bool       // a snapshot has begun
	over  bool       // the node is gone, or this one stops
	link  uint64     // of the newest link
	now   *hearing   // the newest link, while it lives
}

// hearing is one link of a peer.
type hearing struct {
	peer  *peer
	ended chan struct{} // it is to end; why is set
	why   error
	badly bool // an unacceptable fact was logged

	applied atomic.Uint64 // the newest mark that was reached
	marked  chan struct{} // there is one that the other node was not told of
}

func newPeer(l *Links, n domain.Node) *peer {
	return &peer{links: l, node: n, since: time.Now(), log: l.log.With("node", n.Name, "life", n.Life)}
}

// Why a link is no longer heard.
var (
	errReplaced = status.Error(codes.Aborted, "a later link has begun")
	errOver     = status.Error(codes.Unavailable, "the node is no member any more, or this one stops")
)

// begin begins a link: nothing from those before it is heard any more.
func (p *peer) begin(link uint64) (*hearing, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.over:
		return nil, errOver
	case link <= p.link:
		return nil, errReplaced
	}
	p.end(errReplaced, cutReplaced)
	p.now = &hearing{peer: p, ended: make(chan struct{}), marked: make(chan struct{}, 1)}
	p.link, p.begun = link, true
	p.links.metrics.heard.Inc()
	for _, k := range p.links.kinds {
		p.links.cfg.Parties[k].Begin(p.node)
	}
	return p.now, nil
}

// end ends the newest link. The lock is held.
func (p *peer) end(why error, reason string) {
	if p.now == nil {
		return
	}
	p.now.why = why
	close(p.now.ended)
	p.now = nil
	p.links.metrics.heard.Dec()
	p.links.metrics.cut("heard", reason)
}

// finish says that a link has ended by itself; it may have been ended before.
func (p *peer) finish(h *hearing, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now == h {
		p.end(err, cutBroken)
	}
}

// gone ends the peer, and tells the parties if they had heard of it.
func (p *peer) gone() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end(errOver, cutGone)
	p.over = true
	if !p.begun {
		return
	}
	for _, k := range p.links.kinds {
		p.links.cfg.Parties[k].Gone(p.node)
	}
}

// stop ends the peer; the parties believe what they believed.
func (p *peer) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end(errOver, cutStop)
	p.over = true
}

// apply takes what came over a link, unless it has ended.
func (p *peer) apply(h *hearing, told *clusterpb.TellRequest) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now != h {
		return errReplaced
	}
	switch c := told.GetContent().(type) {
	case *clusterpb.TellRequest_Facts:
		for _, run := range c.Facts.GetRuns() {
			p.run(h, run)
		}
	case *clusterpb.TellRequest_SnapshotEnd:
		for _, k := range p.links.kinds {
			p.links.cfg.Parties[k].End(p.node)
		}
		p.whole.Store(true)
		p.links.metrics.snapshotsHeard.Inc()
	case *clusterpb.TellRequest_Mark:
		h.applied.Store(c.Mark.GetNumber())
		select {
		case h.marked <- struct{}{}:
		default:
		}
	default: // a later version says more
		p.links.metrics.unknown.Inc()
	}
	return nil
}

// run hands facts of one kind to their party. What cannot be read is counted and left out: a later version may say it, and told again it would
// be the same.
func (p *peer) run(h *hearing, run *clusterpb.Run) {
	k := Kind(run.GetKind()) // checked below
	party, known := p.links.cfg.Parties[k]
	if !known || uint32(k) != run.GetKind() {
		p.links.metrics.unknown.Add(float64(len(run.GetFacts())))
		return
	}
	for _, fact := range run.GetFacts() {
		err := party.Apply(p.node, fact)
		if err == nil {
			continue
		}
		p.links.metrics.bad.Inc()
		if !h.badly {
			h.badly = true
			p.log.Warn("a fact cannot be read", "kind", k.String(), "err", err)
		}
	}
	p.links.metrics.applied.of(k).Add(float64(len(run.GetFacts())))
}
