package gateway_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"parley/delivery/gateway"
	"parley/delivery/gateway/client"
	"parley/domain"
	"parley/domain/conversation"
	"parley/ingest/owners"
	"parley/schemas/msync"
)

// doubtfulOwners are the real ones, between which and the gateway things go wrong as the test says.
type doubtfulOwners struct {
	*owners.Owners
	mu sync.Mutex
	// before answers the nth request, which is the try-th of its command, instead of its owner; an empty code: it does not.
	before func(n, try int) domain.Code
	// after tells that the owner's answer is lost.
	after func(n int) bool
	wait  time.Duration // for an answer, when it is above 0
	n     int
	tries map[uint64]int // by client id
}

func (o *doubtfulOwners) Submit(r domain.Request) {
	o.mu.Lock()
	o.n++
	n, done := o.n, r.Done
	id := uint64(0)
	if c, ok := r.Command.(conversation.SendMessage); ok {
		id = c.Sender.ClientID
	}
	if o.tries == nil {
		o.tries = map[uint64]int{}
	}
	o.tries[id]++
	var code domain.Code
	if o.before != nil {
		code = o.before(n, o.tries[id])
	}
	lost := o.after != nil && o.after(n)
	o.mu.Unlock()
	if code != "" {
		go done(domain.Result{Err: domain.Refuse(code, "the test says so")})
		return
	}
	if o.wait > 0 && r.Deadline.IsZero() {
		r.Deadline = time.Now().Add(o.wait)
	}
	if lost {
		r.Done = func(domain.Result) { done(domain.Result{Err: domain.Refuse(domain.Unknown, "the answer is lost")}) }
	}
	o.Owners.Submit(r)
}

// answers are those that a client got, by the number of the message.
type answers struct {
	mu  sync.Mutex
	got map[int][]client.Ack
}

func (a *answers) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.got)
}

// sendMany sends n messages without waiting for answers.
func (d *device) sendMany(to string, n int, pause time.Duration) *answers {
	d.t.Helper()
	a := &answers{got: map[int][]client.Ack{}}
	for i := range n {
		out := msync.Outgoing{To: to, NS: msync.Meta_CHAT, Payload: must(client.TextBody(d.user, to, fmt.Sprint(i), nil))}
		_, err := d.SendAsync(within(d.t), out, func(ack client.Ack, err error) {
			a.mu.Lock()
			defer a.mu.Unlock()
			if err == nil {
				a.got[i] = append(a.got[i], ack)
			}
		})
		require.NoError(d.t, err)
		time.Sleep(pause)
	}
	return a
}

func numbers(n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprint(i))
	}
	return out
}

// Whatever goes wrong between gateway and log for less than UnknownRetry, clients notice nothing but the wait: every send is acknowledged
// once, stored once, and in the order of sending, on the same connection.
func TestUnknownOutcomesAreAskedAgain(t *testing.T) {
	const sends = 60
	until := func(d time.Duration, code domain.Code) func(int, int) domain.Code {
		end := time.Now().Add(d)
		return func(int, int) domain.Code {
			if time.Now().Before(end) {
				return code
			}
			return ""
		}
	}
	for _, c := range []struct {
		name   string
		owners func(o *doubtfulOwners)
		log    func() (mend func())
		calm   bool // the owner finds out by itself: nothing stays unknown to the gateway
		pause  time.Duration
	}{
		{name: "each second answer is lost", owners: func(o *doubtfulOwners) { o.after = func(n int) bool { return n%2 == 0 } }},
		{name: "the first 5 answers are lost", owners: func(o *doubtfulOwners) { o.after = func(n int) bool { return n <= 5 } }},
		{name: "the partition has no owner", owners: func(o *doubtfulOwners) { o.before = until(600*time.Millisecond, domain.Unknown) }, pause: 20 * time.Millisecond},
		{name: "lost, then the owner is busy", owners: func(o *doubtfulOwners) {
			o.after = func(n int) bool { return n == 1 }
			o.before = func(_, try int) domain.Code {
				switch try {
				case 2, 3:
					return domain.Busy
				case 4:
					return domain.Stopping
				}
				return ""
			}
		}, pause: 5 * time.Millisecond},
		{name: "the log fails for 2 s", log: func() func() {
			shared.log.fails.Store(true)
			return func() { time.Sleep(2 * time.Second); shared.log.fails.Store(false) }
		}, pause: 10 * time.Millisecond},
		{name: "the log's answers are lost for 1 s", log: func() func() {
			shared.log.loses.Store(true)
			return func() { time.Sleep(time.Second); shared.log.loses.Store(false) }
		}, calm: true, pause: 10 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			doubtful := &doubtfulOwners{Owners: shared.owners, wait: 200 * time.Millisecond}
			r := newRig(t, func(g *gateway.Config) { g.Owners = doubtful })
			r.register("alice", "bob")
			bob, alice := r.dial("bob", "web"), r.dial("alice", "web")
			if c.owners != nil {
				doubtful.mu.Lock()
				c.owners(doubtful)
				doubtful.mu.Unlock()
			}
			if c.log != nil {
				mend := c.log()
				var mended sync.WaitGroup
				mended.Go(mend)
				defer mended.Wait()
			}
			got := alice.sendMany("bob", sends, c.pause)
			eventually(t, func() bool { return got.count() == sends }, func() string { return fmt.Sprintf("%d of %d answered", got.count(), sends) })
			bob.wait(sends)
			require.Equal(t, numbers(sends), bob.texts())
			last := uint64(0)
			for i := range sends {
				require.Len(t, got.got[i], 1)
				require.Equal(t, msync.Status_OK, got.got[i][0].Code, got.got[i][0].Reason)
				require.Greater(t, got.got[i][0].ServerID, last, "order")
				last = got.got[i][0].ServerID
			}
			require.True(t, c.calm || r.metric("parley_gateway_unknown_total") > 0)
			require.Zero(t, r.metric("parley_gateway_closes_total"))
			require.Zero(t, r.metric("parley_gateway_commands_total", "unknown"))
			alice.send("bob", "and it goes on")
		})
	}
}

// What stays unknown is not answered, and what was held behind it and never submitted is refused; then the session goes on.
func TestUnknownForTooLong(t *testing.T) {
	var alice *device
	doubtful := &doubtfulOwners{Owners: shared.owners}
	r := newRig(t, func(g *gateway.Config) { g.Owners = doubtful; g.Settings.UnknownRetry = 300 * time.Millisecond })
	r.register("alice", "bob", "carol")
	alice = r.dial("alice", "web")
	bob := r.dial("bob", "web")
	doubtful.mu.Lock()
	doubtful.before = func(int, int) domain.Code { return domain.Unknown }
	doubtful.mu.Unlock()
	unknown := alice.sendMany("bob", 1, 0)
	eventually(t, func() bool { return r.metric("parley_gateway_unknown_total") > 0 }, func() string { return "no unknown outcome" })
	doubtful.mu.Lock()
	doubtful.before = nil
	doubtful.after = func(int) bool { return true }
	doubtful.mu.Unlock()
	held := alice.sendMany("bob", 1, 0)
	eventually(t, func() bool { return r.metric("parley_gateway_commands_total", "unknown") > 0 }, func() string { return "asked again for ever" })
	doubtful.mu.Lock()
	doubtful.after = nil
	doubtful.mu.Unlock()
	eventually(t, func() bool { return held.count() == 1 }, func() string { return "what was held has no answer" })
	require.Zero(t, unknown.count())
	alice.send("bob", "later")
	eventually(t, func() bool { return slices.Contains(bob.texts(), "later") }, func() string { return "what comes later does not arrive" })
}

// A stream whose outcome is unknown keeps back of the session only what goes to the same stream, and not more of it than MaxPending: then
// reading stops. The end of the socket ends the asking.
func TestUnknownHoldsOneStream(t *testing.T) {
	doubtful := &doubtfulOwners{Owners: shared.owners}
	r := newRig(t, func(g *gateway.Config) { g.Owners = stuck{doubtful, "bob"}; g.Settings.MaxPending = 8 })
	r.register("alice", "bob", "carol")
	early := r.dial("alice", "pad")
	early.sendMany("bob", 8, 0)
	eventually(t, func() bool { return r.metric("parley_gateway_unknown_total") > 8 }, func() string { return "not asked again" })
	require.NoError(t, early.Cut())
	eventually(t, func() bool { return r.gateway.Sessions() == 0 }, func() string { return "the session does not end" })
	require.Equal(t, 8.0, r.metric("parley_gateway_commands_total", "unknown"))
	asked := r.metric("parley_gateway_unknown_total")
	alice, carol := r.dial("alice", "web"), r.dial("carol", "web")
	none := alice.sendMany("bob", 7, 0)
	alice.send("carol", "one")
	alice.sendMany("bob", 3, 0) // more than fit: reading stops
	alice.sendMany("carol", 1, 0)
	carol.wait(1)
	time.Sleep(200 * time.Millisecond)
	carol.wait(1)
	require.Greater(t, r.metric("parley_gateway_unknown_total"), asked)
	require.Zero(t, none.count())
}

// stuck answers nothing that goes to a user but unknown.
type stuck struct {
	*doubtfulOwners
	to domain.UserID
}

func (s stuck) Submit(r domain.Request) {
	if c, ok := r.Command.(conversation.SendMessage); ok && c.To.User == s.to {
		go r.Done(domain.Result{Err: domain.Refuse(domain.Unknown, "moved")})
		return
	}
	s.doubtfulOwners.Submit(r)
}
