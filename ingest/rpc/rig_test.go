package rpc_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"parley/domain"
	"parley/ingest/rpc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// owner is a node whose answers a test gives.
type owner struct {
	submit  func(req domain.Request, hops int) // called by the reader of each link, in turn
	heads   func(ctx context.Context, ids []domain.StreamID) ([]domain.Row, error)
	rows    func(ctx context.Context, stream domain.StreamID, parts []domain.PartID) ([]domain.Row, error)
	release func(ctx context.Context, p domain.Partition) error
	wait    func(ctx context.Context, positions map[domain.Partition]domain.Index, names []string) error
	operate http.HandlerFunc
}

func (o *owner) SubmitHere(req domain.Request, hops int) { o.submit(req, hops) }

func (o *owner) HeadsHere(ctx context.Context, ids []domain.StreamID) ([]domain.Row, error) {
	return o.heads(ctx, ids)
}

func (o *owner) RowsHere(ctx context.Context, stream domain.StreamID, parts []domain.PartID) ([]domain.Row, error) {
	return o.rows(ctx, stream, parts)
}

func (o *owner) Release(ctx context.Context, p domain.Partition) error { return o.release(ctx, p) }

func (o *owner) WaitHere(ctx context.Context, positions map[domain.Partition]domain.Index, names []string) error {
	return o.wait(ctx, positions, names)
}

// far is a node over loopback that can be stopped, started again, and whose connections can be cut.
type far struct {
	t     testing.TB
	owner *owner
	set   rpc.Settings
	addr  string

	mu     sync.Mutex
	server *grpc.Server
	served chan struct{}
	conns  map[net.Conn]struct{}
}

func newFar(t testing.TB, o *owner, set rpc.Settings) *far {
	t.Helper()
	f := &far{t: t, owner: o, set: set, addr: "127.0.0.1:0", conns: make(map[net.Conn]struct{})}
	f.start()
	t.Cleanup(f.stop)
	return f
}

func (f *far) start() {
	var lc net.ListenConfig
	lis, err := lc.Listen(f.t.Context(), "tcp", f.addr)
	require.NoError(f.t, err)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.addr = lis.Addr().String()
	f.server, f.served = grpc.NewServer(), make(chan struct{})
	rpc.Register(f.server, rpc.ServerConfig{
		Owners: f.owner, Projections: f.owner, Operator: f.owner.operate, Settings: f.set, Registerer: prometheus.NewRegistry(),
	})
	server, served := f.server, f.served
	go func() {
		defer close(served)
		_ = server.Serve(&cuttable{lis, f})
	}()
}

func (f *far) stop() {
	f.mu.Lock()
	server, served := f.server, f.served
	f.server = nil
	f.mu.Unlock()
	if server != nil {
		server.Stop()
		<-served
	}
}

// cut closes all connections.
func (f *far) cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.conns {
		_ = c.Close()
	}
	clear(f.conns)
}

type cuttable struct {
	net.Listener
	f *far
}

func (c *cuttable) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err == nil {
		c.f.mu.Lock()
		defer c.f.mu.Unlock()
		c.f.conns[conn] = struct{}{}
	}
	return conn, err
}

const there = domain.NodeName("n2")

var errNoNode = errors.New("no such node")

// near returns running peers that know the node "n2", and what stops them.
func near(t testing.TB, f *far, set rpc.Settings) (*rpc.Peers, func()) {
	t.Helper()
	conn, err := grpc.NewClient(f.addr, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithConnectParams(rpc.ConnectParams()))
	require.NoError(t, err)
	return peersOver(t, conn, set)
}

func peersOver(t testing.TB, conn *grpc.ClientConn, set rpc.Settings) (*rpc.Peers, func()) {
	t.Helper()
	p := rpc.NewPeers(rpc.PeersConfig{
		Dial: func(n domain.NodeName) (*grpc.ClientConn, error) {
			if n != there {
				return nil, errNoNode
			}
			return conn, nil
		},
		Settings: set, Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-done)
		require.NoError(t, conn.Close())
	})
	t.Cleanup(stop)
	return p, stop
}

// echo answers each command at once, with its own number as seq.
func echo(req domain.Request, _ int) {
	req.Done(domain.Result{Seq: domain.Seq(clientID(req.Command)), T: 1})
}

// tally counts answers, per request.
type tally struct {
	answers []atomic.Int32
	codes   []atomic.Value
	left    sync.WaitGroup
}

func newTally(n int) *tally {
	c := &tally{answers: make([]atomic.Int32, n), codes: make([]atomic.Value, n)}
	c.left.Add(n)
	return c
}

func (c *tally) done(i int) func(domain.Result) {
	return func(r domain.Result) {
		c.codes[i].Store(domain.CodeOf(r.Err))
		if c.answers[i].Add(1) == 1 {
			c.left.Done()
		}
	}
}

// wait waits for one answer of each, and a little for second ones, which must not come. It returns how often which code was answered.
func (c *tally) wait(t testing.TB, atMost time.Duration) map[domain.Code]int {
	t.Helper()
	all := make(chan struct{})
	go func() { c.left.Wait(); close(all) }()
	select {
	case <-all:
	case <-time.After(atMost):
		missing := 0
		for i := range c.answers {
			if c.answers[i].Load() == 0 {
				missing++
			}
		}
		t.Fatalf("%d of %d have no answer", missing, len(c.answers))
	}
	codes := make(map[domain.Code]int)
	for i := range c.answers {
		require.EqualValues(t, 1, c.answers[i].Load(), "answers of request %d", i)
		codes[c.codes[i].Load().(domain.Code)]++ //nolint:forcetypeassert // stored above
	}
	return codes
}
