package crash

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
)

// pipes are TCP connections that are handed on to others. They end with the test.
type pipes struct {
	mu     sync.Mutex // guards what follows
	open   map[net.Conn]struct{}
	closed bool

	wg sync.WaitGroup
}

func newPipes(t *testing.T) *pipes {
	p := &pipes{open: map[net.Conn]struct{}{}}
	t.Cleanup(p.close)
	return p
}

// serve hands every connection of a listener on, until the test ends. to tells where; without an answer the connection is closed.
func (p *pipes) serve(t *testing.T, l net.Listener, to func() (net.Conn, error)) {
	t.Cleanup(func() { _ = l.Close() }) // before close waits for what serves it: cleanups run from the last to the first
	p.wg.Go(func() {
		for {
			c, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				t.Errorf("accept: %v", err)
				return
			}
			if p.keep(c) {
				p.wg.Go(func() { p.hand(c, to) })
			}
		}
	})
}

func (p *pipes) hand(client net.Conn, to func() (net.Conn, error)) {
	defer p.drop(client)
	server, err := to()
	if err != nil || !p.keep(server) {
		return // the client sees it closed
	}
	defer p.drop(server)
	var wg sync.WaitGroup
	wg.Go(func() { p.flow(client, server) })
	p.flow(server, client)
	wg.Wait()
}

// flow carries one direction. An end is told to the other side as it came: one direction, or both.
func (p *pipes) flow(to, from net.Conn) {
	if _, err := io.Copy(to, from); err != nil {
		_ = to.Close()
		_ = from.Close()
		return
	}
	if half, ok := to.(*net.TCPConn); ok {
		_ = half.CloseWrite()
	}
}

// keep remembers a connection, unless the test has ended.
func (p *pipes) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		_ = c.Close()
		return false
	}
	p.open[c] = struct{}{}
	return true
}

func (p *pipes) drop(c net.Conn) {
	_ = c.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, c)
}

func (p *pipes) close() {
	p.mu.Lock()
	p.closed = true
	for c := range p.open {
		_ = c.Close()
	}
	p.mu.Unlock()
	p.wg.Wait()
}

// bring lets those in a world reach an address of the machine's own loopback under the same address there.
func (p *pipes) bring(t *testing.T, w *world, addr string) {
	t.Helper()
	l, err := w.listen(addr)
	if err != nil {
		t.Fatal(err)
	}
	p.serve(t, l, func() (net.Conn, error) { return (*world)(nil).dial(t.Context(), "tcp", addr) })
}
