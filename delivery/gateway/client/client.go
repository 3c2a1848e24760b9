// Package client is a small client of the SDKs' protocol, for benches and tests.
//
// It behaves as the web SDKs do where a server can tell: it acknowledges a page by its key, pulls what UNREAD lists, ignores an entry whose
// id is among the last 100 it has seen, and treats a page that ends at the key of the page before as the end. It is stricter where the SDKs
// lose data without a word: an answer without status, a page without queue or an entry without sender ends the session with a ProtocolError.
//
// What must hold: one goroutine reads a connection, and every callback runs on it, in the order of the frames; a callback must not block
// for long and must not call Close, Logout, Cut, Send, Sync or Receive, which wait for that goroutine. Everything is bounded: frames, sends
// without answer, entries not yet received. A client does not reconnect; Dial again with the same resource does what the SDKs do.
package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"parley/schemas/msync"
)

// Options say who connects and how. AppKey, User and Token are required.
type Options struct {
	AppKey     string // "org#app"
	User       string
	Token      msync.Token
	Resource   string // the device's name; empty: the server gives one
	DeviceUUID string // Resource when empty

	// OnMeta takes each new entry. It aliases the frame: what is kept must be copied. When nil, entries wait for Receive.
	OnMeta func(Delivery)
	// OnUnread takes the queues that the server lists, before they are pulled.
	OnUnread func([]msync.UnreadQueue)

	HoldAcks   bool          // pages are not acknowledged until Acknowledge is called
	Inbox      int           // entries that wait for Receive, default 256; a full inbox stops reading
	MaxPending int           // sends without answer, default 256; one more is refused with ErrPending
	Heartbeat  time.Duration // UNREAD after so long without a frame; 0: none. The SDKs use 30 s
	HTTPClient *http.Client  // default: one for the process, with small buffers and no proxy
}

func (o *Options) fill() error {
	if o.AppKey == "" || o.User == "" || o.Token == "" {
		return errors.New("client: app key, user and token are required")
	}
	if o.DeviceUUID == "" {
		o.DeviceUUID = o.Resource
	}
	if o.Inbox <= 0 {
		o.Inbox = 256
	}
	if o.MaxPending <= 0 {
		o.MaxPending = 256
	}
	if o.HTTPClient == nil {
		o.HTTPClient = defaultHTTP
	}
	return nil
}

// defaultHTTP keeps an upgraded connection small.
var defaultHTTP = &http.Client{Transport: &http.Transport{
	ReadBufferSize: 512, WriteBufferSize: 512, DisableKeepAlives: false, TLSHandshakeTimeout: 10 * time.Second,
}}

// Client is one session. Its methods may be called from any goroutine.
type Client struct {
	opts      Options
	conn      *websocket.Conn
	resource  string
	session   string
	counters  counters
	lastRead  atomic.Int64 // Unix nanoseconds
	nextID    atomic.Uint64
	inbox     chan Received
	ready     chan struct{} // closed at the first answer to UNREAD
	loggedOut chan struct{} // closed at the answer to a log-out
	done      chan struct{} // closed when the reader has ended
	stop      chan struct{} // closed when the owner ends the session
	closing   atomic.Bool
	beat      *time.Timer

	mu      sync.Mutex // guards what follows
	pending map[uint64]func(Ack, error)
	pulls   map[string][]chan struct{}
	err     error // why the session ended; set before done is closed

	reader reader // owned by the reading goroutine
}

// Dial connects, does the handshake and asks for unread queues; it returns when they are answered. A refusal is a *ProvisionError.
func Dial(ctx context.Context, url string, opts Options) (*Client, error) {
	if err := opts.fill(); err != nil {
		return nil, err
	}
	conn, resp, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPClient: opts.HTTPClient})
	if resp != nil && resp.Body != nil && err != nil {
		_ = resp.Body.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("client: dial: %w", err)
	}
	conn.SetReadLimit(msync.MaxFrameBytes)
	c := &Client{
		opts: opts, conn: conn, session: fmt.Sprintf("%d:", time.Now().UnixMilli()), ready: make(chan struct{}),
		loggedOut: make(chan struct{}), done: make(chan struct{}), stop: make(chan struct{}), pending: make(map[uint64]func(Ack, error)),
		pulls: make(map[string][]chan struct{}),
	}
	if opts.OnMeta == nil {
		c.inbox = make(chan Received, opts.Inbox)
	}
	c.nextID.Store(uint64(time.Now().UnixMilli()))
	if err := c.start(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

// start does the handshake, then starts the reader and waits for the answer to the first UNREAD.
func (c *Client) start(ctx context.Context) error {
	if err := c.provision(ctx); err != nil {
		_ = c.conn.CloseNow()
		return err
	}
	live := context.WithoutCancel(ctx) // ctx bounds Dial; Close and Cut end what runs after it
	go c.read(live)
	if err := c.Heartbeat(ctx); err != nil {
		return errors.Join(err, c.Cut())
	}
	select {
	case <-c.ready:
		c.startHeartbeat(live)
		return nil
	case <-c.done:
		return c.Err()
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("client: wait for unread: %w", context.Cause(ctx)), c.Cut())
	}
}

func (c *Client) startHeartbeat(ctx context.Context) {
	every := c.opts.Heartbeat
	if every <= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil || c.closing.Load() {
		return
	}
	c.beat = time.AfterFunc(every, func() {
		if c.closing.Load() {
			return
		}
		if time.Since(time.Unix(0, c.lastRead.Load())) >= every {
			_ = c.Heartbeat(ctx)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.err == nil && !c.closing.Load() {
			c.beat.Reset(every)
		}
	})
}

// Resource returns the device's name, as the server gave it.
func (c *Client) Resource() string { return c.resource }

// Heartbeat sends an UNREAD.
func (c *Client) Heartbeat(ctx context.Context) error {
	return c.write(ctx, msync.AppendUnreadRequest(make([]byte, 0, 16)))
}

// Done is closed when the session has ended; Err then says why.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err returns why the session ended: ErrClosed after Close, Logout or Cut, nil while it lives.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}
