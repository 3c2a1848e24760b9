package bench

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"parley/delivery/gateway/client"
	"parley/schemas/msync"
)

// crowd is a group.
type crowd struct {
	book
	h       *hot
	index   int
	id      string
	members []*member // the first ones write
	tokens  []msync.Token
	acks    atomic.Int64 // of all who write
	stored  tray
}

// member is a user of a group on one device. What must hold: what arrivals fill is written by the reader of the session alone, and read when
// that has ended.
type member struct {
	writer
	c      *crowd
	index  int
	name   string
	token  msync.Token
	differ int // acknowledged under another id than somebody received

	got      tray
	arrived  atomic.Int64 // different messages
	pause    pause
	repeats  uint64        // that the clients of earlier connections have left out
	lastAt   time.Duration // when the last arrival was, from the start
	quarters [4]histogram  // from the scheduled time to the arrival, by quarter of the measured time
}

func bareCrowd(h *hot, index int) *crowd {
	cfg := &h.cfg
	c := &crowd{book: newBook(h.tag, index*cfg.Senders, cfg.Senders, cfg.perSender()), h: h, index: index}
	c.stored = newTray(&c.book)
	return c
}

func newMember(c *crowd, index int, name string) *member {
	return &member{c: c, index: index, name: name, got: newTray(&c.book)}
}

// newCrowd makes the users and the group.
func newCrowd(ctx context.Context, h *hot, index int) (*crowd, error) {
	c := bareCrowd(h, index)
	names := make([]string, h.cfg.Members)
	for i := range names {
		names[i] = fmt.Sprintf("bench-%s-g%d-m%d", h.run, index, i)
	}
	var err error
	if c.tokens, err = h.accounts.Tokens(ctx, names); err != nil {
		return nil, err
	}
	if c.id, err = h.accounts.NewGroup(ctx, fmt.Sprintf("bench %s %d", h.run, index), names[0], names[1:]); err != nil {
		return nil, fmt.Errorf("bench: group %d: %w", index, err)
	}
	for i, name := range names {
		m := newMember(c, i, name)
		if i < h.cfg.Senders {
			if err := m.prepare(); err != nil {
				return nil, err
			}
		}
		c.members = append(c.members, m)
	}
	return c, nil
}

// prepare makes the body that only the digits change. Senders are spread evenly over the interval.
func (m *member) prepare() error {
	h := m.c.h
	cfg, author := &h.cfg, m.c.first+m.index
	mark := marker(h.run, author)
	body, err := client.GroupTextBody(m.name, m.c.id, blank(mark, cfg.Size))
	if err != nil {
		return fmt.Errorf("bench: body: %w", err)
	}
	m.writer = writer{
		t: &h.timing, n: cfg.perSender(), interval: cfg.interval(),
		offset: cfg.interval() * time.Duration(author) / time.Duration(cfg.Groups*cfg.Senders), onID: m.onID,
	}
	m.write(msync.Outgoing{To: m.c.id, ToDomain: msync.GroupDomain, Payload: body, NS: msync.Meta_CHAT}, mark)
	return nil
}

// onID runs on the reader of the session.
func (m *member) onID(seq int, id uint64) {
	m.c.acks.Add(1)
	if !m.c.agree(m.c.place(m.index, seq), id) {
		m.differ++
	}
}

func (c *crowd) dial(ctx context.Context) error {
	for i, m := range c.members {
		m.token = c.tokens[i]
		if err := m.dial(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (m *member) dial(ctx context.Context) (err error) {
	m.session, err = client.Dial(ctx, m.c.h.cfg.Target.WS, client.Options{
		AppKey: m.c.h.cfg.Target.App, User: m.name, Token: m.token, Resource: "bench", MaxPending: maxPending, OnMeta: m.onMeta,
	})
	if err != nil {
		return fmt.Errorf("bench: member %s: %w", m.name, err)
	}
	return nil
}

// steady tells whether the member just listens.
func (m *member) steady() bool { return m.index < len(m.c.members)-m.c.h.cfg.Churn }

// onMeta runs on the reader of the session.
func (m *member) onMeta(e client.Delivery) {
	if e.Meta.NS == msync.Meta_MUC {
		return // news of the group itself
	}
	m.pause.wait()
	h := m.c.h
	sender, seq, due, ok := m.c.read(e.Meta.Payload)
	if !ok || sender == m.index { // one's own does not come back to the device that wrote it
		m.got.strange++
		return
	}
	if !m.got.add(&m.c.book, sender, seq, e.Meta.ID) {
		return
	}
	m.arrived.Add(1)
	if at := due - h.cfg.Warmup; at >= 0 && m.steady() {
		m.lastAt = time.Since(h.start)
		m.quarters[min(int(4*at/h.cfg.Duration), 3)].record(m.lastAt - due)
	}
}

// acked returns what was acknowledged to each who writes.
func (c *crowd) acked() []bitmap {
	out := make([]bitmap, c.senders)
	for i, m := range c.members[:c.senders] {
		out[i] = m.acked
	}
	return out
}

// settled tells whether every answer is there, and all that was acknowledged everywhere.
func (c *crowd) settled() bool {
	for _, m := range c.members {
		if m.session.Pending() > 0 || m.arrived.Load() < c.acks.Load()-m.acks.Load() {
			return false
		}
	}
	return true
}

// readStored reads the group's history as its last member.
func (c *crowd) readStored(ctx context.Context) error {
	last := len(c.members) - 1
	err := c.h.accounts.History(ctx, c.members[last].name, c.tokens[last], c.id+"@"+msync.GroupDomain, func(m msync.MetaView) error {
		if sender, seq, _, ok := c.read(m.Payload); ok {
			c.stored.add(&c.book, sender, seq, m.ID)
		} else {
			c.stored.strange++
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("bench: history of group %s: %w", c.id, err)
	}
	return nil
}

// close ends the session and waits for its reader.
func (m *member) close() {
	if m.session != nil {
		_ = m.session.Cut()
		<-m.session.Done()
	}
}
