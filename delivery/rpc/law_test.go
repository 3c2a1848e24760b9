package rpc_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"parley/delivery/directory"
	"parley/delivery/rpc"
	"parley/domain"
)

// socket is a session that does what a gateway's does when it is kicked.
type socket struct {
	info directory.Info
	key  directory.Key
	dir  *directory.Directory
}

func (s *socket) Info() directory.Info                { return s.info }
func (s *socket) Deliver(*directory.Delivery)         {}
func (s *socket) DeliverVolatile(*directory.Delivery) {}

func (s *socket) Kick(directory.KickReason, string) { s.dir.Detach(s.key, s) }

// world is three nodes that know who is online, with a pipe for each direction between two.
type world struct {
	nodes map[domain.NodeName]*resident
	pipes map[[2]domain.NodeName]*pipe
	wg    sync.WaitGroup
}

// resident is a node of the world.
type resident struct {
	*node
	dir   *directory.Directory
	knows map[domain.NodeName]bool // its members
}

var names = []domain.NodeName{"a", "b", "c"}

func newWorld() *world {
	w := &world{nodes: map[domain.NodeName]*resident{}, pipes: map[[2]domain.NodeName]*pipe{}}
	for _, from := range names {
		for _, to := range names {
			if from != to {
				w.pipes[[2]domain.NodeName{from, to}] = newPipe()
			}
		}
	}
	for _, n := range names {
		w.begin(n)
	}
	return w
}

// begin starts a life of a node.
func (w *world) begin(name domain.NodeName) {
	r := &resident{knows: map[domain.NodeName]bool{}}
	r.dir = directory.New(directory.Telling(func(f []byte) { r.links.Tell(rpc.Sessions, f) }))
	r.node = start(name, func(to domain.NodeName) string { return w.pipes[[2]domain.NodeName{name, to}].listener.Addr().String() },
		settings(), map[rpc.Kind]rpc.Party{rpc.Sessions: r.dir})
	w.nodes[name] = r
	for _, from := range names {
		if from != name {
			w.pipes[[2]domain.NodeName{from, name}].leads(r.addr)
		}
	}
	for _, n := range names {
		if w.nodes[n] != nil && n != name {
			w.nodes[n].knows[name], r.knows[n] = true, true
		}
	}
	w.members()
}

func (w *world) end(name domain.NodeName) {
	r := w.nodes[name]
	delete(w.nodes, name)
	w.wg.Go(r.stop)
	for _, o := range w.nodes {
		delete(o.knows, name)
	}
	w.members()
}

// members says who lives, as each node believes it.
func (w *world) members() {
	for _, r := range w.nodes {
		var living []domain.Node
		for n := range r.knows {
			living = append(living, w.nodes[n].Node)
		}
		r.links.Members(living)
	}
}

func (w *world) close() {
	for _, p := range w.pipes {
		p.close()
	}
	for _, r := range w.nodes {
		w.wg.Go(r.stop)
	}
	w.wg.Wait()
}

const devicesPerOS = 3

var users = []directory.Key{{App: "o#a", User: "alice"}, {App: "o#a", User: "bob"}, {App: "o#b", User: "alice"}}

// step does something somewhere.
func (w *world) step(t *rapid.T) {
	name := rapid.SampledFrom(names).Draw(t, "node")
	r := w.nodes[name]
	way := [2]domain.NodeName{name, rapid.SampledFrom(slices.DeleteFunc(slices.Clone(names), func(n domain.NodeName) bool { return n == name })).Draw(t, "other")}
	k := rapid.SampledFrom(users).Draw(t, "user")
	switch rapid.IntRange(0, 19).Draw(t, "step") {
	default:
		s := &socket{key: k, dir: r.dir, info: directory.Info{
			Resource: domain.Resource(fmt.Sprint("r", rapid.IntRange(0, 9).Draw(t, "resource"))), Platform: "web",
			Since: time.UnixMilli(int64(rapid.IntRange(0, 5).Draw(t, "since"))), Incarnation: 1,
		}}
		for _, o := range r.dir.Attach(k, s, devicesPerOS, "") {
			o.Kick(directory.KickAnotherDevice, "")
		}
	case 0, 1, 2, 3, 4:
		if all := r.dir.Sessions(k); len(all) > 0 {
			r.dir.Detach(k, rapid.SampledFrom(all).Draw(t, "session"))
		}
	case 5, 6:
		w.pipes[way].cut(rapid.Bool().Draw(t, "refuse"))
	case 7:
		w.pipes[way].stall(true)
	case 8:
		w.pipes[way].heal()
	case 9: // is believed dead
		delete(r.knows, way[1])
		w.members()
	case 10:
		r.knows[way[1]] = true
		w.members()
	case 11:
		w.end(name)
		w.begin(name)
	case 12:
		time.Sleep(time.Duration(rapid.IntRange(1, 20).Draw(t, "ms")) * time.Millisecond)
	}
}

// settle heals everything.
func (w *world) settle() {
	for _, p := range w.pipes {
		p.cut(false)
		p.heal()
	}
	for n, r := range w.nodes {
		for _, o := range names {
			r.knows[o] = o != n
		}
		delete(r.knows, n)
	}
	w.members()
}

// agree returns nil when each directory knows just the sessions that are there, and nobody has too many devices.
func (w *world) agree() error {
	for _, k := range users {
		there := map[domain.Resource]bool{}
		for _, r := range w.nodes {
			for _, s := range r.dir.Sessions(k) {
				there[s.Info().Resource] = true
			}
		}
		if len(there) > devicesPerOS {
			return fmt.Errorf("%v has %d devices", k, len(there))
		}
		for name, r := range w.nodes {
			var elsewhere bool
			for o, other := range w.nodes {
				elsewhere = elsewhere || o != name && len(other.dir.Sessions(k)) > 0
			}
			got := r.dir.Devices(k)
			if len(got) != len(there) || r.dir.Elsewhere(k) != elsewhere || r.dir.Online(k) != (len(there) > 0) {
				return fmt.Errorf("%s knows %d devices of %v, elsewhere %t; %d are there", name, len(got), k, r.dir.Elsewhere(k), len(there))
			}
			for _, i := range got {
				if !there[i.Resource] {
					return fmt.Errorf("%s knows %s of %v, which is not there", name, i.Resource, k)
				}
			}
		}
	}
	return nil
}

// Whatever is cut, stalled, believed dead or started again: in the end each node knows just who is there, and the limit of devices holds.
func TestEachNodeKnowsWhoIsThere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		defer w.close()
		for range rapid.IntRange(10, 60).Draw(t, "steps") {
			w.step(t)
		}
		w.settle()
		eventually(t, w.agree)
		for _, r := range w.nodes {
			eventually(t, r.links.Ready)
		}
	})
}

// A device that logs in on one node displaces one on another, with its words.
func TestADeviceDisplacesOneElsewhere(t *testing.T) {
	w := newWorld()
	defer w.close()
	k := users[0]
	for i, n := range []domain.NodeName{"a", "b", "c", "b"} {
		r := w.nodes[n]
		s := &socket{key: k, dir: r.dir, info: directory.Info{Resource: domain.Resource(fmt.Sprint("r", i)), Platform: "web", Since: time.UnixMilli(0)}}
		require.Empty(t, r.dir.Attach(k, s, devicesPerOS, "moved"))
		eventually(t, func() error {
			for name, o := range w.nodes {
				if got := o.dir.Devices(k); len(got) != min(i+1, devicesPerOS) || got[len(got)-1].Resource != s.info.Resource {
					return fmt.Errorf("%s knows %v", name, got)
				}
			}
			return nil
		})
	}
	require.Empty(t, w.nodes["a"].dir.Sessions(k))
	require.Len(t, w.nodes["b"].dir.Sessions(k), 2)
}
