package gateway_test

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"parley/delivery/gateway"
	"parley/delivery/gateway/client"
	"parley/domain"
	"parley/ingest/owners"
	"parley/schemas/msync"
)

// heldOwners are the real ones; their answers come when the test says.
type heldOwners struct {
	*owners.Owners
	hold func(answer func())
}

func (o *heldOwners) Submit(r domain.Request) {
	done := r.Done
	r.Done = func(res domain.Result) { o.hold(func() { done(res) }) }
	o.Owners.Submit(r)
}

// drained is a node that stops while a client sends.
type drained struct {
	*rig
	alice, bob *device
	held       chan func() // answers of commands
	begin      time.Time
	stopped    chan struct{}
}

func newDrained(t *testing.T, answers time.Duration) *drained {
	d := &drained{held: make(chan func(), 100_000), stopped: make(chan struct{})}
	d.rig = newRig(t, func(g *gateway.Config) {
		g.Settings.DrainAnswers, g.Settings.DrainTime = answers, 50*time.Millisecond
		g.Owners = &heldOwners{shared.owners, func(answer func()) { d.held <- answer }}
	})
	d.register("alice", "bob")
	d.alice, d.bob = d.dial("alice", "web"), d.dial("bob", "web")
	return d
}

// drain begins the stop when a command of alice's is in hand.
func (d *drained) drain() (first *answers, answer func()) {
	d.t.Helper()
	first = d.alice.sendMany("bob", 1, 0)
	answer = <-d.held
	d.begin = time.Now()
	go func() { defer close(d.stopped); d.stop() }()
	code, reason := d.bob.ended()
	require.Equal(d.t, "drain", reason)
	require.Equal(d.t, websocket.StatusServiceRestart, code)
	require.Less(d.t, time.Since(d.begin), 300*time.Millisecond, "bob waits for nothing")
	return first, answer
}

// A command whose answer comes while the node drains is answered before its socket is closed, and so is what is sent meanwhile. Nobody new comes in.
func TestDrainWaitsForAnswers(t *testing.T) {
	d := newDrained(t, 5*time.Second)
	first, answer := d.drain()
	second := d.alice.sendMany("bob", 1, 0)
	answerSecond := <-d.held
	_, status, err := d.knock(nil)
	require.Error(t, err)
	require.Equal(t, http.StatusServiceUnavailable, status)
	time.Sleep(time.Until(d.begin.Add(300 * time.Millisecond)))
	answer()
	eventually(t, func() bool { return first.count() == 1 }, func() string { return "the first is not answered" })
	time.Sleep(20 * time.Millisecond)
	require.NoError(t, d.alice.Err(), "the second has no answer yet")
	answerSecond()
	_, reason := d.alice.ended()
	require.Equal(t, "drain", reason)
	for _, a := range []*answers{first, second} {
		require.Len(t, a.got[0], 1)
		require.Equal(t, msync.Status_OK, a.got[0][0].Code)
	}
	<-d.stopped
	require.Less(t, time.Since(d.begin), 2*time.Second)
}

// A command that is never answered holds up its socket as long as is set, and no longer.
func TestDrainBoundsTheWait(t *testing.T) {
	d := newDrained(t, 400*time.Millisecond)
	first, answer := d.drain()
	_, reason := d.alice.ended()
	took := time.Since(d.begin)
	require.Equal(t, "drain", reason)
	require.GreaterOrEqual(t, took, 400*time.Millisecond)
	require.Less(t, took, 900*time.Millisecond)
	<-d.stopped
	require.Less(t, time.Since(d.begin), 1500*time.Millisecond)
	answer() // too late
	require.Zero(t, first.count())
}

// A client that never stops sending, so that it always waits for something, is closed when its time is over.
func TestDrainEndsWhoNeverStops(t *testing.T) {
	d := newDrained(t, 400*time.Millisecond)
	_, answer := d.drain()
	var answering sync.WaitGroup
	answering.Go(func() {
		for answer != nil {
			next := <-d.held // so that one is always in hand
			answer()
			answer = next
		}
	})
	for d.alice.Err() == nil {
		out := msync.Outgoing{To: "bob", NS: msync.Meta_CHAT, Payload: text("alice", "bob", "on and on")}
		_, _ = d.alice.SendAsync(within(t), out, func(client.Ack, error) {}) // fails when the socket is closed
		time.Sleep(time.Millisecond)
	}
	_, reason := d.alice.ended()
	took := time.Since(d.begin)
	d.held <- nil
	answering.Wait()
	require.Equal(t, "drain", reason)
	require.GreaterOrEqual(t, took, 400*time.Millisecond)
	require.Less(t, took, 1200*time.Millisecond)
	<-d.stopped
	require.Less(t, time.Since(d.begin), 2*time.Second)
}
