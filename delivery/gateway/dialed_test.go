package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"parley/delivery/gateway/client"
	"parley/schemas/msync"
)

// device is a client with what it received.
type device struct {
	*client.Client
	t    *testing.T
	user string

	resource string
	mu       sync.Mutex
	got      []got

	unread []msync.UnreadQueue
}

// got is an entry as a device received it.
type got struct {
	id    uint64
	queue msync.Queue
	from  string
	kind  msync.MessageBody_Type
	text  string
	ack   uint64
	key   uint64
	to    string // device that was addressed
	op    string // of a group's event
	res   string // the sender's device
	news  string // of a room: who came or went, how many there are, and what was said
}

func (r *rig) options(name, resource string) client.Options {
	return client.Options{AppKey: string(r.app), User: name, Token: r.token(name), Resource: resource}
}

// dial logs a device in.
func (r *rig) dial(name, resource string, change ...func(*client.Options)) *device {
	r.t.Helper()
	d, err := r.tryDial(name, resource, change...)
	require.NoError(r.t, err)
	r.t.Cleanup(func() { d.Cut() })
	return d
}

func (r *rig) tryDial(name, resource string, change ...func(*client.Options)) (*device, error) {
	d := &device{t: r.t, user: name, resource: resource}
	o := r.options(name, resource)
	o.OnMeta, o.OnUnread = d.take, d.list
	for _, f := range change {
		f(&o)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var err error
	d.Client, err = client.Dial(ctx, r.url, o)
	return d, err
}

func holdAcks(o *client.Options) { o.HoldAcks = true }

func (d *device) list(queues []msync.UnreadQueue) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.unread = append(d.unread, queues...)
}

func (d *device) listed() []msync.UnreadQueue {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.unread
}

func (d *device) take(v client.Delivery) {
	g := got{id: v.Meta.ID, queue: v.Queue.Queue(), from: string(v.Meta.From.Name), key: v.NextKey, to: string(v.Meta.To.Resource)}
	g.res = string(v.Meta.From.Resource)
	if v.Meta.NS == msync.Meta_CHAT {
		body, err := msync.ScanBody(v.Meta.Payload)
		if err != nil {
			d.t.Errorf("body: %v", err)
		}
		g.kind, g.text, g.ack = body.Type, string(body.Text), body.AckMessageID
	}
	if v.Meta.NS == msync.Meta_MUC {
		var muc msync.MUCBody
		if err := proto.Unmarshal(v.Meta.Payload, &muc); err != nil {
			d.t.Errorf("MUCBody: %v", err)
		}
		g.op = muc.GetOperation().String()
		if e, ok := client.ReadRoomEvent(&v.Meta); ok {
			g.news = newsOf(&e)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.got = append(d.got, g)
}

func (d *device) received() []got {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]got(nil), d.got...)
}

func (d *device) texts() []string {
	var out []string
	for _, g := range d.received() {
		if g.kind == msync.MessageBody_CHAT || g.kind == msync.MessageBody_GROUPCHAT {
			out = append(out, g.text)
		}
	}
	return out
}

// wait waits until the device has received n entries, and no more shortly after.
func (d *device) wait(n int) []got {
	d.t.Helper()
	eventually(d.t, func() bool { return len(d.received()) >= n }, func() string { return fmt.Sprintf("%d of %d received", len(d.received()), n) })
	time.Sleep(20 * time.Millisecond)
	out := d.received()
	require.Len(d.t, out, n)
	return out
}

func (d *device) send(to, text string) client.Ack {
	d.t.Helper()
	a, err := d.SendText(within(d.t), to, text)
	require.NoError(d.t, err)
	require.Equal(d.t, msync.Status_OK, a.Code, a.Reason)
	return a
}

// ended waits until the server has closed the socket and returns the named reason.
func (d *device) ended() (websocket.StatusCode, string) {
	d.t.Helper()
	select {
	case <-d.Done():
	case <-time.After(10 * time.Second):
		d.t.Fatal("the socket is still open")
	}
	if e, ok := errors.AsType[websocket.CloseError](d.Err()); ok {
		return e.Code, e.Reason
	}
	return -1, d.Err().Error()
}

// logout logs the device out. The server may be the first to close.
func (d *device) logout() {
	d.t.Helper()
	if err := d.Logout(within(d.t), "bye"); err != nil {
		require.ErrorIs(d.t, err, net.ErrClosed)
	}
}
