package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/coder/websocket"

	"parley/schemas/msync"
)

// Ack is the answer to a send. Code is OK, or the refusal's code with its reason.
type Ack struct {
	MetaID    uint64 // the client's own id
	ServerID  uint64 // the message's id
	Timestamp uint64 // ms
	Code      msync.Status_ErrorCode
	Reason    string
	Metas     [][]byte // what the answer carries besides, copied
}

// errNoPayload refuses what no server could read.
var errNoPayload = errors.New("client: nothing to send")

// frames are buffers of frames on their way up.
var frames = sync.Pool{New: func() any { b := make([]byte, 0, 1024); return &b }}

// write sends one frame. A context that ends while it is being written breaks the connection.
func (c *Client) write(ctx context.Context, frame []byte) error {
	if err := c.conn.Write(ctx, websocket.MessageBinary, frame); err != nil {
		return fmt.Errorf("client: write: %w", err)
	}
	c.counters.framesOut.Add(1)
	c.counters.bytesOut.Add(uint64(len(frame)))
	return nil
}

// NextID returns a fresh metaId. Send and SendAsync take one themselves when Outgoing.ID is 0.
func (c *Client) NextID() uint64 { return c.nextID.Add(1) }

// Send sends a MessageBody to a user and waits for the answer. A refusal is no error: it is in the Ack.
func (c *Client) Send(ctx context.Context, to string, body []byte) (Ack, error) {
	return c.SendMeta(ctx, msync.Outgoing{To: to, Payload: body, NS: msync.Meta_CHAT})
}

// SendMeta sends a meta and waits for the answer. AppKey and ID are filled when empty.
func (c *Client) SendMeta(ctx context.Context, o msync.Outgoing) (Ack, error) {
	type result struct {
		ack Ack
		err error
	}
	ch := make(chan result, 1)
	id, err := c.SendAsync(ctx, o, func(a Ack, err error) { ch <- result{a, err} })
	if err != nil {
		return Ack{MetaID: id}, err
	}
	select {
	case r := <-ch:
		return r.ack, r.err
	case <-ctx.Done():
		c.forget(id)
		return Ack{MetaID: id}, fmt.Errorf("client: wait for the answer: %w", context.Cause(ctx))
	}
}

// SendAsync sends a meta and calls then once: with the answer, or with an error when the session ends first. It returns the metaId. When
// it returns an error, then is not called. Two sends with the same ID at one time share nothing but the id: the later one gets the answer.
func (c *Client) SendAsync(ctx context.Context, o msync.Outgoing, then func(Ack, error)) (uint64, error) {
	if len(o.Payload) == 0 {
		return 0, errNoPayload
	}
	if o.ID == 0 {
		o.ID = c.NextID()
	}
	if o.AppKey == "" {
		o.AppKey = c.opts.AppKey
	}
	if err := c.expect(o.ID, then); err != nil {
		return o.ID, err
	}
	buf := frames.Get().(*[]byte)
	*buf = msync.AppendSend((*buf)[:0], &o)
	err := c.write(ctx, *buf)
	frames.Put(buf)
	if err != nil && c.forget(o.ID) {
		return o.ID, err
	}
	return o.ID, nil // when the reader has taken the callback, it has called it
}

// expect remembers who waits for an answer.
func (c *Client) expect(id uint64, then func(Ack, error)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	if len(c.pending) >= c.opts.MaxPending {
		return ErrPending
	}
	c.pending[id] = then
	return nil
}

// forget drops who waits. It returns false when nobody did any more.
func (c *Client) forget(id uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.pending[id]
	delete(c.pending, id)
	return ok
}

// Pending returns how many sends are without answer.
func (c *Client) Pending() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.pending)
}

// answer gives an answer to whom it belongs.
func (c *Client) answer(s *msync.SyncDown) {
	c.counters.acks.Add(1)
	c.mu.Lock()
	then := c.pending[s.MetaID]
	delete(c.pending, s.MetaID)
	c.mu.Unlock()
	if then == nil {
		c.counters.strays.Add(1)
		return
	}
	a := Ack{MetaID: s.MetaID, ServerID: s.ServerID, Timestamp: s.Timestamp, Code: s.Status.Code, Reason: string(s.Status.Reason)}
	for _, m := range s.Metas {
		a.Metas = append(a.Metas, bytes.Clone(m))
	}
	then(a, nil)
}
