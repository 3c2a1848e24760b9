package lease_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"parley/delivery/lease"
	"parley/domain"
	"parley/storage/pebble"
)

func openStore(t *testing.T, fs vfs.FS) *pebble.Store {
	t.Helper()
	s, err := pebble.OpenStore("store", pebble.Options{FS: fs, Reserve: -1, MemTableBytes: 1 << 20})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// TestKill copies the real store's disk as a power cut would leave it, under joins and leaves, without any flush: who joined a while before
// views on, who left a while before does not, and the count is right at once.
func TestKill(t *testing.T) {
	const users, rooms = 400, 3
	fs := vfs.NewCrashableMem()
	settings := lease.DefaultSettings()
	settings.Heartbeat = 50 * time.Millisecond
	l := lease.New(lease.Config{Store: openStore(t, fs), Settings: settings})
	require.NoError(t, l.Load(t.Context()))
	done := make(chan error)
	ctx, stop := context.WithCancel(t.Context())
	go func() { done <- l.Run(ctx) }()
	room := func(i int) lease.Room { return domain.RoomStream("org#app", fmt.Sprint(i%rooms)) }
	name := func(i int) domain.UserID { return domain.UserID(fmt.Sprint("u", i)) }
	for i := range users {
		_, _, err := l.Join(lease.Join{App: "org#app", User: name(i), Incarnation: 1, Device: "web", Room: room(i), Owner: "owner"})
		require.NoError(t, err)
	}
	for i := 0; i < users; i += 4 {
		require.True(t, l.Leave("org#app", name(i), room(i), "web"))
	}
	l.Detach("org#app", name(1), "web", map[lease.Room]domain.Seq{room(1): 12})
	cutAt := time.Now()
	for begin := time.Now(); time.Since(begin) < 500*time.Millisecond; time.Sleep(5 * time.Millisecond) {
		churner := domain.UserID("churner")
		_, _, err := l.Join(lease.Join{App: "org#app", User: churner, Incarnation: 1, Device: "web", Room: "org#app/r/churn", Owner: "owner"})
		require.NoError(t, err)
		l.Leave("org#app", churner, "org#app/r/churn", "")
	}
	for round, percent := range []int{0, 50, 100} {
		cut := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(1, uint64(round)))})
		after := lease.New(lease.Config{Store: openStore(t, cut), Settings: settings})
		require.NoError(t, after.Load(t.Context()))
		for i := range rooms {
			require.Equal(t, l.Count(room(i)), after.Count(room(i)))
			require.Len(t, after.Roster(room(i), "", users), l.Count(room(i))-1)
		}
		for i := range users {
			require.Equal(t, i%4 != 0, after.Viewing(room(i), name(i)), "user %d", i)
		}
		res := after.Attach("org#app", name(1), 1, "web")
		require.Len(t, res, 1)
		require.Equal(t, domain.Seq(12), res[0].Seen)
		res = after.Attach("org#app", name(2), 1, "web")
		require.Len(t, res, 1)
		require.Zero(t, res[0].Seen)
		require.WithinRange(t, res[0].After.Time(), cutAt.Add(-time.Second), time.Now())
		until := after.RoomsOf("org#app", name(3))[0].Until
		require.Equal(t, res[0].After.Time().Add(settings.Keep), until)
	}
	stop()
	require.NoError(t, <-done)
}
