package owners_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/fence"
	"parley/domain/message"
	"parley/ingest/control"
	"parley/ingest/owners"
	"parley/ingest/shard"
	"parley/storage/pebble"
)

// fleet is some nodes over one log and store, with a ring that the test turns and links that keep order.
type fleet struct {
	t       *testing.T
	log     *pebble.Log
	control *control.Control
	nodes   []*member
}

// member is one node of a fleet. It is its own Ring and Peers.
type member struct {
	*owners.Owners
	fleet *fleet
	name  domain.NodeName
	links map[domain.NodeName]chan func()

	onReleased func(domain.Partition) error // when another node has released a partition to this one, which hears the error; nil: nothing happens

	slow    atomic.Pointer[chan struct{}] // what this member appends reaches the log when it is closed; nil: at once
	died    chan struct{}                 // closed by kill
	pending sync.Map                      // requests that came here over a link and have no answer: *sync.Once to the answer

	mu      sync.Mutex
	owner   map[domain.Partition]domain.NodeName
	from    map[domain.Partition]domain.NodeName
	at      map[domain.Partition]fence.Ring
	changed chan struct{}
}

// Owner implements owners.Ring.
func (m *member) Owner(p domain.Partition) (domain.NodeName, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.owner[p], true
}

// Standing implements owners.Ring.
func (m *member) Standing(p domain.Partition) fence.Ring {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.at[p]
}

// From implements owners.Ring.
func (m *member) From(p domain.Partition) (domain.NodeName, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.from[p], m.from[p] != ""
}

// HandedOver implements owners.Ring.
func (m *member) HandedOver(p domain.Partition) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.from[p] = ""
	if m.at[p] == fence.Named {
		m.at[p] = fence.NamedAtOnce
	}
	m.wake()
}

// Changed implements owners.Ring.
func (m *member) Changed() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.changed
}

func (m *member) wake() {
	close(m.changed)
	m.changed = make(chan struct{})
}

// learn tells a node that a partition has another owner.
func (m *member) learn(p domain.Partition, owner, before domain.NodeName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.owner[p] = owner
	switch {
	case owner != m.name:
		m.at[p], m.from[p] = fence.NotNamed, ""
	case before == m.name || before == "":
		m.at[p] = fence.NamedAtOnce
	default:
		m.at[p], m.from[p] = fence.Named, before
	}
	m.wake()
}

// Submit implements owners.Peers.
func (m *member) Submit(to domain.NodeName, req domain.Request, hops int) {
	other := m.fleet.node(to)
	req = other.owes(req)
	m.links[to] <- func() {
		if m.dead() || other.dead() {
			other.breakOff()
			return
		}
		other.SubmitHere(req, hops)
	}
}

// Heads implements owners.Peers.
func (m *member) Heads(ctx context.Context, to domain.NodeName, ids []domain.StreamID) ([]domain.Row, error) {
	return m.fleet.node(to).HeadsHere(ctx, ids)
}

// Rows implements owners.Peers.
func (m *member) Rows(ctx context.Context, to domain.NodeName, id domain.StreamID, parts []domain.PartID) ([]domain.Row, error) {
	return m.fleet.node(to).RowsHere(ctx, id, parts)
}

// Release implements owners.Peers.
func (m *member) Release(ctx context.Context, to domain.NodeName, p domain.Partition) error {
	other := m.fleet.node(to)
	if other.dead() {
		return errDead
	}
	err := other.Owners.Release(ctx, p)
	if err == nil && m.onReleased != nil {
		err = m.onReleased(p)
	}
	return err
}

func (f *fleet) node(name domain.NodeName) *member {
	for _, m := range f.nodes {
		if m.name == name {
			return m
		}
	}
	return nil
}

// newFleet starts n nodes; the first owns everything.
func newFleet(t *testing.T, n int) *fleet {
	return newFleetWith(t, n, shard.Settings{})
}

func newFleetWith(t *testing.T, n int, set shard.Settings, with ...func(*owners.Config)) *fleet {
	dir := t.TempDir()
	log, err := pebble.OpenLog(filepath.Join(dir, "log"), pebble.Options{})
	require.NoError(t, err)
	store, err := pebble.OpenStore(filepath.Join(dir, "store"), pebble.Options{})
	require.NoError(t, err)
	c := control.New(log, slog.New(slog.DiscardHandler), time.Now)
	require.NoError(t, c.Load(t.Context()))
	slots, err := c.EnsureSlotMap(t.Context(), 3, 1)
	require.NoError(t, err)
	f := &fleet{t: t, log: log, control: c}
	ctx, cancel := context.WithCancel(t.Context())
	var runs, links sync.WaitGroup
	for i := range n {
		m := &member{
			fleet: f, name: domain.NodeName(fmt.Sprintf("n%d", i)), links: map[domain.NodeName]chan func(){}, changed: make(chan struct{}), died: make(chan struct{}),
			owner: map[domain.Partition]domain.NodeName{}, from: map[domain.Partition]domain.NodeName{}, at: map[domain.Partition]fence.Ring{},
		}
		for _, p := range slots.Partitions() {
			m.learn(p, "n0", "")
		}
		for j := range n {
			link := make(chan func(), 4096)
			m.links[domain.NodeName(fmt.Sprintf("n%d", j))] = link
			links.Go(func() {
				for do := range link {
					do()
				}
			})
		}
		cfg := owners.Config{
			Node: m.name, Control: c, Log: mortalLog{log, m}, Store: mortalStore{store, m}, Ring: m, Peers: m, Shard: set,
			Feed:  func(p domain.Partition) shard.Feed { return oneFeed{&feeds{n: map[domain.Partition]int{}}, p} },
			Rules: func(domain.Kind) domain.Rules { return conversation.NewRules(message.DefaultLimits) },
		}
		for _, w := range with {
			w(&cfg)
		}
		m.Owners, err = owners.New(cfg)
		require.NoError(t, err)
		f.nodes = append(f.nodes, m)
	}
	for _, m := range f.nodes {
		runs.Go(func() { _ = m.Run(ctx) })
	}
	t.Cleanup(func() {
		cancel()
		runs.Wait()
		for _, m := range f.nodes {
			for _, l := range m.links {
				close(l)
			}
		}
		links.Wait()
		require.NoError(t, log.Close())
		require.NoError(t, store.Close())
	})
	return f
}

// send sends messages from one user to another, a window of them at once, and checks that they are accepted in order.
func (f *fleet) send(i, each, window int) (longest time.Duration) {
	from, to := domain.UserID(fmt.Sprintf("a%d", i)), domain.UserID(fmt.Sprintf("b%d", i))
	stream := domain.DirectStream(app, from, to)
	node := f.nodes[i%len(f.nodes)]
	type answer struct {
		n int
		r domain.Result
		d time.Duration
	}
	answers := make(chan answer, each)
	slots := make(chan struct{}, window)
	go func() {
		for n := 1; n <= each; n++ {
			slots <- struct{}{}
			body := fmt.Appendf(nil, "%d", n)
			begin := time.Now()
			node.Owners.Submit(domain.Request{
				Stream: stream, Deadline: begin.Add(20 * time.Second),
				Command: conversation.SendMessage{
					Sender:   conversation.Sender{User: from, Incarnation: 1, Resource: "web", ClientID: uint64(n), Hash: message.Hash(body)},
					To:       conversation.Recipient{User: to, Incarnation: 1},
					Envelope: message.Envelope{Kind: message.Text, Size: len(body)}, Body: body,
				},
				Done: func(r domain.Result) {
					answers <- answer{n, r, time.Since(begin)}
					<-slots
				},
			})
			time.Sleep(time.Millisecond)
		}
	}()
	for range each {
		a := <-answers
		longest = max(longest, a.d)
		if a.r.Err != nil || a.r.Seq != domain.Seq(a.n) || a.r.Repeat {
			f.t.Errorf("message %d of %s: seq %d, repeat %t, %v", a.n, from, a.r.Seq, a.r.Repeat, a.r.Err)
		}
	}
	return longest
}
