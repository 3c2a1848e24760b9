package ring

import (
	"context"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"parley/domain"
)

const (
	mostLost = 256 // addresses of dead members that are tried again; then some are forgotten
	atOnce   = 8   // addresses tried at the same time
)

// remember keeps the address of a member that died. Call with mu held.
func (r *Ring) remember(name domain.NodeName, address string) {
	for old := range r.lost {
		if len(r.lost) < mostLost {
			break
		}
		delete(r.lost, old)
	}
	r.lost[name] = address
}

// rejoin tries addresses to join that are no member, and members that died, until ctx ends: after Rejoin/10 at first, then twice as long each time, up to
// Rejoin. What memberlist has declared dead it soon forgets, and would not find again when a cut heals.
func (r *Ring) rejoin(ctx context.Context) {
	type try struct {
		at   time.Time
		wait time.Duration
	}
	first := r.cfg.Settings.Rejoin / 10
	type resolved struct {
		ip string // ip:port
		at time.Time
	}
	tries := make(map[string]try)
	known := make(map[string]resolved) // of addresses to join
	ticker := time.NewTicker(first)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		missing := r.missing(func(a string) (string, bool) {
			if k, ok := known[a]; ok && time.Since(k.at) < r.cfg.Settings.Rejoin {
				return k.ip, k.ip != ""
			}
			ip, ok := address(ctx, a)
			known[a] = resolved{ip, time.Now()}
			return ip, ok
		})
		var due []string
		for a := range tries {
			if !missing[a] {
				delete(tries, a)
			}
		}
		for a := range missing {
			t, tried := tries[a]
			if tried && time.Now().Before(t.at) {
				continue
			}
			wait := min(r.cfg.Settings.Rejoin, max(first, 2*t.wait))
			tries[a] = try{time.Now().Add(wait), wait}
			due = append(due, a)
		}
		r.joinAll(ctx, due, slog.LevelDebug)
	}
}

// missing returns the addresses of nodes that should be there and are not.
func (r *Ring) missing(resolve func(string) (string, bool)) map[string]bool {
	missing := make(map[string]bool)
	for _, a := range r.join {
		if ip, ok := resolve(a); ok {
			missing[ip] = true
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range r.lost {
		missing[a] = true
	}
	for _, a := range r.there {
		delete(missing, a)
	}
	delete(missing, r.address)
	return missing
}

// address turns host:port into ip:port.
func address(ctx context.Context, a string) (string, bool) {
	host, port, err := splitHostPort(a)
	if err != nil {
		return "", false
	}
	ip, err := resolve(ctx, host, "ip")
	if err != nil {
		return "", false
	}
	return net.JoinHostPort(ip, strconv.Itoa(port)), true
}

// joinAll tries each address once, and returns when all have answered or have not; those that have not are logged.
func (r *Ring) joinAll(ctx context.Context, addresses []string, level slog.Level) {
	var all sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for _, a := range addresses {
		if ctx.Err() != nil {
			break
		}
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			ip, ok := address(ctx, a)
			if !ok {
				r.log.Log(ctx, level, "the address of a node to join is not known", "address", a)
				return
			}
			if _, err := r.gossip.Join([]string{ip}); err != nil {
				r.log.Log(ctx, level, "a node does not answer, it will be tried again", "address", a, "error", err)
			}
		})
	}
	all.Wait()
}

// rival is a process that calls itself by the name of a member with another address.
type rival struct{ logged time.Time }

const (
	rivalLogEvery = 10 * time.Second
	mostRivals    = 64
	pings         = 3
	nameWait      = 10 * time.Second
	namePause     = 300 * time.Millisecond
)

// conflict hears of a second process with the name of a living member. memberlist goes on with the first. It is called with memberlist's lock held.
func (r *Ring) conflict(existing string, other memberlist.Node) {
	if other.Name == string(r.cfg.Node.Name) {
		select {
		case r.rival <- other:
		default:
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.rivals) >= mostRivals {
		clear(r.rivals)
	}
	key := other.Name + "/" + other.Address()
	if time.Since(r.rivals[key].logged) < rivalLogEvery || r.closed {
		return
	}
	r.rivals[key] = rival{time.Now()}
	r.metrics.conflicts.Inc()
	r.log.Error("two processes have the name of one node; the second is refused while the first lives",
		"node", other.Name, "first", existing, "second", other.Address())
}

// haveName makes sure that no other living process has this node's name. One that has died at another address is waited for until the others know, or
// suspect it at least: then doubted is true.
func (r *Ring) haveName(ctx context.Context) (doubted bool, err error) {
	for end := time.Now().Add(nameWait); ; {
		select {
		case other := <-r.rival:
			if r.answers(&other) || time.Now().After(end) {
				return true, ErrNameTaken
			}
			doubted = true
		default:
			return doubted, nil
		}
		select {
		case <-ctx.Done():
			return doubted, ctx.Err()
		case <-time.After(namePause):
		}
		select { // an answer of before says nothing of now
		case <-r.rival:
		default:
		}
		r.joinAll(ctx, r.join, slog.LevelDebug)
	}
}

// insist tells the others of this node again and again for a while: as long as one of them takes the process that had the name before for alive, it
// does not hear of this one.
func (r *Ring) insist(ctx context.Context) {
	for end := time.Now().Add(nameWait); time.Now().Before(end); {
		select {
		case <-ctx.Done():
			return
		case <-time.After(namePause):
			poke(r.news)
		}
	}
}

// answers tells whether a process of that name lives at that address.
func (r *Ring) answers(n *memberlist.Node) bool {
	for range pings {
		if _, err := r.gossip.Ping(n.Name, &net.UDPAddr{IP: n.Addr, Port: int(n.Port)}); err == nil {
			return true
		}
	}
	return false
}

// watchRivals looks after this node's name while it runs. A process that started with it later, when this one was stalled or cut off and taken for dead, keeps
// it: this node drains, or the two would take partitions from each other for ever.
func (r *Ring) watchRivals(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case other := <-r.rival:
			m, err := decodeMember(other.Name, other.Meta)
			if err != nil || m.State == Starting || m.Life <= r.cfg.Node.Life || !r.answers(&other) {
				continue
			}
			r.log.Error("another process has taken this node's name: this one owns nothing any more", "node", m.Name, "address", other.Address())
			r.Drain()
		}
	}
}
