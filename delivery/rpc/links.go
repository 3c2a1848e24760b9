// Package rpc tells the other nodes of a cluster what is not on the log, and hears it from them: one ordered link in each direction between any
// two nodes.
//
// A link begins with a snapshot of all that its node has to tell; then comes what changes. What must hold: a party hears of a node in order,
// one call at a time, and nothing from a link when a later one of the same node has begun; what a node told is believed until it tells
// otherwise, does not repeat it in a snapshot, or is gone: a broken link changes nothing. Gone is told once for a life whose snapshot had begun,
// and after it nothing of that life, unless it becomes a member again and begins anew. Telling never waits for anybody.
package rpc

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"parley/domain"
)

// Kind says which party a fact is for. It is part of what goes between nodes: a number keeps its meaning.
type Kind uint8

// Kinds of facts.
const (
	Sessions Kind = 1 + iota // who is online
	Leases                   // who views which room
	Volatile                 // events that are not logged
)

// Party has facts to tell, and is told those of other nodes. Calls about one node come one at a time; about several nodes they come at once.
type Party interface {
	// Snapshot sends all facts that are this node's. What changes while it runs is told after it. send may wait for the other node: no lock
	// that others need may be held.
	Snapshot(send func(fact []byte))
	// Begin says that a snapshot of n follows.
	Begin(n domain.Node)
	// Apply takes one fact, which is absolute and may come twice. It may keep the bytes. An error is counted, and the next fact follows.
	Apply(n domain.Node, fact []byte) error
	// End says that what n told before and has not told again since Begin is no more.
	End(n domain.Node)
	// Gone says that n is dead or has left: nothing of it is true any more.
	Gone(n domain.Node)
}

// Config is what links need.
type Config struct {
	Self       domain.Node
	Dial       func(node domain.NodeName) (*grpc.ClientConn, error) // the connection that is kept to a node, made with DialOptions
	Parties    map[Kind]Party
	Settle     func(context.Context, Device) error // returns when what a device has acknowledged here is stored; nil: nothing ever is to be
	Settings   Settings
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// Links are a node's links to all other nodes. They are safe for concurrent use.
type Links struct {
	cfg     Config
	kinds   []Kind // of the parties, in order
	log     *slog.Logger
	metrics *metrics
	number  atomic.Uint64 // of links begun here

	diff  sync.Mutex              // held while members change
	tell  atomic.Pointer[[]*link] // those of members
	begin chan struct{}           // members have changed

	mu      sync.Mutex
	known   bool // members were named
	stopped bool
	members map[domain.NodeName]*member
	heard   sync.WaitGroup // streams of other nodes
}

// member is another node that lives.
type member struct {
	peer *peer
	link *link
}

// New makes links. They are begun by Run.
func New(cfg Config) *Links {
	l := &Links{cfg: cfg, log: cfg.Logger, begin: make(chan struct{}, 1), members: make(map[domain.NodeName]*member)}
	for k := range cfg.Parties {
		l.kinds = append(l.kinds, k)
	}
	slices.Sort(l.kinds)
	l.tell.Store(new([]*link))
	l.metrics = newMetrics(cfg.Registerer, l.kinds, l.queued)
	return l
}

// Tell tells a fact to all other nodes. The bytes must not change afterwards. It never blocks.
func (l *Links) Tell(k Kind, fact []byte) {
	for _, to := range *l.tell.Load() {
		to.queue.put(told{kind: k, fact: fact})
	}
}

// Sync returns when all other nodes have applied what was told before. It does not wait for those to which there is no link, and for none
// longer than Settings.Sync: they hear of it late.
func (l *Links) Sync(ctx context.Context) {
	late := time.NewTimer(l.cfg.Settings.Sync)
	defer late.Stop()
	var marks []<-chan struct{}
	for _, to := range *l.tell.Load() {
		if m := to.queue.mark(); m != nil {
			marks = append(marks, m)
		}
	}
	for _, m := range marks {
		select {
		case <-m:
		case <-ctx.Done():
			return
		case <-late.C:
			l.metrics.late.Inc()
			return
		}
	}
}

// Members names the other nodes that live. The parties have been told of those that are gone when it returns.
func (l *Links) Members(ms []domain.Node) {
	l.diff.Lock()
	defer l.diff.Unlock()
	living := make(map[domain.Node]bool, len(ms))
	for _, n := range ms {
		living[n] = n.Name != l.cfg.Self.Name
	}
	for _, m := range l.drop(living) {
		m.link.queue.end()
		l.log.Info("a node is gone", "node", m.peer.node.Name, "life", m.peer.node.Life)
		m.peer.gone()
	}
	l.add(living)
	select {
	case l.begin <- struct{}{}:
	default:
	}
}

// drop removes the members that do not live any more, and returns them.
func (l *Links) drop(living map[domain.Node]bool) (gone []*member) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, m := range l.members {
		if !living[m.peer.node] {
			delete(l.members, name)
			gone = append(gone, m)
		}
	}
	l.publish()
	return gone
}

func (l *Links) add(living map[domain.Node]bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.known = true
	for n, other := range living {
		if _, known := l.members[n.Name]; known || !other {
			continue
		}
		l.members[n.Name] = &member{peer: newPeer(l, n), link: newLink(l, n)}
	}
	l.publish()
}

// publish says whom Tell tells. The lock is held.
func (l *Links) publish() {
	links := make([]*link, 0, len(l.members))
	for _, m := range l.members {
		links = append(links, m.link)
	}
	l.tell.Store(&links)
}

// Run keeps a link to every member until ctx ends.
func (l *Links) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	running := make(map[*link]context.CancelFunc)
	for more := true; more; {
		select {
		case <-ctx.Done():
			more = false
		case <-l.begin:
			l.keep(ctx, &wg, running)
		}
	}
	l.stop()
	wg.Wait()
	l.heard.Wait()
	return nil
}

// keep starts the links that are to run, and stops those that are not.
func (l *Links) keep(ctx context.Context, wg *sync.WaitGroup, running map[*link]context.CancelFunc) {
	wanted := *l.tell.Load()
	for k, cancel := range running {
		if !slices.Contains(wanted, k) {
			cancel()
			delete(running, k)
		}
	}
	for _, k := range wanted {
		if running[k] == nil {
			life, cancel := context.WithCancel(ctx)
			running[k] = cancel
			wg.Go(func() { defer cancel(); k.run(life) })
		}
	}
}

// stop ends what is heard. The parties believe what they believed.
func (l *Links) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopped = true
	for _, m := range l.members {
		m.peer.stop()
	}
}

// Ready returns nil when the snapshot of each member has arrived since it became one, or it has been one for Settings.Await. It is for a node
// that starts: it is to know who is online before it serves. Members that come later make it wait again.
func (l *Links) Ready() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.known {
		return fmt.Errorf("links: the members are not known yet")
	}
	var missing []string
	for name, m := range l.members {
		if !m.peer.whole.Load() && time.Since(m.peer.since) < l.cfg.Settings.Await {
			missing = append(missing, string(name))
		}
	}
	if len(missing) == 0 {
		return nil
	}
	slices.Sort(missing)
	return fmt.Errorf("links: waiting for the snapshots of %s", strings.Join(missing, ", "))
}

// queued returns the bytes that wait to be told.
func (l *Links) queued() (bytes int) {
	for _, k := range *l.tell.Load() {
		bytes += k.queue.size()
	}
	return bytes
}
