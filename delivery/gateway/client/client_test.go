package client

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"parley/schemas/msync"
)

func TestDialSendsWhatTheSDKSends(t *testing.T) {
	got := make(chan msync.Hello, 1)
	c := dial(t, serve(t, func(p *peer) { got <- p.hello() }), func(o *Options) { o.DeviceUUID = "uuid" })
	h := <-got
	require.Equal(t, msync.Token("secret"), h.Token)
	require.Equal(t, "a#b", h.AppKey)
	require.Equal(t, "ann", h.User)
	require.Equal(t, "uuid", h.DeviceUUID)
	require.Equal(t, "web_1", c.Resource())
	require.Equal(t, uint64(2), c.Counters().FramesIn)
}

func TestDialTakesTheResourceThatTheServerGives(t *testing.T) {
	c := dial(t, serve(t, func(p *peer) { p.hello() }), func(o *Options) { o.Resource = "" })
	require.Equal(t, "given", c.Resource())
}

func TestDialRefused(t *testing.T) {
	url := serve(t, func(p *peer) {
		p.next()
		p.send(msync.AppendProvision(nil, &msync.ProvisionAnswer{Code: msync.Status_FAIL, Reason: "Sorry, user not found"}))
	})
	_, err := Dial(within(t), url, Options{AppKey: "a#b", User: "ann", Token: "x"})
	var pe *ProvisionError
	require.ErrorAs(t, err, &pe)
	require.Equal(t, msync.Status_FAIL, pe.Code)
	require.Equal(t, "Sorry, user not found", pe.Reason)
	_, err = Dial(within(t), url, Options{})
	require.ErrorContains(t, err, "required")
}

func TestDialGivesUpWhenNothingAnswers(t *testing.T) {
	url := serve(t, func(p *peer) { p.next() })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := Dial(ctx, url, Options{AppKey: "a#b", User: "ann", Token: "x"})
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestSend(t *testing.T) {
	c := dial(t, serve(t, func(p *peer) {
		p.hello()
		first := p.sync()
		p.send(msync.AppendAck(nil, &msync.Ack{MetaID: first.Meta.ID, ServerID: 99, Timestamp: 7}))
		second := p.sync()
		assert.Equal(p.t, first.Meta.ID+1, second.Meta.ID)
		e, err := msync.ScanBody(second.Meta.Payload)
		assert.NoError(p.t, err)
		assert.Equal(p.t, msync.MessageBody_READ_ACK, e.Type)
		assert.Equal(p.t, uint64(99), e.AckMessageID)
		p.send(msync.AppendAck(nil, &msync.Ack{MetaID: second.Meta.ID, Code: msync.Status_FAIL, Reason: "no"}))
		p.send(msync.AppendAck(nil, &msync.Ack{MetaID: 5}))
	}))
	ack, err := c.SendText(within(t), "bob", "hi")
	require.NoError(t, err)
	require.Equal(t, uint64(99), ack.ServerID)
	require.Equal(t, uint64(7), ack.Timestamp)
	require.Equal(t, msync.Status_OK, ack.Code)
	ack, err = c.MarkRead(within(t), "bob", 99)
	require.NoError(t, err, "a refusal is an answer")
	require.Equal(t, msync.Status_FAIL, ack.Code)
	require.Equal(t, "no", ack.Reason)
	require.Zero(t, c.Pending())
	require.Eventually(t, func() bool { return c.Counters().Strays == 1 }, 5*time.Second, time.Millisecond)
}

func TestPendingSendsAreBoundedAndEndWithTheSession(t *testing.T) {
	c := dial(t, serve(t, func(p *peer) { p.hello() }), func(o *Options) { o.MaxPending = 1 })
	body, err := TextBody("ann", "bob", "x", nil)
	require.NoError(t, err)
	answers := make(chan error, 2)
	out := msync.Outgoing{To: "bob", Payload: body, NS: msync.Meta_CHAT}
	_, err = c.SendAsync(within(t), out, func(_ Ack, err error) { answers <- err })
	require.NoError(t, err)
	_, err = c.SendAsync(within(t), out, func(_ Ack, err error) { answers <- err })
	require.ErrorIs(t, err, ErrPending)
	require.NoError(t, c.Cut())
	require.ErrorIs(t, <-answers, ErrClosed)
	_, err = c.SendAsync(within(t), out, func(Ack, error) {})
	require.ErrorIs(t, err, ErrClosed)
	require.Empty(t, answers, "what was refused is not called back")
}

func TestSendTimesOut(t *testing.T) {
	c := dial(t, serve(t, func(p *peer) { p.hello() }))
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	_, err := c.SendText(ctx, "bob", "hi")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Zero(t, c.Pending())
	require.NoError(t, c.Err(), "the session goes on")
}

func TestPagesAreAcknowledgedInOrder(t *testing.T) {
	keys := make(chan uint64, 8)
	c := dial(t, serve(t, func(p *peer) {
		p.hello(msync.UnreadQueue{Queue: bob, N: 3})
		pull := p.sync()
		assert.Zero(p.t, pull.Key)
		assert.Equal(p.t, bob, pull.Queue.Queue())
		p.send(page(bob, 2<<16, false, 11, 12))
		keys <- p.sync().Key
		p.send(page(bob, 3<<16, false, 12, 13)) // 12 again
		keys <- p.sync().Key
		p.send(page(bob, 0, true))
		p.send(page(msync.Queue{Domain: msync.UserDomain}, 0, true, 14)) // volatile
		p.send(page(bob, 3<<16, false, 15))                              // ends where the last one did
		p.send(page(bob, 4<<16, false, 16))
		keys <- p.sync().Key
	}))
	for _, want := range []uint64{11, 12, 13, 14, 15, 16} {
		r, err := c.Receive(within(t))
		require.NoError(t, err)
		require.Equal(t, want, r.Meta.ID)
		require.Equal(t, want == 14, r.Volatile)
		require.Equal(t, "bob", string(r.Meta.From.Name))
	}
	require.Equal(t, []uint64{2 << 16, 3 << 16, 4 << 16}, []uint64{<-keys, <-keys, <-keys})
	require.Equal(t, uint64(1), c.Counters().Repeats)
	require.Equal(t, uint64(6), c.Counters().Metas)
	require.Eventually(t, func() bool { return c.Counters().Keys == 3 }, 5*time.Second, time.Millisecond)
}

func TestHoldAcks(t *testing.T) {
	key := make(chan uint64, 1)
	c := dial(t, serve(t, func(p *peer) {
		p.hello()
		p.send(page(bob, 5<<16, false, 21))
		key <- p.sync().Key
	}), func(o *Options) { o.HoldAcks = true })
	r, err := c.Receive(within(t))
	require.NoError(t, err)
	require.Zero(t, c.Counters().Keys)
	require.NoError(t, c.Acknowledge(within(t), r.Queue, r.NextKey))
	require.Equal(t, uint64(5<<16), <-key)
}

func TestSyncReturnsAtTheEmptyLastPage(t *testing.T) {
	var ids []uint64
	c := dial(t, serve(t, func(p *peer) {
		p.hello()
		assert.True(p.t, p.sync().HasQueue)
		p.send(page(bob, 1<<16, false, 31))
		p.sync()
		p.send(page(bob, 0, true))
	}), func(o *Options) { o.OnMeta = func(d Delivery) { ids = append(ids, d.Meta.ID) } })
	require.NoError(t, c.Sync(within(t), bob))
	require.Equal(t, []uint64{31}, ids)
}

func TestFramesThatAnSDKWouldLoseEndTheSession(t *testing.T) {
	meta := msync.AppendMeta(nil, &msync.MetaHeader{ID: 1, To: "ann"}, nil, nil, nil)
	tests := []struct {
		name  string
		frame []byte
		what  string
	}{
		{"no status", []byte("\x08\x00\x40\x00\x4a\x04\x32\x00\x38\x01"), "without status"},
		{"no queue", []byte("\x08\x00\x40\x00\x4a\x06\x0a\x02\x08\x00\x38\x01"), "without queue"},
		{"no isLast", []byte("\x08\x00\x40\x00\x4a\x06\x0a\x02\x08\x00\x32\x00"), "without isLast"},
		{"no sender", msync.AppendPage(nil, &msync.Page{Queue: bob, Metas: [][]byte{meta}}), "without sender"},
		{"not protobuf", []byte{0xff}, "frame"},
		{"unknown command", []byte{0x40, 0x09}, "command"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dialed := make(chan struct{})
			c := dial(t, serve(t, func(p *peer) {
				p.hello()
				<-dialed // before, the frame would end Dial instead of the session
				p.send(tt.frame)
			}))
			close(dialed)
			<-c.Done()
			var pe *ProtocolError
			require.ErrorAs(t, c.Err(), &pe)
			require.ErrorContains(t, pe, tt.what)
			_, err := c.Receive(within(t))
			require.ErrorIs(t, err, c.Err())
		})
	}
}

func TestHeartbeatAfterSilence(t *testing.T) {
	beat := make(chan msync.MSync_Command, 1)
	dial(t, serve(t, func(p *peer) {
		p.hello()
		beat <- p.next().Command
		p.send(msync.AppendUnread(nil, nil, 2))
	}), func(o *Options) { o.Heartbeat = 20 * time.Millisecond })
	select {
	case got := <-beat:
		require.Equal(t, msync.MSync_UNREAD, got)
	case <-time.After(5 * time.Second):
		t.Fatal("no heartbeat")
	}
}

func TestLogout(t *testing.T) {
	reason := make(chan string, 1)
	c := dial(t, serve(t, func(p *peer) {
		p.hello()
		fr := p.next()
		assert.Equal(p.t, msync.MSync_LOGOUT, fr.Command)
		_, why, err := msync.DecodeLogout(fr.Payload)
		assert.NoError(p.t, err)
		reason <- why
		p.send(msync.AppendLogout(nil, msync.Status_OK, ""))
	}))
	require.NoError(t, c.Logout(within(t), "inner:logout"))
	require.Equal(t, "inner:logout", <-reason)
	require.ErrorIs(t, c.Err(), ErrClosed)
	require.NoError(t, c.Close(), "twice is once")
}

func TestCloseFreesAReaderThatWaitsForTheInbox(t *testing.T) {
	c := dial(t, serve(t, func(p *peer) {
		p.hello()
		p.send(page(bob, 1<<16, false, 1, 2, 3))
	}), func(o *Options) { o.Inbox = 1 })
	require.Eventually(t, func() bool { return c.Counters().Metas == 2 }, 5*time.Second, time.Millisecond)
	require.NoError(t, c.Cut())
	r, err := c.Receive(within(t))
	require.NoError(t, err, "what was received is not lost")
	require.Equal(t, uint64(1), r.Meta.ID)
	_, err = c.Receive(within(t))
	require.ErrorIs(t, err, ErrClosed)
}

func TestServerThatGoesEndsTheSession(t *testing.T) {
	c := dial(t, serve(t, func(p *peer) {
		p.hello()
		_ = p.conn.CloseNow()
	}))
	<-c.Done()
	require.Error(t, c.Err())
	require.NotErrorIs(t, c.Err(), ErrClosed)
	require.NoError(t, c.Close())
}

func TestSendGroupText(t *testing.T) {
	c := dial(t, serve(t, func(p *peer) {
		p.hello()
		s := p.sync()
		assert.Equal(p.t, "77", string(s.Meta.To.Name))
		assert.Equal(p.t, msync.GroupDomain, string(s.Meta.To.Domain))
		e, err := msync.ScanBody(s.Meta.Payload)
		assert.NoError(p.t, err)
		assert.Equal(p.t, msync.MessageBody_GROUPCHAT, e.Type)
		assert.Equal(p.t, "77", string(e.To.Name))
		p.send(msync.AppendAck(nil, &msync.Ack{MetaID: s.Meta.ID, ServerID: 5, Timestamp: 1}))
	}))
	ack, err := c.SendGroupText(within(t), "77", "hi")
	require.NoError(t, err)
	require.Equal(t, uint64(5), ack.ServerID)
}
