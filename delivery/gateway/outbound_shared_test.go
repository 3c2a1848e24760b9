package gateway

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"parley/delivery/directory"
)

// wire makes a shared frame: a binary WebSocket message of n bytes after its kind and number.
func wire(kind byte, number uint64, n int) []byte {
	payload := append(binary.BigEndian.AppendUint64([]byte{kind}, number), make([]byte, n)...)
	head := []byte{0x82, byte(len(payload))}
	switch {
	case len(payload) > 0xffff:
		head = binary.BigEndian.AppendUint64([]byte{0x82, 127}, uint64(len(payload)))
	case len(payload) > 125:
		head = binary.BigEndian.AppendUint16([]byte{0x82, 126}, uint16(len(payload)))
	}
	return append(head, payload...)
}

// socket is a session, as a client is connected to it.
func socket(t *testing.T, secure bool) (*session, *websocket.Conn) {
	t.Helper()
	r := newGateway(t)
	server := httptest.NewUnstartedServer(r)
	if secure {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	conn, resp, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(server.URL, "http"), &websocket.DialOptions{HTTPClient: server.Client()})
	require.NoError(t, err)
	if resp.Body != nil {
		resp.Body.Close()
	}
	conn.SetReadLimit(1 << 20)
	t.Cleanup(func() {
		conn.CloseNow()
		r.wg.Wait()
	})
	var s *session
	require.Eventually(t, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		for s = range r.sessions {
			return s.started.Load()
		}
		return false
	}, 5*time.Second, time.Millisecond)
	require.Equal(t, secure, s.out.raw == nil)
	return s, conn
}

// Frames that are shared and those of the session, pongs among them, each arrive whole and in their own order: none lands inside another.
func TestSharedFramesAndOwnOnesStayWhole(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls=%t", secure), func(t *testing.T) {
			const number = 3000
			s, conn := socket(t, secure)
			ctx := t.Context()
			var wg sync.WaitGroup
			wg.Go(func() {
				for i := range uint64(number) {
					s.out.share(wire('s', i, int(i*37%2000)), 64<<20)
				}
			})
			wg.Go(func() {
				for i := range uint64(number) {
					b := append(binary.BigEndian.AppendUint64([]byte{'o'}, i), make([]byte, i*53%3000)...)
					_ = s.conn.Write(ctx, websocket.MessageBinary, b)
				}
			})
			wg.Go(func() {
				for range 200 {
					if err := conn.Ping(ctx); err != nil {
						t.Error(err)
						return
					}
				}
			})
			next := map[byte]uint64{}
			for next['s'] < number || next['o'] < number {
				_, b, err := conn.Read(ctx)
				require.NoError(t, err)
				require.Equal(t, next[b[0]], binary.BigEndian.Uint64(b[1:]), "%q", b[0])
				size := map[byte]uint64{'s': next['s'] * 37 % 2000, 'o': next['o'] * 53 % 3000}[b[0]]
				require.Len(t, b, 9+int(size))
				next[b[0]]++
			}
			reading := conn.CloseRead(ctx) // for the pongs
			wg.Wait()
			conn.CloseNow()
			<-reading.Done()
		})
	}
}

// A frame that comes while the library has written only a part of its own waits for the rest.
func TestSharedFramesWaitForTheEndOfAFrame(t *testing.T) {
	for _, c := range []struct {
		name  string
		raw   bool
		pause bool // what came is flushed meanwhile
	}{{"at once", true, false}, {"flushed between", true, true}, {"no raw connection", false, false}, {"no raw, between", false, true}} {
		t.Run(c.name, func(t *testing.T) {
			server, client := pair(t)
			o := newOutbound(server, startFlusher(t), 1<<20, time.Minute, func(err error) { t.Error(err) })
			if !c.raw {
				o.raw, o.fd = nil, -1
			}
			own, room, room2 := wire('o', 1, 700), wire('s', 1, 10), wire('s', 2, 300)
			write := func(b []byte) {
				_, err := o.Write(b)
				require.NoError(t, err)
				if c.pause {
					time.Sleep(20 * time.Millisecond)
				}
			}
			write(own[:512])
			o.share(room, 1<<20)
			write(own[512:600])
			o.share(room2, 1<<20)
			write(own[600:])
			write(wire('o', 2, 0))
			want := bytes.Join([][]byte{own, room, room2, wire('o', 2, 0)}, nil)
			got := make([]byte, len(want))
			require.NoError(t, client.SetReadDeadline(time.Now().Add(5*time.Second)))
			_, err := io.ReadFull(client, got)
			require.NoError(t, err)
			require.Equal(t, want, got)
			require.Zero(t, o.left)
		})
	}
}

// Nothing follows a close frame.
func TestSharedFramesDoNotFollowAClose(t *testing.T) {
	server, client := pair(t)
	o := newOutbound(server, startFlusher(t), 1<<20, time.Minute, func(err error) { t.Error(err) })
	_, err := o.Write([]byte{0x88, 2, 3, 0xe8})
	require.NoError(t, err)
	o.share(wire('s', 1, 1), 1<<20)
	require.NoError(t, o.Close())
	got, err := io.ReadAll(client)
	require.NoError(t, err)
	require.Equal(t, []byte{0x88, 2, 3, 0xe8}, got)
}

// Who does not read is given up with a reason of its own, over the bound at once and else after the stall time; whoever shares never waits.
func TestSharedFramesOfSlowViewers(t *testing.T) {
	for _, c := range []struct {
		name  string
		limit int
		stall time.Duration
		raw   bool
	}{
		{"over the limit", 256 << 10, time.Minute, true},
		{"stalled", 1 << 30, 50 * time.Millisecond, true},
		{"over the limit, no raw connection", 256 << 10, time.Minute, false},
		{"stalled, no raw connection", 1 << 30, 50 * time.Millisecond, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			server, _ := smallPair(t)
			failed := make(chan error, 1)
			var o *outbound
			o = newOutbound(server, startFlusher(t), 1<<20, c.stall, func(err error) { failed <- err; _ = o.Close() })
			if !c.raw {
				o.raw, o.fd = nil, -1
			}
			frame := wire('s', 1, 8<<10)
			deadline := time.Now().Add(5 * time.Second)
			var err error
			for err == nil && time.Now().Before(deadline) {
				begin := time.Now()
				o.share(frame, c.limit)
				if d := time.Since(begin); d > time.Second {
					t.Fatalf("sharing took %s", d)
				}
				select {
				case err = <-failed:
				case <-time.After(time.Millisecond / 4):
				}
				o.mu.Lock()
				behind := o.behind
				o.mu.Unlock()
				require.LessOrEqual(t, behind, max(c.limit, 1<<20))
			}
			require.ErrorIs(t, err, errSlowViewer)
			o.share(frame, c.limit)
			o.mu.Lock()
			defer o.mu.Unlock()
			require.Empty(t, o.shared, "kept after the end")
		})
	}
}

// smallPair is a pair whose kernel buffers are small.
func smallPair(t testing.TB) (server, client net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	d := net.Dialer{ControlContext: smallBuffer}
	client, err = d.DialContext(t.Context(), "tcp", l.Addr().String())
	require.NoError(t, err)
	server, err = l.Accept()
	require.NoError(t, err)
	tcp, ok := server.(*net.TCPConn)
	require.True(t, ok)
	require.NoError(t, tcp.SetWriteBuffer(4096))
	t.Cleanup(func() { server.Close(); client.Close() })
	return server, client
}

// Writing to a viewer who keeps up allocates nothing.
func TestSharingAllocatesNothing(t *testing.T) {
	server, client := pair(t)
	o := newOutbound(server, startFlusher(t), 1<<20, time.Minute, func(err error) { t.Error(err) })
	frame := wire('s', 1, 200)
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = io.Copy(io.Discard, client) })
	require.Zero(t, testing.AllocsPerRun(500, func() { o.share(frame, 1<<20) }))
	require.NoError(t, o.Close())
	wg.Wait()
}

// smallBuffer makes the receiving side's kernel buffer small, before the connection is made.
func smallBuffer(_ context.Context, _, _ string, c syscall.RawConn) error {
	var err error
	return errors.Join(c.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096) }), err)
}

// newGateway is one that only takes sockets.
func newGateway(t testing.TB) *Gateway {
	t.Helper()
	set := DefaultSettings()
	set.MaxOutbound = 64 << 20
	g, err := New(Config{
		Settings: set, Directory: directory.New(), Now: time.Now, Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
	})
	require.NoError(t, err)
	var wg sync.WaitGroup
	wg.Go(g.flusher.run)
	t.Cleanup(func() {
		g.readers.stop()
		g.flusher.close()
		wg.Wait()
	})
	return g
}
