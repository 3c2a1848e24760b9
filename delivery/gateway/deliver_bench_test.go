package gateway

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"parley/delivery/directory"
	"parley/domain"
	"parley/domain/conversation"
	"parley/schemas/msync"
)

// receiver is a session in a group, with a client that reads everything and says nothing.
type receiver struct {
	*session
	stream domain.StreamID
	parsed domain.Stream
	seq    domain.Seq
	read   atomic.Uint64 // frames that the client has
}

func newReceiver(tb testing.TB) *receiver {
	tb.Helper()
	g, err := New(Config{
		Settings: DefaultSettings(), Directory: directory.New(), Now: time.Now, Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
	})
	require.NoError(tb, err)
	server := httptest.NewServer(g)
	conn, resp, err := websocket.Dial(tb.Context(), "ws"+strings.TrimPrefix(server.URL, "http"), nil)
	require.NoError(tb, err)
	if resp.Body != nil {
		resp.Body.Close()
	}
	conn.SetReadLimit(1 << 20)
	r := &receiver{stream: domain.GroupStream("org#app", "7")}
	r.parsed, _ = r.stream.Parse()
	live := context.WithoutCancel(tb.Context()) // what cannot end costs nothing a frame
	go func() {
		buf := make([]byte, 4096)
		for {
			_, from, err := conn.Reader(live)
			if err != nil {
				return
			}
			for err == nil {
				_, err = from.Read(buf)
			}
			r.read.Add(1)
		}
	}()
	go g.flusher.run()
	tb.Cleanup(func() {
		conn.CloseNow()
		g.flusher.close()
		g.wg.Wait()
		server.Close()
	})
	var s *session
	require.Eventually(tb, func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		for s = range g.sessions {
			return s.started.Load()
		}
		return false
	}, 5*time.Second, time.Millisecond)
	s.key = directory.Key{App: "org#app", User: "bob"}
	s.info = directory.Info{Resource: "web", Incarnation: 1}
	s.device = g.devices.attach(deviceKey{"org#app", "bob", 1, "web"})
	s.queues, s.wake, s.pushable = map[domain.StreamID]*queue{}, make(chan struct{}, 1), true
	r.session = s
	r.deliver(conversation.MembersAdded{Members: []conversation.Joiner{{User: "bob", Incarnation: 1}}, From: 1}, directory.Joins)
	return r
}

func (r *receiver) deliver(body domain.Body, change directory.Change) {
	r.seq++
	ev := &domain.Event{T: domain.T(r.seq) << 12, Seq: r.seq, Body: body}
	meta, _ := msync.MetaOfEntry(nil, r.parsed, ev, msync.FormAll, nil)
	d := directory.NewDelivery(r.stream, r.parsed, ev, meta)
	d.Change = change
	r.Deliver(d)
}

// ack acknowledges all, as the client would.
func (r *receiver) ack() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.acknowledge(r.queues[r.stream], r.seq)
}

// What a receiver of a group's message costs, its frame written to the socket.
func BenchmarkDeliver(b *testing.B) {
	r := newReceiver(b)
	r.ack()
	ev := &domain.Event{Body: conversation.MessageSent{From: "ann", FromResource: "web", SyncOwn: true, Body: make([]byte, 200)}}
	meta, _ := msync.MetaOfEntry(nil, r.parsed, ev, msync.FormAll, nil)
	d := directory.NewDelivery(r.stream, r.parsed, ev, meta)
	b.ReportAllocs()
	for b.Loop() {
		r.seq++
		ev.Seq = r.seq
		r.Deliver(d)
		if r.seq%16 != 0 {
			continue
		}
		r.ack()
		for uint64(r.seq)-r.read.Load() > 1000 {
			runtime.Gosched()
		}
	}
	if q := r.queues[r.stream]; q.pushed != r.seq {
		b.Fatalf("pushed %d of %d", q.pushed, r.seq)
	}
}
