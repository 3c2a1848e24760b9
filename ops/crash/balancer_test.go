package crash

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// What the balancer asks, as balancers are set.
const (
	askEvery = 200 * time.Millisecond
	askLimit = time.Second
)

// backend is a node as the balancer knows it.
type backend struct {
	name  string
	ready string // URL
	addr  string // where clients are sent
	dial  func(ctx context.Context, network, addr string) (net.Conn, error)

	up     atomic.Bool
	opened atomic.Int64 // connections
}

// balancer is what stands before several nodes: it sends new connections to those that call themselves ready, in turn, and leaves a
// connection where it is.
type balancer struct {
	addr     string
	backends []*backend
	turn     atomic.Uint64
	refused  atomic.Int64 // connections for which nobody was there
}

// newBalancer serves until the test ends.
func newBalancer(t *testing.T, backends ...*backend) *balancer {
	t.Helper()
	b := &balancer{backends: backends}
	l, err := (*world)(nil).listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.addr = l.Addr().String()
	newPipes(t).serve(t, l, b.connect)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for _, to := range backends {
		wg.Go(func() { to.watch(ctx) })
	}
	t.Cleanup(func() { stop(); wg.Wait() })
	return b
}

// watch asks until ctx ends.
func (to *backend) watch(ctx context.Context) {
	client := &http.Client{Timeout: askLimit, Transport: &http.Transport{DialContext: to.dial, DisableKeepAlives: true}}
	for ctx.Err() == nil {
		to.up.Store(to.ask(ctx, client))
		select {
		case <-ctx.Done():
		case <-time.After(askEvery):
		}
	}
}

func (to *backend) ask(ctx context.Context, client *http.Client) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, to.ready, nil)
	if err != nil {
		return false
	}
	resp, err := client.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// connect opens a connection to the next node that is ready and answers.
func (b *balancer) connect() (net.Conn, error) {
	n := uint64(len(b.backends))
	first := b.turn.Add(1)
	for i := range n {
		to := b.backends[(first+i)%n]
		if !to.up.Load() {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), askLimit)
		c, err := to.dial(ctx, "tcp", to.addr)
		cancel()
		if err == nil {
			to.opened.Add(1)
			return c, nil
		}
	}
	b.refused.Add(1)
	return nil, errors.New("nobody is ready")
}
