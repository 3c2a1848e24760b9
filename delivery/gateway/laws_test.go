package gateway_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"parley/delivery/gateway/client"
	"parley/domain"
	"parley/domain/conversation"
	"parley/schemas/msync"
)

// phone is a device as an SDK is one: it comes back with what it remembers, the last 100 ids over all queues, and shows what is new.
type phone struct {
	user, resource string
	conn           *client.Client

	mu    sync.Mutex
	seen  []uint64            // the last 100
	shown map[string][]string // by queue: the texts that the app was shown, in order
	ids   map[string][]uint64 // by queue: the entries that it was shown
	names map[string]msync.Queue
	keys  map[string]uint64 // by queue: of the last page
	hold  bool              // acknowledges when told to
	bare  int               // shown since the last acknowledgement
	over  int               // the most of them
}

func (p *phone) take(d client.Delivery) {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := string(d.Queue.Name)
	p.keys[q] = d.NextKey
	if p.hold {
		p.bare++
		p.over = max(p.over, p.bare)
	}
	if slices.Contains(p.seen, d.Meta.ID) {
		return
	}
	if p.seen = append(p.seen, d.Meta.ID); len(p.seen) > 100 {
		p.seen = p.seen[1:]
	}
	if p.ids == nil {
		p.ids, p.names = map[string][]uint64{}, map[string]msync.Queue{}
	}
	p.ids[q], p.names[q] = append(p.ids[q], d.Meta.ID), d.Queue.Queue()
	if d.Meta.NS != msync.Meta_CHAT {
		return
	}
	body, err := msync.ScanBody(d.Meta.Payload)
	if err != nil {
		panic(err)
	}
	p.shown[q] = append(p.shown[q], string(body.Text))
}

func (p *phone) acknowledge() {
	p.mu.Lock()
	keys, names := maps.Clone(p.keys), maps.Clone(p.names)
	p.bare = 0
	p.mu.Unlock()
	for q, key := range keys {
		_ = p.conn.Acknowledge(context.Background(), names[q], key) // the socket may be cut
	}
}

func (p *phone) connect(r *rig, hold bool) error {
	o := r.options(p.user, p.resource)
	o.OnMeta, o.HoldAcks = p.take, hold
	p.mu.Lock()
	clear(p.keys)
	p.hold, p.bare = hold, 0
	p.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var err error
	p.conn, err = client.Dial(ctx, r.url, o)
	return err
}

func (p *phone) logout() error { return p.conn.Logout(context.Background(), "") }

// world is some users with their devices, and what was accepted of what they sent.
type world struct {
	rig    *rig
	phones []*phone
	mu     sync.Mutex
	sent   map[domain.StreamID][]said // accepted, in any order
	sends  sync.WaitGroup
	next   int
}

type said struct {
	id             uint64
	from, resource string
	text           string
}

// send sends n messages from a device to a user without waiting for the answers.
func (w *world) send(t *rapid.T, p *phone, to string, n int) {
	stream := domain.DirectStream(w.rig.app, domain.UserID(p.user), domain.UserID(to))
	for range n {
		w.next++
		m := said{from: p.user, resource: p.resource, text: fmt.Sprintf("%s/%s %d", p.user, p.resource, w.next)}
		w.sends.Add(1)
		_, err := p.conn.SendAsync(context.Background(), msync.Outgoing{To: to, NS: msync.Meta_CHAT, Payload: text(p.user, to, m.text)},
			func(a client.Ack, err error) {
				defer w.sends.Done()
				if err != nil || a.Code != msync.Status_OK {
					return // cut before the answer: it may be there or not
				}
				m.id = a.ServerID
				w.mu.Lock()
				defer w.mu.Unlock()
				w.sent[stream] = append(w.sent[stream], m)
			})
		if err != nil {
			w.sends.Done()
		}
	}
}

// Whatever the mix of sends, cuts, log-outs, returns and acknowledgements held back: every device is shown every entry that it may see, in the
// order of its conversation, once. At most the window is ever unacknowledged.
func TestEveryDeviceSeesEverythingOnceInOrder(t *testing.T) {
	r := newRig(t)
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		w := &world{rig: r, sent: map[domain.StreamID][]said{}}
		users := []string{fmt.Sprintf("a%d", run), fmt.Sprintf("b%d", run), fmt.Sprintf("c%d", run)}
		r.register(users...)
		defer func() {
			for _, p := range w.phones {
				_ = p.conn.Cut()
			}
		}()
		for _, u := range users {
			for i := range rapid.IntRange(1, 2).Draw(t, "devices") {
				p := &phone{user: u, resource: fmt.Sprint("r", i), shown: map[string][]string{}, keys: map[string]uint64{}}
				if err := p.connect(r, false); err != nil {
					t.Fatal(err)
				}
				w.phones = append(w.phones, p)
			}
		}
		hold := map[*phone]bool{}
		for range rapid.IntRange(1, 25).Draw(t, "steps") {
			p := rapid.SampledFrom(w.phones).Draw(t, "who")
			switch rapid.IntRange(0, 5).Draw(t, "step") {
			case 0, 1, 2:
				w.send(t, p, rapid.SampledFrom(users).Draw(t, "to"), rapid.IntRange(1, 90).Draw(t, "n"))
			case 3:
				if hold[p] {
					p.acknowledge()
				}
			case 4:
				_ = p.conn.Cut()
				w.reconnect(t, p, hold)
			case 5:
				_ = p.logout()
				w.reconnect(t, p, hold)
			}
		}
		w.settle(t)
	})
}

func (w *world) reconnect(t *rapid.T, p *phone, hold map[*phone]bool) {
	time.Sleep(time.Duration(rapid.IntRange(0, 3).Draw(t, "away")) * time.Millisecond)
	hold[p] = rapid.Bool().Draw(t, "hold")
	if err := p.connect(w.rig, hold[p]); err != nil {
		t.Fatal(err)
	}
}

// settle lets everything arrive and checks it.
func (w *world) settle(t *rapid.T) {
	w.sends.Wait()
	for _, p := range w.phones {
		_ = p.conn.Cut()
		if err := p.connect(w.rig, false); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range w.phones {
		for stream := range w.sent {
			st, _ := stream.Parse()
			if domain.UserID(st.A) == domain.UserID(p.user) || st.B == domain.UserID(p.user) {
				w.check(t, p, stream, string(st.Peer(domain.UserID(p.user))))
			}
		}
		if p.over > 60 {
			t.Fatalf("%s/%s: %d entries unacknowledged", p.user, p.resource, p.over)
		}
	}
}

// check compares what a device was shown of a conversation with what is in it.
func (w *world) check(t *rapid.T, p *phone, stream domain.StreamID, peer string) {
	var all []string
	entries, err := allEntries(stream)
	if err != nil {
		t.Fatal(err)
	}
	ids := map[uint64]bool{}
	for _, m := range entries {
		ids[m.id] = true
		if m.from != p.user || m.resource != p.resource {
			all = append(all, m.text)
		}
	}
	for _, m := range w.sent[stream] {
		if !ids[m.id] {
			t.Fatalf("acknowledged and not there: %s", m.text)
		}
	}
	got := func() []string {
		p.mu.Lock()
		defer p.mu.Unlock()
		return slices.Clone(p.shown[peer])
	}
	for deadline := time.Now().Add(5 * time.Second); len(got()) < len(all) && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	if !slices.Equal(got(), all) {
		t.Fatalf("%s/%s in its conversation with %s was shown %d entries\n%q\nnot the %d\n%q", p.user, p.resource, peer, len(got()), got(), len(all), all)
	}
}

// allEntries returns the messages of a conversation in its order.
func allEntries(stream domain.StreamID) (out []said, err error) {
	for from := domain.Seq(1); ; {
		events, err := shared.queries.Entries(context.Background(), stream, from, ^domain.Seq(0), 500, 1<<20)
		if err != nil || len(events) == 0 {
			return out, err
		}
		for i := range events {
			if m, ok := events[i].Body.(conversation.MessageSent); ok {
				body, err := msync.ScanBody(m.Body)
				if err != nil {
					return nil, err
				}
				out = append(out, said{id: uint64(events[i].T), from: string(m.From), resource: string(m.FromResource), text: string(body.Text)})
			}
		}
		from = events[len(events)-1].Seq + 1
	}
}
