package gateway_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"parley/delivery/directory"
	"parley/delivery/gateway"
	"parley/delivery/lease"
	"parley/delivery/room"
	"parley/domain"
)

// askedNode is one other node, as a function.
type askedNode func(ctx context.Context, k directory.Key, inc domain.Incarnation, r domain.Resource) error

func (f askedNode) Settle(ctx context.Context, node domain.NodeName, k directory.Key, inc domain.Incarnation, r domain.Resource) error {
	if node != "east" {
		return context.Canceled
	}
	return f(ctx, k, inc, r)
}

// A device that moves to another node is not shown again what it has acknowledged on the first one, written or not. A node that does not answer
// delays the log-in a little, and no more.
func TestDeviceMovesBetweenNodes(t *testing.T) {
	for _, c := range []struct {
		name    string
		east    func(*rig) askedNode
		outcome string
		again   int
	}{
		{"settled", func(r *rig) askedNode { return r.gateway.Settle }, "settled", 0},
		{"no answer", func(*rig) askedNode {
			return func(ctx context.Context, _ directory.Key, _ domain.Incarnation, _ domain.Resource) error {
				<-ctx.Done()
				return ctx.Err()
			}
		}, "late", 50},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, func(g *gateway.Config) { g.Settings.CursorInterval, g.Settings.CursorBatch = time.Hour, 1_000_000 })
			r.register("alice", "bob")
			alice, bob := r.dial("alice", "web"), r.dial("bob", "web")
			flood(alice, "bob", 50)
			bob.wait(50)
			require.NoError(t, bob.Sync(within(t), queueOf(r, "alice"))) // what it has acknowledged has been read
			r.settled()

			there := &rig{t: t, app: r.app, leaseSet: lease.DefaultSettings(), roomSet: room.DefaultSettings()}
			there.start(func(g *gateway.Config) { g.Elsewhere = c.east(r) })
			t.Cleanup(func() { there.stop() })
			east := domain.Node{Name: "east", Life: 1}
			there.users.Begin(east)
			told := directory.New(directory.Telling(func(f []byte) { require.NoError(t, there.users.Apply(east, f)) }))
			told.Attach(key(r, "bob"), r.users.Sessions(key(r, "bob"))[0], 4, "")
			begin := time.Now()
			there.dial("bob", "web").wait(c.again)
			require.Less(t, time.Since(begin), 5*time.Second)
			require.Equal(t, 1.0, there.metric("parley_gateway_settles_total", c.outcome))
			there.dial("bob", "pad") // was never there
			require.Equal(t, 1.0, there.metric("parley_gateway_settles_total", c.outcome))
		})
	}
}
