package ring

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/stretchr/testify/require"

	"parley/domain"
)

// These tests gossip over loopback. What takes a probe or two may take much longer on a loaded machine, and a node that gets no processor for a second is no
// dead one, unless the test is about that.
const (
	patience = time.Minute
	calm     = 10 // probes
)

var clusterKey = bytes.Repeat([]byte{7}, 32)

func config(name string, life uint64, join ...string) Config {
	return Config{
		Node: domain.Node{Name: domain.NodeName(name), Life: life}, Number: domain.FirstNode + domain.Partition(name[0]-'a'),
		Listen: "127.0.0.1:0", RPC: "127.0.0.1:1", Join: join, Key: clusterKey, Settings: Settings{Rejoin: time.Second, Suspicion: calm},
	}
}

func start(t *testing.T, cfg Config) *Ring {
	t.Helper()
	r, err := Start(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = r.Leave(context.WithoutCancel(t.Context())) })
	return r
}

// serving starts nodes of these names, each of which joins the first, and waits until all agree.
func serving(t *testing.T, names ...string) []*Ring {
	t.Helper()
	return servingWith(t, func(*Config) {}, names...)
}

func servingWith(t *testing.T, with func(*Config), names ...string) []*Ring {
	t.Helper()
	var rings []*Ring
	for _, n := range names {
		cfg := config(n, 1)
		with(&cfg)
		if len(rings) > 0 {
			cfg.Join = []string{rings[0].Address()}
		}
		r := start(t, cfg)
		r.Serve()
		rings = append(rings, r)
	}
	agree(t, rings, Serving, names...)
	return rings
}

// kill ends a node as kill -9 does.
func kill(r *Ring) { r.leave.Do(r.shut) }

// agree waits until all rings see exactly these members, in this state.
func agree(t *testing.T, rings []*Ring, s State, names ...string) {
	t.Helper()
	for _, r := range rings {
		until(t, r, func() bool {
			ms := r.Members()
			for i, m := range ms {
				if len(ms) != len(names) || string(m.Name) != names[i] || m.State != s {
					return false
				}
			}
			return len(ms) == len(names)
		}, fmt.Sprint(s, " ", names))
	}
}

// until waits for the ring to say that something has changed, and looks.
func until(t *testing.T, r *Ring, is func() bool, what string) {
	t.Helper()
	limit := time.After(patience)
	for {
		changed := r.Changed()
		if is() {
			return
		}
		select {
		case <-changed:
		case <-limit:
			t.Fatalf("%s never sees %s: it sees %v", r.Self().Name, what, r.Members())
		}
	}
}

// network cuts nodes off from each other: what a node sends to an address that is cut is lost.
type network struct {
	mu  sync.Mutex
	cut map[[2]string]bool // from, to
}

func newNetwork() *network { return &network{cut: make(map[[2]string]bool)} }

func (n *network) set(cut bool, a, b *Ring) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut[[2]string{a.Address(), b.Address()}] = cut
	n.cut[[2]string{b.Address(), a.Address()}] = cut
}

func (n *network) lost(from, to string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cut[[2]string{from, to}]
}

func (n *network) wrap(t memberlist.NodeAwareTransport) memberlist.NodeAwareTransport {
	ip, port, err := t.FinalAdvertiseAddr("", 0)
	if err != nil {
		panic(err)
	}
	return &wire{t, n, (&net.TCPAddr{IP: ip, Port: port}).String()}
}

// wire is one node's way into the network.
type wire struct {
	memberlist.NodeAwareTransport
	net  *network
	self string
}

var errCut = errors.New("no route")

func (w *wire) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	if w.net.lost(w.self, a.Addr) {
		return time.Now(), nil
	}
	return w.NodeAwareTransport.WriteToAddress(b, a)
}

func (w *wire) WriteTo(b []byte, a string) (time.Time, error) {
	return w.WriteToAddress(b, memberlist.Address{Addr: a})
}

func (w *wire) DialAddressTimeout(a memberlist.Address, d time.Duration) (net.Conn, error) {
	if w.net.lost(w.self, a.Addr) {
		return nil, errCut
	}
	return w.NodeAwareTransport.DialAddressTimeout(a, d)
}

func (w *wire) DialTimeout(a string, d time.Duration) (net.Conn, error) {
	return w.DialAddressTimeout(memberlist.Address{Addr: a}, d)
}

// lines keeps what is logged.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) has(s string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Contains(l.text.Bytes(), []byte(s))
}

func (l *lines) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }
