package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"parley/delivery/directory"
	"parley/delivery/gateway"
	"parley/delivery/gateway/client"
	"parley/delivery/router"
	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/fence"
	"parley/domain/message"
	"parley/domain/token"
	"parley/domain/user"
	"parley/ingest/control"
	"parley/ingest/owners"
	"parley/ingest/shard"
	"parley/projections"
	"parley/projections/feed"
	"parley/projections/memberships"
	"parley/projections/queries"
	"parley/projections/reactor"
	"parley/projections/runner"
	"parley/schemas/msync"
	"parley/schemas/table"
	"parley/storage/pebble"
)

// shared is the write side and the read models on which all tests run, each with an app and a gateway of its own.
var shared *core

func TestMain(m *testing.M) { goleak.VerifyTestMain(withCore{m}) }

type withCore struct{ m *testing.M }

// Run starts the core around the tests.
func (w withCore) Run() int {
	dir, err := os.MkdirTemp("", "parley-gateway-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	shared = start(dir)
	defer shared.stop()
	return w.m.Run()
}

// core is the real thing behind gateways: log, owners, feeds, projections and queries over Pebble.
type core struct {
	log     *slowLog
	store   *brittleStore
	control *control.Control
	owners  *owners.Owners
	feeds   map[domain.Partition]*feed.Feed
	runner  *runner.Runner
	queries *queries.Queries
	signer  *token.Signer
	cancel  context.CancelFunc
	wg      sync.WaitGroup
}

// slowLog is a log whose appends wait as long as the test says, fail, or lose their answers.
type slowLog struct {
	*pebble.Log
	delay        atomic.Int64 // ns
	fails, loses atomic.Bool
}

func (l *slowLog) Append(ctx context.Context, p domain.Partition, b domain.Batch) (domain.Offset, error) {
	time.Sleep(time.Duration(l.delay.Load()))
	if l.fails.Load() {
		return 0, errDown
	}
	at, err := l.Log.Append(ctx, p, b)
	if l.loses.Load() {
		return 0, errDown
	}
	return at, err
}

// brittleStore is a store that does not answer while the test says so.
type brittleStore struct {
	*pebble.Store
	down    atomic.Bool
	devices atomic.Int64 // writes of devices' rows
}

var errDown = errors.New("the store does not answer")

func (s *brittleStore) Write(ctx context.Context, writes []table.Write) error {
	if s.down.Load() {
		return errDown
	}
	for i := range writes {
		if writes[i].Table == gateway.Devices {
			s.devices.Add(1)
		}
	}
	return s.Store.Write(ctx, writes)
}

func (s *brittleStore) Get(ctx context.Context, t *table.Table, keys []table.RowKey) ([]table.Row, error) {
	if s.down.Load() {
		return nil, errDown
	}
	return s.Store.Get(ctx, t, keys)
}

func (s *brittleStore) Scan(ctx context.Context, q table.Query) ([]table.Row, error) {
	if s.down.Load() {
		return nil, errDown
	}
	return s.Store.Scan(ctx, q)
}

func (s *brittleStore) Sync(ctx context.Context) error {
	if s.down.Load() {
		return errDown
	}
	return s.Store.Sync(ctx)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

var quiet = slog.New(slog.DiscardHandler)

func start(dir string) *core {
	ctx, cancel := context.WithCancel(context.Background())
	c := &core{cancel: cancel, feeds: map[domain.Partition]*feed.Feed{}}
	c.log = &slowLog{Log: must(pebble.OpenLog(filepath.Join(dir, "log"), pebble.Options{}))}
	c.store = &brittleStore{Store: must(pebble.OpenStore(filepath.Join(dir, "store"), pebble.Options{}))}
	c.control = control.New(c.log, quiet, time.Now)
	if err := c.control.Load(ctx); err != nil {
		panic(err)
	}
	slots := must(c.control.EnsureSlotMap(ctx, 4, 1))
	reg := prometheus.NewRegistry()
	feedMetrics := feed.NewMetrics(reg)
	for _, p := range slots.Partitions() {
		c.feeds[p] = feed.New(p, c.log, feed.DefaultSettings(), feedMetrics)
	}
	rules := map[domain.Kind]domain.Rules{
		domain.KindDirect: conversation.NewRules(message.DefaultLimits), domain.KindGroup: conversation.NewGroupRules(message.DefaultLimits),
		domain.KindUser: user.Rules{},
	}
	c.owners = must(owners.New(owners.Config{
		Node: "n", Control: c.control, Log: c.log, Store: c.store, Metrics: reg, Now: time.Now,
		Feed:  func(p domain.Partition) shard.Feed { return c.feeds[p] },
		Rules: func(k domain.Kind) domain.Rules { return rules[k] },
	}))
	c.runner = must(runner.New(ctx, c.store, projections.Kinds(), runner.DefaultSettings(), runner.NewMetrics(reg), quiet))
	c.queries = queries.New(c.store, queries.FeedOf(c.feedOf), c.runner)
	c.signer = must(token.NewSigner(token.Key{ID: "k", Secret: bytes.Repeat([]byte{7}, 32)}))
	c.run(func() error { return c.owners.Run(ctx) })
	reactors := reactor.New(c.store, c.owners, reactor.All(), reactor.DefaultSettings(), reactor.NewMetrics(reg), quiet)
	for _, f := range c.feeds {
		c.run(func() error { return c.runner.Run(ctx, f) })
		c.run(func() error { return reactors.Run(ctx, f) })
	}
	for c.owners.Ready() != nil {
		time.Sleep(time.Millisecond)
	}
	return c
}

func (c *core) run(f func() error) {
	c.wg.Go(func() {
		if err := f(); err != nil {
			panic(err)
		}
	})
}

func (c *core) stop() {
	c.cancel()
	c.wg.Wait()
	if err := errors.Join(c.store.Close(), c.log.Close()); err != nil {
		panic(err)
	}
}

func (c *core) feedOf(stream domain.StreamID) (queries.Feed, bool) {
	p, ok := c.control.SlotMap().Partition(stream)
	return c.feeds[p], ok
}

// reads adapts queries and runner as the command does.
type reads struct {
	*queries.Queries
	runner *runner.Runner
}

func (r reads) WaitMemberships(ctx context.Context, positions map[domain.Partition]domain.Index) error {
	for p, index := range positions {
		if index == 0 {
			continue
		}
		if err := r.runner.Wait(ctx, p, index, memberships.Kind.Name); err != nil {
			return err
		}
	}
	return nil
}

type apps struct{ control *control.Control }

func (a apps) AppExists(id domain.AppID) bool {
	_, ok := a.control.App(id)
	return ok
}

// rig is an app, and a gateway with its router.
type rig struct {
	t        *testing.T
	app      domain.AppID
	config   gateway.Config
	users    *directory.Directory
	router   *router.Router
	gateway  *gateway.Gateway
	registry *prometheus.Registry
	server   *httptest.Server
	url      string
	tls      bool   // set it before start
	stop     func() // ends the gateway as a node does; may be called before the test ends
}

var appNumber atomic.Int64

// settings limit nothing that a test does not limit itself.
func settings() gateway.Settings {
	s := gateway.DefaultSettings()
	s.SendRate, s.SendBurst, s.AppRate = 1e6, 1_000_000, 1e6
	s.DevicesPerOS = 100
	return s
}

func newRig(t *testing.T, change ...func(*gateway.Config)) *rig {
	t.Helper()
	r := &rig{t: t, app: domain.AppID(fmt.Sprintf("org#app%d", appNumber.Add(1)))}
	require.NoError(t, shared.control.PutApp(t.Context(), control.App{ID: r.app, UUID: "u", ClientID: "c", SecretHash: control.HashSecret("s")}))
	r.start(change...)
	t.Cleanup(func() { r.stop() })
	return r
}

// start starts a gateway for the app, as a new process would.
func (r *rig) start(change ...func(*gateway.Config)) {
	r.registry, r.users = prometheus.NewRegistry(), directory.New()
	route := router.New(r.users, shared.owners.Partitions(), router.NewMetrics(r.registry))
	r.router = route
	r.config = gateway.Config{
		Settings: settings(), Limits: message.DefaultLimits, Owners: shared.owners, Reads: reads{shared.queries, shared.runner},
		Apps: apps{shared.control}, Tokens: shared.signer, Directory: r.users, Router: route, Store: shared.store,
		NodeNumber: domain.FirstNode, Now: time.Now, Logger: quiet, Registerer: r.registry,
	}
	for _, f := range change {
		f(&r.config)
	}
	r.gateway = must(gateway.New(r.config))
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	positions := shared.owners.Positions()
	for i, p := range shared.owners.Partitions() {
		f, at := shared.feeds[p], positions[i]
		from := fence.Reader{Next: at.Offset + 1, Term: at.Term, Index: at.Index, Prev: at.Prev}
		if at.Index == 0 {
			from = fence.Reader{}
		}
		wg.Go(func() { must(0, route.Run(ctx, p, at.Index, f.Reader(from))) })
	}
	edge, stopEdge := context.WithCancel(context.Background())
	var edges sync.WaitGroup
	edges.Go(func() { must(0, r.gateway.Run(edge)) })
	r.server = httptest.NewUnstartedServer(r.gateway)
	if r.tls {
		r.server.StartTLS()
	} else {
		r.server.Start()
	}
	r.url = "ws" + strings.TrimPrefix(r.server.URL, "http")
	r.stop = sync.OnceFunc(func() {
		stopEdge()
		edges.Wait()
		r.server.Close()
		cancel()
		wg.Wait()
	})
}

// settled waits until all that was accepted is routed and in the read models: who logs in now has missed it.
func (r *rig) settled() {
	r.t.Helper()
	positions := map[domain.Partition]domain.Index{}
	for i, p := range shared.owners.Partitions() {
		positions[p] = shared.owners.Positions()[i].Index
	}
	eventually(r.t, func() bool {
		return reads{shared.queries, shared.runner}.WaitMemberships(within(r.t), positions) == nil
	}, func() string { return "the read models are late" })
	eventually(r.t, func() bool {
		for p, at := range r.router.Positions() {
			if at < positions[p] {
				return false
			}
		}
		return true
	}, func() string { return "the router is behind" })
	time.Sleep(2 * time.Millisecond) // the last commit is being routed
}

// submit has a command decided, and fails the test when it is refused.
func (r *rig) submit(stream domain.StreamID, c domain.Command) domain.Result {
	r.t.Helper()
	done := make(chan domain.Result, 1)
	shared.owners.Submit(domain.Request{Stream: stream, Command: c, Done: func(res domain.Result) { done <- res }})
	res := <-done
	require.NoError(r.t, res.Err)
	return res
}

// register makes accounts.
func (r *rig) register(names ...string) {
	r.t.Helper()
	for _, name := range names {
		r.submit(domain.UserStream(r.app, domain.UserID(name)), user.Register{UUID: "uuid-" + name})
	}
}

func (r *rig) account(name string) *user.Head {
	r.t.Helper()
	rows, err := shared.owners.Heads(r.t.Context(), []domain.StreamID{domain.UserStream(r.app, domain.UserID(name))})
	require.NoError(r.t, err)
	head, _ := rows[0].(*user.Head)
	require.NotNil(r.t, head)
	return head
}

func (r *rig) claims(name string) token.Claims {
	a := r.account(name)
	return token.Claims{App: r.app, User: domain.UserID(name), Incarnation: a.Incarnation, AuthEpoch: a.AuthEpoch}
}

func (r *rig) token(name string) msync.Token {
	return msync.Token(must(shared.signer.Sign(r.claims(name))))
}

// device is a client with what it received.
type device struct {
	*client.Client
	t    *testing.T
	user string
	mu   sync.Mutex
	got  []got

	unread []msync.UnreadQueue
}

// got is an entry as a device received it.
type got struct {
	id    uint64
	queue msync.Queue
	from  string
	kind  msync.MessageBody_Type
	text  string
	ack   uint64
	key   uint64
	to    string // device that was addressed
	op    string // of a group's event
}

func (r *rig) options(name, resource string) client.Options {
	return client.Options{AppKey: string(r.app), User: name, Token: r.token(name), Resource: resource}
}

// dial logs a device in.
func (r *rig) dial(name, resource string, change ...func(*client.Options)) *device {
	r.t.Helper()
	d, err := r.tryDial(name, resource, change...)
	require.NoError(r.t, err)
	r.t.Cleanup(func() { d.Cut() })
	return d
}

func (r *rig) tryDial(name, resource string, change ...func(*client.Options)) (*device, error) {
	d := &device{t: r.t, user: name}
	o := r.options(name, resource)
	o.OnMeta, o.OnUnread = d.take, d.list
	for _, f := range change {
		f(&o)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var err error
	d.Client, err = client.Dial(ctx, r.url, o)
	return d, err
}

func holdAcks(o *client.Options) { o.HoldAcks = true }

func (d *device) list(queues []msync.UnreadQueue) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.unread = append(d.unread, queues...)
}

func (d *device) listed() []msync.UnreadQueue {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.unread
}

func (d *device) take(v client.Delivery) {
	g := got{id: v.Meta.ID, queue: v.Queue.Queue(), from: string(v.Meta.From.Name), key: v.NextKey, to: string(v.Meta.To.Resource)}
	if v.Meta.NS == msync.Meta_CHAT {
		body, err := msync.ScanBody(v.Meta.Payload)
		if err != nil {
			d.t.Errorf("body: %v", err)
		}
		g.kind, g.text, g.ack = body.Type, string(body.Text), body.AckMessageID
	}
	if v.Meta.NS == msync.Meta_MUC {
		var muc msync.MUCBody
		if err := proto.Unmarshal(v.Meta.Payload, &muc); err != nil {
			d.t.Errorf("MUCBody: %v", err)
		}
		g.op = muc.GetOperation().String()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.got = append(d.got, g)
}

func (d *device) received() []got {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]got(nil), d.got...)
}

func (d *device) texts() []string {
	var out []string
	for _, g := range d.received() {
		if g.kind == msync.MessageBody_CHAT || g.kind == msync.MessageBody_GROUPCHAT {
			out = append(out, g.text)
		}
	}
	return out
}

// wait waits until the device has received n entries, and no more shortly after.
func (d *device) wait(n int) []got {
	d.t.Helper()
	eventually(d.t, func() bool { return len(d.received()) >= n }, func() string { return fmt.Sprintf("%d of %d received", len(d.received()), n) })
	time.Sleep(20 * time.Millisecond)
	out := d.received()
	require.Len(d.t, out, n)
	return out
}

func (d *device) send(to, text string) client.Ack {
	d.t.Helper()
	a, err := d.SendText(within(d.t), to, text)
	require.NoError(d.t, err)
	require.Equal(d.t, msync.Status_OK, a.Code, a.Reason)
	return a
}

// ended waits until the server has closed the socket and returns the named reason.
func (d *device) ended() (websocket.StatusCode, string) {
	d.t.Helper()
	select {
	case <-d.Done():
	case <-time.After(10 * time.Second):
		d.t.Fatal("the socket is still open")
	}
	if e, ok := errors.AsType[websocket.CloseError](d.Err()); ok {
		return e.Code, e.Reason
	}
	return -1, d.Err().Error()
}

// logout logs the device out. The server may be the first to close.
func (d *device) logout() {
	d.t.Helper()
	if err := d.Logout(within(d.t), "bye"); err != nil {
		require.ErrorIs(d.t, err, net.ErrClosed)
	}
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func eventually(t *testing.T, ok func() bool, say func() string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(say())
		}
	}
}

// metric returns the sum of a counter's or gauge's children that have all the given label values.
func (r *rig) metric(name string, labels ...string) (sum float64) {
	r.t.Helper()
	families, err := r.registry.Gather()
	require.NoError(r.t, err)
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
	next:
		for _, m := range f.GetMetric() {
			for _, want := range labels {
				found := false
				for _, l := range m.GetLabel() {
					found = found || l.GetValue() == want
				}
				if !found {
					continue next
				}
			}
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return sum
}

// raw is a socket on which a test writes what it likes.
type raw struct {
	t    *testing.T
	conn *websocket.Conn
}

func (r *rig) raw() *raw {
	r.t.Helper()
	conn, _, err := r.knock(nil)
	require.NoError(r.t, err)
	conn.SetReadLimit(1 << 20)
	return &raw{r.t, conn}
}

// knock opens a socket, or tells with which status it was refused.
func (r *rig) knock(header http.Header) (conn *websocket.Conn, status int, err error) {
	conn, resp, err := websocket.Dial(within(r.t), r.url, &websocket.DialOptions{HTTPHeader: header})
	if err == nil {
		r.t.Cleanup(func() { conn.CloseNow() })
	}
	if resp.Body != nil {
		resp.Body.Close()
	}
	return conn, resp.StatusCode, err
}

// rawLogin is a raw socket that has logged in.
func (r *rig) rawLogin(name, resource string) *raw {
	r.t.Helper()
	w := r.raw()
	w.write(r.hello(name, resource))
	a := w.provision()
	require.Equal(r.t, msync.Status_OK, a.Code, a.Reason)
	return w
}

func (r *rig) hello(name, resource string, change ...func(*msync.Hello)) []byte {
	h := &msync.Hello{
		AppKey: string(r.app), User: name, Resource: resource, DeviceUUID: resource, OS: msync.Provision_OS_OTHER, Version: "4.21.1", SessionID: "1:",
	}
	if len(change) == 0 {
		h.Token = r.token(name)
	}
	for _, f := range change {
		f(h)
	}
	return must(msync.AppendHello(nil, h))
}

func (w *raw) write(frame []byte) {
	w.t.Helper()
	require.NoError(w.t, w.conn.Write(within(w.t), websocket.MessageBinary, frame))
}

// next reads the next frame.
func (w *raw) next() msync.Frame {
	w.t.Helper()
	_, b, err := w.conn.Read(within(w.t))
	require.NoError(w.t, err)
	fr, err := msync.DecodeFrame(b)
	require.NoError(w.t, err)
	return fr
}

func (w *raw) provision() msync.ProvisionAnswer {
	w.t.Helper()
	fr := w.next()
	require.Equal(w.t, msync.MSync_PROVISION, fr.Command)
	a, err := msync.DecodeProvisionAnswer(fr.Payload)
	require.NoError(w.t, err)
	return a
}

// page reads the next page, past answers to UNREAD.
func (w *raw) page() msync.SyncDown {
	w.t.Helper()
	for {
		fr := w.next()
		if fr.Command != msync.MSync_SYNC {
			continue
		}
		s, err := msync.DecodeSyncDown(fr.Payload, nil)
		require.NoError(w.t, err)
		return s
	}
}

// closed reads to the end and returns the named reason.
func (w *raw) closed() (websocket.StatusCode, string) {
	w.t.Helper()
	for {
		if _, _, err := w.conn.Read(within(w.t)); err != nil {
			if e, ok := errors.AsType[websocket.CloseError](err); ok {
				return e.Code, e.Reason
			}
			return -1, err.Error()
		}
	}
}

func queueOf(r *rig, peer string) msync.Queue {
	return msync.Queue{AppKey: string(r.app), Name: peer, Domain: msync.UserDomain}
}

func key(r *rig, name string) directory.Key {
	return directory.Key{App: r.app, User: domain.UserID(name)}
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// failingHeads cannot read accounts.
type failingHeads struct{ *owners.Owners }

func (failingHeads) Heads(context.Context, []domain.StreamID) ([]domain.Row, error) {
	return nil, domain.Fail(domain.Busy, errDown)
}

// changingOwners changes an account right after its first read.
type changingOwners struct {
	*owners.Owners
	once   sync.Once
	change func()
}

func (o *changingOwners) Heads(ctx context.Context, ids []domain.StreamID) ([]domain.Row, error) {
	rows, err := o.Owners.Heads(ctx, ids)
	o.once.Do(func() {
		o.change()
		time.Sleep(20 * time.Millisecond) // the router finds no session
	})
	return rows, err
}

func text(from, to, msg string) []byte { return must(client.TextBody(from, to, msg, nil)) }
