package main

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	links "parley/delivery/rpc"
	"parley/domain"
	"parley/ingest/owners/ring"
)

// clusterConfig is how nodes find and know each other. Without gossip the node is alone.
type clusterConfig struct {
	Node            string   `mapstructure:"node"`             // the node's name, another for each; default: the machine's
	Gossip          string   `mapstructure:"gossip"`           // host:port, TCP and UDP, on which nodes learn of each other; empty: alone
	RPC             string   `mapstructure:"rpc"`              // host:port on which nodes talk to each other
	AdvertiseGossip string   `mapstructure:"advertise_gossip"` // how others reach gossip; empty: as listened
	AdvertiseRPC    string   `mapstructure:"advertise_rpc"`    // how others reach rpc; empty: as listened
	Join            []string `mapstructure:"join"`             // gossip addresses of some nodes
	Key             secret   `mapstructure:"key"`              // hexadecimal, at least 32 bytes, the same on all nodes
	KeyFile         string   `mapstructure:"key_file"`         // or in a file of mode 0600

	// How soon a silent node is taken for dead, best the same on all nodes: after a probe without an answer it is suspected, and has the time of
	// Suspicion probes to speak. A machine on which processes get no processor for that long needs more.
	Probe        time.Duration `mapstructure:"probe_interval"` // how often a node looks at another
	ProbeTimeout time.Duration `mapstructure:"probe_timeout"`  // when it asks others to look, too
	Suspicion    int           `mapstructure:"suspicion"`      // probes

	Links links.Settings `mapstructure:"links"`
}

// The bounds of the settings of the ring. Longer than the longest detection nobody waits for a node's partitions.
const (
	leastProbe       = 50 * time.Millisecond
	mostProbe        = 5 * time.Second
	mostSuspicion    = 100
	longestDetection = time.Minute
)

func defaultCluster() clusterConfig {
	s := ring.DefaultSettings()
	return clusterConfig{Probe: s.Probe, ProbeTimeout: s.ProbeTimeout, Suspicion: s.Suspicion, Links: links.DefaultSettings()}
}

// ring returns the settings of the ring.
func (c *clusterConfig) ring() ring.Settings {
	return ring.Settings{Probe: c.Probe, ProbeTimeout: c.ProbeTimeout, Suspicion: c.Suspicion}
}

// validateRing checks how soon a silent node is taken for dead.
func (c *clusterConfig) validateRing(p *problems) {
	if c.Probe < leastProbe || c.Probe > mostProbe {
		p.badf("cluster.probe_interval", "%s is not between %s and %s", c.Probe, leastProbe, mostProbe)
	}
	if c.ProbeTimeout <= 0 || c.ProbeTimeout > c.Probe {
		p.badf("cluster.probe_timeout", "%s is not above 0s and at most cluster.probe_interval", c.ProbeTimeout)
	}
	p.between("cluster.suspicion", c.Suspicion, 1, mostSuspicion)
	if d := c.ring().Detection(); d > longestDetection {
		p.badf("cluster.suspicion", "with cluster.probe_interval a dead node would be known after %s, at most %s is allowed", d, longestDetection)
	}
}

// on tells whether the node is one of several.
func (c *clusterConfig) on() bool { return c.Gossip != "" }

// name returns the node's name.
func (c *clusterConfig) name() domain.NodeName {
	if c.Node != "" {
		return domain.NodeName(c.Node)
	}
	if host, err := os.Hostname(); err == nil {
		return domain.NodeName(host)
	}
	return "node"
}

// secretKey returns the key that all nodes share.
func (c *clusterConfig) secretKey() ([]byte, error) {
	text := string(c.Key)
	if text == "" {
		if c.KeyFile == "" {
			return nil, errors.New("cluster.key or cluster.key_file must be set: every node of a cluster has the same (there are no default secrets)")
		}
		b, err := readPrivate(c.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("cluster.key_file: %w", err)
		}
		text = strings.TrimSpace(string(b))
	}
	key, err := hex.DecodeString(text)
	switch {
	case err != nil:
		return nil, errors.New("cluster.key: not hexadecimal")
	case len(key) < minKey:
		return nil, fmt.Errorf("cluster.key: %d bytes, must be at least %d", len(key), minKey)
	}
	return key, nil
}

// derive makes a key of 32 bytes for one purpose.
func derive(key []byte, purpose string) []byte {
	out, err := hkdf.Key(sha256.New, key, nil, "parley "+purpose, 32)
	if err != nil {
		panic(err) // the length is fixed and possible
	}
	return out
}

// validateCluster checks what nodes need to know of each other.
func (c *config) validateCluster(p *problems) {
	cl := &c.Cluster
	if !cl.on() {
		if len(cl.Join) > 0 || cl.RPC != "" {
			p.badf("cluster.gossip", "must be set where cluster.rpc or cluster.join is")
		}
		return
	}
	p.address("cluster.gossip", cl.Gossip)
	p.address("cluster.rpc", cl.RPC)
	for _, a := range cl.Join {
		p.address("cluster.join", a)
	}
	for name, advertised := range map[string]string{"cluster.advertise_gossip": cl.AdvertiseGossip, "cluster.advertise_rpc": cl.AdvertiseRPC} {
		if advertised != "" {
			p.address(name, advertised)
		}
	}
	for name, listened := range map[string][2]string{
		"cluster.advertise_gossip": {cl.Gossip, cl.AdvertiseGossip}, "cluster.advertise_rpc": {cl.RPC, cl.AdvertiseRPC},
	} {
		host, _, err := net.SplitHostPort(listened[0])
		if ip := net.ParseIP(host); err == nil && listened[1] == "" && (host == "" || ip != nil && ip.IsUnspecified()) {
			p.badf(name, "must be set where every address is listened on: others have to know which to use")
		}
	}
	if n := cl.name(); len(n) > 64 || strings.ContainsAny(string(n), " \t\n/") {
		p.badf("cluster.node", "%q is not a name of at most 64 characters without spaces and slashes", n)
	}
	cl.validateRing(p)
	if _, err := cl.secretKey(); err != nil {
		*p = append(*p, err)
	}
	if c.Storage.Log != engineKafka || c.Storage.Tables != engineCassandra {
		p.badf("cluster", "needs storage.log %s and storage.tables %s: nodes share both", engineKafka, engineCassandra)
	}
	if c.TokenKey == "" && c.TokenKeyFile == "" {
		p.badf("token_key", "must be set, the same on every node of a cluster")
	}
}
