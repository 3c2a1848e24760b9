package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"parley/delivery/gateway/client"
	"parley/schemas/msync"
)

// crowd is a group. A message is named by its sender and its number there, place tells where it stands in bitmaps.
type crowd struct {
	h       *hot
	index   int
	id      string
	members []*member // the first ones write
	tokens  []msync.Token
	ids     []atomic.Uint64 // by place: the id under which the message was seen first
	acks    atomic.Int64
	stored  tray
}

// member is a user of a group on one device. What must hold: sent is written by the sending goroutine alone, and what answers and
// arrivals fill by the reader of the session; all are read when those have ended.
type member struct {
	c       *crowd
	index   int
	name    string
	session *client.Client

	template []byte // the body, digits to be filled in
	digits   int    // where seq begins in template
	sent     int    // sends that were written to the socket
	unsent   int    // not even written: the session had ended, or too many were waiting

	refusals       map[string]int
	acked          bitmap
	differ         int // acknowledged under another id than somebody received
	answered, acks atomic.Int64

	got      tray
	arrived  atomic.Int64
	lastAt   time.Duration // when the last arrival was, from the start
	quarters [4]histogram  // from the scheduled time to the arrival, by quarter of the measured time
}

func bareCrowd(h *hot, index int) *crowd {
	return &crowd{h: h, index: index, ids: make([]atomic.Uint64, h.cfg.Senders*h.cfg.perSender()), stored: newTray(&h.cfg)}
}

func newMember(c *crowd, index int, name string) *member {
	cfg := &c.h.cfg
	return &member{c: c, index: index, name: name, refusals: map[string]int{}, acked: newBitmap(cfg.perSender()), got: newTray(cfg)}
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

// prepare makes the body that only the digits change.
func (m *member) prepare() (err error) {
	h := m.c.h
	mark := marker(h.run, m.c.index*h.cfg.Senders+m.index)
	if m.template, err = client.GroupTextBody(m.name, m.c.id, blank(mark, h.cfg.Size)); err != nil {
		return fmt.Errorf("bench: body: %w", err)
	}
	m.digits = bytes.Index(m.template, mark) + len(mark)
	return nil
}

func (c *crowd) dial(ctx context.Context) error {
	for i, m := range c.members {
		s, err := client.Dial(ctx, c.h.cfg.Target.WS, client.Options{
			AppKey: c.h.cfg.Target.App, User: m.name, Token: c.tokens[i], Resource: "bench", MaxPending: maxPending, OnMeta: m.onMeta,
		})
		if err != nil {
			return fmt.Errorf("bench: member %s: %w", m.name, err)
		}
		m.session = s
	}
	return nil
}

// send sends every message at its time. Senders are spread evenly over the interval.
func (m *member) send(ctx context.Context) {
	cfg := &m.c.h.cfg
	n, interval := cfg.perSender(), cfg.interval()
	offset := interval * time.Duration(m.c.index*cfg.Senders+m.index) / time.Duration(cfg.Groups*cfg.Senders)
	live := context.WithoutCancel(ctx) // close ends a write that blocks
	for seq := range n {
		due := offset + time.Duration(seq)*interval
		if wait := time.Until(m.c.h.start.Add(due)); wait > 0 && sleep(ctx, wait) != nil {
			return
		}
		if !m.sendOne(live, seq, due) {
			m.unsent += n - seq
			return
		}
	}
}

// sendOne returns false when the session has ended.
func (m *member) sendOne(ctx context.Context, seq int, due time.Duration) bool {
	h := m.c.h
	fillStamp(m.template[m.digits:], seq, due)
	if due >= h.cfg.Warmup {
		h.lag.record(time.Since(h.start) - due)
	}
	o := msync.Outgoing{To: m.c.id, ToDomain: msync.GroupDomain, Payload: m.template, NS: msync.Meta_CHAT}
	_, err := m.session.SendAsync(ctx, o, func(a client.Ack, err error) { m.onAnswer(seq, due, &a, err) })
	switch {
	case err == nil:
		m.sent++
		return true
	case errors.Is(err, client.ErrPending):
		m.unsent++
		return true
	default:
		return false
	}
}

// onAnswer runs on the reader of the session.
func (m *member) onAnswer(seq int, due time.Duration, a *client.Ack, err error) {
	if err != nil {
		return // the session ended first: without answer
	}
	m.answered.Add(1)
	if a.Code != msync.Status_OK {
		m.refusals[fmt.Sprintf("%v %s", a.Code, a.Reason)]++
		return
	}
	m.acks.Add(1)
	m.c.acks.Add(1)
	m.acked.set(seq)
	if !m.c.agree(m.c.place(m.index, seq), a.ServerID) {
		m.differ++
	}
	if h := m.c.h; due >= h.cfg.Warmup {
		h.ack.record(time.Since(h.start) - due)
	}
}

// onMeta runs on the reader of the session.
func (m *member) onMeta(e client.Delivery) {
	if e.Meta.NS == msync.Meta_MUC {
		return // news of the group itself
	}
	h := m.c.h
	sender, seq, due, ok := m.c.read(e.Meta.Payload)
	if !ok || sender == m.index { // one's own does not come back to the device that wrote it
		m.got.strange++
		return
	}
	m.got.add(m.c, sender, seq, e.Meta.ID)
	m.arrived.Add(1)
	if at := due - h.cfg.Warmup; at >= 0 {
		m.lastAt = time.Since(h.start)
		m.quarters[min(int(4*at/h.cfg.Duration), 3)].record(m.lastAt - due)
	}
}

// read finds a message of this group in a body.
func (c *crowd) read(body []byte) (sender, seq int, due time.Duration, ok bool) {
	author, seq, due, ok := readText(c.h.tag, body)
	sender = author - c.index*c.h.cfg.Senders
	return sender, seq, due, ok && sender >= 0 && sender < c.h.cfg.Senders && seq < c.h.cfg.perSender()
}

func (c *crowd) place(sender, seq int) int { return sender*c.h.cfg.perSender() + seq }

// agree tells whether all who have seen a message have seen it under one id.
func (c *crowd) agree(place int, id uint64) bool {
	return c.ids[place].CompareAndSwap(0, id) || c.ids[place].Load() == id
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
			c.stored.add(c, sender, seq, m.ID)
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

// tray judges a group's messages as one reader sees them. That all readers see one order follows from two things that each is held to:
// ids only grow, and a message has the same id for all.
type tray struct {
	seen     bitmap // by place
	last     []int  // by sender, the highest number so far
	lastID   uint64
	repeats  int
	disorder int // after a later id, or after a later one of the same sender
	differ   int // under another id than somebody else has seen
	strange  int // of no sender of this group
}

func newTray(c *GroupConfig) tray {
	t := tray{seen: newBitmap(c.Senders * c.perSender()), last: make([]int, c.Senders)}
	for i := range t.last {
		t.last[i] = -1
	}
	return t
}

func (t *tray) add(c *crowd, sender, seq int, id uint64) {
	place := c.place(sender, seq)
	switch {
	case t.seen.has(place):
		t.repeats++
	case id <= t.lastID, seq < t.last[sender]:
		t.disorder++
	}
	if !c.agree(place, id) {
		t.differ++
	}
	t.seen.set(place)
	t.lastID, t.last[sender] = max(t.lastID, id), max(t.last[sender], seq)
}

// missing counts what was acknowledged to others than the member except and is not here.
func (t *tray) missing(c *crowd, except int) (n int) {
	for i, m := range c.members[:c.h.cfg.Senders] {
		for seq := 0; i != except && seq < c.h.cfg.perSender(); seq++ {
			if m.acked.has(seq) && !t.seen.has(c.place(i, seq)) {
				n++
			}
		}
	}
	return n
}
