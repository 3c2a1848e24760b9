package crash

import (
	"os"
	"syscall"
	"testing"
	"time"

	"parley/ops/engines"
)

// TestEngineFaults puts parley on three brokers and Cassandra under load and breaks things: a few of them, fit for every change.
func TestEngineFaults(t *testing.T) {
	r := newRig(t, 1)
	defer func() { t.Log("\n" + results(r.results)) }()
	r.run("kill -9 of parley", nil, func(x *trial) { killParley(x, 2) })
	r.run("kill -9 of the leader", nil, killLeader)
	r.run("Cassandra down 10 s", thin, func(x *trial) { cassandraDown(x, 10*time.Second) })
}

// TestFaults breaks everything that one node of parley has to stand.
func TestFaults(t *testing.T) {
	needFaults(t)
	r := newRig(t, 1)
	defer func() { t.Log("\n" + results(r.results)) }()
	r.run("kill -9 of parley", nil, func(x *trial) { killParley(x, 5) })
	r.run("kill -9 of the leader", nil, killLeader)
	r.run("two of three brokers down 20 s", nil, brokersDown)
	r.run("a broker stalls 8 s", nil, stallLeader)
	r.run("Cassandra down 60 s", thin, func(x *trial) { cassandraDown(x, time.Minute) })
	r.run("taken over while stalled", patiently, takeOver)
}

// TestFaultsCassandra does it to one of three nodes of Cassandra.
func TestFaultsCassandra(t *testing.T) {
	needFaults(t)
	r := newRig(t, 3)
	defer func() { t.Log("\n" + results(r.results)) }()
	r.run("one of three Cassandra nodes down 30 s", nil, func(x *trial) {
		kill(x.t, x.cassandra.Nodes[1])
		time.Sleep(30 * time.Second)
		x.notef("again whole after %s", revive(x.t, x.cassandra).Round(100*time.Millisecond))
	})
}

func needFaults(t *testing.T) {
	t.Helper()
	if os.Getenv("FAULTS") == "" {
		t.Skip("NOT RUN: make faults breaks what takes minutes")
	}
}

// killParley kills the server some times.
func killParley(x *trial, times int) {
	var longest time.Duration
	for range times {
		time.Sleep(2 * time.Second)
		x.server.kill()
		longest = max(longest, x.server.start())
		x.load.checkRooms()
	}
	x.notef("serving again within %s, %d times", longest.Round(10*time.Millisecond), times)
}

// killLeader kills the broker that leads a partition that is written to all the time.
func killLeader(x *trial) {
	n := x.leader(x.t, 0)
	kill(x.t, n)
	time.Sleep(12 * time.Second)
	if now := x.leader(x.t, 0); now == n {
		x.t.Error("12 s after its leader was killed the partition has the same one")
	}
	revive(x.t, x.kafka)
}

// brokersDown leaves one broker, which may not write alone: commands are refused, or have no answer.
func brokersDown(x *trial) {
	before := x.load.acked()
	kill(x.t, x.kafka.Nodes[0], x.kafka.Nodes[1])
	time.Sleep(time.Second) // what was on its way
	during := x.load.acked()
	time.Sleep(20 * time.Second)
	x.notef("acknowledged in the first second %d, in the 20 s after %d", during-before, x.load.acked()-during)
	revive(x.t, x.kafka)
}

// stallLeader stops a broker with produces in flight for longer than its cluster waits for it, and wakes it up.
func stallLeader(x *trial) {
	n := x.leader(x.t, 0)
	signal(x.t, n, syscall.SIGSTOP)
	time.Sleep(8 * time.Second)
	signal(x.t, n, syscall.SIGCONT)
	time.Sleep(5 * time.Second)
}

func signal(t *testing.T, n *engines.Node, s syscall.Signal) {
	t.Helper()
	if err := n.Signal(s); err != nil {
		t.Error(err)
	}
}

// thinRate is how many messages a second there are while Cassandra is down: who logs in then is shown nothing until it can be read where the device
// stands, and of what has come by then no more than a device that was away, the newest 400 of a group.
const thinRate = 12

func thin(p *plan) { p.rate = thinRate }

// cassandraDown kills Cassandra for a while. Messages go on between those who are there; some users come back meanwhile and are let in.
func cassandraDown(x *trial, span time.Duration) {
	kill(x.t, x.cassandra.Nodes...)
	begin, before := time.Now(), x.load.acked()
	time.Sleep(span / 3)
	back := x.load.users[:4]
	var was int64
	for _, u := range back {
		was += u.sessions.Load()
		u.cut.Store(true)
	}
	time.Sleep(time.Until(begin.Add(span)))
	var is int64
	for _, u := range back {
		is += u.sessions.Load()
	}
	flowed := x.load.acked() - before
	x.notef("%d acknowledged and %d log-ins of %d while down", flowed, is-was, len(back))
	if want := int(span.Seconds()) * (thinRate + faultPlan.roomRate) / 2; flowed < want {
		x.t.Errorf("%d messages were acknowledged while Cassandra was down, at least %d would be", flowed, want)
	}
	if is-was < int64(len(back)) {
		x.t.Errorf("%d of %d users could log in while Cassandra was down", is-was, len(back))
	}
	x.notef("Cassandra serves again %s after its start", revive(x.t, x.cassandra).Round(100*time.Millisecond))
}

// takeOver stalls the server for 30 s, in which another process takes its partitions over, and wakes it.
func takeOver(x *trial) {
	old := x.server
	second := x.secondServer(x.t)
	old.signal(syscall.SIGSTOP)
	stalled := time.Now()
	took := second.start()
	second.readTarget(second.data + "/dev.json")
	x.load.moveTo(&second.target)
	x.notef("the second process serves %s after its start", took.Round(10*time.Millisecond))
	time.Sleep(time.Until(stalled.Add(30 * time.Second)))
	claims, lost := old.said("partition owned"), old.said("partition lost")
	acked := x.load.acked()
	old.signal(syscall.SIGCONT)
	time.Sleep(10 * time.Second)
	x.notef("in the 10 s after it woke: the old one lost %d partitions, claimed %d and the second lost %d; %d acknowledged", old.said("partition lost")-lost,
		old.said("partition owned")-claims, second.said("partition lost"), x.load.acked()-acked)
	old.kill()
	x.rig.server = second
	x.rig.server.t = x.t
}
