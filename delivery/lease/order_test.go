package lease

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"parley/domain"
	"parley/schemas/table"
)

// With a clock that went back over a restart, later writes still win.
func TestClockGoesBack(t *testing.T) {
	r := newRig(t)
	_, _, err := r.joins("alice", "web", "1")
	require.NoError(t, err)
	r.save(t.Context(), true)
	r.clock.pass(-time.Hour)
	r.start()
	require.True(t, r.Leave(app, "alice", one, ""))
	r.save(t.Context(), true)
	r.kill()
	require.Empty(t, r.Rooms(), "the lease that has ended is back")
}

// Who leaves while the row is being written has not left a row behind.
func TestLeaveDuringWrite(t *testing.T) {
	r := newRig(t)
	_, _, err := r.joins("bob", "web", "1")
	require.NoError(t, err)
	r.store.wrote = func([]table.Write) { r.Leave(app, "bob", one, "") }
	r.save(t.Context(), false)
	r.store.wrote = nil
	_, _, err = r.joins("carol", "web", "1")
	require.NoError(t, err)
	r.save(t.Context(), false)
	r.kill()
	require.False(t, r.Viewing(one, "bob"))
	require.True(t, r.Viewing(one, "carol"))
}

// noRows is a store that takes heartbeats only.
type noRows struct {
	memory
	on bool
}

func (s *noRows) Write(ctx context.Context, writes []table.Write) error {
	if s.on && writes[0].Table == Rows {
		return errStore
	}
	return s.memory.Write(ctx, writes)
}

// A heartbeat vouches for the rows, so there is none while rows are not written: a lease that was cut then would live on with it.
func TestNoHeartbeatWithoutRows(t *testing.T) {
	s, c := &noRows{}, newClock()
	l := New(Config{Store: s, Settings: DefaultSettings(), Now: c.now})
	_, _, err := l.Join(Join{App: app, User: "bob", Device: "web", Room: one, Owner: "alice"})
	require.NoError(t, err)
	l.save(t.Context(), false)
	until := c.now().Add(2 * time.Minute)
	s.on = true
	l.Detach(app, "bob", "web", map[Room]domain.Seq{one: 1})
	for range 6 {
		c.pass(15 * time.Second)
		l.save(t.Context(), false)
	}
	after := New(Config{Store: s, Settings: DefaultSettings(), Now: c.now})
	require.NoError(t, after.Load(t.Context()))
	require.Equal(t, until, after.RoomsOf(app, "bob")[0].Until.UTC())
}
