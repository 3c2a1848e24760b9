package bench

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"pgregory.net/rapid"

	"parley/schemas/msync"
)

// serveWire runs script for one connection and returns the address.
func serveWire(t *testing.T, script func(ctx context.Context, c *websocket.Conn)) string {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/ws" {
			http.Error(w, "not here", http.StatusNotFound)
			return
		}
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = c.CloseNow() }()
		script(r.Context(), c)
	}))
	t.Cleanup(srv.Close)
	return "ws" + strings.TrimPrefix(srv.URL, "http") + "/ws"
}

// TestWire holds it to reading frames of every size, in pieces and many at once, in order, and to telling why the server closed.
func TestWire(t *testing.T) {
	sizes := []int{1, 125, 126, 127, 65535, 65536, wireBuffer - 4, wireBuffer, 3 * wireBuffer, 10}
	heard := make(chan int, 1)
	url := serveWire(t, func(ctx context.Context, c *websocket.Conn) {
		c.SetReadLimit(1 << 20)
		for i, n := range sizes {
			if err := c.Write(ctx, websocket.MessageBinary, bytes.Repeat([]byte{byte(i)}, n)); err != nil {
				t.Error(err)
			}
		}
		_, b, err := c.Read(ctx)
		if err != nil {
			t.Error(err)
		}
		heard <- len(b)
		_ = c.Close(4000, "slow_viewer")
	})
	w, err := dialWire(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer w.cut()
	first, err := w.next(t.Context())
	if err != nil || !bytes.Equal(first, []byte{0}) {
		t.Fatalf("%v %v", first, err)
	}
	if err := w.send(make([]byte, 300)); err != nil {
		t.Fatal(err)
	}
	got := 1
	err = w.run(func(b []byte) error {
		if len(b) != sizes[got] || bytes.IndexFunc(b, func(r rune) bool { return r != rune(got) }) >= 0 {
			t.Errorf("frame %d has %d bytes", got, len(b))
		}
		got++
		return nil
	})
	var closed *closedError
	if !errors.As(err, &closed) || closed.code != 4000 || closed.reason != "slow_viewer" || got != len(sizes) {
		t.Errorf("%d frames, %v", got, err)
	}
	if n := <-heard; n != 300 {
		t.Errorf("the server read %d bytes", n)
	}
}

func TestWirePing(t *testing.T) {
	url := serveWire(t, func(ctx context.Context, c *websocket.Conn) {
		ctx = c.CloseRead(ctx)
		if err := c.Ping(ctx); err != nil {
			t.Error(err)
		}
		_ = c.Close(4001, "")
	})
	w, err := dialWire(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer w.cut()
	var closed *closedError
	if err := w.run(func([]byte) error { return nil }); !errors.As(err, &closed) || closed.code != 4001 {
		t.Error(err)
	}
}

func TestWireRefused(t *testing.T) {
	url := serveWire(t, func(context.Context, *websocket.Conn) {})
	if _, err := dialWire(t.Context(), url+"/no"); err == nil || !strings.Contains(err.Error(), "404") {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	quiet := serveWire(t, func(ctx context.Context, c *websocket.Conn) { _, _, _ = c.Read(ctx) })
	w, err := dialWire(ctx, quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer w.cut()
	if _, err := w.next(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	for _, first := range []byte{0x02, 0x00, 0x81, 0xc2} { // in parts, text, reserved
		if err := w.handle(first, nil, func([]byte) error { return nil }); err == nil {
			t.Errorf("%#02x passed", first)
		}
	}
	if _, err := w.split([]byte{0x82, 127, 0, 0, 0, 1, 0, 0, 0, 0}, nil); err == nil {
		t.Error("four gigabytes passed")
	}
}

// TestLook holds the cheap reader to counting what the decoder finds.
func TestLook(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := msync.Queue{AppKey: "a#b", Name: "77", Domain: msync.GroupDomain}
		p := msync.Page{Queue: q, IsLast: true, Timestamp: 5}
		chats := rapid.IntRange(0, 50).Draw(t, "chats")
		others := rapid.IntRange(0, 3).Draw(t, "others")
		for i := range chats + others {
			ns := msync.Meta_CHAT
			if i >= chats {
				ns = msync.Meta_MUC
			}
			p.Metas = append(p.Metas, msync.AppendMeta(nil, &msync.MetaHeader{
				ID: uint64(i + 1), AppKey: "a#b", From: "ann", To: "77", Timestamp: 1, NS: ns,
			}, rapid.SliceOfN(rapid.Byte(), 1, 300).Draw(t, "body"), nil, nil))
		}
		b := msync.AppendPage(nil, &p)
		g, err := look(b)
		if err != nil || g.chats != chats || g.others != others || g.answer {
			t.Fatalf("%+v %v, want %d and %d", g, err, chats, others)
		}
		if _, err := look(b[:len(b)-1]); err == nil {
			t.Fatal("half a frame passed")
		}
	})
	if g, err := look(msync.AppendAck(nil, &msync.Ack{MetaID: 9, ServerID: 5})); err != nil || !g.answer || g.chats != 0 {
		t.Errorf("%+v %v", g, err)
	}
	if g, err := look(msync.AppendUnread(nil, nil, 1)); err != nil || g != (glance{command: msync.MSync_UNREAD}) {
		t.Errorf("%+v %v", g, err)
	}
}

// TestLookIsCheap holds the path of nine viewers in ten to allocating nothing.
func TestLookIsCheap(t *testing.T) {
	p := msync.Page{Queue: msync.Queue{AppKey: "a#b", Name: "77", Domain: msync.GroupDomain}, IsLast: true}
	for range 20 {
		p.Metas = append(p.Metas, msync.AppendMeta(nil, &msync.MetaHeader{ID: 1, AppKey: "a#b", From: "ann", To: "77", NS: msync.Meta_CHAT}, make([]byte, 200), nil, nil))
	}
	b := msync.AppendPage(nil, &p)
	v := &viewer{}
	if n := testing.AllocsPerRun(100, func() { _ = v.onFrame(b) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if v.chats.Load() != 101*20 {
		t.Errorf("%d counted", v.chats.Load())
	}
}

func FuzzLook(f *testing.F) {
	f.Add(msync.AppendPage(nil, &msync.Page{Queue: msync.Queue{Name: "77"}, Metas: [][]byte{{0x28, 1}}, IsLast: true}))
	f.Fuzz(func(t *testing.T, b []byte) {
		g, err := look(b)
		fr, wrong := msync.DecodeFrame(b)
		if wrong != nil || fr.Command != msync.MSync_SYNC {
			return // the decoder is stricter
		}
		s, wrong := msync.DecodeSyncDown(fr.Payload, nil)
		if wrong != nil {
			return
		}
		for _, m := range s.Metas {
			if _, wrong := msync.DecodeMeta(m); wrong != nil {
				return
			}
		}
		if err != nil || g.chats+g.others != len(s.Metas) || g.answer != (s.MetaID != 0) {
			t.Fatalf("%+v %v, %d entries", g, err, len(s.Metas))
		}
	})
}

func BenchmarkLook(b *testing.B) {
	p := msync.Page{Queue: msync.Queue{AppKey: "a#b", Name: "77", Domain: msync.GroupDomain}, IsLast: true}
	for range 20 {
		p.Metas = append(p.Metas, msync.AppendMeta(nil, &msync.MetaHeader{ID: 1, AppKey: "a#b", From: "ann", To: "77", NS: msync.Meta_CHAT}, make([]byte, 200), nil, nil))
	}
	frame := msync.AppendPage(nil, &p)
	for b.Loop() {
		if _, err := look(frame); err != nil {
			b.Fatal(err)
		}
	}
}
