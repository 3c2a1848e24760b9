package engines

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// kafkaLog sends what Kafka says to its output, one line each.
//
//go:embed log4j2.yaml
var kafkaLog []byte

// kafkaID names every cluster that is made here: 16 bytes in base 64.
const kafkaID = "cGFybGV5LWVuZ2luZXMhIQ"

// Kafka prepares a cluster of n brokers (1 or 3) in a folder, its first port and the 2n-1 after it being theirs. Folders that were used
// before keep their data. Nothing runs until Start.
func Kafka(ctx context.Context, dir string, n, port int) (*Cluster, error) {
	if n != 1 && n != 3 {
		return nil, fmt.Errorf("a Kafka of %d brokers: 1 or 3", n)
	}
	bin, err := java()
	if err != nil {
		return nil, err
	}
	libs, err := jars(ctx, "kafka", kafkaPOM)
	if err != nil {
		return nil, err
	}
	c := &Cluster{}
	for i := range n {
		node, err := kafkaNode(ctx, dir, bin, libs, i, n, port, nil)
		if err != nil {
			return nil, err
		}
		c.Nodes = append(c.Nodes, node)
	}
	return c, nil
}

// kafkaNode prepares broker i of n: it is a controller, too. Without security anybody may do anything.
func kafkaNode(ctx context.Context, dir, java, libs string, i, n, port int, sec *Security) (*Node, error) {
	at, err := folder(dir, fmt.Sprintf("kafka-%d", i+1), "data")
	if err != nil {
		return nil, err
	}
	properties, logging := filepath.Join(at, "server.properties"), filepath.Join(at, "log4j2.yaml")
	text, accounts := kafkaProperties(at, i, n, port), []string(nil)
	if sec != nil {
		more, err := sec.properties(at)
		if err != nil {
			return nil, err
		}
		text, accounts = secured(text)+more, sec.accounts()
	}
	if err := os.WriteFile(properties, []byte(text), 0o600); err != nil {
		return nil, err
	}
	if err := os.WriteFile(logging, kafkaLog, 0o644); err != nil {
		return nil, err
	}
	classes := filepath.Join(libs, "*")
	if _, err := os.Stat(filepath.Join(at, "data", "meta.properties")); err != nil {
		args := []string{
			"-Xmx128m", "-Dlog4j2.configurationFile=" + logging, "-cp", classes, "kafka.tools.StorageTool", "format",
			"-t", kafkaID, "-c", properties,
		}
		format := exec.CommandContext(ctx, java, append(args, accounts...)...)
		if out, err := format.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("format the data of broker %d: %w\n%s", i+1, err, out)
		}
	}
	// Java would enter a folder for its performance data for a moment when it starts, and PID finds a process by the folder that it is in.
	node := &Node{Addr: kafkaAddr(port, i), dir: at, java: java, args: []string{
		"-Xms64m", "-Xmx512m", "-XX:+UseSerialGC", startQuickly, "-XX:+PerfDisableSharedMem", "-Dlog4j2.configurationFile=" + logging, "-cp", classes,
		"kafka.Kafka", properties,
	}}
	node.more = []string{kafkaController(port, i)}
	// A broker says so when the controllers have let it in: then it serves.
	node.ready = func(ctx context.Context) error { return node.awaitLine(ctx, "Kafka Server started") }
	return node, nil
}

// startQuickly keeps Java from compiling a second time what runs often: that costs more than it saves in a test that ends soon.
const startQuickly = "-XX:TieredStopAtLevel=1"

// ForMeasurements lets Java compile as it does in production: the first minutes of load are not like the later ones.
// It is called before Start.
func (c *Cluster) ForMeasurements() {
	for _, n := range c.Nodes {
		n.args = slices.DeleteFunc(n.args, func(arg string) bool { return arg == startQuickly })
	}
}

func kafkaAddr(port, i int) string       { return fmt.Sprintf("127.0.0.1:%d", port+2*i) }
func kafkaController(port, i int) string { return fmt.Sprintf("127.0.0.1:%d", port+2*i+1) }

// kafkaProperties is the configuration of broker i. Dead brokers are noticed soon: that is for tests.
func kafkaProperties(at string, i, n, port int) string {
	voters := make([]string, n)
	for j := range n {
		voters[j] = fmt.Sprintf("%d@%s", j+1, kafkaController(port, j))
	}
	least := max(n-1, 1)
	return fmt.Sprintf(`process.roles=broker,controller
node.id=%d
controller.quorum.voters=%s
listeners=PLAINTEXT://%s,CONTROLLER://%s
advertised.listeners=PLAINTEXT://%[3]s
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs=%[5]s
default.replication.factor=%[6]d
min.insync.replicas=%[7]d
offsets.topic.replication.factor=%[6]d
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=%[6]d
transaction.state.log.min.isr=%[7]d
auto.create.topics.enable=false
unclean.leader.election.enable=false
group.initial.rebalance.delay.ms=0
num.network.threads=2
num.io.threads=4
log.cleaner.dedupe.buffer.size=8388608
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
controller.quorum.election.timeout.ms=500
controller.quorum.fetch.timeout.ms=1000
`, i+1, strings.Join(voters, ","), kafkaAddr(port, i), kafkaController(port, i), filepath.Join(at, "data"), n, least)
}
