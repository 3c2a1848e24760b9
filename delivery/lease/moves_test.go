package lease

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"parley/domain"
)

// linkLag is how long a link keeps what it is told, or is down, at most, where nodes are not told that one is dead.
const linkLag = 4 * time.Second

// mover is a user who joined rooms, and has done nothing since but lose sockets and open others, on whatever node.
type mover struct {
	who   domain.UserID
	rooms []Room
	away  time.Time // since when no socket is open; zero: one is
}

// movers are all users of a cluster.
type movers struct {
	*cluster
	all []*mover
}

// newMovers lets all users join, and all nodes hear so.
func newMovers(rt *rapid.T) *movers {
	c := newCluster(rt, 3)
	v := &movers{cluster: c}
	for _, who := range clusterUsers {
		m, k := c.pick(), socketKey{who, c.dev()}
		mv := &mover{who: who, rooms: rapid.SliceOfNDistinct(rapid.SampledFrom(clusterRooms), 1, 2, rapid.ID).Draw(rt, "rooms")}
		v.open(m, mv, k)
		v.all = append(v.all, mv)
	}
	c.deliverAll()
	for _, m := range c.nodes {
		clear(m.heard.told)
	}
	return v
}

// open opens a socket. Its client joins the rooms that the node does not know it to view.
func (v *movers) open(m *member, mv *mover, k socketKey) {
	if m.sockets[k] != nil {
		return
	}
	s := &socket{inc: 1, rooms: make(map[Room]bool)}
	for _, r := range m.Attach(app, k.who, s.inc, k.dev) {
		s.rooms[r.Room] = true
	}
	for _, room := range mv.rooms {
		if !s.rooms[room] {
			if _, _, err := m.Join(v.wish(k.who, s.inc, room, k.dev)); err != nil {
				v.rt.Fatal(err)
			}
			s.rooms[room] = true
		}
	}
	m.sockets[k], mv.away = s, time.Time{}
}

func (v *movers) arrive(rt *rapid.T) {
	mv := rapid.SampledFrom(v.all).Draw(rt, "user")
	v.open(v.pick(), mv, socketKey{mv.who, v.dev()})
}

func (v *movers) lose(*rapid.T) {
	m, k, _ := v.socket()
	m.close(k)
	for _, mv := range v.all {
		if mv.who == k.who && !v.online(k.who) {
			mv.away = v.clock.now()
		}
	}
}

func (v *movers) online(who domain.UserID) bool {
	for _, m := range v.nodes {
		for k := range m.sockets {
			if k.who == who {
				return true
			}
		}
	}
	return false
}

// pass lets time pass. Nobody is away for as long as leases are kept, and no link lags for longer than linkLag.
func (v *movers) pass(rt *rapid.T) {
	d := rapid.SampledFrom([]time.Duration{time.Millisecond, 300 * time.Millisecond, time.Second, 3 * time.Second}).Draw(rt, "time")
	next := v.clock.now().Add(d)
	for _, mv := range v.all {
		if !mv.away.IsZero() && next.Sub(mv.away) > DefaultSettings().Keep/2 {
			v.open(v.pick(), mv, socketKey{mv.who, v.dev()})
		}
	}
	for i := range v.nodes {
		for j := range v.nodes {
			if i != j {
				v.keepUp(i, j, next.Add(-linkLag))
			}
		}
	}
	v.clock.pass(d)
	for _, m := range v.nodes {
		if rapid.Bool().Draw(rt, "sweep") {
			m.sweep()
		}
	}
}

// keepUp delivers what a wire has had since an instant, and mends it when it has been down since.
func (v *movers) keepUp(i, j int, since time.Time) {
	w := v.wires[[2]int{i, j}]
	if !w.up && !w.down.After(since) {
		v.connect(i, j)
		for v.deliver(i, j) {
		}
	}
	for len(w.items) > 0 && !w.items[0].sent.After(since) {
		v.deliver(i, j)
	}
}

// suspectOne has a node believe that another is dead, while all others hear one another.
func (v *movers) suspectOne(rt *rapid.T) {
	for _, w := range v.wires {
		if !w.up {
			return
		}
	}
	v.suspect(rt)
}

// nobodyWent finds that nobody was told that somebody had gone, or had come.
func (v *movers) nobodyWent(rt *rapid.T) {
	for _, m := range v.nodes {
		for _, room := range clusterRooms {
			if told := m.heard.told[room]; len(told) > 0 {
				rt.Fatalf("%s tells viewers of %s: %s", m.node.Name, room, strings.Join(told, ", "))
			}
		}
	}
}

// TestMovesAreNotTold runs users from node to node, with wires that delay, break and lie about who lives: viewers on no node are told that
// somebody has gone or come who only moves. In the end each device is one node's word.
func TestMovesAreNotTold(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		v := newMovers(rt)
		rt.Repeat(map[string]func(*rapid.T){
			"arrive": v.arrive, "arrive more": v.arrive, "lose": v.lose, "lose more": v.lose, "carry": v.carry, "carry more": v.carry,
			"pass": v.pass, "pass more": v.pass, "break": v.breakWire, "mend": v.mendWire, "suspect": v.suspectOne, "save": v.save,
			"": v.nobodyWent,
		})
		v.settle()
		v.nobodyWent(rt)
		v.agreeOnce()
	})
}

// agreeOnce finds that nodes that agree say nothing twice.
func (v *movers) agreeOnce() {
	for _, mv := range v.all {
		for _, room := range mv.rooms {
			devices := slices.Clone(v.nodes[0].room(room).viewers[mv.who].devices)
			for i := range devices {
				for j := range i {
					a, b := &devices[i], &devices[j]
					if a.resource == b.resource && a.cut != b.cut && a.cut != 0 {
						v.rt.Fatalf("%s in %s: %+v", mv.who, room, devices)
					}
				}
			}
		}
	}
}
