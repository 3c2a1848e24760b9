package gateway_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"parley/delivery/gateway"
	"parley/domain"
	"parley/domain/conversation"
	"parley/ingest/owners"
	"parley/schemas/table"
)

// countingOwners counts requests for heads.
type countingOwners struct {
	*owners.Owners
	requests, heads atomic.Int64
}

func (o *countingOwners) Heads(ctx context.Context, ids []domain.StreamID) ([]domain.Row, error) {
	o.requests.Add(1)
	o.heads.Add(int64(len(ids)))
	return o.Owners.Heads(ctx, ids)
}

// modelReads counts reads of memberships and entries.
type modelReads struct {
	reads
	memberships, entries atomic.Int64
}

func (c *modelReads) Memberships(
	ctx context.Context, app domain.AppID, u domain.UserID, inc domain.Incarnation,
) ([]conversation.Membership, error) {
	c.memberships.Add(1)
	return c.reads.Memberships(ctx, app, u, inc)
}

func (c *modelReads) Entries(ctx context.Context, stream domain.StreamID, from, to domain.Seq, limit, size int) ([]domain.Event, error) {
	c.entries.Add(1)
	return c.reads.Entries(ctx, stream, from, to, limit, size)
}

// countingStore counts the partitions that are scanned for cursors and devices.
type countingStore struct {
	*brittleStore
	cursors, devices atomic.Int64
}

func (s *countingStore) Scan(ctx context.Context, q table.Query) ([]table.Row, error) {
	switch q.Table {
	case gateway.Cursors:
		s.cursors.Add(1)
	case gateway.Devices:
		s.devices.Add(1)
	}
	return s.brittleStore.Scan(ctx, q)
}

// manyGroups makes n groups of ann with bob as a member.
func (r *rig) manyGroups(n int) {
	r.t.Helper()
	ann, bob := r.persons("ann")[0], r.persons("bob")
	done := make(chan error, n)
	for i := range n {
		shared.owners.Submit(domain.Request{
			Stream: domain.GroupStream(r.app, fmt.Sprint(i)),
			Command: conversation.CreateGroup{
				By: byApp, Owner: ann, Members: bob, Settings: conversation.GroupSettings{Name: fmt.Sprint("group ", i), MaxUsers: 200},
			},
			Done: func(res domain.Result) { done <- res.Err },
		})
	}
	for range n {
		require.NoError(r.t, <-done)
	}
	r.settled()
}

// A user in 2,000 groups logs in with one read of memberships, one of heads and one of cursors, in time, and then hears of all of them.
func TestLoginWithManyGroups(t *testing.T) {
	heads := &countingOwners{Owners: shared.owners}
	models := &modelReads{reads: reads{shared.queries, shared.runner}}
	store := &countingStore{brittleStore: shared.store}
	r := newRig(t, func(c *gateway.Config) { c.Owners, c.Reads, c.Store = heads, models, store })
	r.register("ann", "bob")
	const groups = 2000
	r.manyGroups(groups)
	bob := r.dial("bob", "web")
	require.Len(t, bob.listed(), 100)
	eventually(t, func() bool { return len(bob.received()) == groups }, func() string { return fmt.Sprint(len(bob.received()), " received") })
	bob.logout()
	eventually(t, func() bool { return r.gateway.Sessions() == 0 }, func() string { return "still there" })
	time.Sleep(1100 * time.Millisecond) // cursors are written

	var times []time.Duration
	for range 9 {
		heads.requests.Store(0)
		heads.heads.Store(0)
		models.memberships.Store(0)
		models.entries.Store(0)
		store.cursors.Store(0)
		begin := time.Now()
		d := r.dial("bob", "web")
		times = append(times, time.Since(begin))
		require.Empty(t, d.listed())
		require.EqualValues(t, 1, models.memberships.Load())
		require.EqualValues(t, 0, models.entries.Load())
		require.EqualValues(t, 2, heads.requests.Load(), "the account, then all heads at once")
		require.EqualValues(t, groups+2, heads.heads.Load())
		require.LessOrEqual(t, store.cursors.Load(), int64(3), "one partition, a thousand rows at once")
		d.logout()
	}
	slices.Sort(times)
	t.Logf("log-in with %d groups: median %s, slowest %s", groups, times[len(times)/2], times[len(times)-1])
	require.Less(t, times[len(times)/2], limit(50*time.Millisecond))

	bob = r.dial("bob", "web")
	ann := r.dial("ann", "web")
	eventually(t, func() bool { return len(ann.received()) == 2*groups }, func() string { return fmt.Sprint(len(ann.received()), " received") })
	for i := range 20 {
		ann.say(fmt.Sprint(100*i), fmt.Sprint("to ", i))
	}
	bob.wait(20)
}

// limit is longer under the race detector.
func limit(d time.Duration) time.Duration {
	if raceDetector {
		return 10 * d
	}
	return d
}
