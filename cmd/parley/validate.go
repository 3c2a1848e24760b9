package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
)

// minAdminKey is the least length of the admin key, in characters: enough that nobody guesses it.
const minAdminKey = 16

// problems collects what is wrong with a configuration, each by the name of its setting.
type problems []error

func (p *problems) badf(name, format string, args ...any) {
	*p = append(*p, fmt.Errorf(name+": "+format, args...))
}

func (p *problems) oneOf(name, value string, of []string) {
	if !slices.Contains(of, value) {
		p.badf(name, "%q is none of %q", value, of)
	}
}

func (p *problems) between(name string, value, least, most int) {
	if value < least || value > most {
		p.badf(name, "%d is not between %d and %d", value, least, most)
	}
}

// address checks host:port. A host may be missing: that is every address of the machine, and was asked for.
func (p *problems) address(name, addr string) {
	_, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		p.badf(name, "%q is not host:port", addr)
	}
}

// validate reports everything that is wrong at once, without changing anything.
func (c *config) validate() error {
	var p problems
	p.address("listen", c.Listen)
	p.address("admin", c.Admin)
	if c.PublicURL != "" {
		if u, err := url.Parse(c.PublicURL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" {
			p.badf("public_url", "%q is not an address such as https://chat.example.org", c.PublicURL)
		}
	}
	if _, err := parseProxies(c.Proxies); err != nil {
		p.badf("trusted_proxies", "%w", err)
	}
	p.oneOf("log.level", c.Log.Level, logLevels)
	p.oneOf("log.format", c.Log.Format, logFormats)
	p.between("partitions.chats", c.Partitions.Chats, 1, 2048)
	p.between("partitions.rooms", c.Partitions.Rooms, 1, 1024)
	if c.Limits.MessageBytes < 1 || c.Limits.MessageBytes > c.Gateway.MaxFrame/2 {
		p.badf("limits.message_bytes", "%d is not between 1 and half of gateway.max_frame", c.Limits.MessageBytes)
	}
	p.between("limits.custom_exts", c.Limits.CustomExts, 0, 1000)
	if d := c.Gateway.DrainTime; d < 0 || d > drainLimit/2 {
		p.badf("gateway.drain_time", "%s is not between 0s and %s", d, drainLimit/2)
	}
	if d := c.Gateway.DrainAnswers; d < 0 || d > drainLimit/4 {
		p.badf("gateway.drain_answers", "%s is not between 0s and %s", d, drainLimit/4)
	}
	c.validateFiles(&p)
	c.validateEngines(&p)
	c.validateCluster(&p)
	return errors.Join(append(p, c.Cluster.Links.Validate(), c.Gateway.Validate(), c.Rooms.Shown.Validate(), c.Rooms.Leases.Validate(), c.REST.Validate())...)
}

// validateFiles checks keys, certificates and the data folder. Only --dev makes what is missing.
func (c *config) validateFiles(p *problems) {
	switch info, err := os.Stat(c.Data); {
	case c.Data == "":
		p.badf("data", "must name a folder")
	case err == nil && !info.IsDir():
		p.badf("data", "%s is not a folder", c.Data)
	case err != nil && !c.Dev:
		p.badf("data", "%s is not there: make the folder", c.Data)
	}
	if c.AdminKey == "" && !c.Dev {
		p.badf("admin_key", "must be set, best as PARLEY_ADMIN_KEY (there are no default secrets)")
	}
	if c.AdminKey != "" && len(c.AdminKey) < minAdminKey {
		p.badf("admin_key", "must have at least %d characters", minAdminKey)
	}
	switch {
	case c.TokenKey != "" || c.TokenKeyFile != "":
		if _, err := c.tokenKey(); err != nil {
			*p = append(*p, err)
		}
	case !c.Dev:
		p.badf("token_key_file", "must be set, or token_key by PARLEY_TOKEN_KEY (there are no default secrets)")
	}
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		p.badf("tls", "tls.cert and tls.key go together")
	} else if c.TLS.Cert != "" {
		if _, err := tls.LoadX509KeyPair(c.TLS.Cert, c.TLS.Key); err != nil {
			p.badf("tls", "tls.cert and tls.key: %w", err)
		}
	}
}

// parseProxies reads networks, and addresses as networks of one.
func parseProxies(list []string) (proxies, error) {
	var p proxies
	var errs []error
	for _, s := range list {
		network, err := netip.ParsePrefix(s)
		if err != nil {
			var addr netip.Addr
			if addr, err = netip.ParseAddr(s); err == nil {
				network = netip.PrefixFrom(addr, addr.BitLen())
			}
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%q is neither a network such as 10.0.0.0/8 nor an address", s))
			continue
		}
		p = append(p, network)
	}
	return p, errors.Join(errs...)
}
