package gateway_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"parley/delivery/gateway"
	"parley/domain"
)

// While the store does not answer, who is there goes on talking; who logs in gets an empty UNREAD, and what was missed when the store is
// back, once and in order; cursors are written late, not lost.
func TestStoreDown(t *testing.T) {
	r := newRig(t, func(c *gateway.Config) { c.Settings.CursorInterval = 50 * time.Millisecond })
	r.register("alice", "bob", "carol")
	alice, bob := r.dial("alice", "web"), r.dial("bob", "web")
	carol := r.dial("carol", "web")
	require.NoError(t, carol.Close())
	flood(alice, "bob", 3)
	flood(alice, "carol", 70)
	r.settled()
	bob.wait(3)

	shared.store.down.Store(true)
	defer shared.store.down.Store(false)
	want := flood(alice, "bob", 40)
	bob.wait(43)
	carol = r.dial("carol", "web")
	require.Empty(t, carol.listed())
	more := flood(alice, "carol", 5)
	time.Sleep(200 * time.Millisecond)
	carol.wait(0)
	bob.wait(43)
	require.Equal(t, want, bob.texts()[3:])
	require.NotZero(t, r.metric("parley_gateway_cursor_writes_total", "failed"))

	shared.store.down.Store(false)
	carol.wait(75)
	require.Equal(t, more, carol.texts()[70:])
	require.NoError(t, bob.Cut())
	bob = r.dial("bob", "web")
	bob.wait(0)
	n, err := r.gateway.Undelivered(t.Context(), r.app, "carol", 1)
	require.NoError(t, err)
	require.Zero(t, n)
}

// What no device has acknowledged counts as undelivered, unwritten cursors included; one device is enough.
func TestUndelivered(t *testing.T) {
	r := newRig(t, func(c *gateway.Config) { c.Settings.CursorInterval = time.Hour; c.Settings.CursorBatch = 1000 })
	r.register("alice", "bob")
	alice := r.dial("alice", "web")
	count := func() int {
		t.Helper()
		n, err := r.gateway.Undelivered(t.Context(), r.app, "bob", 1)
		require.NoError(t, err)
		return n
	}
	flood(alice, "bob", 30)
	eventually(t, func() bool { return count() == 30 }, func() string { return "not 30" })
	stream := domain.DirectStream(r.app, "alice", "bob")
	ok, err := r.gateway.Delivered(t.Context(), r.app, "bob", 1, stream, 30)
	require.NoError(t, err)
	require.False(t, ok)
	r.dial("bob", "web").wait(30)
	require.Zero(t, count())
	r.dial("bob", "pad", holdAcks)
	require.Zero(t, count())
	ok, err = r.gateway.Delivered(t.Context(), r.app, "bob", 1, stream, 30)
	require.NoError(t, err)
	require.True(t, ok)
	ok, err = r.gateway.Delivered(t.Context(), r.app, "bob", 1, stream, 31)
	require.NoError(t, err)
	require.False(t, ok)
}
