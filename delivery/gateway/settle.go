package gateway

import (
	"context"
	"time"

	"parley/delivery/directory"
	"parley/domain"
)

// Elsewhere is the other nodes, as far as devices go that move between them: what a device has acknowledged on one is written there a little
// later, and a log-in on another reads what is written.
type Elsewhere interface {
	// Settle returns when a node has written what a device has acknowledged there.
	Settle(ctx context.Context, node domain.NodeName, k directory.Key, inc domain.Incarnation, r domain.Resource) error
}

// settleWait is how long a log-in waits for nodes on which the device was. It goes on without them: the device may be shown again what it has
// acknowledged there in the last second.
const settleWait = 300 * time.Millisecond

// settleElsewhere has the nodes write what a device has acknowledged on which it is, or was lately. There is nearly always none, or one.
func (g *Gateway) settleElsewhere(ctx context.Context, k deviceKey) {
	if g.cfg.Elsewhere == nil {
		return
	}
	user := directory.Key{App: k.app, User: k.user}
	ctx, cancel := context.WithTimeout(ctx, settleWait)
	defer cancel()
	for _, node := range g.cfg.Directory.NodesOf(user, k.resource) {
		outcome := "settled"
		if err := g.cfg.Elsewhere.Settle(ctx, node, user, k.incarnation, k.resource); err != nil {
			outcome = "late"
			g.log.Debug("log-in without what another node knows of the device", "node", node, "err", err)
		}
		g.metrics.settles.WithLabelValues(outcome).Inc()
	}
}

// Settle returns when what a device has acknowledged here is written: it logs in on another node.
func (g *Gateway) Settle(ctx context.Context, k directory.Key, inc domain.Incarnation, r domain.Resource) error {
	return g.devices.settle(ctx, deviceKey{k.App, k.User, inc, r})
}

func (ds *devices) settle(ctx context.Context, k deviceKey) error {
	ds.mu.Lock()
	d := ds.all[k]
	ds.mu.Unlock()
	if d == nil {
		return nil
	}
	written := d.await()
	if written == nil {
		return nil
	}
	select {
	case ds.hurry <- struct{}{}:
	default:
	}
	select {
	case <-written:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// await returns what is closed when the marks of now are written, nil when they are.
func (d *device) await() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.changes == 0 && d.flying == nil {
		return nil
	}
	written := make(chan struct{})
	if d.changes > 0 {
		d.awaited = append(d.awaited, written)
	} else {
		d.aboard = append(d.aboard, written)
	}
	return written
}
