package crash

import (
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"
)

// What the design promises of several nodes. On a machine that does much else at once a time is a failure when it is twice that.
const (
	plannedBudget   = time.Second     // the longest wait of a command when a node is drained
	unplannedBudget = 5 * time.Second // serving again after a node was killed
	awayBudget      = 5 * time.Second // an SDK gives up after about 7 s without a server, at its default settings
	slack           = 2
)

// TestEngineFaultsNodes breaks one of three nodes: a few ways, fit for every change.
func TestEngineFaultsNodes(t *testing.T) {
	r := newEngines(t, 1)
	defer func() { t.Log("\n" + results(r.results)) }()
	r.newFleet(3, nil)
	r.run("three nodes kill -9 of one", nil, func(x *trial) { killNodes(x, 1) })
	r.run("three nodes restarted one by one", nil, restartAll)
}

// TestFaultsNodes breaks everything that three nodes have to stand.
func TestFaultsNodes(t *testing.T) {
	needFaults(t)
	clocked := buildClocked(t)
	r := newEngines(t, 1)
	defer func() { t.Log("\n" + results(r.results)) }()
	f := r.newFleet(3, nil)
	r.run("three nodes kill -9 of one", nil, func(x *trial) { killNodes(x, 3) })
	r.run("three nodes kill -9 of two at once", nil, killTwo)
	r.run("three nodes one stalls 30 s", patiently, stallNode)
	r.run("three nodes one drained", nil, drainNode)
	r.run("three nodes restarted one by one", nil, restartAll)
	r.run("three nodes kill -9 of the leader", nil, killLeader)
	r.run("three nodes a broker with a slow disk", nil, slowBroker)
	r.run("three nodes Cassandra down 60 s", thin, func(x *trial) { cassandraDown(x, time.Minute) })
	r.run("three nodes a clock set back 5 s", nil, func(x *trial) { setBack(x, clocked) })
	f.close(t)
}

// TestFaultsNetwork cuts nodes from each other that still reach Kafka and Cassandra.
func TestFaultsNetwork(t *testing.T) {
	needFaults(t)
	worlds := web(newWorlds(t, 3))
	worlds.lay(t)
	r := newEngines(t, 1)
	defer func() { t.Log("\n" + results(r.results)) }()
	f := r.newFleet(3, worlds)
	r.run("three nodes two cut from each other 10 s", nil, func(x *trial) { cutNodes(x, 1, 10*time.Second) })
	r.run("three nodes one cut off 10 s", nil, func(x *trial) { cutNodes(x, 2, 10*time.Second) })
	r.run("three nodes one cut off 40 s", nil, func(x *trial) { cutNodes(x, 2, 40*time.Second) })
	f.close(t)
}

// patiently lets every second user wait longer than a node stalls, instead of connecting anew: it is told, then.
func patiently(p *plan) { p.steadfast, p.stalls = 2*time.Minute, true }

// killNodes kills the node that owns most, some times, and starts it again when others have taken over.
func killNodes(x *trial, times int) {
	var longest, back time.Duration
	for range times {
		time.Sleep(2 * time.Second)
		node, owns := x.fleet.busiest()
		x.fleet.nodes[node].kill()
		longest = max(longest, x.fleet.takenOver(x.t, node, 30*time.Second))
		x.notef("n%d owned %d of %d", node+1, len(owns), parts)
		x.fleet.gone(x.t, node)
		x.load.checkRooms()
		time.Sleep(2 * time.Second)
		back = max(back, x.fleet.nodes[node].start())
		x.fleet.settle(x.t)
		x.load.checkRooms()
	}
	x.notef("taken over within %s, the killed one ready within %s of its start", round(longest), round(back))
	x.within(unplannedBudget, "slowest answer", x.load.slowest())
	x.reportAway()
}

// killTwo leaves one of three.
func killTwo(x *trial) {
	last, _ := x.fleet.busiest()
	for i, s := range x.fleet.nodes {
		if i != last {
			s.kill()
		}
	}
	begin := time.Now()
	for i := range x.fleet.nodes {
		if i != last {
			x.fleet.takenOver(x.t, i, 30*time.Second)
		}
	}
	x.notef("the last one had taken over after %s", round(time.Since(begin)))
	time.Sleep(2 * time.Second)
	for i, s := range x.fleet.nodes {
		if i != last {
			s.start()
		}
	}
	x.fleet.settle(x.t)
	x.load.checkRooms()
	x.within(unplannedBudget, "slowest answer", x.load.slowest())
	x.reportAway()
}

// stallNode stops the node that owns most for 30 s. It wakes up and believes that it owns what others have taken over.
func stallNode(x *trial) {
	node, owns := x.fleet.busiest()
	s := x.fleet.nodes[node]
	s.signal(syscall.SIGSTOP)
	begin := time.Now()
	took := x.fleet.takenOver(x.t, node, 25*time.Second)
	x.notef("n%d owned %d of %d, taken over within %s", node+1, len(owns), parts, round(took))
	time.Sleep(time.Until(begin.Add(30 * time.Second)))
	acked, lost := x.load.acked(), s.said(`"partition lost"`)
	s.signal(syscall.SIGCONT)
	time.Sleep(5 * time.Second)
	x.notef("in the 5 s after it woke it lost %d, %d acknowledged", s.said(`"partition lost"`)-lost, x.load.acked()-acked)
	if x.load.acked() == acked {
		x.t.Error("nothing was acknowledged in the 5 s after the node woke")
	}
	x.fleet.settle(x.t)
	x.load.checkRooms()
	if took > slack*unplannedBudget {
		x.t.Errorf("the partitions of a stalled node were taken over within %s, the budget is %s", took, unplannedBudget)
	}
}

// drainNode stops the node that owns most in good order, and starts it again later.
func drainNode(x *trial) {
	node, owns := x.fleet.busiest()
	stopped := x.fleet.nodes[node].stop()
	x.notef("n%d owned %d of %d, stopped within %s", node+1, len(owns), parts, round(stopped))
	time.Sleep(3 * time.Second)
	drained := x.load.slowest()
	x.load.forgetAnswers()
	x.fleet.nodes[node].start()
	x.fleet.settle(x.t)
	x.notef("slowest answer when it left %s, when it came back %s", round(drained), round(x.load.slowest()))
	x.within(plannedBudget, "slowest answer of a drain", max(drained, x.load.slowest()))
	x.reportAway()
}

// restartAll is how a new version is brought in: each node in turn is asked to end, and started when it has.
func restartAll(x *trial) {
	var stopped, started time.Duration
	for _, s := range x.fleet.nodes {
		stopped = max(stopped, s.stop())
		started = max(started, s.start())
		x.fleet.settle(x.t)
	}
	x.notef("stops within %s, ready within %s of a start", round(stopped), round(started))
	x.within(plannedBudget, "slowest answer", x.load.slowest())
	x.reportAway()
	x.load.checkRooms()
}

// slowBroker lets the leader of a busy partition stand still again and again, as a broker does whose disk does not keep up.
func slowBroker(x *trial) {
	n := x.leader(x.t, 0)
	for begin := time.Now(); time.Since(begin) < 20*time.Second; {
		signal(x.t, n, syscall.SIGSTOP)
		time.Sleep(300 * time.Millisecond)
		signal(x.t, n, syscall.SIGCONT)
		time.Sleep(200 * time.Millisecond)
	}
}

// setBack sets the clock of the node that owns most back under load, and right again.
// bin is parley, built so that its clock can be set.
func setBack(x *trial, bin string) {
	node, _ := x.fleet.busiest()
	s, c := x.fleet.nodes[node], newClock(x.t)
	was, env := s.bin, s.env
	s.stop()
	s.bin, s.env = bin, append(slices.Clip(env), c.env())
	s.start()
	x.fleet.settle(x.t)
	owns := x.fleet.owned(node)
	x.load.calm()
	c.set(x.t, -5*time.Second)
	time.Sleep(15 * time.Second)
	x.notef("n%d, which owned %d of %d, 15 s with a clock 5 s late", node+1, len(owns), parts)
	c.set(x.t, 0)
	time.Sleep(5 * time.Second)
	x.within(plannedBudget, "slowest answer", x.load.slowest())
	s.stop()
	s.bin, s.env = was, env
	s.start()
	x.fleet.settle(x.t)
}

// cutNodes cuts the node that owns most from some of the others for a while. All still reach Kafka and Cassandra.
func cutNodes(x *trial, from int, span time.Duration) {
	node, owns := x.fleet.busiest()
	var others []int
	for i := range x.fleet.nodes {
		if i != node && len(others) < from {
			others = append(others, i)
		}
	}
	for _, o := range others {
		if err := x.fleet.worlds.cut(node, o); err != nil {
			x.t.Fatal(err)
		}
	}
	before := x.load.acked()
	time.Sleep(span)
	x.notef("n%d owned %d of %d, %d at the end of the cut from %d others; %d acknowledged meanwhile", node+1, len(owns), parts,
		len(x.fleet.owned(node)), len(others), x.load.acked()-before)
	for _, o := range others {
		if err := x.fleet.worlds.heal(node, o); err != nil {
			x.t.Fatal(err)
		}
	}
	healed, acked := time.Now(), x.load.acked()
	x.fleet.settle(x.t)
	x.notef("at rest %s after it, %d acknowledged", round(time.Since(healed)), x.load.acked()-acked)
	x.load.checkRooms()
}

// within writes a time down beside what was promised, and judges it.
func (x *trial) within(budget time.Duration, what string, took time.Duration) {
	x.t.Helper()
	if took > budget {
		x.notef("%s %s, over the %s that are promised", what, round(took), budget)
	}
	if took > slack*budget {
		x.t.Errorf("%s: %s, the budget is %s", what, took, budget)
	}
}

// reportAway judges how long users had no session: an SDK gives up at some time.
func (x *trial) reportAway() {
	away := x.load.away()
	x.notef("nobody was away longer than %s", round(away))
	if away > awayBudget {
		x.t.Errorf("a user had no session for %s, an SDK gives up after about 7 s", away)
	}
	for _, b := range x.fleet.balancer.backends {
		if b.opened.Load() == 0 {
			x.t.Errorf("the balancer has sent nobody to %s", b.name)
		}
	}
}

func round(d time.Duration) fmt.Stringer { return d.Round(10 * time.Millisecond) }
