package rpc_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"parley/delivery/directory"
	"parley/delivery/router"
	"parley/delivery/rpc"
	"parley/domain"
)

// TestMain keeps the law short: it has real connections. -rapid.checks on the command line counts.
func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", "30"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

var (
	_ rpc.Party = (*directory.Directory)(nil)
	_ rpc.Party = (*router.Router)(nil)
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// lives numbers the lives of all nodes.
var lives atomic.Uint64

// node is a life of a node, with its server.
type node struct {
	domain.Node
	links  *rpc.Links
	reg    *prometheus.Registry
	server *grpc.Server
	addr   string
	conns  func() []*grpc.ClientConn
	stop   func()
}

// start starts a node that reaches others at the addresses that dial answers.
func start(name domain.NodeName, dial func(domain.NodeName) string, set rpc.Settings, parties map[rpc.Kind]rpc.Party, change ...func(*rpc.Config)) *node {
	n := &node{Node: domain.Node{Name: name, Life: lives.Add(1)}, reg: prometheus.NewRegistry()}
	var mu sync.Mutex
	conns := map[domain.NodeName]*grpc.ClientConn{}
	n.conns = func() []*grpc.ClientConn { mu.Lock(); defer mu.Unlock(); return slices.Collect(maps.Values(conns)) }
	cfg := rpc.Config{
		Self: n.Node, Parties: parties, Settings: set, Logger: slog.New(slog.DiscardHandler), Registerer: n.reg,
		Dial: func(to domain.NodeName) (*grpc.ClientConn, error) {
			mu.Lock()
			defer mu.Unlock()
			if conns[to] == nil {
				options := append(rpc.DialOptions(), grpc.WithTransportCredentials(insecure.NewCredentials()))
				conns[to] = must(grpc.NewClient("passthrough:///"+dial(to), options...))
			}
			return conns[to], nil
		},
	}
	for _, f := range change {
		f(&cfg)
	}
	n.links = rpc.New(cfg)
	n.server = grpc.NewServer(rpc.ServerOptions()...)
	rpc.Register(n.server, n.links)
	l := must(net.Listen("tcp", "127.0.0.1:0"))
	n.addr = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := n.server.Serve(l); !errors.Is(err, grpc.ErrServerStopped) { // stopped before it began
			must(0, err)
		}
	})
	wg.Go(func() { must(0, n.links.Run(ctx)) })
	n.stop = sync.OnceFunc(func() {
		cancel()
		n.server.Stop()
		wg.Wait()
		for _, c := range n.conns() {
			must(0, c.Close())
		}
	})
	return n
}

// value is the sum of a metric over its labels of which one is as given; "": all.
func (n *node) value(name, label string) (sum float64) {
	for _, f := range must(n.reg.Gather()) {
		if f.GetName() != "parley_links_"+name {
			continue
		}
		for _, m := range f.GetMetric() {
			is := label == ""
			for _, l := range m.GetLabel() {
				is = is || l.GetValue() == label
			}
			if is {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

func eventually(t require.TestingT, what func() error) {
	var err error
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if err = what(); err == nil {
			return
		}
	}
	require.NoError(t, err)
}

// book is a party of which every node has a set of words. It checks how it is called.
type book struct {
	t    testing.TB
	tell func(fact []byte)
	slow chan struct{} // not nil: Apply waits for it to be closed

	mu       sync.Mutex
	own      map[string]bool
	heard    map[domain.Node]*pages
	snapshot func() // called while one runs
	gone     map[domain.Node]int
}

type pages struct {
	words, fresh map[string]bool // fresh: of the snapshot that runs; nil: none does
	begun        int
	busy         atomic.Bool
}

func newBook(t testing.TB) *book {
	return &book{t: t, own: map[string]bool{}, heard: map[domain.Node]*pages{}, gone: map[domain.Node]int{}}
}

func (b *book) set(word string, there bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	sign := "-"
	if b.own[word] = there; there {
		sign = "+"
	} else {
		delete(b.own, word)
	}
	b.tell([]byte(sign + word))
}

// slowly has Apply wait.
func (b *book) slowly(until chan struct{}) { b.mu.Lock(); defer b.mu.Unlock(); b.slow = until }

func (b *book) Snapshot(send func([]byte)) {
	b.mu.Lock()
	own, during := slices.Sorted(maps.Keys(b.own)), b.snapshot
	b.mu.Unlock()
	for i, w := range own {
		send([]byte("+" + w))
		if i == len(own)/2 && during != nil {
			during()
		}
	}
}

// of returns what is known of a node; the calls for it must come one at a time.
func (b *book) of(n domain.Node) (p *pages, done func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p = b.heard[n]; p == nil {
		p = &pages{words: map[string]bool{}}
		b.heard[n] = p
	}
	if !p.busy.CompareAndSwap(false, true) {
		b.t.Error("two calls about one node at once")
	}
	return p, func() { p.busy.Store(false) }
}

func (b *book) Begin(n domain.Node) {
	p, done := b.of(n)
	defer done()
	b.mu.Lock()
	defer b.mu.Unlock()
	p.begun++
	p.fresh = map[string]bool{}
}

func (b *book) Apply(n domain.Node, fact []byte) error {
	p, done := b.of(n)
	defer done()
	b.mu.Lock()
	slow := b.slow
	b.mu.Unlock()
	if slow != nil {
		<-slow
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if p.begun == 0 {
		b.t.Error("a fact before a snapshot, or of one who is gone")
	}
	word := string(fact[1:])
	switch fact[0] {
	case '+':
		p.words[word] = true
		if p.fresh != nil {
			p.fresh[word] = true
		}
	case '-':
		delete(p.words, word)
	default:
		return fmt.Errorf("not a word")
	}
	return nil
}

func (b *book) End(n domain.Node) {
	p, done := b.of(n)
	defer done()
	b.mu.Lock()
	defer b.mu.Unlock()
	if p.fresh == nil {
		b.t.Error("an end without a beginning")
	}
	p.words, p.fresh = p.fresh, nil
}

func (b *book) Gone(n domain.Node) {
	p, done := b.of(n)
	defer done()
	b.mu.Lock()
	defer b.mu.Unlock()
	if p.begun == 0 {
		b.t.Error("gone, and never there")
	}
	delete(b.heard, n)
	b.gone[n]++
}

// knows tells what is known of a node; nil: nothing was heard.
func (b *book) knows(n domain.Node) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p := b.heard[n]; p != nil {
		return append([]string{}, slices.Sorted(maps.Keys(p.words))...)
	}
	return nil
}

func (b *book) timesGone(n domain.Node) int { b.mu.Lock(); defer b.mu.Unlock(); return b.gone[n] }

func (b *book) begun(n domain.Node) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p := b.heard[n]; p != nil {
		return p.begun
	}
	return 0
}

// pair is a node that tells another, with a pipe between them. The other tells it over a connection of its own.
type pair struct {
	t      *testing.T
	a, b   *node
	to     *pipe
	ta, tb *book
}

func settings() rpc.Settings {
	s := rpc.DefaultSettings()
	s.Retry = 5 * time.Millisecond
	return s
}

func newPair(t *testing.T, set rpc.Settings) *pair {
	p := &pair{t: t, to: newPipe(), ta: newBook(t), tb: newBook(t)}
	p.a = start("a", func(domain.NodeName) string { return p.to.listener.Addr().String() }, set, map[rpc.Kind]rpc.Party{rpc.Sessions: p.ta})
	p.ta.tell = func(f []byte) { p.a.links.Tell(rpc.Sessions, f) }
	p.startB(set)
	t.Cleanup(func() { p.a.stop(); p.b.stop(); p.to.close() })
	return p
}

// startB starts a life of b.
func (p *pair) startB(set rpc.Settings) {
	p.b = start("b", func(domain.NodeName) string { return p.a.addr }, set, map[rpc.Kind]rpc.Party{rpc.Sessions: p.tb})
	p.tb.tell = func(f []byte) { p.b.links.Tell(rpc.Sessions, f) }
	p.to.leads(p.b.addr)
}

// meet makes both members for each other.
func (p *pair) meet() {
	p.a.links.Members([]domain.Node{p.b.Node, p.a.Node})
	p.b.links.Members([]domain.Node{p.a.Node, p.b.Node})
}

// hears waits until b knows just these words of a.
func (p *pair) hears(words ...string) {
	p.t.Helper()
	eventually(p.t, func() error {
		if got := p.tb.knows(p.a.Node); !slices.Equal(got, words) {
			return fmt.Errorf("%q are known, not %q", got, words)
		}
		return nil
	})
}
