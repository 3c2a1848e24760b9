package gateway_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"parley/delivery/gateway"
	"parley/delivery/gateway/client"
	"parley/delivery/lease"
	"parley/delivery/room"
	"parley/schemas/table"
)

// A device leaves a node that cannot write its marks any more, and comes back to another that knows nothing of what it was shown. Meanwhile more
// than it remembers has come in one conversation: what it has seen comes first, so that none of it is shown twice, and all comes in the order
// in which it came to be.
func TestWhatWasShownComesFirst(t *testing.T) {
	store := &stalledStore{Store: shared.store}
	r := newRig(t, func(g *gateway.Config) { g.Store = store })
	senders := []string{"a", "b", "c", "d", "e"}
	r.register(append(senders, "bob")...)
	by := map[string]*device{}
	for _, name := range senders {
		by[name] = r.dial(name, "web")
	}
	p := &phone{user: "bob", resource: "web", shown: map[string][]string{}, keys: map[string]uint64{}}
	require.NoError(t, p.connect(r, false))
	store.stalled.Store(true)
	for i := range 90 {
		flood(by[senders[i%len(senders)]], "bob", 1)
		r.settled()
	}
	require.Eventually(t, func() bool { return shownTo(p) == 90 }, 10*time.Second, time.Millisecond)
	require.NoError(t, p.conn.Cut())
	for range 2 {
		flood(by["a"], "bob", 150)
		flood(by["b"], "bob", 10)
	}
	r.settled()

	there := &rig{t: t, app: r.app, leaseSet: lease.DefaultSettings(), roomSet: room.DefaultSettings()}
	there.start()
	t.Cleanup(func() { there.stop() })
	var order []uint64
	o := there.options("bob", "web")
	o.OnMeta = func(d client.Delivery) {
		p.take(d)
		order = append(order, d.Meta.ID)
	}
	conn, err := client.Dial(within(t), there.url, o)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return shownTo(p) >= 90+320 }, 10*time.Second, time.Millisecond)
	require.NoError(t, conn.Cut())
	<-conn.Done()
	require.Equal(t, 90+320, len(order), "all again")
	require.True(t, slices.IsSorted(order), "ids are times")
	require.Equal(t, 90+320, shownTo(p), "shown twice")
}

// stalledStore is the store of a node that does not come to write.
type stalledStore struct {
	gateway.Store
	stalled atomic.Bool
}

func (s *stalledStore) Write(ctx context.Context, writes []table.Write) error {
	if s.stalled.Load() {
		return errors.New("stalled")
	}
	return s.Store.Write(ctx, writes)
}

// shownTo counts what the app on a device was shown.
func shownTo(p *phone) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, texts := range p.shown {
		n += len(texts)
	}
	return n
}
