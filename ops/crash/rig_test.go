package crash

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"parley/ops/bench"
	"parley/ops/engines"
)

// Ports of the engines: below those that the system gives out, and nobody else's in this tree.
const (
	kafkaPort        = 30092
	cassandraPort    = 20042
	cassandraStorage = 20700
)

// chats is how many partitions chats have here: each of three brokers leads one at least.
const chats = 4

// rig is parley on three brokers and Cassandra: one server, or a fleet.
type rig struct {
	t         *testing.T
	bin       string
	dir       string
	kafka     *engines.Cluster
	cassandra *engines.Cluster
	server    *server // alone, or nil
	fleet     *fleet  // or nil
	env       []string
	dev       []byte // what the first node has made: the app and its secrets
	results   []*outcome
	walked    walked // what the log had at the last look
}

// needEngines leaves a test out, loudly, unless it was asked for.
func needEngines(t *testing.T) {
	t.Helper()
	if os.Getenv("ENGINES") == "" {
		t.Skip("NOT RUN: real engines are started by make engines-test, and by make faults")
	}
	if err := engines.Missing(); err != nil {
		t.Fatal(err)
	}
}

// newRig starts the engines and one server, which makes its topics and tables.
func newRig(t *testing.T, cassandras int) *rig {
	t.Helper()
	r := newEngines(t, cassandras)
	data := filepath.Join(r.dir, "parley")
	r.server = prepareServer(t, r.bin, data, r.env...)
	r.server.limit = enginesLimit
	r.server.start()
	r.server.readTarget(filepath.Join(data, "dev.json"))
	return r
}

// newEngines starts the engines.
func newEngines(t *testing.T, cassandras int) *rig {
	t.Helper()
	needEngines(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	dir, logs := t.TempDir(), logDir(t)
	r := &rig{t: t, bin: build(t), dir: dir}
	var err error
	if r.kafka, err = engines.Kafka(ctx, dir, 3, kafkaPort); err != nil {
		t.Fatal(err)
	}
	if r.cassandra, err = engines.Cassandra(ctx, dir, cassandras, cassandraPort, cassandraStorage); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*engines.Cluster{r.kafka, r.cassandra} {
		t.Cleanup(func() {
			if err := c.Kill(); err != nil {
				t.Error(err)
			}
			if t.Failed() {
				keepLogs(t, dir, logs)
			}
		})
		if err := c.Start(ctx); err != nil {
			t.Fatal(err)
		}
	}
	r.env = []string{
		"PARLEY_STORAGE_LOG=kafka", "PARLEY_STORAGE_TABLES=cassandra", "PARLEY_ROOMS_HISTORY=true",
		"PARLEY_KAFKA_BROKERS=" + strings.Join(r.kafka.Addrs(), ","), "PARLEY_KAFKA_PREFIX=faults.",
		"PARLEY_CASSANDRA_HOSTS=" + strings.Join(r.cassandra.Addrs(), ","), "PARLEY_CASSANDRA_KEYSPACE=faults",
		fmt.Sprintf("PARLEY_CASSANDRA_REPLICAS=%d", cassandras),
		fmt.Sprintf("PARLEY_PARTITIONS_CHATS=%d", chats), "PARLEY_PARTITIONS_ROOMS=2",
	}
	return r
}

// target is where users connect.
func (r *rig) target() *bench.Target {
	if r.fleet != nil {
		return &r.fleet.target
	}
	return &r.server.target
}

// ready tells whether all that runs calls itself ready; the reasons are what it says when it is not.
func (r *rig) ready() (ok bool, reasons []string) {
	ok = true
	for _, s := range r.servers() {
		is, why := s.ready()
		ok, reasons = ok && is, append(reasons, why...)
	}
	return ok, reasons
}

func (r *rig) servers() []*server {
	if r.fleet != nil {
		return r.fleet.nodes
	}
	return []*server{r.server}
}

// keepLogs copies what the engines' nodes have said, before it goes with their data.
func keepLogs(t *testing.T, dir, to string) {
	files, err := filepath.Glob(filepath.Join(dir, "*", "log.txt"))
	if err != nil {
		t.Error(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err == nil {
			err = os.WriteFile(filepath.Join(to, filepath.Base(filepath.Dir(f))+".txt"), b, 0o600)
		}
		if err != nil {
			t.Error(err)
		}
	}
}

// leader returns the broker that leads a partition of chats.
func (r *rig) leader(t *testing.T, partition int) *engines.Node {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	transport := &kafkago.Transport{}
	defer transport.CloseIdleConnections()
	client := &kafkago.Client{Addr: kafkago.TCP(r.kafka.Addrs()...), Transport: transport}
	meta, err := client.Metadata(ctx, &kafkago.MetadataRequest{Topics: []string{"faults.chats"}})
	if err != nil || len(meta.Topics) != 1 {
		t.Fatalf("metadata: %v %v", meta, err)
	}
	for _, p := range meta.Topics[0].Partitions {
		if p.ID == partition {
			return r.kafka.Nodes[p.Leader.ID-1]
		}
	}
	t.Fatalf("no leader of partition %d", partition)
	return nil
}

// revive starts what was killed of a cluster, and waits until all of it serves.
func revive(t *testing.T, c *engines.Cluster) time.Duration {
	t.Helper()
	begin := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := c.Start(ctx); err != nil {
		t.Fatal(err)
	}
	return time.Since(begin)
}

func kill(t *testing.T, nodes ...*engines.Node) {
	t.Helper()
	for _, n := range nodes {
		if err := n.Kill(); err != nil {
			t.Fatal(err)
		}
	}
}

// outcome is a line of the suite's table.
type outcome struct {
	fault          string
	v              *verdict
	pause, slowest time.Duration
	notes          []string
}

func (o *outcome) notef(format string, args ...any) {
	o.notes = append(o.notes, fmt.Sprintf(format, args...))
}

// trial is one fault under load.
type trial struct {
	*rig
	*load
	t *testing.T
	*outcome
}

// faultPlan is the load of every fault: few enough a second that who comes back to a room has missed less than it keeps.
var faultPlan = plan{pairs: 6, groups: 3, members: 6, rate: 60, rooms: 2, viewers: 6, speakers: 3, roomRate: 12, patience: answerLimit}

// Around a fault.
const (
	warmUp    = 3 * time.Second
	coolDown  = 5 * time.Second
	drainTime = 90 * time.Second
)

// run puts one fault under load, and judges when all has been well again for a while.
func (r *rig) run(name string, change func(*plan), do func(x *trial)) {
	r.t.Run(name, func(t *testing.T) {
		p := faultPlan
		p.tag = strings.ReplaceAll(strings.ToLower(name), " ", "-")
		if change != nil {
			change(&p)
		}
		for _, s := range r.servers() {
			s.t = t
		}
		x := &trial{rig: r, t: t, outcome: &outcome{fault: name}}
		x.load = startLoad(t, r.target(), p, 1)
		time.Sleep(warmUp)
		x.load.calm()
		do(x)
		x.awaitServing()
		time.Sleep(coolDown)
		x.load.drain(drainTime)
		x.awaitArrivals()
		x.load.stopRunning()
		x.load.runners.Wait()
		x.judge()
		x.load.stop()
	})
}

// awaitServing waits until all that runs calls itself ready.
func (x *trial) awaitServing() {
	for begin := time.Now(); time.Since(begin) < time.Minute; time.Sleep(50 * time.Millisecond) {
		if ok, _ := x.rig.ready(); ok {
			return
		}
	}
	_, reasons := x.rig.ready()
	x.t.Errorf("the server is not ready a minute after the fault: %q", reasons)
}

// awaitArrivals waits until everything has come to everybody. Who logged in while nothing could be read catches up when that is over.
func (x *trial) awaitArrivals() {
	begin := time.Now()
	for ; x.load.missing() > 0 && time.Since(begin) < drainTime; time.Sleep(100 * time.Millisecond) {
	}
	if late := time.Since(begin); late > time.Second {
		x.notef("everything had arrived %s after the last answer", late.Round(100*time.Millisecond))
	}
}

// judge holds the server to its word. History may lag: it has a minute to catch up.
func (x *trial) judge() {
	begin := time.Now()
	for {
		x.v = x.load.verdict()
		if x.v.faults() == 0 || time.Since(begin) > time.Minute {
			break
		}
		time.Sleep(time.Second)
	}
	if late := time.Since(begin); late > 3*time.Second {
		x.notef("history was whole %s after the last answer", late.Round(100*time.Millisecond))
	}
	x.judgeLog()
	x.outcome.pause, x.outcome.slowest = time.Duration(x.load.pause.Load()), x.load.slowest()
	x.rig.results = append(x.rig.results, x.outcome)
	x.t.Log("\n" + table(slices.Concat(x.v.rows(), x.load.rows())) + results([]*outcome{x.outcome}))
	verify(x.t, x.v)
	if x.v.acknowledged != x.v.whole || x.v.acknowledged != x.v.stored-x.v.abandonedStored {
		x.t.Errorf("acknowledged %d, stored %d, received %d", x.v.acknowledged, x.v.stored-x.v.abandonedStored, x.v.whole)
	}
	if x.v.acknowledged < 300 {
		x.t.Errorf("only %d messages were acknowledged, which shows little", x.v.acknowledged)
	}
}

// results lays the table of the suite out.
func results(all []*outcome) string {
	var b strings.Builder
	_, _ = fmt.Fprintf(&b, "| fault | acknowledged | stored | received | doubled | out of order | refused | no answer (stored) | longest pause | slowest answer | notes |\n%s|\n",
		strings.Repeat("|---", 11))
	for _, o := range all {
		v := o.v
		_, _ = fmt.Fprintf(&b, "| %s | %d | %d | %d | %d | %d | %d | %d (%d) | %s | %s | %s |\n", o.fault, v.acknowledged, v.stored-v.abandonedStored, v.whole,
			v.doubled, v.misordered, v.refused, v.abandoned, v.abandonedStored, o.pause.Round(10*time.Millisecond),
			o.slowest.Round(10*time.Millisecond), strings.Join(o.notes, "; "))
	}
	return b.String()
}

// secondServer prepares another process on the same topics and keyspace, with the same keys.
func (r *rig) secondServer(t *testing.T) *server {
	t.Helper()
	data := filepath.Join(t.TempDir(), "second")
	if err := os.MkdirAll(data, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"dev.json", "token.key"} {
		b, err := os.ReadFile(filepath.Join(r.server.data, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(data, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := prepareServer(t, r.bin, data, r.env...)
	s.limit = enginesLimit
	return s
}

// moveTo lets users connect to another server from now on.
func (l *load) moveTo(target *bench.Target) {
	l.ws.Store(&target.WS)
	accounts, err := bench.OpenAccounts(l.t.Context(), target)
	if err != nil {
		l.t.Fatal(err)
	}
	l.accounts.Close()
	l.accounts = accounts
}
