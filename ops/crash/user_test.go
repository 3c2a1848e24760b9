package crash

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"parley/delivery/gateway/client"
	"parley/schemas/msync"
)

// answerLimit is how long an SDK waits for an answer before it connects anew.
const answerLimit = 15 * time.Second

// user is an account on one device, which behaves as the SDKs do: it comes back with the same resource, sends again what has no answer
// with the same client id and payload, and leaves out entries whose id is among its last 100.
type user struct {
	app, ws    string
	name, peer string
	token      msync.Token
	seed       uint64
	out        outbox
	wake       chan struct{}
	lastID     atomic.Uint64
	sessions   atomic.Int64
	onAck      func() // called at each positive answer
	patience   time.Duration

	mu       sync.Mutex // guards what follows
	seen     []uint64   // the last 100 ids, over all sessions
	inbox    []arrival
	repeats  int // left out, because their id was among the last 100
	problems []string
}

// arrival is an entry that reached the app.
type arrival struct {
	id   uint64
	from name
}

func newUser(app, ws, who, peer string, token msync.Token, seed uint64) *user {
	u := &user{app: app, ws: ws, name: who, peer: peer, token: token, seed: seed, wake: make(chan struct{}, 1), onAck: func() {}, patience: answerLimit}
	u.lastID.Store(uint64(time.Now().UnixMilli()))
	return u
}

// write makes a message now, whether connected or not.
func (u *user) write() {
	u.out.write(u.lastID.Add(1), func(n int) []byte {
		body, err := client.TextBody(u.name, u.peer, fmt.Sprintf("crash %s %d.", u.name, n), nil)
		if err != nil {
			panic(err) // the text is ours
		}
		return body
	})
	u.nudge()
}

func (u *user) nudge() {
	select {
	case u.wake <- struct{}{}:
	default:
	}
}

// writeEvery writes until ctx ends.
func (u *user) writeEvery(ctx context.Context, every, offset time.Duration) {
	for next := time.Now().Add(offset); ; next = next.Add(every) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Until(next)):
			u.write()
		}
	}
}

// run keeps the user connected until ctx ends.
func (u *user) run(ctx context.Context) {
	dice := rand.New(rand.NewPCG(u.seed, 1))
	for session := 1; ctx.Err() == nil; session++ {
		err := u.session(ctx, session)
		u.judge(err)
		u.out.abandon(func() bool { return dice.IntN(10) == 0 })
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(30+dice.IntN(120)) * time.Millisecond):
		}
	}
}

// judge notes ends of sessions that no kill explains.
func (u *user) judge(err error) {
	var p *client.ProtocolError
	var refused *client.ProvisionError
	if errors.As(err, &p) || errors.As(err, &refused) {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.problems = append(u.problems, fmt.Sprintf("%s: %v", u.name, err))
	}
}

// session is one connection, from the log-in until it breaks.
func (u *user) session(ctx context.Context, session int) error {
	dial, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	c, err := client.Dial(dial, u.ws, client.Options{
		AppKey: u.app, User: u.name, Token: u.token, Resource: "crash", OnMeta: u.onMeta, Heartbeat: 2 * time.Second,
	})
	if err != nil {
		return err
	}
	u.sessions.Add(1)
	defer func() {
		_ = c.Cut()
		<-c.Done() // every callback has run
	}()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		if err := u.flush(ctx, c, session); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-c.Done():
			return c.Err()
		case <-u.wake:
		case <-tick.C:
			if u.out.overdue(session, u.patience) {
				return errors.New("no answer")
			}
		}
	}
}

// flush sends all that has not been sent in this session.
func (u *user) flush(ctx context.Context, c *client.Client, session int) error {
	for {
		w, ok := u.out.next(session)
		if !ok {
			return nil
		}
		o := msync.Outgoing{ID: w.id, To: u.peer, Payload: w.payload, NS: msync.Meta_CHAT}
		_, err := c.SendAsync(context.WithoutCancel(ctx), o, func(a client.Ack, err error) { u.onAnswer(w.n, &a, err) })
		if err != nil {
			return err
		}
	}
}

func (u *user) onAnswer(n int, a *client.Ack, err error) {
	switch {
	case err != nil: // the session has ended: no answer
	case a.Code == msync.Status_OK:
		u.out.acknowledge(n, a.ServerID)
		u.onAck()
	case a.Code == msync.Status_FAIL && a.Reason == "internal": // an unknown outcome: the same once more, a little later
		time.AfterFunc(300*time.Millisecond, func() { u.out.again(n); u.nudge() })
	default:
		u.out.refuse(n, fmt.Sprintf("%v %s", a.Code, a.Reason))
	}
}

// text finds a message of this test in a body.
var text = regexp.MustCompile(`crash ([\w-]+) (\d+)\.`)

func parseText(body []byte) (name, bool) {
	m := text.FindSubmatch(body)
	if m == nil {
		return name{}, false
	}
	n, err := strconv.Atoi(string(m[2]))
	return name{string(m[1]), n}, err == nil
}

// onMeta is called for each entry that the client's own filter, which ends with its session, lets through.
func (u *user) onMeta(d client.Delivery) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if slices.Contains(u.seen, d.Meta.ID) {
		u.repeats++
		return
	}
	if u.seen = append(u.seen, d.Meta.ID); len(u.seen) > 100 {
		u.seen = u.seen[1:]
	}
	from, ok := parseText(d.Meta.Payload)
	if !ok || from.author != u.peer || string(d.Meta.From.Name) != u.peer {
		u.problems = append(u.problems, fmt.Sprintf("%s: entry %d of %q is none of this test", u.name, d.Meta.ID, d.Meta.From.Name))
		return
	}
	u.inbox = append(u.inbox, arrival{id: d.Meta.ID, from: from})
}

// arrived returns what has reached the app so far.
func (u *user) arrived() []arrival {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.inbox)
}
