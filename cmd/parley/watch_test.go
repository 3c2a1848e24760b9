package main

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
	"google.golang.org/grpc"

	links "parley/delivery/rpc"
	"parley/domain"
	"parley/ingest/owners/ring"
	ingest "parley/ingest/rpc"
	"parley/ops/deploy"
	"parley/storage/cassandra"
	"parley/storage/kafka"
)

// series is what a node tells under one name: the labels, and where they are known beforehand, their values.
type series struct {
	kind   string // SUMMARY, HISTOGRAM and so on
	there  bool   // before anything has happened
	labels []string
	values map[string][]string
}

var described = regexp.MustCompile(`fqName: "([^"]+)".*constLabels: \{(.*)\}, variableLabels: \{(.*)\}\}$`)

// seriesOf reads all that a registry can ever expose: vectors without children too, which /metrics does not show.
func seriesOf(t *testing.T, reg *prometheus.Registry) map[string]*series {
	t.Helper()
	out := map[string]*series{}
	descs := make(chan *prometheus.Desc)
	go func() {
		reg.Describe(descs)
		close(descs)
	}()
	for d := range descs {
		m := described.FindStringSubmatch(d.String())
		require.NotNil(t, m, d)
		s := &series{values: map[string][]string{}}
		for pair := range strings.SplitSeq(m[2]+","+m[3], ",") {
			label, _, _ := strings.Cut(pair, "=")
			s.labels = append(s.labels, label)
		}
		out[m[1]] = s
	}
	families, err := reg.Gather()
	require.NoError(t, err)
	for _, f := range families {
		s := out[f.GetName()]
		require.NotNil(t, s, f.GetName())
		s.kind, s.there = f.GetType().String(), true
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				s.values[l.GetName()] = append(s.values[l.GetName()], l.GetValue())
			}
		}
	}
	return out
}

// find returns the series of a name in a query, with the labels that Prometheus adds.
func find(all map[string]*series, name string) (*series, []string) {
	extra := []string{"job", "instance"}
	switch name {
	case "up":
		return &series{}, extra
	case "ALERTS":
		return &series{labels: []string{"alertname", "alertstate", "severity"}}, extra
	}
	if s := all[name]; s != nil {
		if s.kind == "SUMMARY" {
			extra = append(extra, "quantile")
		}
		return s, extra
	}
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		base, is := strings.CutSuffix(name, suffix)
		if s := all[base]; is && s != nil && (s.kind == "HISTOGRAM" || !s.there) {
			return s, append(extra, "le")
		}
	}
	return nil, nil
}

// Alerts and dashboards ask only for what a node has: metrics, labels, and values of labels that are known beforehand.
func TestAlertsAndDashboardsNameWhatThereIs(t *testing.T) {
	all := everySeries(t)
	expressions, err := deploy.Expressions(os.DirFS("../.."))
	require.NoError(t, err)
	require.Greater(t, len(expressions), 90)
	for where, expr := range expressions {
		q, err := deploy.Parse(expr)
		require.NoError(t, err, where)
		var labels []string
		for _, m := range q.Metrics {
			s, extra := find(all, m.Name)
			require.NotNil(t, s, "%s asks for %s, which no node has", where, m.Name)
			extra = append(extra, s.labels...)
			labels = append(labels, extra...)
			for _, match := range m.Match {
				require.Contains(t, extra, match.Label, "%s: %s has no such label", where, m.Name)
				known := s.values[match.Label]
				for _, v := range match.Values() {
					if len(known) > 0 && v != "$instance" {
						require.Contains(t, known, v, "%s: the label %s of %s has no such value", where, match.Label, m.Name)
					}
				}
			}
		}
		for _, l := range q.Labels {
			require.Contains(t, labels, l, "%s groups by a label that none of its metrics has", where)
		}
	}
}

var (
	metricInText  = regexp.MustCompile(`\b(?:parley|process|go)_[a-z0-9_]+`)
	settingInText = regexp.MustCompile(`\b(?:gateway|rooms|rest|limits|partitions|storage|kafka|cassandra|cluster)\.[a-z_]+\b`)
	commandInText = regexp.MustCompile("`parley ([a-z]+)|: parley ([a-z]+)")
)

// Runbooks speak of metrics, settings and commands that there are.
func TestRunbooksNameWhatThereIs(t *testing.T) {
	all := everySeries(t)
	c := defaults(false)
	tree := c.tree()
	files, err := filepath.Glob("../../ops/runbooks/*.md")
	require.NoError(t, err)
	require.Len(t, files, 9)
	for _, file := range files {
		b, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, name := range metricInText.FindAllString(string(b), -1) {
			s, _ := find(all, name)
			require.NotNil(t, s, "%s: no node has %s", file, name)
		}
		for _, name := range settingInText.FindAllString(string(b), -1) {
			section, key, _ := strings.Cut(name, ".")
			if key == "md" {
				continue // a file
			}
			require.Contains(t, tree[section], key, "%s: there is no setting %s", file, name)
		}
		for _, m := range commandInText.FindAllStringSubmatch(string(b), -1) {
			found, _, err := rootCommand().Find([]string{m[1] + m[2]})
			require.NoError(t, err, file)
			require.NotEqual(t, "parley", found.Name(), "%s: there is no command %s", file, m[0])
		}
	}
}

// What docker-compose.yml and the image set are settings, and together they are all that a node needs; no two nodes have one name.
func TestConfigOfCompose(t *testing.T) {
	b, err := os.ReadFile("../../docker-compose.yml")
	require.NoError(t, err)
	var file struct {
		Services map[string]struct {
			Environment map[string]string `yaml:"environment"`
		} `yaml:"services"`
	}
	require.NoError(t, yaml.Unmarshal(b, &file))
	image, err := os.ReadFile("../../Dockerfile")
	require.NoError(t, err)
	for _, service := range []string{"migrate", "parley-1", "parley-2", "parley-3"} {
		t.Run(service, func(t *testing.T) {
			for name, value := range file.Services[service].Environment {
				if strings.HasPrefix(value, "${"+name+":?") {
					value = randomHex(minKey)
				}
				t.Setenv(name, value)
			}
			for _, m := range regexp.MustCompile(`(PARLEY_\w+)=(\S+)`).FindAllStringSubmatch(string(image), -1) {
				t.Setenv(m[1], m[2])
			}
			require.Equal(t, "/data", os.Getenv("PARLEY_DATA"))
			t.Setenv("PARLEY_DATA", t.TempDir())
			want := map[string]any{
				"listen": "0.0.0.0:8080", "admin": "0.0.0.0:9090", "storage.log": engineKafka, "storage.tables": engineCassandra,
				"kafka.brokers": []any{"kafka-1:9092", "kafka-2:9092", "kafka-3:9092"}, "kafka.replicas": 3, "cassandra.hosts": []any{"cassandra"},
				"cassandra.replicas": 1, "dev": false,
			}
			if service != "migrate" {
				want["cluster.node"] = service
				want["cluster.gossip"], want["cluster.advertise_gossip"] = "0.0.0.0:7946", service+":7946"
				want["cluster.rpc"], want["cluster.advertise_rpc"] = "0.0.0.0:7947", service+":7947"
				want["cluster.join"] = []any{"parley-1:7946", "parley-2:7946", "parley-3:7946"}
			}
			for key, value := range want {
				require.Equal(t, value, inForce(t, key), key)
			}
			if service != "migrate" {
				t.Setenv("PARLEY_CLUSTER_KEY", "")
				_, err := printedConfig(t)
				require.ErrorContains(t, err, "cluster.key or cluster.key_file must be set")
			}
		})
	}
}

// everySeries is what a node has, with every engine.
func everySeries(t *testing.T) map[string]*series {
	t.Helper()
	n := opened(t)
	// Engines that are not there register what they would count, and then fail.
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := kafka.Open(ctx, kafka.Options{Brokers: []string{"127.0.0.1:1"}, Chats: 1, Rooms: 1, Metrics: n.reg})
	require.Error(t, err)
	_, err = cassandra.Open(ctx, cassandra.Options{Hosts: []string{"127.0.0.1:1"}, Keyspace: "parley", Tables: tables(), Metrics: n.reg})
	require.Error(t, err)
	withOthers(t, n)
	all := seriesOf(t, n.reg)
	require.NoError(t, n.close())
	require.True(t, slices.Contains(all["parley_gateway_closes_total"].values["reason"], "slow_consumer"))
	require.NotNil(t, all["parley_kafka_append_errors_total"])
	require.NotNil(t, all["parley_cassandra_statement_seconds"])
	require.Contains(t, all["parley_ring_members"].values["state"], "draining")
	return all
}

// withOthers registers what a node has besides that is one of several.
func withOthers(t *testing.T, n *node) {
	t.Helper()
	nobody := func(domain.NodeName) (*grpc.ClientConn, error) { return nil, errNoNode }
	ingest.NewPeers(ingest.PeersConfig{Dial: nobody, Logger: n.log, Registerer: n.reg})
	ingest.Register(grpc.NewServer(), ingest.ServerConfig{Owners: n.owners, Projections: passed{n}, Operator: n.edge.operator.forNodes(), Logger: n.log, Registerer: n.reg})
	self := domain.Node{Name: "a", Life: 1}
	links.New(links.Config{
		Self: self, Dial: nobody, Settings: links.DefaultSettings(), Logger: n.log, Registerer: n.reg,
		Parties: map[links.Kind]links.Party{links.Sessions: n.users, links.Leases: n.leases, links.Volatile: n.router},
	})
	r, err := ring.Start(ring.Config{
		Node: self, Number: domain.FirstNode, Listen: "127.0.0.1:0", RPC: "127.0.0.1:1", Key: make([]byte, 32),
		Partitions: n.slots.Partitions(), Logger: n.log, Registerer: n.reg,
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Leave(context.WithoutCancel(t.Context()))) }) // it takes its metrics away
}
