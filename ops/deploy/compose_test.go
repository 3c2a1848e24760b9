package deploy

import (
	"context"
	"io/fs"
	"maps"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/require"
)

const root = "../.."

var tree = os.DirFS(root)

// secrets are what docker-compose.yml must be given.
var secrets = []string{"PARLEY_ADMIN_KEY", "PARLEY_TOKEN_KEY", "PARLEY_CLUSTER_KEY", "GRAFANA_ADMIN_PASSWORD", "KAFKA_CLUSTER_ID"}

// nodes are parley's.
var nodes = []string{"parley-1", "parley-2", "parley-3"}

// given sets every variable to a value that stands nowhere in the file.
func given() []string {
	var out []string
	for _, name := range secrets {
		out = append(out, name+"=given-for-"+name)
	}
	return out
}

// compose loads docker-compose.yml as Compose itself does, with these variables and no others.
func compose(ctx context.Context, env []string) (*types.Project, error) {
	o, err := cli.NewProjectOptions([]string{root + "/docker-compose.yml"}, cli.WithEnv(env))
	if err != nil {
		return nil, err
	}
	return o.LoadProject(ctx)
}

func loaded(t *testing.T) *types.Project {
	t.Helper()
	p, err := compose(t.Context(), given())
	require.NoError(t, err)
	return p
}

func TestComposeServices(t *testing.T) {
	p := loaded(t)
	require.Equal(t, []string{"cassandra", "grafana", "kafka-1", "kafka-2", "kafka-3", "migrate", "parley-1", "parley-2", "parley-3", "prometheus"}, slices.Sorted(maps.Keys(p.Services)))
	for name, s := range p.Services {
		if name == "migrate" { // runs to its end
			require.Equal(t, "on-failure:5", s.Restart)
			require.True(t, s.HealthCheck.Disable)
			continue
		}
		require.Equal(t, "unless-stopped", s.Restart, name)
		require.True(t, s.HealthCheck != nil || s.Build != nil, "%s has no health check, neither here nor in its image", name)
		require.NotEmpty(t, s.Logging.Options["max-size"], "the log of %s would fill the disk", name)
	}
	for _, broker := range []string{"kafka-1", "kafka-2", "kafka-3", "cassandra"} {
		require.Equal(t, types.ServiceConditionHealthy, p.Services["migrate"].DependsOn[broker].Condition)
	}
	for _, node := range nodes {
		require.Equal(t, types.ServiceConditionCompletedSuccessfully, p.Services[node].DependsOn["migrate"].Condition)
		require.Equal(t, p.Services["migrate"].Image, p.Services[node].Image)
		require.Greater(t, time.Duration(*p.Services[node].StopGracePeriod), 10*time.Second, "%s is killed before it has drained", node)
		for name, value := range p.Services["migrate"].Environment {
			require.Equal(t, value, p.Services[node].Environment[name], "%s: %s", node, name)
		}
	}
}

// The three nodes are one cluster: each has a name and addresses of its own, by which the others find it, and they share the key.
func TestComposeNodes(t *testing.T) {
	p := loaded(t)
	for _, node := range nodes {
		env := p.Services[node].Environment
		value := func(name string) string {
			require.NotNil(t, env["PARLEY_CLUSTER_"+name], "%s: %s", node, name)
			return *env["PARLEY_CLUSTER_"+name]
		}
		require.Equal(t, node, value("NODE"))
		require.Equal(t, "given-for-PARLEY_CLUSTER_KEY", value("KEY"))
		require.Equal(t, node+":"+port(t, value("GOSSIP")), value("ADVERTISE_GOSSIP"))
		require.Equal(t, node+":"+port(t, value("RPC")), value("ADVERTISE_RPC"))
		require.NotEqual(t, value("GOSSIP"), value("RPC"))
		require.Equal(t, node, p.Services[node].Volumes[0].Source)
		require.Contains(t, p.Services[node].Networks, "front")
		require.Contains(t, p.Services[node].Networks, "storage")
		for _, other := range nodes {
			require.Contains(t, strings.Split(value("JOIN"), ","), *p.Services[other].Environment["PARLEY_CLUSTER_ADVERTISE_GOSSIP"], node)
		}
		require.Contains(t, text(t, "ops/prometheus/prometheus.yml"), node+":"+port(t, *env["PARLEY_ADMIN"]), "Prometheus does not ask %s", node)
	}
}

func port(t *testing.T, address string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	return port
}

func TestComposePublishesOnLoopbackOnly(t *testing.T) {
	p := loaded(t)
	published := map[string]string{}
	for name, s := range p.Services {
		for _, port := range s.Ports {
			require.Equal(t, "127.0.0.1", port.HostIP, "%s publishes %s", name, port.Published)
			require.Empty(t, published[port.Published], "%s publishes %s, too", name, port.Published)
			published[port.Published] = name
		}
		if !slices.Contains(nodes, name) {
			_, front := s.Networks["front"]
			_, storage := s.Networks["storage"]
			require.NotEqual(t, front, storage, "%s is in the network without passwords and in another one", name)
		}
	}
	require.True(t, p.Networks["storage"].Internal)
}

func TestComposeKeepsData(t *testing.T) {
	p := loaded(t)
	used := map[string]bool{}
	for name, s := range p.Services {
		named := false
		for _, v := range s.Volumes {
			switch v.Type {
			case types.VolumeTypeVolume:
				require.Contains(t, p.Volumes, v.Source, name)
				named, used[v.Source] = true, true
			case types.VolumeTypeBind:
				require.True(t, v.ReadOnly, "%s may write %s", name, v.Source)
				require.DirExists(t, v.Source, name)
			default:
				require.Fail(t, "a volume of a kind that keeps nothing", "%s: %s", name, v.Type)
			}
		}
		require.True(t, named, "%s keeps nothing", name)
	}
	for volume := range p.Volumes {
		require.True(t, used[volume], volume)
	}
}

func TestComposeHasNoSecretOfItsOwn(t *testing.T) {
	for i, name := range secrets {
		_, err := compose(t.Context(), slices.Delete(given(), i, i+1))
		require.ErrorContains(t, err, "required variable "+name+" is missing")
		_, err = compose(t.Context(), append(given(), name+"="))
		require.Error(t, err, "%s may be empty", name)
	}
	like := regexp.MustCompile(`KEY|PASSWORD|SECRET|TOKEN|CLUSTER_ID`)
	for name, s := range loaded(t).Services {
		for variable, value := range s.Environment {
			if like.MatchString(variable) && value != nil {
				require.True(t, strings.HasPrefix(*value, "given-for-"), "%s: %s is set in docker-compose.yml", name, variable)
			}
		}
	}
}

// Whoever copies .env.example finds every variable there, how to make it, and no value.
func TestEnvExample(t *testing.T) {
	var there []string
	blocks := strings.Split(strings.TrimSpace(text(t, ".env.example")), "\n\n")
	for _, block := range blocks[1:] {
		lines := strings.Split(block, "\n")
		name, value, ok := strings.Cut(lines[len(lines)-1], "=")
		require.True(t, ok, block)
		require.Empty(t, value, name)
		require.Contains(t, block, "Make it: openssl rand", name)
		there = append(there, name)
	}
	require.ElementsMatch(t, secrets, there)
	for _, ignore := range []string{".gitignore", ".dockerignore"} {
		require.Contains(t, strings.Split(text(t, ignore), "\n"), ".env", ignore)
	}
}

// The images are of the versions that the suites run on.
func TestComposeRunsTheEnginesThatAreTested(t *testing.T) {
	p := loaded(t)
	version := func(file, artifact string) string {
		m := regexp.MustCompile(`<artifactId>` + artifact + `</artifactId>\s*<version>([^<]+)<`).FindStringSubmatch(text(t, file))
		require.NotNil(t, m, file)
		return m[1]
	}
	kafka := version("ops/engines/kafka.xml", `kafka_2\.13`)
	for _, broker := range []string{"kafka-1", "kafka-2", "kafka-3"} {
		require.Equal(t, "apache/kafka:"+kafka, p.Services[broker].Image)
	}
	series, ok := strings.CutPrefix(p.Services["cassandra"].Image, "cassandra:")
	require.True(t, ok)
	require.True(t, strings.HasPrefix(version("ops/engines/cassandra.xml", "cassandra-all")+".", series+"."))
}

// The three brokers differ by what tells them apart, and each votes.
func TestComposeBrokers(t *testing.T) {
	p := loaded(t)
	for i, broker := range []string{"kafka-1", "kafka-2", "kafka-3"} {
		env := p.Services[broker].Environment
		id := string(rune('1' + i))
		require.Equal(t, id, *env["KAFKA_NODE_ID"])
		require.Equal(t, "PLAINTEXT://"+broker+":9092", *env["KAFKA_ADVERTISED_LISTENERS"])
		require.Contains(t, strings.Split(*env["KAFKA_CONTROLLER_QUORUM_VOTERS"], ","), id+"@"+broker+":9093")
		require.Contains(t, strings.Split(*p.Services["parley-1"].Environment["PARLEY_KAFKA_BROKERS"], ","), broker+":9092")
		require.Equal(t, broker, p.Services[broker].Volumes[0].Source)
	}
}

func text(t *testing.T, file string) string {
	t.Helper()
	b, err := fs.ReadFile(tree, file)
	require.NoError(t, err)
	return string(b)
}
