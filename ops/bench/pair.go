package bench

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"parley/delivery/gateway/client"
	"parley/schemas/msync"
)

// maxReceipts is how many delivery receipts may wait to be sent; more are left out and counted.
const maxReceipts = 4096

// pair is a sender and its receiver. What must hold: tally is written by the reader of the receiver's session, and read when that has ended.
type pair struct {
	writer   // the sender
	d        *direct
	index    int
	from, to string
	receiver *client.Client
	marker   []byte // "pb<run>:<pair>:"
	tally    tally
	arrived  atomic.Int64 // different messages
	pause    pause
	token    msync.Token // of the receiver

	receipts        chan uint64
	receiptsDone    sync.WaitGroup
	receiptsSent    atomic.Int64
	receiptsDropped atomic.Int64
	receiptsBack    atomic.Int64
}

// newPair spreads pairs evenly over the interval.
func newPair(d *direct, index int, from, to string) (*pair, error) {
	cfg := &d.cfg
	p := &pair{
		d: d, index: index, from: from, to: to, marker: marker(d.run, index), tally: newTally(cfg.perPair()),
		writer: writer{
			t: &d.timing, n: cfg.perPair(), interval: cfg.interval(), offset: cfg.interval() * time.Duration(index) / time.Duration(cfg.Pairs),
		},
	}
	body, err := client.TextBody(from, to, blank(p.marker, cfg.Size), nil)
	if err != nil {
		return nil, fmt.Errorf("bench: body: %w", err)
	}
	p.write(msync.Outgoing{To: to, Payload: body, NS: msync.Meta_CHAT}, p.marker)
	return p, nil
}

func (p *pair) options() client.Options {
	return client.Options{AppKey: p.d.cfg.Target.App, Resource: "bench", MaxPending: maxPending}
}

func (p *pair) dialReceiver(ctx context.Context) (err error) {
	o := p.options()
	o.User, o.Token, o.OnMeta = p.to, p.token, p.onMessage
	if p.receiver, err = client.Dial(ctx, p.d.cfg.Target.socket(p.index+1), o); err != nil {
		return fmt.Errorf("bench: receiver %d: %w", p.index, err)
	}
	return nil
}

func (p *pair) dial(ctx context.Context, from, to msync.Token) (err error) {
	p.token = to
	if err := p.dialReceiver(ctx); err != nil {
		return err
	}
	o := p.options()
	o.User, o.Token, o.OnMeta = p.from, from, func(client.Delivery) { p.receiptsBack.Add(1) }
	if p.session, err = client.Dial(ctx, p.d.cfg.Target.socket(p.index), o); err != nil {
		return fmt.Errorf("bench: sender %d: %w", p.index, err)
	}
	if p.d.cfg.Receipts {
		p.receipts = make(chan uint64, maxReceipts)
		p.receiptsDone.Go(p.sendReceipts)
	}
	return nil
}

// onMessage runs on the reader of the receiver's session.
func (p *pair) onMessage(e client.Delivery) {
	p.pause.wait()
	seq, due, ok := p.parse(e.Meta.Payload)
	if !ok {
		p.tally.strange++
		return
	}
	if !p.tally.add(seq) {
		return
	}
	p.arrived.Add(1)
	if at := due - p.d.cfg.Warmup; at >= 0 && p.index >= p.d.cfg.Churn {
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
	if p.session.Pending() > 0 || p.arrived.Load() < p.acks.Load() {
		return false
	}
	sent := p.receiptsSent.Load()
	return p.receipts == nil || sent+p.receiptsDropped.Load() >= p.arrived.Load() && p.receiptsBack.Load() >= sent
}

// close ends both sessions and waits for their readers. It may be called twice.
func (p *pair) close() {
	for _, c := range []*client.Client{p.session, p.receiver} {
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
