package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"parley/ingest/owners/ring"
)

// aCluster is the least configuration of one node among others.
const aCluster = "storage: {log: kafka, tables: cassandra}\nkafka: {brokers: [127.0.0.1:1]}\ncassandra: {hosts: [127.0.0.1:1]}\n" +
	"cluster: {node: a, gossip: 127.0.0.1:1, rpc: 127.0.0.1:2"

func TestConfigOfLinks(t *testing.T) {
	enough(t)
	t.Setenv("PARLEY_CLUSTER_KEY", randomHex(minKey))
	file := configFile(t, "parley.yaml", aCluster+", links: {sync: 250ms}}\n")
	require.Equal(t, "250ms", inForce(t, "cluster.links.sync", "--config", file))
	require.Equal(t, "5s", inForce(t, "cluster.links.await", "--config", file))
	_, err := printedConfig(t, "--config", configFile(t, "bad.yaml", aCluster+", links: {sync: -1s, queue: 5}}\n"))
	require.ErrorContains(t, err, "cluster.links.sync is -1s")
	require.ErrorContains(t, err, "cluster.links.queue is 5")
}

func TestConfigOfTheRing(t *testing.T) {
	for _, c := range []struct {
		name, more string
		env        string // PARLEY_CLUSTER_SUSPICION
		want       ring.Settings
		refused    []string
	}{
		{name: "default", want: ring.Settings{Probe: 300 * time.Millisecond, ProbeTimeout: 200 * time.Millisecond, Suspicion: 4}},
		{
			name: "a starved machine", more: ", probe_interval: 1s, probe_timeout: 800ms, suspicion: 10",
			want: ring.Settings{Probe: time.Second, ProbeTimeout: 800 * time.Millisecond, Suspicion: 10},
		},
		{name: "by environment", env: "12", want: ring.Settings{Probe: 300 * time.Millisecond, ProbeTimeout: 200 * time.Millisecond, Suspicion: 12}},
		{
			name: "too little", more: ", probe_interval: 10ms, probe_timeout: 0s, suspicion: 0",
			refused: []string{
				"cluster.probe_interval: 10ms is not between 50ms and 5s", "cluster.probe_timeout: 0s is not above 0s", "cluster.suspicion: 0 is not between 1 and 100",
			},
		},
		{name: "too much", more: ", probe_interval: 6s", refused: []string{"cluster.probe_interval: 6s is not between 50ms and 5s"}},
		{name: "a probe ends before the next", more: ", probe_timeout: 301ms", refused: []string{"cluster.probe_timeout: 301ms is not above 0s and at most cluster.probe_interval"}},
		{
			name: "never dead", more: ", probe_interval: 5s, suspicion: 20",
			refused: []string{"cluster.suspicion: with cluster.probe_interval a dead node would be known after 1m50s, at most 1m0s is allowed"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			enough(t)
			t.Setenv("PARLEY_CLUSTER_KEY", randomHex(minKey))
			if c.env != "" {
				t.Setenv("PARLEY_CLUSTER_SUSPICION", c.env)
			}
			file := configFile(t, "parley.yaml", aCluster+c.more+"}\n")
			if len(c.refused) > 0 {
				_, err := printedConfig(t, "--config", file)
				for _, text := range c.refused {
					require.ErrorContains(t, err, text)
				}
				return
			}
			require.Equal(t, c.want.Probe.String(), inForce(t, "cluster.probe_interval", "--config", file))
			require.Equal(t, c.want.ProbeTimeout.String(), inForce(t, "cluster.probe_timeout", "--config", file))
			require.Equal(t, c.want.Suspicion, inForce(t, "cluster.suspicion", "--config", file))
		})
	}
}

// The ring takes what the configuration says, and its defaults are the configuration's.
func TestRingHasWhatIsSet(t *testing.T) {
	c := defaults(false).Cluster
	require.Equal(t, ring.DefaultSettings().Detection(), c.ring().Detection())
	c.Probe, c.ProbeTimeout, c.Suspicion = time.Second, 700*time.Millisecond, 9
	require.Equal(t, ring.Settings{Probe: time.Second, ProbeTimeout: 700 * time.Millisecond, Suspicion: 9}, c.ring())
}
