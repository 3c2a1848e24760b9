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
	"parley/domain/conversation"
	"parley/schemas/msync"
)

// answerLimit is how long an SDK waits for an answer before it connects anew.
const answerLimit = 15 * time.Second

// user is an account on one device, which behaves as the SDKs do: it comes back with the same resource, sends again what has no answer
// with the same client id and payload, and leaves out entries whose id is among its last 100.
type user struct {
	app      string
	ws       func() string // where to connect now
	name     string
	token    msync.Token
	seed     uint64
	lines    []*line // written to in turn
	turn     int     // owned by writeEvery
	wake     chan struct{}
	lastID   atomic.Uint64
	sessions atomic.Int64
	away     atomic.Int64 // the longest time without a session, in nanoseconds, since the last look
	onAck    func()       // called at each positive answer
	patience time.Duration
	stalls   bool
	cut      atomic.Bool // to be cut off at the next look

	mu       sync.Mutex // guards what follows, and the lines' inboxes
	seen     []uint64   // the last 100 ids, over all sessions
	shown    int        // to the app, outside of rooms
	repeats  int        // left out, because their id was among the last 100
	hidden   int        // shown again on one connection, which the client left out; only of users who view rooms and do nothing else
	problems []string
}

// line is a user's end of a conversation.
type line struct {
	to, domain string // the other user, the group, or the room
	out        outbox
	inbox      []arrival
	view       *view // of a room, else nil
}

// queue is the conversation's name in history.
func (l *line) queue() string { return l.to + "@" + l.domain }

// arrival is an entry that reached the app.
type arrival struct {
	id   uint64
	from name
	nth  int // of all that this app was shown; 0: not counted
}

func newUser(app string, ws func() string, who string, token msync.Token, seed uint64) *user {
	u := &user{app: app, ws: ws, name: who, token: token, seed: seed, wake: make(chan struct{}, 1), onAck: func() {}, patience: answerLimit}
	u.lastID.Store(uint64(time.Now().UnixMilli()))
	return u
}

// write makes a message now in the conversation whose turn it is, whether connected or not.
func (u *user) write() {
	l := u.lines[u.turn%len(u.lines)]
	u.turn++
	if l.view != nil && l.view.silent {
		return
	}
	l.out.write(u.lastID.Add(1), func(n int) []byte {
		text := fmt.Sprintf("crash %s %d to %s.", u.name, n, l.to)
		body, err := l.body(u.name, text)
		if err != nil {
			panic(err) // the text is ours
		}
		return body
	})
	u.nudge()
}

// body makes the body of a text.
func (l *line) body(from, text string) ([]byte, error) {
	switch {
	case l.view != nil:
		return client.RoomTextBody(from, l.to, text)
	case l.domain == msync.GroupDomain:
		return client.GroupTextBody(from, l.to, text)
	default:
		return client.TextBody(from, l.to, text, nil)
	}
}

// outgoing makes what is sent of a message.
func (l *line) outgoing(w *waiting) (msync.Outgoing, error) {
	if l.view == nil {
		return msync.Outgoing{ID: w.id, To: l.to, ToDomain: l.domain, Payload: w.payload, NS: msync.Meta_CHAT}, nil
	}
	o, err := client.RoomMessage(l.to, w.payload, conversation.PriorityNormal)
	o.ID = w.id
	return o, err
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
	since := time.Now()
	for session := 1; ctx.Err() == nil; session++ {
		had := u.sessions.Load()
		err := u.session(ctx, session, since)
		if u.sessions.Load() > had {
			since = time.Now()
		}
		u.judge(err)
		for _, l := range u.lines {
			l.out.abandon(u.stalls, func() bool { return dice.IntN(10) == 0 })
		}
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

// session is one connection, from the log-in until it breaks. The one before ended at since.
func (u *user) session(ctx context.Context, session int, since time.Time) error {
	dial, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	u.beginConnection()
	c, err := client.Dial(dial, u.ws(), client.Options{
		AppKey: u.app, User: u.name, Token: u.token, Resource: "crash", OnMeta: u.onMeta, Heartbeat: 2 * time.Second,
	})
	if err != nil {
		return err
	}
	u.sessions.Add(1)
	u.away.Store(max(u.away.Load(), int64(time.Since(since))))
	defer func() {
		_ = c.Cut()
		<-c.Done() // every callback has run
		u.endConnection(c)
	}()
	if err := u.joinRooms(dial, c); err != nil {
		return err
	}
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
			if u.cut.CompareAndSwap(true, false) {
				return errors.New("cut off")
			}
			for _, l := range u.lines {
				if l.out.overdue(session, u.patience) {
					return errors.New("no answer")
				}
			}
		}
	}
}

// flush sends all that has not been sent in this session, the conversations in turn.
func (u *user) flush(ctx context.Context, c *client.Client, session int) error {
	for sent := true; sent; {
		sent = false
		for _, l := range u.lines {
			w, ok := l.out.next(session)
			if !ok {
				continue
			}
			sent = true
			o, err := l.outgoing(&w)
			if err != nil {
				return err
			}
			_, err = c.SendAsync(context.WithoutCancel(ctx), o, func(a client.Ack, err error) { u.onAnswer(l, w.n, &a, err) })
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (u *user) onAnswer(l *line, n int, a *client.Ack, err error) {
	switch {
	case err != nil: // the session has ended: no answer
	case a.Code == msync.Status_OK:
		l.out.acknowledge(n, a.ServerID)
		u.onAck()
	case a.Code == msync.Status_FAIL && (a.Reason == "internal" || a.Reason == busy && l.out.tries(n) > 1):
		// An unknown outcome: the same once more, a little later. Who is busy has not looked whether an earlier try has happened.
		time.AfterFunc(300*time.Millisecond, func() { l.out.again(n); u.nudge() })
	default:
		l.out.refuse(n, fmt.Sprintf("%v %s", a.Code, a.Reason))
	}
}

// busy is how a server refuses what it has not looked at.
const busy = "the server is busy, please try again"

// text finds a message of this test in a body.
var text = regexp.MustCompile(`crash ([\w-]+) (\d+) to ([\w-]+)\.`)

// parseText returns who wrote it and to whom.
func parseText(body []byte) (from name, to string, ok bool) {
	m := text.FindSubmatch(body)
	if m == nil {
		return name{}, "", false
	}
	n, err := strconv.Atoi(string(m[2]))
	return name{string(m[1]), n}, string(m[3]), err == nil
}

// onMeta is called for each entry that the client's own filter, which ends with its session, lets through.
func (u *user) onMeta(d client.Delivery) {
	if d.Meta.NS == msync.Meta_MUC {
		return // news of a group or room itself, which nobody here writes
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if l := u.roomOf(&d); l != nil {
		u.onShown(l, &d)
		return
	}
	if slices.Contains(u.seen, d.Meta.ID) {
		u.repeats++
		return
	}
	if u.seen = append(u.seen, d.Meta.ID); len(u.seen) > 100 {
		u.seen = u.seen[1:]
	}
	from, to, ok := parseText(d.Meta.Payload)
	l := u.line(&d, from.author, to)
	if !ok || l == nil || from.author == u.name || string(d.Meta.From.Name) != from.author {
		u.problems = append(u.problems, fmt.Sprintf("%s: entry %d of %q in the queue %s is none of this test", u.name, d.Meta.ID, d.Meta.From.Name, d.Queue.Name))
		return
	}
	u.shown++
	l.inbox = append(l.inbox, arrival{id: d.Meta.ID, from: from, nth: u.shown})
}

// line returns the conversation of an entry, nil when its queue is none or another than the text says.
func (u *user) line(d *client.Delivery, author, to string) *line {
	for _, l := range u.lines {
		says := to == l.to
		if l.domain == msync.UserDomain {
			says = to == u.name && author == l.to
		}
		if says && string(d.Queue.Name) == l.to && string(d.Queue.Domain) == l.domain {
			return l
		}
	}
	return nil
}

// arrived returns what has reached the app so far.
func (u *user) arrived(l *line) []arrival {
	u.mu.Lock()
	defer u.mu.Unlock()
	if l.view != nil {
		return l.view.all()
	}
	return slices.Clone(l.inbox)
}

// others returns how many messages of others have reached the app so far.
func (u *user) others(l *line) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	if l.view != nil {
		return len(l.view.first(u.name))
	}
	return len(l.inbox)
}
