package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"parley/delivery/gateway/client"
	"parley/schemas/msync"
)

// maxPending is how many sends of a session may wait for their answer: open loop means that the server's slowness shows in latency.
const maxPending = 50_000

// maxReceipts is how many delivery receipts may wait to be sent; more are left out and counted.
const maxReceipts = 4096

// pair is a sender and its receiver. What must hold: sent is written by the sending goroutine alone, acked by the reader of the
// sender's session, tally by the reader of the receiver's; all are read when those have ended.
type pair struct {
	d        *direct
	index    int
	from, to string
	sender   *client.Client
	receiver *client.Client
	marker   []byte // "pb<run>:<pair>:"
	template []byte // the body, digits to be filled in
	digits   int    // where seq begins in template

	sent     int // sends that were written to the socket
	unsent   int // not even written: the session had ended, or too many were waiting
	refusals map[string]int
	acked    bitmap
	tally    tally

	answered, acks, arrived atomic.Int64

	receipts        chan uint64
	receiptsDone    sync.WaitGroup
	receiptsSent    atomic.Int64
	receiptsDropped atomic.Int64
	receiptsBack    atomic.Int64
}

func newPair(d *direct, index int, from, to string) (*pair, error) {
	n := d.cfg.perPair()
	p := &pair{
		d: d, index: index, from: from, to: to, marker: marker(d.run, index),
		refusals: map[string]int{}, acked: newBitmap(n), tally: tally{seen: newBitmap(n), last: -1},
	}
	body, err := client.TextBody(from, to, blank(p.marker, d.cfg.Size), nil)
	if err != nil {
		return nil, fmt.Errorf("bench: body: %w", err)
	}
	p.template, p.digits = body, bytes.Index(body, p.marker)+len(p.marker)
	return p, nil
}

func (p *pair) dial(ctx context.Context, from, to msync.Token) (err error) {
	o := client.Options{AppKey: p.d.cfg.Target.App, Resource: "bench", MaxPending: maxPending}
	o.User, o.Token, o.OnMeta = p.to, to, p.onMessage
	if p.receiver, err = client.Dial(ctx, p.d.cfg.Target.WS, o); err != nil {
		return fmt.Errorf("bench: receiver %d: %w", p.index, err)
	}
	o.User, o.Token, o.OnMeta = p.from, from, func(client.Delivery) { p.receiptsBack.Add(1) }
	if p.sender, err = client.Dial(ctx, p.d.cfg.Target.WS, o); err != nil {
		return fmt.Errorf("bench: sender %d: %w", p.index, err)
	}
	if p.d.cfg.Receipts {
		p.receipts = make(chan uint64, maxReceipts)
		p.receiptsDone.Go(p.sendReceipts)
	}
	return nil
}

// send sends every message at its time. Pairs are spread evenly over the interval.
func (p *pair) send(ctx context.Context) {
	cfg := &p.d.cfg
	n, interval := cfg.perPair(), cfg.interval()
	offset := interval * time.Duration(p.index) / time.Duration(cfg.Pairs)
	live := context.WithoutCancel(ctx) // close ends a write that blocks
	for seq := range n {
		due := offset + time.Duration(seq)*interval
		if wait := time.Until(p.d.start.Add(due)); wait > 0 && sleep(ctx, wait) != nil {
			return
		}
		if !p.sendOne(live, seq, due) {
			p.unsent += n - seq
			return
		}
	}
}

// sendOne returns false when the session has ended.
func (p *pair) sendOne(ctx context.Context, seq int, due time.Duration) bool {
	p.fill(seq, due)
	if due >= p.d.cfg.Warmup {
		p.d.lag.record(time.Since(p.d.start) - due)
	}
	o := msync.Outgoing{To: p.to, Payload: p.template, NS: msync.Meta_CHAT}
	_, err := p.sender.SendAsync(ctx, o, func(a client.Ack, err error) { p.onAnswer(seq, due, &a, err) })
	switch {
	case err == nil:
		p.sent++
		return true
	case errors.Is(err, client.ErrPending):
		p.unsent++
		return true
	default:
		return false
	}
}

// fill writes seq and due into the body.
func (p *pair) fill(seq int, due time.Duration) { fillStamp(p.template[p.digits:], seq, due) }

// onAnswer runs on the reader of the sender's session.
func (p *pair) onAnswer(seq int, due time.Duration, a *client.Ack, err error) {
	if err != nil {
		return // the session ended first: without answer
	}
	p.answered.Add(1)
	if a.Code != msync.Status_OK {
		p.refusals[fmt.Sprintf("%v %s", a.Code, a.Reason)]++
		return
	}
	p.acks.Add(1)
	p.acked.set(seq)
	if due >= p.d.cfg.Warmup {
		p.d.ack.record(time.Since(p.d.start) - due)
	}
}

// onMessage runs on the reader of the receiver's session.
func (p *pair) onMessage(e client.Delivery) {
	seq, due, ok := p.parse(e.Meta.Payload)
	if !ok {
		p.tally.strange++
		return
	}
	p.tally.add(seq)
	p.arrived.Add(1)
	if at := due - p.d.cfg.Warmup; at >= 0 {
		took := time.Since(p.d.start) - due
		p.d.arrival.record(took)
		p.d.quarters[min(int(4*at/p.d.cfg.Duration), 3)].record(took)
	}
	if p.receipts != nil {
		select {
		case p.receipts <- e.Meta.ID:
		default:
			p.receiptsDropped.Add(1)
		}
	}
}

// parse finds the numbers in a body. It returns false for a message that this pair has not sent.
func (p *pair) parse(body []byte) (seq int, due time.Duration, ok bool) {
	at := bytes.Index(body, p.marker)
	if at < 0 {
		return 0, 0, false
	}
	seq, due, ok = readStamp(body[at+len(p.marker):])
	return seq, due, ok && seq < p.d.cfg.perPair()
}

// sendReceipts sends delivery receipts as the SDK does, until the channel is closed.
func (p *pair) sendReceipts() {
	for id := range p.receipts {
		body, err := client.ReceiptBody(msync.MessageBody_DELIVER_ACK, p.to, p.from, id)
		if err != nil {
			p.receiptsDropped.Add(1)
			continue
		}
		o := msync.Outgoing{To: p.from, Payload: body, NS: msync.Meta_CHAT}
		if _, err := p.receiver.SendAsync(context.Background(), o, func(client.Ack, error) {}); err != nil {
			p.receiptsDropped.Add(1)
			continue
		}
		p.receiptsSent.Add(1)
	}
}

// settled tells whether nothing more is expected. It may be asked when send has returned.
func (p *pair) settled() bool {
	if p.sender.Pending() > 0 || p.arrived.Load() < p.acks.Load() {
		return false
	}
	sent := p.receiptsSent.Load()
	return p.receipts == nil || sent+p.receiptsDropped.Load() >= p.arrived.Load() && p.receiptsBack.Load() >= sent
}

// close ends both sessions and waits for their readers. It may be called twice.
func (p *pair) close() {
	for _, c := range []*client.Client{p.sender, p.receiver} {
		if c != nil {
			_ = c.Cut()
			<-c.Done()
		}
	}
	if p.receipts != nil {
		close(p.receipts)
		p.receiptsDone.Wait()
		p.receipts = nil
	}
}
