package gateway_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"parley/delivery/directory"
	"parley/delivery/gateway"
	"parley/delivery/gateway/client"
	"parley/delivery/lease"
	"parley/delivery/room"
	"parley/delivery/router"
	"parley/domain"
	"parley/domain/fence"
	"parley/domain/message"
	"parley/domain/token"
	"parley/domain/user"
	"parley/ingest/control"
	"parley/schemas/msync"
)

// rig is an app, and a gateway with its router.
type rig struct {
	t        *testing.T
	app      domain.AppID
	config   gateway.Config
	users    *directory.Directory
	router   *router.Router
	leases   *lease.Leases
	rooms    *room.Rooms
	gateway  *gateway.Gateway
	registry *prometheus.Registry
	server   *httptest.Server
	url      string
	leaseSet lease.Settings // set them before start
	cluster  func(*lease.Config)
	roomSet  room.Settings
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
	r := &rig{
		t: t, app: domain.AppID(fmt.Sprintf("org#app%d", appNumber.Add(1))),
		leaseSet: lease.DefaultSettings(), roomSet: room.DefaultSettings(),
	}
	require.NoError(t, shared.control.PutApp(t.Context(), control.App{ID: r.app, UUID: "u", ClientID: "c", SecretHash: control.HashSecret("s")}))
	r.start(change...)
	t.Cleanup(func() { r.stop() })
	return r
}

// start starts a gateway for the app, as a new process would.
func (r *rig) start(change ...func(*gateway.Config)) {
	r.registry, r.users = prometheus.NewRegistry(), directory.New()
	r.makeRooms()
	route := router.New(r.users, r.rooms, r.leases, shared.owners.Partitions(), router.NewMetrics(r.registry))
	r.router = route
	r.config = gateway.Config{
		Leases: r.leases, Rooms: r.rooms, OnJoin: r.roomSet.OnJoin,
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
	wg.Go(func() { must(0, r.leases.Run(ctx)) })
	wg.Go(func() { must(0, r.rooms.Run(ctx)) })
	must(0, r.gateway.CheckRooms(ctx))
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

// makeRooms makes what keeps and shows rooms, with the leases of before.
func (r *rig) makeRooms() {
	read := reads{shared.queries, shared.runner}
	r.rooms = must(room.New(room.Config{
		Settings: r.roomSet, Owners: shared.owners, Reads: read, NextT: func() domain.T { return r.gateway.NextT() }, Now: time.Now,
		Registerer: r.registry,
	}))
	c := lease.Config{
		Store: leaseStore{shared.store, r.app}, Settings: r.leaseSet, Sink: r.rooms, Now: time.Now, Logger: quiet, Registerer: r.registry,
	}
	if r.cluster != nil {
		r.cluster(&c)
	}
	r.leases = lease.New(c)
	must(0, r.leases.Load(context.Background()))
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

func queueOf(r *rig, peer string) msync.Queue {
	return msync.Queue{AppKey: string(r.app), Name: peer, Domain: msync.UserDomain}
}

func key(r *rig, name string) directory.Key {
	return directory.Key{App: r.app, User: domain.UserID(name)}
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

func text(from, to, msg string) []byte { return must(client.TextBody(from, to, msg, nil)) }
