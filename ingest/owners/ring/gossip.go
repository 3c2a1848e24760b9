package ring

import (
	"context"
	"errors"
	"fmt"
	"log" //nolint:depguard // memberlist takes no other logger
	"log/slog"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/memberlist"

	"parley/domain"
)

// listen opens the ports and begins to gossip, with nobody yet.
func (r *Ring) listen(ctx context.Context) error {
	host, port, _ := splitHostPort(r.cfg.Listen)
	if host == "" {
		host = net.IPv4zero.String()
	}
	bind, err := resolve(ctx, host, "ip")
	if err != nil {
		return err
	}
	logger := log.New(debugLog{r.log}, "", 0)
	transport, err := open(bind, port, logger)
	if err != nil {
		return err
	}
	c, err := r.gossipConfig(ctx, bind, transport.GetAutoBindPort())
	if err != nil {
		return errors.Join(err, transport.Shutdown())
	}
	c.Logger, c.Transport = logger, transport
	if r.cfg.wrap != nil {
		c.Transport = r.cfg.wrap(transport)
	}
	ip, told, err := transport.FinalAdvertiseAddr(c.AdvertiseAddr, c.AdvertisePort)
	if err != nil {
		return errors.Join(err, transport.Shutdown())
	}
	r.address = net.JoinHostPort(ip.String(), strconv.Itoa(told))
	for _, a := range r.cfg.Join {
		if a != r.address && a != r.cfg.Advertise && a != r.cfg.Listen {
			r.join = append(r.join, a)
		}
	}
	r.board = newBoard(r.cfg.member(), len(r.join) > 0)
	r.mu.Lock()
	r.publish()
	r.mu.Unlock()
	if r.gossip, err = memberlist.Create(c); err != nil {
		return errors.Join(err, transport.Shutdown())
	}
	return nil
}

// slowest is how many times longer than a probe interval a probe may take, by a node that doubts its own health.
const slowest = 2

// gossipConfig is memberlist's for a local network, made quick: a node that is killed is suspected within a probe of each other node, and dead after
// Suspicion probes more. Others' confirmations are waited for only a little longer, and a node that doubts itself slows down only a little: a
// node that is declared dead too soon loses its partitions to a claim, no data.
func (r *Ring) gossipConfig(ctx context.Context, bind string, port int) (*memberlist.Config, error) {
	s := r.cfg.Settings
	c := memberlist.DefaultLANConfig()
	c.Name = string(r.cfg.Node.Name)
	c.BindAddr, c.BindPort, c.AdvertisePort = bind, port, port
	if r.cfg.Advertise != "" {
		host, told, _ := splitHostPort(r.cfg.Advertise)
		ip, err := resolve(ctx, host, family(bind))
		if err != nil {
			return nil, err
		}
		c.AdvertiseAddr = ip
		if told != 0 {
			c.AdvertisePort = told
		}
	}
	c.TCPTimeout = s.Stream
	c.ProbeInterval, c.ProbeTimeout = s.Probe, s.ProbeTimeout
	c.SuspicionMult, c.SuspicionMaxTimeoutMult = s.Suspicion, 2
	c.AwarenessMaxMultiplier = slowest
	c.GossipInterval, c.PushPullInterval = s.Gossip, s.Sync
	c.SecretKey = r.cfg.Key
	c.GossipVerifyIncoming, c.GossipVerifyOutgoing = true, true
	c.DeadNodeReclaimTime = time.Millisecond // the name of a dead node may come back at another address at once
	c.Delegate, c.Events, c.Conflict, c.Alive = teller{r}, listener{r}, listener{r}, listener{r}
	return c, nil
}

// open listens on TCP and UDP. With port 0 the system chooses one that is free for TCP; if it is not free for UDP, another is tried.
func open(bind string, port int, logger *log.Logger) (*memberlist.NetTransport, error) {
	var last error
	for range 10 {
		t, err := memberlist.NewNetTransport(&memberlist.NetTransportConfig{BindAddrs: []string{bind}, BindPort: port, Logger: logger})
		if err == nil {
			return t, nil
		}
		last = err
		if port != 0 || !strings.Contains(err.Error(), syscall.EADDRINUSE.Error()) {
			break
		}
	}
	return nil, fmt.Errorf("listen: %w", last)
}

const resolveWait = 2 * time.Second

// resolve returns an IP of a host, of the family of addresses that network names: ip, ip4 or ip6.
func resolve(ctx context.Context, host, network string) (string, error) {
	if net.ParseIP(host) != nil {
		return host, nil
	}
	ctx, cancel := context.WithTimeout(ctx, resolveWait)
	defer cancel()
	ips, err := net.DefaultResolver.LookupIP(ctx, network, host)
	if err != nil {
		return "", fmt.Errorf("resolve: %w", err)
	}
	return ips[0].String(), nil
}

// family is that of the addresses at which who listens at bind can be reached: 0.0.0.0 is not reached by IPv6.
func family(bind string) string {
	if ip := net.ParseIP(bind); ip.To4() != nil {
		return "ip4"
	}
	return "ip"
}

// tell passes on what is new about this node, until ctx ends.
func (r *Ring) tell(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.news:
			r.announce()
		}
	}
}

// announce returns when the news has gone out with the gossip. That it has not within the time is no matter: nodes compare all they know now and then.
func (r *Ring) announce() {
	if err := r.gossip.UpdateNode(time.Second); err != nil {
		r.log.Debug("news of this node is not out yet", "error", err)
	}
}

// tellLast tells what tell had no time for: a node that has not said that it drains is taken for dead when it leaves, and tried again.
func (r *Ring) tellLast() {
	select {
	case <-r.news:
		r.announce()
	default:
	}
}

// goodByeWait is the longest a good-bye is waited for.
const goodByeWait = 5 * time.Second

func (r *Ring) sayGoodBye(ctx context.Context) error {
	wait := goodByeWait
	if at, ok := ctx.Deadline(); ok {
		wait = min(wait, time.Until(at))
	}
	if ctx.Err() != nil || wait <= 0 {
		return fmt.Errorf("ring: leave: %w", context.Cause(ctx))
	}
	if err := r.gossip.Leave(wait); err != nil {
		return fmt.Errorf("ring: leave: %w", err)
	}
	return nil
}

// teller tells memberlist about this node.
type teller struct{ r *Ring }

// NodeMeta implements memberlist.Delegate.
func (t teller) NodeMeta(int) []byte { self := t.r.Self(); return self.encode() }

// NotifyMsg implements memberlist.Delegate: nodes send each other nothing else by gossip.
func (teller) NotifyMsg([]byte) {}

// GetBroadcasts implements memberlist.Delegate.
func (teller) GetBroadcasts(int, int) [][]byte { return nil }

// LocalState implements memberlist.Delegate.
func (teller) LocalState(bool) []byte { return nil }

// MergeRemoteState implements memberlist.Delegate.
func (teller) MergeRemoteState([]byte, bool) {}

// listener hears about other nodes. It is called with memberlist's lock held: it must not call memberlist, and never wait.
type listener struct{ r *Ring }

// NotifyAlive implements memberlist.AliveDelegate: a node that tells nothing of use is none.
func (listener) NotifyAlive(n *memberlist.Node) error {
	_, err := decodeMember(n.Name, n.Meta)
	return err
}

// NotifyJoin implements memberlist.EventDelegate.
func (l listener) NotifyJoin(n *memberlist.Node) { l.see(n, "there") }

// NotifyUpdate implements memberlist.EventDelegate.
func (l listener) NotifyUpdate(n *memberlist.Node) { l.see(n, "changed") }

func (l listener) see(n *memberlist.Node, what string) {
	r := l.r
	m, err := decodeMember(n.Name, n.Meta)
	if err != nil || m.Name == r.cfg.Node.Name {
		return
	}
	address := n.Address()
	if r.change(func(b *board) bool {
		delete(r.lost, m.Name)
		r.there[m.Name] = address
		return b.set(m)
	}) {
		r.log.Info("a node tells of itself", "news", what, "node", m.Name, "life", m.Life, "state", m.State.String(), "address", address)
	}
}

// NotifyLeave implements memberlist.EventDelegate. A node that leaves has said before that it drains; another is dead, or cut off, and tried again.
func (l listener) NotifyLeave(n *memberlist.Node) {
	r, name, address := l.r, domain.NodeName(n.Name), n.Address()
	died := false
	if r.change(func(b *board) bool {
		delete(r.there, name)
		if m, ok := b.members[name]; ok && m.State != Draining {
			died = true
			r.remember(name, address)
		}
		return b.remove(name)
	}) {
		r.log.Warn("a node is gone", "node", name, "died", died)
	}
}

// NotifyConflict implements memberlist.ConflictDelegate.
func (l listener) NotifyConflict(existing, other *memberlist.Node) {
	l.r.conflict(existing.Address(), *other)
}

// debugLog writes memberlist's lines to the log, for those who debug.
type debugLog struct{ log *slog.Logger }

// Write implements io.Writer.
func (d debugLog) Write(line []byte) (int, error) {
	d.log.Debug("gossip", "line", strings.TrimSpace(string(line)))
	return len(line), nil
}
