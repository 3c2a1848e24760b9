package gateway

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pair returns the two ends of a TCP connection on loopback.
func pair(t *testing.T) (server, client net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err = net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close(); client.Close() })
	return server, client
}

func startFlusher(t *testing.T) *flusher {
	f := newFlusher()
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(f.run)
	}
	t.Cleanup(func() { f.close(); wg.Wait() })
	return f
}

// What is written arrives, in order and whole, whether the client keeps up or reads nothing for a while, with TLS's slow way too.
func TestOutboundOrder(t *testing.T) {
	for _, c := range []struct {
		name string
		slow bool
		raw  bool
	}{{"keeps up", false, true}, {"reads late", true, true}, {"no raw connection", true, false}} {
		t.Run(c.name, func(t *testing.T) {
			server, client := pair(t)
			o := newOutbound(server, startFlusher(t), 64<<20, 5*time.Second, func(err error) { t.Error(err) })
			if !c.raw {
				o.raw = nil
			}
			var want bytes.Buffer
			for i := range 20_000 {
				p := bytes.Repeat([]byte{byte(i)}, 1+i%700)
				want.Write(p)
				if _, err := o.Write(p); err != nil {
					t.Fatal(err)
				}
			}
			if c.slow {
				time.Sleep(50 * time.Millisecond)
			}
			got := make([]byte, want.Len())
			if _, err := io.ReadFull(client, got); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want.Bytes()) {
				t.Fatal("other bytes than were written")
			}
		})
	}
}

// A client that does not read is given up: at the limit at once, below it after the stall time. Nobody who writes waits for it.
func TestOutboundSlow(t *testing.T) {
	for _, c := range []struct {
		name  string
		limit int
		stall time.Duration
	}{{"over the limit", 1 << 20, time.Minute}, {"stalled", 1 << 30, 50 * time.Millisecond}} {
		t.Run(c.name, func(t *testing.T) {
			server, _ := pair(t)
			failed := make(chan error, 1)
			var o *outbound
			o = newOutbound(server, startFlusher(t), c.limit, c.stall, func(err error) { failed <- err; _ = o.Close() })
			p := make([]byte, 64<<10)
			deadline := time.Now().Add(5 * time.Second)
			for time.Now().Before(deadline) {
				begin := time.Now()
				_, err := o.Write(p)
				if d := time.Since(begin); d > time.Second {
					t.Fatalf("a write took %s", d)
				}
				if err != nil {
					break
				}
				if c.stall < time.Second {
					time.Sleep(time.Millisecond)
				}
			}
			select {
			case err := <-failed:
				if !errors.Is(err, errSlow) {
					t.Fatal(err)
				}
			case <-time.After(5 * time.Second):
				t.Fatal("the client was not given up")
			}
			if _, err := o.Write(p); err == nil {
				t.Fatal("written after the end")
			}
		})
	}
}
