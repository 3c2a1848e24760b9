package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/coder/websocket"

	"parley/schemas/msync"
)

// seenIDs is how many ids the SDKs remember, over all queues, to leave out repeats.
const seenIDs = 100

// reader is what the reading goroutine owns.
type reader struct {
	buf    []byte
	metas  [][]byte
	seen   []uint64 // ring, grows to seenIDs
	at     int
	queues map[string]*queue // by name
}

// keepBuffer is the largest buffer that is kept between frames.
const keepBuffer = 8 << 10

// next reads one frame into the reader's buffer.
func (r *reader) next(ctx context.Context, conn *websocket.Conn) ([]byte, error) {
	typ, from, err := conn.Reader(ctx)
	if err != nil {
		return nil, err
	}
	if typ != websocket.MessageBinary {
		return nil, &ProtocolError{What: "text frame"}
	}
	if cap(r.buf) > keepBuffer {
		r.buf = nil
	}
	b := r.buf[:0]
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := from.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if errors.Is(err, io.EOF) {
			r.buf = b
			return b, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func (c *Client) countIn(b []byte) {
	c.lastRead.Store(time.Now().UnixNano())
	c.counters.framesIn.Add(1)
	c.counters.bytesIn.Add(uint64(len(b)))
}

// read runs until the connection ends or breaks the protocol, and then answers all who wait.
//
// ctx never ends, which spares a callback per frame: Close and Cut end the reading by closing the connection.
func (c *Client) read(ctx context.Context) {
	err := c.readAll(ctx)
	_ = c.conn.CloseNow()
	if c.closing.Load() {
		err = ErrClosed
	}
	c.mu.Lock()
	c.err = err
	pending := c.pending
	c.pending, c.pulls = nil, nil
	if c.beat != nil {
		c.beat.Stop()
	}
	c.mu.Unlock()
	for id, f := range pending {
		f(Ack{MetaID: id}, err)
	}
	close(c.done)
}

func (c *Client) readAll(ctx context.Context) error {
	for {
		b, err := c.reader.next(ctx, c.conn)
		if err != nil {
			return fmt.Errorf("client: read: %w", err)
		}
		c.countIn(b)
		if err := c.handle(ctx, b); err != nil {
			return err
		}
	}
}

func (c *Client) handle(ctx context.Context, b []byte) error {
	fr, err := msync.DecodeFrame(b)
	if err != nil {
		return &ProtocolError{What: "frame", Err: err}
	}
	switch fr.Command {
	case msync.MSync_SYNC:
		return c.handleSync(ctx, fr.Payload)
	case msync.MSync_UNREAD:
		return c.handleUnread(ctx, fr.Payload)
	case msync.MSync_LOGOUT:
		closeOnce(c.loggedOut)
		return nil
	default:
		return &ProtocolError{What: fmt.Sprintf("command %v", fr.Command)}
	}
}

// closeOnce closes a channel that only the reading goroutine closes.
func closeOnce(ch chan struct{}) {
	select {
	case <-ch:
	default:
		close(ch)
	}
}

func (c *Client) handleUnread(ctx context.Context, payload []byte) error {
	queues, status, _, err := msync.DecodeUnread(payload)
	if err != nil {
		return &ProtocolError{What: "answer to UNREAD", Err: err}
	}
	if !status.Present {
		return &ProtocolError{What: "answer to UNREAD without status"}
	}
	if c.opts.OnUnread != nil {
		c.opts.OnUnread(queues)
	}
	closeOnce(c.ready)
	for i := range queues {
		if err := c.writeKey(ctx, &queues[i].Queue, 0); err != nil {
			return err
		}
	}
	return nil
}

func (c *Client) handleSync(ctx context.Context, payload []byte) error {
	s, err := msync.DecodeSyncDown(payload, c.reader.metas)
	if err != nil {
		return &ProtocolError{What: "SYNC", Err: err}
	}
	c.reader.metas = s.Metas
	if !s.Status.Present {
		return &ProtocolError{What: "SYNC without status"}
	}
	if s.MetaID != 0 {
		c.answer(&s)
		return nil
	}
	return c.handlePage(ctx, &s)
}

func (c *Client) handlePage(ctx context.Context, s *msync.SyncDown) error {
	switch {
	case !s.HasQueue:
		return &ProtocolError{What: "page without queue"}
	case !s.HasLast:
		return &ProtocolError{What: "page without isLast"}
	case len(s.Metas) == 0:
		if s.IsLast {
			c.pulled(s.Queue.Name)
		}
		return nil
	}
	c.counters.pages.Add(1)
	for _, raw := range s.Metas {
		if err := c.deliver(s, raw); err != nil {
			return err
		}
	}
	if s.IsLast || c.opts.HoldAcks {
		return nil
	}
	q := c.reader.queue(&s.Queue)
	if q.last == s.NextKey && s.NextKey != 0 {
		return nil // the SDKs take it for the end
	}
	q.last = s.NextKey
	return c.writeKey(ctx, &q.name, s.NextKey)
}

// queue is what the SDKs remember of a queue.
type queue struct {
	name msync.Queue
	last uint64 // nextKey of the last page that was acknowledged
}

func (r *reader) queue(j *msync.JIDView) *queue {
	if q, ok := r.queues[string(j.Name)]; ok {
		return q
	}
	if r.queues == nil {
		r.queues = make(map[string]*queue)
	}
	q := &queue{name: j.Queue()}
	r.queues[q.name.Name] = q
	return q
}

// repeat tells whether the id is among the last ones, and remembers it.
func (r *reader) repeat(id uint64) bool {
	if slices.Contains(r.seen, id) {
		return true
	}
	if len(r.seen) < seenIDs {
		r.seen = append(r.seen, id)
		return false
	}
	r.seen[r.at] = id
	r.at = (r.at + 1) % seenIDs
	return false
}
