package rpc_test

import (
	"io"
	"net"
	"sync"
)

// pipe stands between a node that tells and the one that hears: it cuts connections, and stops forwarding without closing them.
type pipe struct {
	listener net.Listener
	wg       sync.WaitGroup

	mu      sync.Mutex
	moves   *sync.Cond
	to      string // empty: nobody is there
	stalled bool
	lost    int  // grows; connections made before lose all that is sent
	refuses bool // new connections
	closed  bool
	conns   map[net.Conn]bool
}

func newPipe() *pipe {
	p := &pipe{listener: must(net.Listen("tcp", "127.0.0.1:0")), conns: make(map[net.Conn]bool)}
	p.moves = sync.NewCond(&p.mu)
	p.wg.Go(func() {
		for {
			c, err := p.listener.Accept()
			if err != nil {
				return
			}
			p.wg.Go(func() { p.serve(c) })
		}
	})
	return p
}

func (p *pipe) serve(from net.Conn) {
	defer from.Close()
	p.mu.Lock()
	addr, no := p.to, p.refuses || p.closed || p.to == ""
	p.mu.Unlock()
	if no {
		return
	}
	to, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	defer to.Close()
	p.mu.Lock()
	if p.refuses || p.closed {
		p.mu.Unlock()
		return
	}
	p.conns[from], p.conns[to] = true, true
	made := p.lost
	p.mu.Unlock()
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{from, to}, {to, from}} {
		both.Go(func() {
			p.forward(way[0], way[1], made)
			way[0].Close()
			if !p.loses(made) { // that it was closed gets lost, too
				way[1].Close()
			}
		})
	}
	both.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, from)
	delete(p.conns, to)
}

func (p *pipe) forward(from io.Reader, to io.Writer, made int) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		p.mu.Lock()
		for p.stalled && !p.closed {
			p.moves.Wait()
		}
		p.mu.Unlock()
		if n > 0 && !p.loses(made) {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (p *pipe) loses(made int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lost > made && !p.closed
}

// leads says where the pipe leads from now on.
func (p *pipe) leads(addr string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.to = addr
}

// cut closes all connections; refuse: and those to come.
func (p *pipe) cut(refuse bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuses = refuse
	for c := range p.conns {
		c.Close()
	}
}

// stall stops forwarding, or goes on with it.
func (p *pipe) stall(yes bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stalled = yes
	p.moves.Broadcast()
}

// lose loses all that is sent over the connections that there are. Later ones are whole.
func (p *pipe) lose() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lost++
}

func (p *pipe) heal() {
	p.stall(false)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuses = false
}

func (p *pipe) close() {
	p.mu.Lock()
	p.closed = true
	p.moves.Broadcast()
	p.mu.Unlock()
	p.listener.Close()
	p.cut(true)
	p.wg.Wait()
}
