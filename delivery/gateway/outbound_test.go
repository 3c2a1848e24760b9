package gateway

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

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
				o.raw, o.fd = nil, -1
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

// What was written before the close still reaches a client that reads, and the close comes after it: the last bytes say why. A client that
// does not read cannot hold the close up.
func TestOutboundCloseComesLast(t *testing.T) {
	for _, c := range []struct {
		name string
		raw  bool
		size int
		read bool
	}{
		{"reads", true, 100, true},
		{"reads, no raw connection", false, 100, true},
		{"does not read", true, 8 << 20, false},
		{"does not read, no raw connection", false, 8 << 20, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			for range 20 {
				server, client := pair(t)
				o := newOutbound(server, startFlusher(t), 64<<20, time.Minute, func(error) {})
				if !c.raw {
					o.raw, o.fd = nil, -1
				}
				want := bytes.Repeat([]byte{7}, c.size)
				if _, err := o.Write(want); err != nil {
					t.Fatal(err)
				}
				if err := o.Close(); err != nil {
					t.Fatal(err)
				}
				if _, err := o.Write(want); err == nil {
					t.Fatal("written after the close")
				}
				if !c.read {
					one := make([]byte, 1)
					_ = server.SetReadDeadline(time.Now().Add(5 * time.Second))
					if _, err := server.Read(one); !errors.Is(err, net.ErrClosed) {
						t.Fatalf("not closed: %v", err)
					}
					break
				}
				got, err := io.ReadAll(client)
				if err != nil || !bytes.Equal(got, want) {
					t.Fatalf("%d of %d bytes, %v", len(got), len(want), err)
				}
			}
		})
	}
}
