package gateway_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
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

// duringLogin does something between a log-in's reading of memberships or heads and what comes of it.
type duringLogin struct {
	reads
	*owners.Owners
	atHeads bool
	mu      sync.Mutex
	change  func() // done once
}

func (d *duringLogin) do() {
	d.mu.Lock()
	change := d.change
	d.change = nil
	d.mu.Unlock()
	if change != nil {
		change()
		time.Sleep(20 * time.Millisecond) // it is routed
	}
}

func (d *duringLogin) next(change func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.change = change
}

func (d *duringLogin) Memberships(
	ctx context.Context, app domain.AppID, u domain.UserID, inc domain.Incarnation,
) ([]conversation.Membership, error) {
	members, err := d.reads.Memberships(ctx, app, u, inc)
	if !d.atHeads {
		d.do()
	}
	return members, err
}

func (d *duringLogin) Heads(ctx context.Context, ids []domain.StreamID) ([]domain.Row, error) {
	rows, err := d.Owners.Heads(ctx, ids)
	if d.atHeads && len(ids) > 1 {
		d.do()
	}
	return rows, err
}

// What happens to a member while a log-in reads is neither lost nor shown beyond the membership.
func TestGroupChangesDuringLogin(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(r *rig, stream domain.StreamID, ann *device)
		want   []string
		member bool
	}{
		{"a message", func(_ *rig, _ domain.StreamID, ann *device) { ann.say("7", "now") }, []string{"old", "now", "end"}, true},
		{"removed", func(r *rig, s domain.StreamID, ann *device) {
			r.remove(s, "bob")
			ann.say("7", "hidden")
		}, []string{"old", "KICK"}, false},
		{"removed and added again", func(r *rig, s domain.StreamID, ann *device) {
			r.remove(s, "bob")
			ann.say("7", "hidden")
			r.add(s, "bob")
			ann.say("7", "again")
		}, []string{"old", "KICK", "DIRECT_JOINED", "again", "end"}, true},
		{"the end", func(r *rig, s domain.StreamID, _ *device) {
			r.submit(s, conversation.DestroyGroup{By: byApp})
		}, []string{"old", "DESTROY"}, false},
		{"shielded", func(r *rig, s domain.StreamID, ann *device) {
			r.submit(s, conversation.ShieldGroup{By: conversation.Actor{User: "bob", Incarnation: 1}, On: true})
			ann.say("7", "hidden")
		}, []string{}, true},
	} {
		for _, atHeads := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, after heads: %v", c.name, atHeads), func(t *testing.T) {
				r := newRig(t)
				r.register("ann", "bob")
				stream := r.group("7", "ann", "bob")
				r.settled()
				bob := r.dial("bob", "web")
				bob.after(1)
				require.NoError(t, bob.Sync(within(t), groupQueue(r, "7")))
				require.NoError(t, bob.Close())
				r.stop()
				during := &duringLogin{reads: reads{shared.queries, shared.runner}, Owners: shared.owners, atHeads: atHeads}
				r.start(func(g *gateway.Config) { g.Owners, g.Reads = during, during })
				ann := r.dial("ann", "web")
				ann.say("7", "old")
				r.settled()
				during.next(func() { c.change(r, stream, ann) })
				bob = r.dial("bob", "web")
				if c.member {
					ann.say("7", "end")
				} else if c.name == "removed" {
					ann.say("7", "hidden, too")
				}
				require.Equal(t, c.want, bob.after(len(c.want)))
				require.Equal(t, c.member, len(r.users.Subscribers(stream)) == 2)
			})
		}
	}
}

// oldReads have memberships as they were, until they catch up.
type oldReads struct {
	reads
	was    []conversation.Membership
	caught chan struct{}
}

func (o *oldReads) current() bool {
	select {
	case <-o.caught:
		return true
	default:
		return false
	}
}

func (o *oldReads) Memberships(
	ctx context.Context, app domain.AppID, u domain.UserID, inc domain.Incarnation,
) ([]conversation.Membership, error) {
	if o.current() {
		return o.reads.Memberships(ctx, app, u, inc)
	}
	return o.was, nil
}

func (o *oldReads) WaitMemberships(ctx context.Context, _ map[domain.Partition]domain.Index) error {
	select {
	case <-o.caught:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// While memberships may be older than the log-in, groups wait: who was removed meanwhile is shown nothing of after that. Other conversations
// do not wait.
func TestGroupsWaitForMemberships(t *testing.T) {
	r := newRig(t, func(g *gateway.Config) { g.Settings.GroupCap = 2 })
	r.register("ann", "bob")
	out, in := r.group("7", "ann", "bob"), r.group("8", "ann", "bob")
	r.settled()
	was, err := shared.queries.Memberships(t.Context(), r.app, "bob", 1)
	require.NoError(t, err)
	ann := r.dial("ann", "web")
	ann.send("bob", "direct")
	r.remove(out, "bob")
	for i := range 5 {
		ann.say("7", fmt.Sprint("hidden ", i))
	}
	ann.say("8", "shown")
	r.settled()
	now, err := shared.queries.Memberships(t.Context(), r.app, "bob", 1)
	require.NoError(t, err)
	for i := range now {
		if now[i].Joined == 0 {
			was = append(was, now[i])
		}
	}
	r.stop()
	old := &oldReads{reads: reads{shared.queries, shared.runner}, was: was, caught: make(chan struct{})}
	r.start(func(g *gateway.Config) { g.Reads, g.Settings.GroupCap = old, 2 })
	bob := r.dial("bob", "web")
	require.Equal(t, []string{"direct"}, bob.after(1))
	close(old.caught)
	eventually(t, func() bool { return len(bob.received()) >= 5 }, func() string { return fmt.Sprint(bob.story()) })
	require.ElementsMatch(t, []string{"direct", "DIRECT_JOINED", "KICK", "DIRECT_JOINED", "shown"}, bob.after(5))
	require.Empty(t, r.users.Subscribers(out))
	require.Len(t, r.users.Subscribers(in), 1)
}
