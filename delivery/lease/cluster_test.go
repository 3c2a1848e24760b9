package lease

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"parley/domain"
)

// item is what a link carries.
type item struct {
	of   domain.Node
	what string // "begin", "fact", "end"
	fact []byte
	sent time.Time
}

// wire is one direction between two nodes, in order.
type wire struct {
	up    bool
	down  time.Time // since when it is not up
	items []item
}

// socket is a session: what it is shown.
type socket struct {
	inc   domain.Incarnation
	rooms map[Room]bool
}

type socketKey struct {
	who domain.UserID
	dev domain.Resource
}

// member is a node: leases, and what a gateway does with them.
type member struct {
	*Leases
	c       *cluster
	node    domain.Node
	index   int
	clock   *skewed
	heard   *heard
	sockets map[socketKey]*socket
	log     int                        // entries applied
	gone    map[domain.NodeName]uint64 // lives that it was told are gone
	calls   []func()                   // what Local was told, done later
	spoke   map[domain.NodeName]bool   // began
}

// skewed is a clock that is off.
type skewed struct {
	*clock
	off time.Duration
}

func (s *skewed) now() time.Time { return s.clock.now().Add(s.off) }

// Ended and Added implement Local as the gateway does.
func (m *member) Ended(room Room, _ domain.AppID, u domain.UserID) {
	m.calls = append(m.calls, func() {
		for k, s := range m.sockets {
			if k.who == u && !m.Views(room, u, k.dev) {
				delete(s.rooms, room)
			}
		}
	})
}

func (m *member) Added(room Room, _ domain.AppID, u domain.UserID, inc domain.Incarnation) {
	m.calls = append(m.calls, func() {
		for k, s := range m.sockets {
			if k.who != u || s.inc != inc || s.rooms[room] {
				continue
			}
			if _, ok := m.View(app, u, inc, room, k.dev); ok {
				s.rooms[room] = true
			}
		}
	})
}

func (m *member) act() {
	calls := m.calls
	m.calls = nil
	for _, f := range calls {
		f()
	}
}

// cluster is nodes and the wires between them, on one store.
type cluster struct {
	rt          *rapid.T
	clock       *clock
	store       *memory
	names       []domain.NodeName
	nodes       []*member // nil: dead
	wires       map[[2]int]*wire
	lives       uint64
	log         []func(m *member)
	entries     []logged // of it, what truth reads
	incs        map[domain.UserID]domain.Incarnation
	skews       []time.Duration
	transferred map[Room]int // entries of the log up to the last transfer
	mu          sync.Mutex
}

var (
	clusterUsers   = []domain.UserID{"alice", "bob", "carol"}
	clusterDevices = []domain.Resource{"web", "pad"}
	clusterRooms   = []Room{domain.RoomStream(app, "1"), domain.RoomStream(app, "2")}
)

func newCluster(rt *rapid.T, n int) *cluster {
	c := &cluster{rt: rt, clock: newClock(), store: &memory{}, nodes: make([]*member, n), wires: make(map[[2]int]*wire)}
	c.transferred = make(map[Room]int)
	c.incs = map[domain.UserID]domain.Incarnation{"alice": 1, "bob": 1, "carol": 1}
	for i := range n {
		c.names = append(c.names, domain.NodeName(fmt.Sprint("node-", i)))
		c.skews = append(c.skews, time.Duration(rapid.IntRange(-2000, 2000).Draw(rt, "skew"))*time.Millisecond)
		for j := range n {
			if i != j {
				c.wires[[2]int{i, j}] = &wire{}
			}
		}
	}
	for i := range n {
		c.boot(i)
	}
	for k := range c.wires {
		c.connect(k[0], k[1])
	}
	c.deliverAll()
	return c
}

// boot starts a node anew, with what the store has.
func (c *cluster) boot(i int) {
	c.lives++
	m := &member{
		c: c, index: i, node: domain.Node{Name: c.names[i], Life: c.lives}, heard: &heard{}, sockets: make(map[socketKey]*socket),
		clock: &skewed{c.clock, c.skews[i]}, log: len(c.log), gone: make(map[domain.NodeName]uint64), spoke: make(map[domain.NodeName]bool),
	}
	m.Leases = New(Config{
		Store: c.store, Settings: DefaultSettings(), Sink: m.heard, Now: m.clock.now, Self: m.node, Number: i + 1, Local: m,
		Tell: func(fact []byte) { c.tell(i, m.node, fact) },
	})
	if err := m.Load(c.rt.Context()); err != nil {
		c.rt.Fatal(err)
	}
	for _, room := range clusterRooms {
		for _, who := range m.viewers(room) {
			m.heard.told[room] = append(m.heard.told[room], "+"+string(who)+" loaded")
		}
	}
	for _, room := range m.Leases.Rooms() { // as the gateway's CheckRooms
		c.check(m, room)
	}
	for _, u := range clusterUsers {
		if inc := c.incs[u]; inc > 1 {
			m.Forget(app, u, inc-1)
		}
	}
	c.nodes[i] = m
}

func (m *member) viewers(room Room) (out []domain.UserID) {
	if m.heard.told == nil {
		m.heard.told = make(map[Room][]string)
	}
	for _, le := range m.Roster(room, "", 100) {
		out = append(out, le.User)
	}
	return out
}

// check does what the gateway does with a room that rows name.
func (c *cluster) check(m *member, room Room) {
	st := c.truth()
	var listed []domain.UserID
	for who, on := range st.listed[room] {
		if on {
			listed = append(listed, who)
		}
	}
	m.SetOwner(room, st.owner[room])
	m.SetAllowed(room, listed)
}

// truth is what the log says at its end.
type truth struct {
	owner  map[Room]domain.UserID
	listed map[Room]map[domain.UserID]bool
}

// logged are the entries in a form that truth reads.
type logged struct {
	room   Room
	who    domain.UserID
	listed *bool
	owner  bool
}

func (c *cluster) truth() truth {
	t := truth{owner: map[Room]domain.UserID{}, listed: map[Room]map[domain.UserID]bool{}}
	for _, room := range clusterRooms {
		t.owner[room], t.listed[room] = "alice", map[domain.UserID]bool{}
	}
	for _, e := range c.entries {
		switch {
		case e.owner:
			t.owner[e.room] = e.who
		case e.listed != nil:
			t.listed[e.room][e.who] = *e.listed
		}
	}
	return t
}

func (c *cluster) tell(from int, of domain.Node, fact []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for j := range c.nodes {
		if w := c.wires[[2]int{from, j}]; w != nil && w.up {
			w.items = append(w.items, item{of, "fact", fact, c.clock.now()})
		}
	}
}

func (c *cluster) cut(i, j int) {
	w := c.wires[[2]int{i, j}]
	if w.up {
		w.down = c.clock.now()
	}
	w.up, w.items = false, nil
}

func (c *cluster) connect(i, j int) {
	from, to, w := c.nodes[i], c.nodes[j], c.wires[[2]int{i, j}]
	if from == nil || to == nil || w.up {
		return
	}
	now := c.clock.now()
	w.up, w.items = true, []item{{from.node, "begin", nil, now}}
	var facts []item
	from.Snapshot(func(fact []byte) { facts = append(facts, item{from.node, "fact", fact, now}) })
	w.items = append(append(w.items, facts...), item{from.node, "end", nil, now})
}

// deliver hands over the first item of a wire.
func (c *cluster) deliver(i, j int) bool {
	w, to := c.wires[[2]int{i, j}], c.nodes[j]
	if to == nil || len(w.items) == 0 {
		return false
	}
	it := w.items[0]
	w.items = w.items[1:]
	switch it.what {
	case "begin":
		if life := to.gone[it.of.Name]; life < it.of.Life && to.spoke[it.of.Name] {
			c.buryAt(to, it.of)
		}
		to.spoke[it.of.Name] = true
		to.Begin(it.of)
	case "fact":
		if err := to.Apply(it.of, it.fact); err != nil {
			c.rt.Fatalf("apply: %v", err)
		}
	case "end":
		to.End(it.of)
	}
	return true
}

// buryAt tells a node that lives of a name before one are gone.
func (c *cluster) buryAt(to *member, next domain.Node) {
	for life := to.gone[next.Name] + 1; life < next.Life; life++ {
		to.Gone(domain.Node{Name: next.Name, Life: life})
	}
	to.gone[next.Name] = next.Life - 1
}

func (c *cluster) deliverAll() {
	for more := true; more; {
		more = false
		for i := range c.nodes {
			for j := range c.nodes {
				for i != j && c.deliver(i, j) {
					more = true
				}
			}
		}
		for _, m := range c.nodes {
			if m != nil && len(m.calls) > 0 {
				m.act()
				more = true
			}
		}
	}
}

func (c *cluster) pick() *member {
	var living []int
	for i, m := range c.nodes {
		if m != nil {
			living = append(living, i)
		}
	}
	if len(living) == 0 {
		c.rt.Skip("nobody lives")
	}
	return c.nodes[rapid.SampledFrom(living).Draw(c.rt, "node")]
}

func (c *cluster) user() domain.UserID { return rapid.SampledFrom(clusterUsers).Draw(c.rt, "user") }
func (c *cluster) dev() domain.Resource {
	return rapid.SampledFrom(clusterDevices).Draw(c.rt, "device")
}
func (c *cluster) room() Room { return rapid.SampledFrom(clusterRooms).Draw(c.rt, "room") }

func (c *cluster) login(*rapid.T) {
	m, k := c.pick(), socketKey{c.user(), c.dev()}
	if m.sockets[k] != nil {
		return
	}
	s := &socket{inc: c.incs[k.who], rooms: make(map[Room]bool)}
	for _, r := range m.Attach(app, k.who, s.inc, k.dev) {
		s.rooms[r.Room] = true
	}
	m.sockets[k] = s
}

func (c *cluster) socket() (*member, socketKey, *socket) {
	m := c.pick()
	keys := slices.SortedFunc(maps.Keys(m.sockets), func(a, b socketKey) int {
		return strings.Compare(string(a.who)+string(a.dev), string(b.who)+string(b.dev))
	})
	if len(keys) == 0 {
		c.rt.Skip("no socket")
	}
	k := rapid.SampledFrom(keys).Draw(c.rt, "socket")
	return m, k, m.sockets[k]
}

func (c *cluster) wish(who domain.UserID, inc domain.Incarnation, room Room, d domain.Resource) Join {
	st := c.truth()
	return Join{
		App: app, User: who, Incarnation: inc, Device: d, Room: room, Owner: st.owner[room], Stays: st.listed[room][who], Ext: "",
	}
}

func (c *cluster) join(*rapid.T) {
	m, k, s := c.socket()
	room := c.room()
	m.catchUp()
	if m.sockets[k] == nil {
		return
	}
	if _, _, err := m.Join(c.wish(k.who, s.inc, room, k.dev)); err == nil {
		s.rooms[room] = true
	}
}

// rest adds a user over REST.
func (c *cluster) rest(*rapid.T) {
	m, who, room := c.pick(), c.user(), c.room()
	m.catchUp()
	j := c.wish(who, c.incs[who], room, "")
	j.Everywhere = true
	for k, s := range m.sockets {
		if k.who == who && s.inc == j.Incarnation {
			j.Device = k.dev
			if _, _, err := m.Join(j); err == nil {
				s.rooms[room] = true
			}
		}
	}
	if j.Device == "" {
		_, _, _ = m.Join(j)
	}
}

func (c *cluster) quit(*rapid.T) {
	m, k, s := c.socket()
	room := c.room()
	delete(s.rooms, room)
	m.Leave(app, k.who, room, k.dev)
}

func (m *member) unview(who domain.UserID, room Room) {
	for k, s := range m.sockets {
		if k.who == who {
			delete(s.rooms, room)
		}
	}
}

func (c *cluster) leaveAll(*rapid.T) {
	m, who, room := c.pick(), c.user(), c.room()
	m.unview(who, room)
	m.Leave(app, who, room, "")
}

func (c *cluster) remove(*rapid.T) {
	m, who, room := c.pick(), c.user(), c.room()
	m.unview(who, room)
	m.Remove(room, []domain.UserID{who})
}

func (c *cluster) detach(*rapid.T) {
	m, k, _ := c.socket()
	m.close(k)
}

func (m *member) close(k socketKey) {
	delete(m.sockets, k)
	m.Detach(app, k.who, k.dev, nil)
}

// catchUp applies the log to its end.
func (m *member) catchUp() {
	for m.log < len(m.c.log) {
		m.log++
		m.c.log[m.log-1](m)
	}
}

func (c *cluster) read(*rapid.T) {
	if m := c.pick(); m.log < len(c.log) {
		m.log++
		c.log[m.log-1](m)
	}
}

func (c *cluster) allow(*rapid.T) {
	who, room, on := c.user(), c.room(), rapid.Bool().Draw(c.rt, "on")
	c.entries = append(c.entries, logged{room: room, who: who, listed: &on})
	c.log = append(c.log, func(m *member) { m.SetStays(room, who, on) })
}

// readOwners lets all nodes read who owns a room. No node is two owners behind, nor behind one that starts: what that heard from it would be
// mended with the next owner only, since what nodes say of owners has no order over nodes.
func (c *cluster) readOwners(room Room) {
	for _, m := range c.nodes {
		for m != nil && m.log < c.transferred[room] {
			m.log++
			c.log[m.log-1](m)
		}
	}
}

func (c *cluster) transfer(*rapid.T) {
	who, room := c.user(), c.room()
	c.readOwners(room)
	c.entries = append(c.entries, logged{room: room, who: who, owner: true})
	c.transferred[room] = len(c.log) + 1
	c.log = append(c.log, func(m *member) { m.SetOwner(room, who) })
}

func (c *cluster) forget(*rapid.T) {
	who := c.user()
	inc := c.incs[who]
	c.incs[who]++
	c.log = append(c.log, func(m *member) {
		m.Forget(app, who, inc)
		for k, s := range m.sockets {
			if k.who == who && s.inc <= inc {
				m.close(k)
			}
		}
	})
}

func (c *cluster) wire(rt *rapid.T) (i, j int) {
	i = rapid.IntRange(0, len(c.nodes)-1).Draw(rt, "from")
	j = (i + rapid.IntRange(1, len(c.nodes)-1).Draw(rt, "to")) % len(c.nodes)
	return i, j
}

func (c *cluster) carry(rt *rapid.T) {
	i, j := c.wire(rt)
	for range rapid.IntRange(1, 5).Draw(rt, "items") {
		c.deliver(i, j)
	}
	if m := c.nodes[j]; m != nil && rapid.Bool().Draw(rt, "act") {
		m.act()
	}
}

func (c *cluster) breakWire(rt *rapid.T) { c.cut(c.wire(rt)) }
func (c *cluster) mendWire(rt *rapid.T)  { c.connect(c.wire(rt)) }

func (c *cluster) kill(rt *rapid.T) {
	m := c.pick()
	c.nodes[m.index] = nil
	for j := range c.nodes {
		if j != m.index {
			c.cut(m.index, j)
			c.cut(j, m.index)
		}
	}
}

// bury tells a node that a dead one is.
func (c *cluster) bury(rt *rapid.T) {
	m := c.pick()
	for i := range c.nodes {
		if c.nodes[i] == nil {
			c.buryAt(m, domain.Node{Name: c.names[i], Life: c.lives + 1})
			m.gone[c.names[i]] = c.lives
		}
	}
}

// suspect has a node believe that one that lives is dead, until their wire begins anew.
func (c *cluster) suspect(rt *rapid.T) {
	i, j := c.wire(rt)
	if c.nodes[i] == nil || c.nodes[j] == nil {
		return
	}
	c.cut(i, j)
	c.nodes[j].Gone(c.nodes[i].node)
}

func (c *cluster) revive(rt *rapid.T) {
	for _, room := range clusterRooms {
		c.readOwners(room)
	}
	for i := range c.nodes {
		if c.nodes[i] == nil {
			c.boot(i)
			return
		}
	}
}

func (c *cluster) save(*rapid.T) { c.pick().write() }
func (m *member) write()         { m.Leases.save(m.c.rt.Context(), false) }

func (c *cluster) time(rt *rapid.T) {
	d := rapid.SampledFrom([]time.Duration{time.Millisecond, time.Second, 11 * time.Second, 40 * time.Second, 2 * time.Minute}).Draw(rt, "time")
	c.clock.pass(d)
	if rapid.Bool().Draw(rt, "sweep") {
		c.pick().sweep()
	}
}

// TestReplicasAgree runs operations on nodes whose wires delay, break and lie about who lives, and which die and come back: when all has been
// heard, all nodes know the same, show what they know, and their rows say it, too.
func TestReplicasAgree(t *testing.T) {
	for _, n := range []int{2, 3} {
		t.Run(fmt.Sprint(n, " nodes"), func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				c := newCluster(rt, n)
				rt.Repeat(map[string]func(*rapid.T){
					"log in": c.login, "log in more": c.login, "join": c.join, "join more": c.join, "rest": c.rest, "quit": c.quit,
					"leave": c.leaveAll, "remove": c.remove, "detach": c.detach, "read": c.read, "allow": c.allow, "transfer": c.transfer,
					"forget": c.forget, "carry": c.carry, "carry more": c.carry, "break": c.breakWire, "mend": c.mendWire, "kill": c.kill,
					"bury": c.bury, "suspect": c.suspect, "revive": c.revive, "save": c.save, "time": c.time,
				})
				c.settle()
				c.agree()
				c.stored()
				c.lonely()
				c.stored()
			})
		})
	}
}
