// Package gateway speaks the SDKs' protocol on WebSockets: handshake, commands up, entries down, and the sync of each device.
//
// What must hold:
//
//   - A command is acknowledged only when its commit is (the shard's answer), and refused by a typed answer otherwise.
//   - A queue is pushed in the order of its seqs, none left out but those that the device may not see. Whoever loses the thread (a gap, a
//     slow client, a reconnect) is behind, and pages repair it: one repair path.
//   - At most Window entries of a socket are unacknowledged, over all queues: clients forget what they have seen after about 100.
//   - No call into the package blocks on a client: bytes wait in a bounded buffer, and whoever does not read is closed.
//   - A device has a lease of a room while one of its sockets views it. What rooms show is not acknowledged and not counted in the Window.
//   - Every close and refusal has a named reason.
package gateway

import (
	"bufio"
	"context"
	"errors"
	"hash/maphash"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"parley/delivery/directory"
	"parley/delivery/lease"
	"parley/delivery/room"
	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/message"
	"parley/domain/token"
)

// Owners takes commands to the owners of their streams, and reads acknowledged state there.
type Owners interface {
	Submit(r domain.Request)
	// Warm returns the acknowledged head row of a stream when it is at hand, nil when there is none; ok tells. It never waits.
	Warm(id domain.StreamID) (head domain.Row, ok bool)
	// Heads returns the acknowledged head rows in the order of the ids, nil where there is none.
	Heads(ctx context.Context, ids []domain.StreamID) ([]domain.Row, error)
}

// Reads are the read models that sync needs.
type Reads interface {
	Memberships(ctx context.Context, app domain.AppID, u domain.UserID, inc domain.Incarnation) ([]conversation.Membership, error)
	// Entries returns the entries from on, dense, at most limit and about maxBytes; fewer when the next is not readable yet.
	Entries(ctx context.Context, stream domain.StreamID, from, to domain.Seq, limit, maxBytes int) ([]domain.Event, error)
	// Recallable returns what a recall has to know of a message, and where it is. In the stream near it is found as soon as it is acknowledged.
	Recallable(ctx context.Context, near domain.StreamID, id domain.MessageID) (domain.StreamID, conversation.Recallable, error)
	// WaitMemberships waits until the memberships have seen the given positions.
	WaitMemberships(ctx context.Context, positions map[domain.Partition]domain.Index) error
}

// Apps knows the tenants.
type Apps interface {
	AppExists(app domain.AppID) bool
}

// Tokens verifies tokens.
type Tokens interface {
	Verify(t token.Token, now time.Time) (token.Claims, error)
}

// Router hands over what is not logged, and tells up to where commits were routed.
type Router interface {
	Positions() map[domain.Partition]domain.Index
	Volatile(stream domain.StreamID, ev *domain.Event)
	// Notify hands a Meta to those of some users who view a room.
	Notify(stream domain.StreamID, users []domain.UserID, meta []byte)
}

// Config is what a gateway is made of.
type Config struct {
	Settings   Settings
	Limits     message.Limits
	Owners     Owners
	Reads      Reads
	Apps       Apps
	Tokens     Tokens
	Directory  *directory.Directory
	Router     Router
	Store      Store
	Elsewhere  Elsewhere        // nil: the node is alone
	Leases     *lease.Leases    // who views which room; its Sink is Rooms
	Rooms      *room.Rooms      // running while the gateway does
	OnJoin     int              // newest messages that who joins a room is shown
	NodeNumber domain.Partition // of the ids of what is not logged: domain.FirstNode and up
	Now        func() time.Time
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// Gateway is an http.Handler of WebSockets. Run must be running while it serves.
type Gateway struct {
	cfg     Config
	log     *slog.Logger
	metrics *metrics
	devices *devices
	flusher *flusher
	readers *readers
	users   userLocks
	begun   domain.T // when it was made: what was shown before was shown by an earlier process

	mu       sync.Mutex
	sessions map[*session]struct{}
	apps     map[domain.AppID]*rate.Limiter
	draining bool
	wg       sync.WaitGroup // goroutines of sessions

	lastT atomic.Uint64 // of the ids of what is not logged
}

// New makes a gateway.
func New(cfg Config) (*Gateway, error) {
	if err := cfg.Settings.Validate(); err != nil {
		return nil, err
	}
	g := &Gateway{
		cfg: cfg, log: cfg.Logger, metrics: newMetrics(cfg.Registerer), flusher: newFlusher(), readers: newReaders(),
		users:    userLocks{seed: maphash.MakeSeed()},
		begun:    domain.TAt(cfg.Now()),
		sessions: make(map[*session]struct{}), apps: make(map[domain.AppID]*rate.Limiter),
	}
	g.devices = newDevices(cfg.Store, &g.cfg.Settings, g.metrics, cfg.Now)
	return g, nil
}

// flushers is the number of goroutines that write to sockets.
const flushers = 4

// Run serves sessions until ctx ends; then it closes them, spread over the drain time, and writes their cursors.
func (g *Gateway) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for range flushers {
		wg.Go(g.flusher.run)
	}
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	wg.Go(func() { g.devices.run(background) })
	wg.Go(func() { g.sweep(background) })
	<-ctx.Done()
	g.drain()
	g.readers.stop()
	stop()
	g.flusher.close()
	wg.Wait()
	return nil
}

// sweep closes sessions that are idle, or acknowledge nothing, and stops waiting for those that do not pull.
func (g *Gateway) sweep(ctx context.Context) {
	set := &g.cfg.Settings
	tick := time.NewTicker(max(min(set.AuthTimeout, set.IdleTimeout, set.UnackedTimeout)/8, 10*time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := g.cfg.Now()
		g.mu.Lock()
		var overdue, late []*session
		for s := range g.sessions {
			if s.overdue(now) != "" {
				overdue = append(overdue, s)
			} else if s.pullsLate(now) {
				late = append(late, s)
			}
		}
		g.mu.Unlock()
		for _, s := range late {
			s.unlist()
		}
		for _, s := range overdue {
			if reason := s.overdue(now); reason != "" {
				s.close(reason)
			}
		}
	}
}

// Sessions returns how many sockets there are.
func (g *Gateway) Sessions() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.sessions)
}

// ServeHTTP implements http.Handler: it takes the socket over and returns; the session's own goroutine reads from then on.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.metrics.connects.Inc()
	if !g.originAllowed(r) {
		g.refuse(w, http.StatusForbidden, "origin")
		return
	}
	s := newSession(g)
	if reason := g.admit(s); reason != "" {
		w.Header().Set("Retry-After", "1")
		g.refuse(w, http.StatusServiceUnavailable, reason)
		return
	}
	h := &hijacker{ResponseWriter: w, session: s}
	conn, err := websocket.Accept(h, r, &websocket.AcceptOptions{
		InsecureSkipVerify: true, // the origin was checked above, by the setting
		CompressionMode:    websocket.CompressionDisabled,
	})
	if err != nil {
		g.metrics.refused.WithLabelValues("handshake").Inc()
		g.remove(s)
		g.wg.Done()
		return
	}
	conn.SetReadLimit(int64(g.cfg.Settings.MaxFrame))
	s.conn = conn
	s.started.Store(true)
	go s.run()
	if g.isDraining() { // it began after the session was counted in: drain may not have seen a socket to close
		s.close(closeDrain)
	}
}

func (g *Gateway) isDraining() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.draining
}

func (g *Gateway) refuse(w http.ResponseWriter, status int, reason string) {
	g.metrics.refused.WithLabelValues(reason).Inc()
	http.Error(w, reason, status)
}

// admit counts a session in, unless the node drains or is full.
func (g *Gateway) admit(s *session) (reason string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.draining:
		return "draining"
	case len(g.sessions) >= g.cfg.Settings.MaxSessions:
		return "max_sessions"
	}
	g.sessions[s] = struct{}{}
	g.wg.Add(1)
	return ""
}

func (g *Gateway) remove(s *session) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.sessions, s)
}

// originAllowed checks the browser's Origin. What is no browser sends none.
func (g *Gateway) originAllowed(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" || slices.Contains(g.cfg.Settings.Origins, "*") || slices.Contains(g.cfg.Settings.Origins, origin) {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host == r.Host
}

// limiter returns the limiter of an app's messages on this node.
func (g *Gateway) limiter(app domain.AppID) *rate.Limiter {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.apps[app]
	if l == nil {
		l = rate.NewLimiter(rate.Limit(g.cfg.Settings.AppRate), int(g.cfg.Settings.AppRate))
		g.apps[app] = l
	}
	return l
}

// NextT returns an id for what is not logged.
func (g *Gateway) NextT() domain.T {
	for {
		last := g.lastT.Load()
		t := domain.NextT(g.cfg.Now(), domain.T(last), g.cfg.NodeNumber)
		if g.lastT.CompareAndSwap(last, uint64(t)) {
			return t
		}
	}
}

// writeBuffer is the size of the WebSocket library's buffer for writing: it lives as long as the socket. That for reading is headerRead.
const writeBuffer = 512

// hijacker takes the connection over with small buffers and puts the session's outbound between it and the library.
type hijacker struct {
	http.ResponseWriter
	session *session
}

// Hijack implements http.Hijacker.
func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	hj, ok := h.ResponseWriter.(http.Hijacker)
	if !ok {
		return nil, nil, errors.New("the connection cannot be taken over")
	}
	c, brw, err := hj.Hijack()
	if err != nil {
		return nil, nil, err
	}
	if err := c.SetDeadline(time.Time{}); err != nil {
		return nil, nil, errors.Join(err, c.Close())
	}
	early, err := brw.Reader.Peek(brw.Reader.Buffered())
	if err != nil {
		return nil, nil, errors.Join(err, c.Close())
	}
	if err := brw.Writer.Flush(); err != nil { // the answer to the upgrade
		return nil, nil, errors.Join(err, c.Close())
	}
	set := &h.session.gw.cfg.Settings
	o := newOutbound(c, h.session.gw.flusher, set.MaxOutbound, set.StallTimeout, h.session.failed)
	o.in.early = slices.Clone(early)
	h.session.in, h.session.out = &o.in, o
	return o, bufio.NewReadWriter(bufio.NewReaderSize(o, headerRead), bufio.NewWriterSize(o, writeBuffer)), nil
}
