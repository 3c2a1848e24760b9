package gateway

import (
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"syscall"
	"time"
)

var (
	errSlow       = errors.New("the client does not read: its outbound bytes are over the limit")
	errSlowViewer = errors.New("the client does not read: frames of rooms that wait are over the limit")
	errClosed     = errors.New("the connection is closed")
)

// outbound is a hijacked connection as the WebSocket library sees it. Write never blocks: it adds to what waits, and the flusher writes
// all that waits in one call. A client that does not read costs one goroutine until it reads again, or its socket is closed.
//
// Besides, frames come that are shared with other connections (share). They go between the library's frames, never into one, in the order
// of coming. When nothing waits they go to the socket at once; what has to wait is not copied.
type outbound struct {
	// What share reads for every frame is together: with many viewers it is in no cache.
	mu      sync.Mutex
	busy    bool // queued at the flusher, or being written
	stuck   bool // the socket did not take all at once, or failed: closing does not wait for what is left
	closing bool
	last    bool  // the library has written a close frame: nothing may follow
	err     error // set before Conn is closed
	fd      int   // -1 under TLS; valid while mu is held and err is nil
	left    int   // bytes that the library has yet to write of the frame that it has begun

	waiting []byte
	shared  []shared // among waiting
	behind  int      // what frames cost that wait, or are being written
	taken   int      // what those cost that are being written

	net.Conn
	raw     syscall.RawConn // nil under TLS
	flusher *flusher
	limit   int
	stall   time.Duration // longest wait for a client that does not read
	failed  func(error)   // called once, from its own goroutine
	in      inbound
	now     rawWrite // of whoever made it busy
}

func newOutbound(c net.Conn, f *flusher, limit int, stall time.Duration, failed func(error)) *outbound {
	o := &outbound{Conn: c, fd: -1, flusher: f, limit: limit, stall: stall, failed: failed}
	if tcp, ok := c.(*net.TCPConn); ok {
		o.raw, _ = tcp.SyscallConn() // without it everything takes the slow way
	}
	if o.raw != nil {
		_ = o.raw.Control(func(fd uintptr) { o.fd = int(fd) })
	}
	o.in.init(c, o.raw)
	o.now.write = o.now.do
	return o
}

// tcp returns the connection below, nil when it is none of TCP.
func (o *outbound) tcp() syscall.RawConn {
	c := o.Conn
	if over, ok := c.(*tls.Conn); ok {
		c = over.NetConn()
	}
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}

// Read implements io.Reader.
func (o *outbound) Read(p []byte) (int, error) { return o.in.Read(p) }

// Write implements io.Writer; the bytes are copied.
func (o *outbound) Write(p []byte) (int, error) {
	o.mu.Lock()
	if o.err != nil {
		defer o.mu.Unlock()
		return 0, o.err
	}
	if len(o.waiting)+len(p) > o.limit {
		o.mu.Unlock()
		o.fail(errSlow)
		return 0, errSlow
	}
	if o.waiting == nil {
		o.waiting = getBuffer()
	}
	o.waiting = append(o.waiting, p...)
	o.follow(p)
	queue := !o.busy
	o.busy = true
	o.mu.Unlock()
	if queue {
		o.flusher.add(o)
	}
	return len(p), nil
}

// fail ends the connection for writing and tells the owner, once.
func (o *outbound) fail(err error) {
	o.mu.Lock()
	first, closing := o.err == nil, o.closing
	if first {
		o.err = err
	}
	o.stuck = true
	o.shared = nil
	o.mu.Unlock()
	switch {
	case closing:
		_ = o.Conn.Close()
	case first:
		go o.failed(err)
	}
}

// Close implements net.Conn. What the client takes without waiting it still gets: the close frame is the last of it.
func (o *outbound) Close() error {
	o.mu.Lock()
	later := o.busy && !o.closing && (!o.stuck || o.raw == nil && o.err == nil)
	if o.err == nil {
		o.err = errClosed
	}
	o.closing = true
	if later {
		_ = o.SetWriteDeadline(time.Now().Add(closeWait)) // under TLS, where nobody knows whether a write would wait
	}
	o.mu.Unlock()
	if later {
		return nil // who writes closes
	}
	return o.Conn.Close()
}

// closeWait is how long the last bytes before a close may take under TLS.
const closeWait = time.Second

// flush writes what waits, without blocking where it can.
func (o *outbound) flush() {
	for {
		p, ok := o.take()
		if !ok {
			return
		}
		for o.raw != nil && !p.written() {
			b := p.next()
			n, err := o.try(b)
			p.wrote(n)
			if err != nil {
				p.free()
				o.fail(err)
				return
			}
			if n < len(b) {
				break
			}
		}
		if !p.written() {
			if o.sticks() {
				go o.drain(p)
			}
			return
		}
		p.free()
	}
}

// take takes what waits; ok is false when there is nothing, and then the outbound is idle, or closed if it was to be.
func (o *outbound) take() (p parcel, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.behind -= o.taken
	o.taken = 0
	p.own = o.waiting
	o.waiting = nil
	if len(o.shared) > 0 {
		o.takeShared(&p)
	}
	if p.own == nil && p.shared == nil {
		o.busy, o.stuck = false, false
		if o.closing {
			_ = o.Conn.Close()
		}
		return p, false
	}
	return p, true
}

// sticks notes that writing has to wait for the client, and how long. It returns false when the socket is to be closed, and closes it.
func (o *outbound) sticks() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.stuck = true
	if !o.closing {
		_ = o.SetWriteDeadline(time.Now().Add(o.stall))
		return true
	}
	if o.raw == nil {
		return true // nothing was tried yet
	}
	_ = o.Conn.Close()
	return false
}

// rawWrite is a write that does not wait. It is kept, so that making one allocates nothing.
type rawWrite struct {
	buf   []byte
	n     int
	err   error
	write func(fd uintptr) bool // do
}

func (a *rawWrite) do(fd uintptr) bool {
	a.n, a.err = writeNow(int(fd), a.buf)
	return true
}

// writeNow writes what the socket takes at once.
func writeNow(fd int, b []byte) (n int, err error) {
	for n < len(b) {
		m, err := syscall.Write(fd, b[n:])
		if m > 0 {
			n += m
		}
		switch {
		case err == syscall.EINTR:
		case err == syscall.EAGAIN:
			return n, nil
		case err != nil || m <= 0:
			return n, err
		}
	}
	return n, nil
}

// try writes what the socket takes at once. The caller made the outbound busy.
func (o *outbound) try(buf []byte) (n int, err error) {
	a := &o.now
	a.buf = buf
	werr := o.raw.Write(a.write)
	n, err = a.n, a.err
	a.buf, a.n, a.err = nil, 0, nil
	if err == nil {
		err = werr
	}
	return n, err
}

// drain writes what the socket did not take at once, waiting for the client at most o.stall, and then what came meanwhile.
func (o *outbound) drain(p parcel) {
	for {
		for !p.written() {
			n, err := o.Conn.Write(p.next())
			p.wrote(n)
			if err != nil {
				p.free()
				o.fail(p.slow(err))
				return
			}
		}
		p.free()
		var ok bool
		if p, ok = o.take(); !ok || !o.sticks() {
			return
		}
	}
}

const keepBuffer = 32 << 10

var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 1024); return &b }}

func getBuffer() []byte { return (*buffers.Get().(*[]byte))[:0] } //nolint:forcetypeassert // the pool holds nothing else

func putBuffer(b []byte) {
	if cap(b) <= keepBuffer {
		buffers.Put(&b)
	}
}

// flusher writes for outbounds that have something waiting: a few goroutines for all sockets.
type flusher struct {
	mu     sync.Mutex
	cond   *sync.Cond
	queue  []*outbound
	head   int // of queue: those before it are taken
	closed bool
}

func newFlusher() *flusher {
	f := &flusher{}
	f.cond = sync.NewCond(&f.mu)
	return f
}

// add queues an outbound; it is not queued already.
func (f *flusher) add(o *outbound) {
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		o.flush()
		return
	}
	f.queue = append(f.queue, o)
	f.mu.Unlock()
	f.cond.Signal()
}

// run flushes until close.
func (f *flusher) run() {
	var work []*outbound
	for {
		f.mu.Lock()
		for f.head == len(f.queue) && !f.closed {
			f.cond.Wait()
		}
		if f.head == len(f.queue) {
			f.mu.Unlock()
			return
		}
		work = append(work[:0], f.queue[f.head:min(len(f.queue), f.head+16)]...)
		f.head += len(work)
		if f.head == len(f.queue) || f.head >= 4096 && f.head > len(f.queue)/2 { // else it would grow as long as it is never empty
			n := copy(f.queue, f.queue[f.head:])
			clear(f.queue[n:])
			f.queue, f.head = f.queue[:n], 0
		}
		f.mu.Unlock()
		for _, o := range work {
			o.flush()
		}
		clear(work)
	}
}

func (f *flusher) close() {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.cond.Broadcast()
}
