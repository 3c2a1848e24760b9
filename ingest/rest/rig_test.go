package rest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/crypto/bcrypt"

	"parley/delivery/lease"
	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/message"
	"parley/domain/token"
	"parley/domain/user"
	"parley/ingest/control"
	"parley/ingest/owners"
	"parley/ingest/rest"
	"parley/ingest/shard"
	"parley/projections"
	"parley/projections/feed"
	"parley/projections/groups"
	"parley/projections/queries"
	"parley/projections/runner"
	"parley/storage/pebble"
)

// shared is the node on which all tests run, each with an app of its own.
var shared *node

func TestMain(m *testing.M) { goleak.VerifyTestMain(withNode{m}) }

type withNode struct{ m *testing.M }

// Run starts the node around the tests.
func (w withNode) Run() int {
	dir, err := os.MkdirTemp("", "parley-rest-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	shared = start(dir)
	defer shared.stop()
	return w.m.Run()
}

// node is the real thing behind REST: log, owners, projections, queries and leases over Pebble. Who is online is told by the test.
type node struct {
	log     *pebble.Log
	store   *pebble.Store
	control *control.Control
	owners  *owners.Owners
	feeds   map[domain.Partition]*feed.Feed
	runner  *runner.Runner
	queries *queries.Queries
	leases  *lease.Leases
	signer  *token.Signer
	logs    *logBuffer
	cancel  context.CancelFunc
	wg      sync.WaitGroup
}

// logBuffer keeps what is logged, so that tests can look for what must not be.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func start(dir string) *node {
	ctx, cancel := context.WithCancel(context.Background())
	n := &node{cancel: cancel, feeds: map[domain.Partition]*feed.Feed{}, logs: &logBuffer{}}
	n.log = must(pebble.OpenLog(filepath.Join(dir, "log"), pebble.Options{}))
	n.store = must(pebble.OpenStore(filepath.Join(dir, "store"), pebble.Options{}))
	n.control = control.New(n.log, slog.New(slog.DiscardHandler), time.Now)
	if err := n.control.Load(ctx); err != nil {
		panic(err)
	}
	slots := must(n.control.EnsureSlotMap(ctx, 2, 1))
	reg := prometheus.NewRegistry()
	feedMetrics := feed.NewMetrics(reg)
	for _, p := range slots.Partitions() {
		n.feeds[p] = feed.New(p, n.log, feed.DefaultSettings(), feedMetrics)
	}
	rules := map[domain.Kind]domain.Rules{
		domain.KindDirect: conversation.NewRules(message.DefaultLimits), domain.KindUser: user.Rules{},
		domain.KindGroup: conversation.NewGroupRules(message.DefaultLimits), domain.KindRoom: conversation.NewRoomRules(message.DefaultLimits),
	}
	n.owners = must(owners.New(owners.Config{
		Node: "n", Control: n.control, Log: n.log, Store: n.store, Metrics: reg, Now: time.Now,
		Feed:  func(p domain.Partition) shard.Feed { return n.feeds[p] },
		Rules: func(k domain.Kind) domain.Rules { return rules[k] },
	}))
	quiet := slog.New(slog.DiscardHandler)
	n.runner = must(runner.New(ctx, n.store, projections.Kinds(), runner.DefaultSettings(), runner.NewMetrics(reg), quiet))
	n.queries = queries.New(n.store, queries.FeedOf(n.feedOf), n.runner)
	n.signer = must(token.NewSigner(token.Key{ID: "k", Secret: bytes.Repeat([]byte{7}, 32)}))
	n.leases = lease.New(lease.Config{Store: n.store, Settings: lease.DefaultSettings()})
	if err := n.leases.Load(ctx); err != nil {
		panic(err)
	}
	n.wg.Go(func() { n.ended(n.owners.Run(ctx)) })
	n.wg.Go(func() { n.ended(n.leases.Run(ctx)) })
	for _, f := range n.feeds {
		n.wg.Go(func() { n.ended(n.runner.Run(ctx, f)) })
	}
	for n.owners.Ready() != nil {
		time.Sleep(time.Millisecond)
	}
	return n
}

func (n *node) ended(err error) {
	if err != nil {
		panic(err)
	}
}

func (n *node) stop() {
	n.cancel()
	n.wg.Wait()
	if err := n.store.Close(); err != nil {
		panic(err)
	}
	if err := n.log.Close(); err != nil {
		panic(err)
	}
}

func (n *node) feedOf(stream domain.StreamID) (queries.Feed, bool) {
	p, ok := n.control.SlotMap().Partition(stream)
	return n.feeds[p], ok
}

// reads adapts the queries as the command does.
type reads struct{ *queries.Queries }

func (r reads) History(ctx context.Context, q rest.HistoryQuery) (rest.HistoryPage, error) {
	page, err := r.Queries.History(ctx, queries.HistoryQuery(q))
	return rest.HistoryPage(page), err
}

func (r reads) Users(ctx context.Context, app domain.AppID, cursor string, limit int) ([]rest.Profile, string, error) {
	page, next, err := r.Queries.Users(ctx, app, cursor, limit)
	out := make([]rest.Profile, len(page))
	for i := range page {
		out[i] = rest.Profile(page[i])
	}
	return out, next, err
}

func (r reads) Members(ctx context.Context, stream domain.StreamID, cursor string, skip, limit int) ([]rest.GroupMember, string, error) {
	page, next, err := r.Queries.Members(ctx, stream, cursor, skip, limit)
	out := make([]rest.GroupMember, len(page))
	for i, m := range page {
		out[i] = rest.GroupMember{User: m.User, Joined: m.Joined}
	}
	return out, next, err
}

func (r reads) Groups(ctx context.Context, app domain.AppID, public bool, cursor string, limit int) ([]rest.Group, string, error) {
	list := groups.All
	if public {
		list = groups.Public
	}
	page, next, err := r.Queries.Groups(ctx, app, list, cursor, limit)
	out := make([]rest.Group, len(page))
	for i, g := range page {
		out[i] = rest.Group{ID: g.ID, Name: g.Name, Owner: g.Owner, Changed: g.Changed, Count: g.Count}
	}
	return out, next, err
}

type waiter struct{ runner *runner.Runner }

func (w waiter) Wait(ctx context.Context, p domain.Partition, index domain.Index) error {
	return w.runner.Wait(ctx, p, index)
}

type apps struct{ control *control.Control }

func view(a control.App) rest.App {
	return rest.App{
		ID: a.ID, UUID: a.UUID, ClientID: a.ClientID, OpenRegistration: a.OpenRegistration, Created: a.Created, CheckSecret: a.CheckSecret,
	}
}

func (a apps) App(id domain.AppID) (rest.App, bool) {
	app, ok := a.control.App(id)
	return view(app), ok
}

func (a apps) ListApps() (out []rest.App) {
	for _, app := range a.control.Apps() {
		out = append(out, view(app))
	}
	return out
}

func (a apps) CreateApp(ctx context.Context, n rest.NewApp) error {
	return a.control.PutApp(ctx, control.App{
		ID: n.ID, UUID: n.UUID, ClientID: n.ClientID, SecretHash: control.HashSecret(n.Secret), OpenRegistration: n.OpenRegistration,
	})
}

func (a apps) DeleteApp(ctx context.Context, id domain.AppID) error {
	return a.control.DeleteApp(ctx, id)
}

// people are the sessions, and what was shown to them. They stand for delivery, which has tests of its own.
type people struct {
	mu      sync.Mutex
	devices map[domain.UserID][]rest.Device
	shown   []shown
	lastT   domain.T
	waiting map[domain.UserID]int
	seen    map[domain.MessageID]bool
}

type shown struct {
	stream domain.StreamID
	event  *domain.Event
}

func (p *people) Devices(_ domain.AppID, u domain.UserID) []rest.Device {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.devices[u]
}

func (p *people) Online(app domain.AppID, u domain.UserID) bool { return len(p.Devices(app, u)) > 0 }

func (p *people) NextT() domain.T {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lastT = domain.NextT(time.Now(), p.lastT, domain.FirstNode)
	return p.lastT
}

func (p *people) Volatile(stream domain.StreamID, ev *domain.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shown = append(p.shown, shown{stream, ev})
}

func (p *people) Count(_ context.Context, _ domain.AppID, u domain.UserID, _ domain.Incarnation) (int, error) {
	return p.waiting[u], nil
}

func (p *people) Delivered(_ context.Context, _ domain.AppID, _ domain.UserID, _ domain.Incarnation, id domain.MessageID) (bool, error) {
	seen, ok := p.seen[id]
	if !ok {
		return false, domain.Refuse(domain.NotFound, "the user has no such message")
	}
	return seen, nil
}

// rig is a server and an app of a test's own.
type rig struct {
	t       *testing.T
	app     domain.AppID
	made    rest.NewApp
	people  *people
	viewing *viewing
	config  rest.Config
	server  *rest.Server
	token   string // the app's
}

var appNumber atomic.Int64

// freeSettings limit nothing that the test does not limit itself, and hash fast.
func freeSettings() rest.Settings {
	s := rest.DefaultSettings()
	s.Rate, s.Burst, s.BcryptCost, s.MessagesPerMinute, s.GroupMessagesPerMinute = 1e6, 1_000_000, bcrypt.MinCost, 1_000_000, 1_000_000
	s.RoomMessagesPerSecond = 1_000_000
	s.Origins = []string{"https://app.example"}
	return s
}

func newRig(t *testing.T, change ...func(*rest.Config)) *rig {
	t.Helper()
	r := &rig{t: t, app: domain.AppID(fmt.Sprintf("org#app%d", appNumber.Add(1))), viewing: newViewing(1_000_000, time.Now), people: &people{
		devices: map[domain.UserID][]rest.Device{}, waiting: map[domain.UserID]int{}, seen: map[domain.MessageID]bool{},
	}}
	r.made = rest.MakeApp(r.app, true)
	require.NoError(t, apps{shared.control}.CreateApp(t.Context(), r.made))
	r.config = rest.Config{
		Settings: freeSettings(), Limits: message.DefaultLimits, Owners: shared.owners, Apps: apps{shared.control}, Tokens: shared.signer,
		Reads: reads{shared.queries}, Groups: reads{shared.queries}, Messages: shared.queries, RecallWindow: 2 * time.Minute, Waiter: waiter{shared.runner},
		Rooms: r.viewing, RoomLists: reads{shared.queries}, RoomUsers: 10_000, Sessions: r.people, Undelivered: r.people, Volatile: r.people,
		Now: time.Now, Logger: slog.New(slog.NewTextHandler(shared.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Registerer: prometheus.NewRegistry(),
	}
	for _, f := range change {
		f(&r.config)
	}
	var err error
	r.server, err = rest.New(r.config)
	require.NoError(t, err)
	r.token = r.appToken()
	return r
}

// answer is an answer, read.
type answer struct {
	status int
	header http.Header
	text   string
	json   map[string]any
}

// do makes a call; body may be a string, nil, or anything that becomes JSON.
func (r *rig) do(method, path, tok string, body any, headers ...string) answer {
	r.t.Helper()
	var reader *strings.Reader
	switch b := body.(type) {
	case nil:
		reader = strings.NewReader("")
	case string:
		reader = strings.NewReader(b)
	default:
		raw, err := json.Marshal(b)
		require.NoError(r.t, err)
		reader = strings.NewReader(string(raw))
	}
	if strings.HasPrefix(path, "~") { // inside the app
		path = "/" + r.app.Org() + "/" + r.app.Name() + path[1:]
	}
	req := httptest.NewRequestWithContext(r.t.Context(), method, "http://chat.example"+path, reader)
	req.Header.Set("Content-Type", "application/json")
	if tok != "" {
		req.Header.Set("Authorization", "Bearer "+tok)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return serve(r.t, r.server, req)
}

func serve(t *testing.T, h http.Handler, req *http.Request) answer {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	a := answer{status: w.Code, header: w.Header(), text: w.Body.String()}
	if a.text != "" {
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &a.json), "every answer is a JSON object: %s", a.text)
	}
	return a
}

// ok makes a call with the app's token and demands success.
func (r *rig) ok(method, path string, body any) map[string]any {
	r.t.Helper()
	a := r.do(method, path, r.token, body)
	require.Equal(r.t, http.StatusOK, a.status, a.text)
	return a.json
}

func (r *rig) appToken() string {
	r.t.Helper()
	a := r.do("POST", "~/token", "", map[string]any{
		"grant_type": "client_credentials", "client_id": r.made.ClientID, "client_secret": r.made.Secret,
	})
	require.Equal(r.t, http.StatusOK, a.status, a.text)
	return a.json["access_token"].(string)
}

// user registers users, all with the password "p".
func (r *rig) user(names ...string) {
	r.t.Helper()
	for _, name := range names {
		r.ok("POST", "~/users", map[string]any{"username": name, "password": "p"})
	}
}

func (r *rig) userToken(name string) string {
	r.t.Helper()
	return r.ok("POST", "~/token", map[string]any{"grant_type": "inherit", "username": name})["access_token"].(string)
}

// entities returns the names in entities.
func entities(m map[string]any) (names []string) {
	for _, e := range m["entities"].([]any) {
		names = append(names, e.(map[string]any)["username"].(string))
	}
	return names
}

// forgetful owners lose the answers to some commands, which are done all the same.
type forgetful struct {
	rest.Owners
	lose atomic.Int64
}

func (f *forgetful) Submit(r domain.Request) {
	if f.lose.Add(-1) >= 0 {
		done := r.Done
		r.Done = func(domain.Result) { done(domain.Result{Err: domain.Refuse(domain.Unknown, "moved")}) }
	} else {
		f.lose.Add(1)
	}
	f.Owners.Submit(r)
}
