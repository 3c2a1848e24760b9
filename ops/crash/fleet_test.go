package crash

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"parley/ops/bench"
)

// What all nodes of a fleet know. It is worth nothing outside a test.
const (
	fleetKey   = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
	fleetAdmin = "a fleet that is broken on purpose"
)

// parts is how many partitions there are in a rig.
const parts = chats + 2

// fleet is several nodes of parley on the engines of a rig, behind a balancer.
type fleet struct {
	r        *rig
	nodes    []*server
	worlds   web // nil: all in the machine's own network
	balancer *balancer
	target   bench.Target // the balancer
}

// newFleet starts n nodes; one of them alone is told of no cluster. With worlds each gets one.
func (r *rig) newFleet(n int, worlds web) *fleet {
	r.t.Helper()
	f := &fleet{r: r, worlds: worlds}
	var gossip, rpc []string
	for i := range n {
		host := "127.0.0.1"
		if worlds != nil {
			host = worlds.address(i)
		}
		gossip, rpc = append(gossip, fmt.Sprintf("%s:%d", host, freePort(r.t))), append(rpc, fmt.Sprintf("%s:%d", host, freePort(r.t)))
	}
	var backends []*backend
	for i := range n {
		s := f.prepare(i, n, gossip, rpc)
		s.start()
		if i == 0 {
			s.readTarget(filepath.Join(s.data, "dev.json"))
			f.keepDev(s)
		}
		f.nodes = append(f.nodes, s)
		backends = append(backends, &backend{name: fmt.Sprintf("n%d", i+1), ready: "http://" + s.admin + "/readyz", addr: s.listen, dial: s.dial})
	}
	f.balancer = newBalancer(r.t, backends...)
	f.target = f.nodes[0].target
	f.target.REST, f.target.WS, f.target.Admin = "http://"+f.balancer.addr, "ws://"+f.balancer.addr+"/ws", ""
	r.fleet = f
	f.settle(r.t)
	return f
}

// prepare makes node i of n without starting it.
func (f *fleet) prepare(i, n int, gossip, rpc []string) *server {
	r := f.r
	r.t.Helper()
	name := fmt.Sprintf("n%d", i+1)
	data := filepath.Join(r.t.TempDir(), name)
	if err := os.MkdirAll(data, 0o700); err != nil {
		r.t.Fatal(err)
	}
	if r.dev != nil {
		if err := os.WriteFile(filepath.Join(data, "dev.json"), r.dev, 0o600); err != nil {
			r.t.Fatal(err)
		}
	}
	env := append([]string{"PARLEY_TOKEN_KEY=" + fleetKey, "PARLEY_ADMIN_KEY=" + fleetAdmin}, r.env...)
	if n > 1 {
		var others []string
		for k, addr := range gossip {
			if k != i {
				others = append(others, addr)
			}
		}
		env = append(env, "PARLEY_CLUSTER_NODE="+name, "PARLEY_CLUSTER_KEY="+fleetKey, "PARLEY_CLUSTER_GOSSIP="+gossip[i],
			"PARLEY_CLUSTER_RPC="+rpc[i], "PARLEY_CLUSTER_JOIN="+strings.Join(others, ","))
	}
	s := prepareServer(r.t, r.bin, data, env...)
	s.limit = enginesLimit
	s.listen, s.admin = fmt.Sprintf("127.0.0.1:%d", freePort(r.t)), fmt.Sprintf("127.0.0.1:%d", freePort(r.t))
	if f.worlds != nil {
		s.place = f.worlds[i]
		for _, addr := range append(r.kafka.Addrs(), r.cassandra.Addrs()...) {
			newPipes(r.t).bring(r.t, s.place, addr)
		}
	}
	return s
}

// keepDev keeps what the first node has made, for all that follow.
func (f *fleet) keepDev(s *server) {
	f.r.t.Helper()
	var err error
	if f.r.dev, err = os.ReadFile(filepath.Join(s.data, "dev.json")); err != nil {
		f.r.t.Fatal(err)
	}
}

// freePort finds a port below those that the system gives out by itself, free for TCP and UDP.
func freePort(t *testing.T) int {
	t.Helper()
	for range 100 {
		port := 24000 + rand.IntN(5000)
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", addr)
		if err != nil {
			continue
		}
		p, udp := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", addr)
		_ = l.Close()
		if udp == nil {
			_ = p.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

// claim is what a node says when it owns a partition.
type claim struct {
	Msg       string `json:"msg"`
	Partition int    `json:"partition"`
	Term      int    `json:"term"`
	node      int
}

// owners tells who owns what, as the nodes have said: the highest term counts.
func (f *fleet) owners() map[int]claim {
	out := map[int]claim{}
	for i, s := range f.nodes {
		b, err := os.ReadFile(s.log.Name())
		if err != nil {
			s.t.Error(err)
		}
		for line := range strings.Lines(string(b)) {
			c := claim{node: i}
			if !strings.Contains(line, `"partition owned"`) || json.Unmarshal([]byte(line), &c) != nil {
				continue
			}
			if c.Term >= out[c.Partition].Term {
				out[c.Partition] = c
			}
		}
	}
	return out
}

// owned returns what a node owns.
func (f *fleet) owned(node int) (partitions []int) {
	for p, c := range f.owners() {
		if c.node == node {
			partitions = append(partitions, p)
		}
	}
	return partitions
}

// busiest returns the node that owns most, and what.
func (f *fleet) busiest() (node int, owns []int) {
	for i := range f.nodes {
		if o := f.owned(i); len(o) > len(owns) {
			node, owns = i, o
		}
	}
	return node, owns
}

// takenOver waits until a node owns nothing any more, and returns how long that took.
func (f *fleet) takenOver(t *testing.T, node int, limit time.Duration) time.Duration {
	t.Helper()
	for begin := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		left := len(f.owned(node))
		if left == 0 || time.Since(begin) > limit {
			if left > 0 {
				t.Errorf("%s after its node was gone %d partitions are not taken over", limit, left)
			}
			return time.Since(begin)
		}
	}
}

// settle waits until all nodes are ready and partitions have not moved for a while.
func (f *fleet) settle(t *testing.T) {
	t.Helper()
	terms := func() (sum int) {
		for _, c := range f.owners() {
			sum += c.Term
		}
		return sum
	}
	begin := time.Now()
	for quiet, was := begin, -1; ; time.Sleep(50 * time.Millisecond) {
		ok, reasons := f.r.ready()
		if is := terms(); is != was || !ok {
			quiet, was = time.Now(), is
		}
		if time.Since(quiet) > 1500*time.Millisecond {
			break
		}
		if time.Since(begin) > time.Minute {
			t.Fatalf("the fleet does not come to rest within a minute: ready %v %q, owners %v", ok, reasons, f.owners())
		}
	}
	if n := len(f.owners()); n != parts {
		t.Errorf("%d partitions are owned, want %d", n, parts)
	}
}

// close ends all nodes in good order.
func (f *fleet) close(t *testing.T) {
	t.Helper()
	for _, s := range f.nodes {
		s.t = t
		if s.cmd != nil {
			s.stop()
		}
	}
	f.r.fleet = nil
}

// gone waits until the balancer has noticed that a node is not ready.
func (f *fleet) gone(t *testing.T, node int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	for f.balancer.backends[node].up.Load() {
		select {
		case <-ctx.Done():
			t.Errorf("the balancer still believes in node %d", node+1)
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}
