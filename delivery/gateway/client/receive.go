package client

import (
	"bytes"
	"context"
	"fmt"

	"parley/schemas/msync"
)

// Delivery is an entry as OnMeta gets it. Its slices alias the frame and are good until the callback returns.
type Delivery struct {
	Queue    msync.JIDView
	Meta     msync.MetaView
	NextKey  uint64 // of the page
	Volatile bool   // the page is not acknowledged (isLast)
}

// Received is an entry as Receive returns it: a copy.
type Received struct {
	Queue    msync.Queue
	Meta     msync.MetaView
	NextKey  uint64 // of the page; Acknowledge takes it
	Volatile bool
}

// deliver hands one entry on, unless it repeats one of the last.
func (c *Client) deliver(s *msync.SyncDown, raw []byte) error {
	m, err := msync.DecodeMeta(raw)
	if err != nil {
		return &ProtocolError{What: "entry", Err: err}
	}
	if len(m.From.Name) == 0 {
		return &ProtocolError{What: "entry without sender"}
	}
	if c.reader.repeat(m.ID) {
		c.counters.repeats.Add(1)
		return nil
	}
	c.counters.metas.Add(1)
	if c.opts.OnMeta != nil {
		c.opts.OnMeta(Delivery{Queue: s.Queue, Meta: m, NextKey: s.NextKey, Volatile: s.IsLast})
		return nil
	}
	return c.store(s, raw)
}

// store puts a copy into the inbox. While the inbox is full it waits: the server sees a client that does not read.
func (c *Client) store(s *msync.SyncDown, raw []byte) error {
	m, err := msync.DecodeMeta(bytes.Clone(raw))
	if err != nil {
		return &ProtocolError{What: "entry", Err: err}
	}
	r := Received{Queue: s.Queue.Queue(), Meta: m, NextKey: s.NextKey, Volatile: s.IsLast}
	select {
	case c.inbox <- r:
		return nil
	case <-c.stop:
		return ErrClosed
	}
}

// Receive returns the next entry, in the order in which pages came. It returns what is left before it says that the session has ended.
func (c *Client) Receive(ctx context.Context) (Received, error) {
	select {
	case r := <-c.inbox:
		return r, nil
	default:
	}
	select {
	case r := <-c.inbox:
		return r, nil
	case <-c.done:
		select {
		case r := <-c.inbox:
			return r, nil
		default:
			return Received{}, c.Err()
		}
	case <-ctx.Done():
		return Received{}, fmt.Errorf("client: receive: %w", context.Cause(ctx))
	}
}

// Acknowledge says that everything of the queue up to key has arrived, and asks for what follows.
func (c *Client) Acknowledge(ctx context.Context, q msync.Queue, key uint64) error {
	return c.writeKey(ctx, &q, key)
}

func (c *Client) writeKey(ctx context.Context, q *msync.Queue, key uint64) error {
	buf := frames.Get().(*[]byte)
	*buf = msync.AppendSync((*buf)[:0], q, key)
	err := c.write(ctx, *buf)
	frames.Put(buf)
	if err != nil {
		return err
	}
	if key != 0 {
		c.counters.keys.Add(1)
	}
	return nil
}

// Sync pulls a queue: it asks for what is pending and returns when the queue's empty last page has come. What the pull brings is delivered
// and acknowledged as any page is. With HoldAcks the caller must acknowledge meanwhile.
func (c *Client) Sync(ctx context.Context, q msync.Queue) error {
	end := make(chan struct{})
	c.mu.Lock()
	if err := c.err; err != nil {
		c.mu.Unlock()
		return err
	}
	c.pulls[q.Name] = append(c.pulls[q.Name], end)
	c.mu.Unlock()
	if err := c.writeKey(ctx, &q, 0); err != nil {
		return err
	}
	select {
	case <-end:
		return nil
	case <-c.done:
		return c.Err()
	case <-ctx.Done():
		return fmt.Errorf("client: sync: %w", context.Cause(ctx))
	}
}

// pulled wakes those who wait for the end of a queue.
func (c *Client) pulled(name []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, end := range c.pulls[string(name)] {
		close(end)
	}
	delete(c.pulls, string(name))
}
