package client

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"parley/schemas/msync"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var bob = msync.Queue{AppKey: "a#b", Name: "bob", Domain: msync.UserDomain}

// peer is the server's side of one connection: it speaks the frames that a test gives it.
type peer struct {
	t    *testing.T
	conn *websocket.Conn
	ctx  context.Context // of the one connection that the peer serves
}

// serve runs script for each connection and returns the address. The script may end without closing.
func serve(t *testing.T, script func(p *peer)) string {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if !assert.NoError(t, err) {
			return
		}
		defer func() { _ = conn.CloseNow() }()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		script(&peer{t: t, conn: conn, ctx: ctx})
		for { // until the client goes
			if _, _, err := conn.Read(ctx); err != nil {
				return
			}
		}
	}))
	t.Cleanup(srv.Close)
	return "ws" + strings.TrimPrefix(srv.URL, "http") + "/ws"
}

func (p *peer) send(frame []byte) {
	assert.NoError(p.t, p.conn.Write(p.ctx, websocket.MessageBinary, frame))
}

func (p *peer) next() msync.Frame {
	_, b, err := p.conn.Read(p.ctx)
	if !assert.NoError(p.t, err) {
		return msync.Frame{Command: -1}
	}
	fr, err := msync.DecodeFrame(b)
	assert.NoError(p.t, err)
	return fr
}

// sync reads the next frame, which must be a SYNC.
func (p *peer) sync() msync.Sync {
	fr := p.next()
	assert.Equal(p.t, msync.MSync_SYNC, fr.Command)
	s, err := msync.DecodeSync(fr.Payload)
	assert.NoError(p.t, err)
	return s
}

// hello answers the handshake and the first UNREAD.
func (p *peer) hello(unread ...msync.UnreadQueue) msync.Hello {
	fr := p.next()
	assert.Equal(p.t, msync.MSync_PROVISION, fr.Command)
	h, err := msync.DecodeHello(&fr)
	assert.NoError(p.t, err)
	res := h.Resource
	if res == "" {
		res = "given"
	}
	p.send(msync.AppendProvision(nil, &msync.ProvisionAnswer{Resource: res}))
	assert.Equal(p.t, msync.MSync_UNREAD, p.next().Command)
	p.send(msync.AppendUnread(nil, unread, 1))
	return h
}

// page makes a frame with one text for each id.
func page(q msync.Queue, key uint64, last bool, ids ...uint64) []byte {
	p := msync.Page{Queue: q, NextKey: key, IsLast: last, Timestamp: 1}
	for _, id := range ids {
		p.Metas = append(p.Metas, msync.AppendMeta(nil, &msync.MetaHeader{
			ID: id, AppKey: "a#b", From: "bob", To: "ann", Timestamp: 1, NS: msync.Meta_CHAT,
		}, []byte{0x08, 0x01}, nil, nil))
	}
	return msync.AppendPage(nil, &p)
}

// dial connects as ann.
func dial(t *testing.T, url string, change ...func(*Options)) *Client {
	o := Options{AppKey: "a#b", User: "ann", Token: "secret", Resource: "web_1"}
	for _, f := range change {
		f(&o)
	}
	c, err := Dial(within(t), url, o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Cut() })
	return c
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	t.Cleanup(cancel)
	return ctx
}
