package ring

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"

	"parley/domain"
	"parley/domain/fence"
)

// ErrNameTaken is in the chain of Start's error when another living process has this node's name.
var ErrNameTaken = errors.New("another living process has this node's name")

// Ring is one node's knowledge of the others. Start makes it, Leave ends it.
type Ring struct {
	cfg     Config
	log     *slog.Logger
	metrics *metrics
	gossip  *memberlist.Memberlist
	address string   // of this node's gossip, as told
	join    []string // Config.Join without this node

	view atomic.Pointer[view]

	mu     sync.Mutex
	board  *board
	closed bool
	there  map[domain.NodeName]string // addresses of the other members
	lost   map[domain.NodeName]string // addresses of members that died without leaving
	rivals map[string]rival           // other processes that call themselves by a name that is taken, by address

	news  chan struct{} // what this node tells has changed
	rival chan memberlist.Node
	stop  context.CancelFunc
	work  sync.WaitGroup
	leave sync.Once
	left  error
}

// view is what there is to know at one moment. It is immutable.
type view struct {
	self     Member
	members  []Member // by name
	serving  []Member // in the order of the owners' indices
	owner    []int16
	standing []fence.Ring
	changed  chan struct{}
}

// Start listens, joins the other nodes as Starting, and returns when each address to join has been tried once. Those that do not answer are tried again
// for ever: a node that starts first is alone. It fails with ErrNameTaken if another living process has the name; if a process of that name and of another
// address has just died, it waits until the others know, at most about ten seconds.
func Start(cfg Config) (*Ring, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg.Settings = cfg.Settings.withDefaults()
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	r := &Ring{
		cfg: cfg, log: cfg.Logger, metrics: newMetrics(cfg.Registerer),
		there: make(map[domain.NodeName]string), lost: make(map[domain.NodeName]string), rivals: make(map[string]rival),
		news: make(chan struct{}, 1), rival: make(chan memberlist.Node, 1),
	}
	ctx, stop := context.WithCancel(context.Background())
	r.stop = stop
	if err := r.listen(ctx); err != nil {
		stop()
		return nil, fmt.Errorf("ring: %w", err)
	}
	r.joinAll(ctx, r.join, slog.LevelWarn)
	doubted, err := r.haveName(ctx)
	if err != nil {
		r.shut()
		return nil, fmt.Errorf("ring: node %s: %w", cfg.Node.Name, err)
	}
	if doubted {
		r.work.Go(func() { r.insist(ctx) })
	}
	r.work.Go(func() { r.tell(ctx) })
	r.work.Go(func() { r.rejoin(ctx) })
	r.work.Go(func() { r.watchRivals(ctx) })
	return r, nil
}

// Self returns this node.
func (r *Ring) Self() Member { return r.view.Load().self }

// Address returns the host:port of this node's gossip, as other nodes are told.
func (r *Ring) Address() string { return r.address }

// Members returns all that live, this node included, by name.
func (r *Ring) Members() []Member { return slices.Clone(r.view.Load().members) }

// Member returns a node that lives.
func (r *Ring) Member(name domain.NodeName) (Member, bool) {
	members := r.view.Load().members
	i, ok := slices.BinarySearchFunc(members, name, func(m Member, n domain.NodeName) int { return strings.Compare(string(m.Name), string(n)) })
	if !ok {
		return Member{}, false
	}
	return members[i], true
}

// Owner returns the node that is to own a partition; ok is false when nobody serves, or there can be no such partition.
func (r *Ring) Owner(p domain.Partition) (owner Member, ok bool) {
	v := r.view.Load()
	if int(p) >= partitions || v.owner[p] < 0 {
		return Member{}, false
	}
	return v.serving[v.owner[p]], true
}

// Standing says what this node is to do about a partition.
func (r *Ring) Standing(p domain.Partition) fence.Ring {
	if int(p) >= partitions {
		return fence.NotNamed
	}
	return r.view.Load().standing[p]
}

// From returns the living node that owned a partition before this one was named, and that has not handed it over yet; ok is false when there is none.
func (r *Ring) From(p domain.Partition) (from Member, ok bool) {
	if int(p) >= partitions {
		return Member{}, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.board.from(int(p))
}

// HandedOver says that the node that From named holds the partition no more: Standing is NamedAtOnce from now on.
func (r *Ring) HandedOver(p domain.Partition) {
	if int(p) < partitions {
		r.change(func(b *board) bool { return b.handedOver(int(p)) })
	}
}

// Changed returns a channel that is closed at the next change of members, states or standings. Take it before the questions.
func (r *Ring) Changed() <-chan struct{} { return r.view.Load().changed }

// Serve lets this node own its share. A node that drains does not serve again.
func (r *Ring) Serve() { r.become(Starting, Serving) }

// Drain lets this node own nothing any more. It still answers, and hands over.
func (r *Ring) Drain() {
	r.become(Starting, Draining)
	r.become(Serving, Draining)
}

func (r *Ring) become(from, to State) {
	if r.change(func(b *board) bool {
		self := b.members[b.self]
		if self.State != from {
			return false
		}
		self.State = to
		return b.set(self)
	}) {
		r.log.Info("this node has another state", "state", to.String())
		poke(r.news)
	}
}

// Leave says good-bye and stops. The first call decides; it returns an error if ctx ended before the good-bye was sent, and has stopped all the same.
func (r *Ring) Leave(ctx context.Context) error {
	r.leave.Do(func() {
		r.Drain()
		r.stop()
		r.work.Wait()
		r.tellLast()
		r.left = r.sayGoodBye(ctx)
		r.shut()
	})
	return r.left
}

// shut ends all without a word, as death does. memberlist does not wait for a probe that is under way, so this does.
func (r *Ring) shut() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.stop()
	r.work.Wait()
	if err := r.gossip.Shutdown(); err != nil {
		r.log.Warn("gossip does not stop", "error", err)
	}
	time.Sleep(slowest * r.cfg.Settings.Probe)
	r.metrics.unregister(r.cfg.Registerer)
}

// change does something to the board, and makes it known if it is new.
func (r *Ring) change(do func(*board) bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || !do(r.board) {
		return false
	}
	r.publish()
	return true
}

// publish makes a view of the board. Call with mu held.
func (r *Ring) publish() {
	b := r.board
	v := &view{self: b.members[b.self], owner: slices.Clone(b.owner), standing: make([]fence.Ring, partitions), changed: make(chan struct{})}
	for _, m := range b.members {
		v.members = append(v.members, m)
	}
	slices.SortFunc(v.members, func(x, y Member) int { return strings.Compare(string(x.Name), string(y.Name)) })
	for _, c := range b.serving {
		v.serving = append(v.serving, b.members[c.node.Name])
	}
	for p := range v.standing {
		v.standing[p] = b.standing(p)
	}
	old := r.view.Swap(v)
	r.metrics.see(v, r.cfg.Partitions)
	if old != nil {
		close(old.changed)
	}
}

// poke leaves a note for who waits; one is enough.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
