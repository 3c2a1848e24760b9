package ring

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/prometheus/client_golang/prometheus"

	"parley/domain"
)

// Config says who this node is and how it finds the others.
type Config struct {
	Node   domain.Node
	Number domain.Partition // of the ids of what is not logged: domain.FirstNode and up

	Listen    string   // host:port for gossip, TCP and UDP; port 0: any
	Advertise string   // host:port at which other nodes reach it; "": as listened
	RPC       string   // host:port at which other nodes reach this node's gRPC
	Join      []string // host:port of the gossip of other nodes, the same list on all of them is best: this node's own address is left out
	Key       []byte   // 32 bytes, the same on all nodes: all gossip is encrypted

	// Partitions are those that there are. They matter to the metrics alone; nil: all that there can be.
	Partitions []domain.Partition
	Settings   Settings
	Logger     *slog.Logger          // nil: none
	Registerer prometheus.Registerer // nil: none

	wrap func(memberlist.NodeAwareTransport) memberlist.NodeAwareTransport // for tests that cut the network
}

// Settings tune the ring. Zero means the default in brackets.
type Settings struct {
	Probe        time.Duration // how often a node looks at another (300 ms)
	ProbeTimeout time.Duration // when it asks others to look, too (200 ms)
	Suspicion    int           // for so many probe intervals a silent node may still answer before it is dead (4)
	Gossip       time.Duration // how often news is passed on (100 ms)
	Sync         time.Duration // how often all is compared with one other node (5 s)
	Rejoin       time.Duration // the longest pause before a lost node is tried again (5 s); the first is a tenth
	Stream       time.Duration // the longest a stream between nodes may take (2 s)
}

// DefaultSettings are those in brackets.
func DefaultSettings() Settings { return Settings{}.withDefaults() }

// Detection is how long a silent node lives at most among few others that are well: until it is probed and suspected, and then as a suspect.
func (s Settings) Detection() time.Duration {
	set := s.withDefaults()
	return 2*set.Probe + time.Duration(set.Suspicion)*set.Probe
}

func (s Settings) withDefaults() Settings {
	s.Probe = cmp.Or(s.Probe, 300*time.Millisecond)
	s.ProbeTimeout = cmp.Or(s.ProbeTimeout, 200*time.Millisecond)
	s.Suspicion = cmp.Or(s.Suspicion, 4)
	s.Gossip = cmp.Or(s.Gossip, 100*time.Millisecond)
	s.Sync = cmp.Or(s.Sync, 5*time.Second)
	s.Rejoin = cmp.Or(s.Rejoin, 5*time.Second)
	s.Stream = cmp.Or(s.Stream, 2*time.Second)
	return s
}

const (
	keyBytes   = 32
	mostName   = 255
	mostRPC    = 255
	lastNumber = domain.Partition(1<<12 - 1)
)

// Validate reports everything that is wrong.
func (c *Config) Validate() error {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf("ring: "+format, args...)) }
	if c.Node.Name == "" || len(c.Node.Name) > mostName {
		problem("the node's name has %d bytes, allowed are 1 to %d", len(c.Node.Name), mostName)
	}
	if c.Node.Life == 0 {
		problem("the node has no life")
	}
	if c.Number < domain.FirstNode || c.Number > lastNumber {
		problem("number %d, allowed are %d to %d", c.Number, domain.FirstNode, lastNumber)
	}
	if len(c.Key) != keyBytes {
		problem("the key has %d bytes, not %d", len(c.Key), keyBytes)
	}
	addresses := map[string]string{"listen": c.Listen, "rpc": c.RPC}
	if c.Advertise != "" {
		addresses["advertise"] = c.Advertise
	}
	for i, a := range c.Join {
		addresses[fmt.Sprintf("join[%d]", i)] = a
	}
	for name, a := range addresses {
		if _, _, err := splitHostPort(a); err != nil {
			problem("%s: %w", name, err)
		}
	}
	if len(c.RPC) > mostRPC {
		problem("rpc has %d bytes, at most %d are allowed", len(c.RPC), mostRPC)
	}
	if m := c.member(); len(m.encode()) > memberlist.MetaMaxSize {
		problem("the node tells more than %d bytes of itself", memberlist.MetaMaxSize)
	}
	s := c.Settings.withDefaults()
	if s.Probe < 0 || s.ProbeTimeout < 0 || s.ProbeTimeout > s.Probe || s.Suspicion < 1 || s.Gossip < 0 || s.Sync < 0 || s.Rejoin < 0 || s.Stream < 0 {
		problem("settings: times must not be negative, and a probe times out before the next")
	}
	return errors.Join(problems...)
}

// member is this node as it starts.
func (c *Config) member() Member {
	return Member{Node: c.Node, Number: c.Number, RPC: c.RPC, State: Starting}
}

func splitHostPort(address string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, err
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("port of %s: %w", address, err)
	}
	return host, int(n), nil
}
