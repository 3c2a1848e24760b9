package engines

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// cassandraLog sends what Cassandra says to its output.
//
//go:embed logback.xml
var cassandraLog []byte

// cassandraOpens are the packages of Java itself that Cassandra reaches into.
var cassandraOpens = map[string][]string{
	"--add-exports java.base":           {"jdk.internal.misc", "jdk.internal.ref", "sun.nio.ch", "java.lang.ref"},
	"--add-exports java.management.rmi": {"com.sun.jmx.remote.internal.rmi"},
	"--add-exports java.rmi":            {"sun.rmi.registry", "sun.rmi.server"},
	"--add-exports java.sql":            {"java.sql"},
	"--add-exports jdk.unsupported":     {"sun.misc"},
	"--add-opens java.base": {
		"java.lang", "java.lang.module", "java.lang.reflect", "java.io", "java.nio", "java.util", "java.util.concurrent",
		"java.util.concurrent.atomic", "jdk.internal.loader", "jdk.internal.ref", "jdk.internal.reflect", "jdk.internal.math",
		"jdk.internal.module", "jdk.internal.util.jar", "sun.nio.ch",
	},
	"--add-opens jdk.management": {"com.sun.management.internal"},
}

// cassandraTokens divides the ring evenly among three nodes.
var cassandraTokens = []string{"-9223372036854775808", "-3074457345618258603", "3074457345618258602"}

// Cassandra prepares a cluster of n nodes (1 or 3) in a folder, on 127.0.0.1 (to 127.0.0.3) with these ports for clients and among
// themselves. Folders that were used before keep their data. Nothing runs until Start.
func Cassandra(ctx context.Context, dir string, n, port, storagePort int) (*Cluster, error) {
	if n != 1 && n != 3 {
		return nil, fmt.Errorf("a Cassandra of %d nodes: 1 or 3", n)
	}
	bin, err := java()
	if err != nil {
		return nil, err
	}
	libs, err := jars(ctx, "cassandra", cassandraPOM)
	if err != nil {
		return nil, err
	}
	c := &Cluster{}
	for i := range n {
		node, err := cassandraNode(dir, bin, libs, i, n, port, storagePort)
		if err != nil {
			return nil, err
		}
		c.Nodes = append(c.Nodes, node)
	}
	c.whole = func(ctx context.Context) error { return cassandraWhole(ctx, c) }
	return c, nil
}

func cassandraNode(dir, java, libs string, i, n, port, storagePort int) (*Node, error) {
	at, err := folder(dir, fmt.Sprintf("cassandra-%d", i+1), "tmp")
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(at, "cassandra.yaml"), []byte(cassandraConfig(at, i, n, port, storagePort)), 0o644); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(at, "logback.xml"), cassandraLog, 0o644); err != nil {
		return nil, err
	}
	node := &Node{Addr: fmt.Sprintf("127.0.0.%d:%d", i+1, port), dir: at, java: java, args: cassandraArgs(at, libs, n)}
	node.more = []string{fmt.Sprintf("127.0.0.%d:%d", i+1, storagePort)}
	node.ready = func(ctx context.Context) error {
		return errors.Join(node.awaitLine(ctx, "Startup complete"), node.awaitLine(ctx, "Starting listening for CQL clients"))
	}
	return node, nil
}

func cassandraArgs(at, libs string, n int) []string {
	heap := "-Xmx1g"
	if n > 1 {
		heap = "-Xmx512m"
	}
	args := []string{
		"-Xms128m", heap, "-Xss512k", "-XX:+UseSerialGC", "-XX:+PerfDisableSharedMem", "-XX:MaxDirectMemorySize=512m",
		"-XX:+ExitOnOutOfMemoryError", "-javaagent:" + filepath.Join(libs, "jamm-0.4.0.jar"), "-Djdk.attach.allowAttachSelf=true",
	}
	for option, packages := range cassandraOpens {
		flag, module, _ := strings.Cut(option, " ")
		for _, p := range packages {
			args = append(args, flag, module+"/"+p+"=ALL-UNNAMED")
		}
	}
	tmp := filepath.Join(at, "tmp")
	return append(args,
		"-Dcassandra.skip_wait_for_gossip_to_settle=0", "-Dcassandra.ring_delay_ms=0", "-Dcassandra.superuser_setup_delay_ms=0",
		"-Djava.net.preferIPv4Stack=true", "-Djava.io.tmpdir="+tmp, "-Djna.tmpdir="+tmp, "-Dio.netty.tryReflectionSetAccessible=true",
		"-Dcassandra.config=file://"+filepath.Join(at, "cassandra.yaml"), "-Dlogback.configurationFile=file://"+filepath.Join(at, "logback.xml"),
		"-Dcassandra.logdir="+at, "-Dcassandra.storagedir="+at, "-Dcassandra-foreground=yes",
		"-cp", filepath.Join(libs, "*"), "org.apache.cassandra.service.CassandraDaemon")
}

func cassandraConfig(at string, i, n, port, storagePort int) string {
	var seeds []string
	for j := range n {
		seeds = append(seeds, fmt.Sprintf("127.0.0.%d:%d", j+1, storagePort))
	}
	token := ""
	if n > 1 {
		token = "initial_token: " + cassandraTokens[i] + "\n"
	}
	return fmt.Sprintf(`cluster_name: parley
num_tokens: 1
%[1]spartitioner: org.apache.cassandra.dht.Murmur3Partitioner
auto_bootstrap: false
endpoint_snitch: SimpleSnitch
dynamic_snitch: false
phi_convict_threshold: 5
listen_address: 127.0.0.%[2]d
rpc_address: 127.0.0.%[2]d
storage_port: %[3]d
native_transport_port: %[4]d
start_native_transport: true
seed_provider: [{class_name: org.apache.cassandra.locator.SimpleSeedProvider, parameters: [{seeds: "%[5]s"}]}]
data_file_directories: [%[6]s/data]
commitlog_directory: %[6]s/commitlog
hints_directory: %[6]s/hints
saved_caches_directory: %[6]s/saved_caches
cdc_raw_directory: %[6]s/cdc_raw
commitlog_sync: periodic
commitlog_sync_period: 10000ms
commitlog_segment_size: 8MiB
commitlog_total_space: 256MiB
memtable_heap_space: 128MiB
memtable_offheap_space: 128MiB
concurrent_reads: 16
concurrent_writes: 16
concurrent_compactors: 1
compaction_throughput: 0MiB/s
counter_cache_size: 0MiB
row_cache_size: 0MiB
file_cache_size: 32MiB
auto_snapshot: false
batch_size_warn_threshold: 64KiB
batch_size_fail_threshold: 640KiB
`, token, i+1, storagePort, port, strings.Join(seeds, ","), at)
}
