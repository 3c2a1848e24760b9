package gateway

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
)

// inbound is the reading side of a connection. While the client is silent it holds no buffer: one is taken when bytes come, and given back
// when they are read. Read never gives the WebSocket library more than it needs now, so that what is not read stays here, where has sees it.
type inbound struct {
	conn net.Conn
	raw  syscall.RawConn // nil under TLS
	take func(fd uintptr) bool

	mu    sync.Mutex // held while waiting for bytes: one waits, whoever else reads comes after it
	early []byte     // read before the connection was taken over
	buf   *readBuffer
	bytes []byte // of buf, not read yet
	err   error
}

type readBuffer [4096]byte

var readBuffers = sync.Pool{New: func() any { return new(readBuffer) }}

func (in *inbound) init(c net.Conn, raw syscall.RawConn) {
	in.conn, in.raw = c, raw
	in.take = in.fill
}

// headerRead is the size of the library's own buffer. Reads into it are for single bytes of frame headers.
const headerRead = 16

// Read implements io.Reader.
func (in *inbound) Read(p []byte) (int, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(p) <= headerRead {
		p = p[:1]
	}
	if len(in.early) > 0 {
		n := copy(p, in.early)
		if in.early = in.early[n:]; len(in.early) == 0 {
			in.early = nil
		}
		return n, nil
	}
	if in.raw == nil {
		return in.conn.Read(p)
	}
	in.wait()
	if len(in.bytes) == 0 {
		return 0, in.err
	}
	n := copy(p, in.bytes)
	if in.bytes = in.bytes[n:]; len(in.bytes) == 0 {
		readBuffers.Put(in.buf)
		in.buf, in.bytes = nil, nil
	}
	return n, nil
}

// await waits until Read would not. It is called at the bottom of a stack that has to stay small.
func (in *inbound) await() {
	in.mu.Lock()
	if len(in.early) == 0 {
		in.wait()
	}
	in.mu.Unlock()
}

// has tells whether Read would not wait. It is false, too, while another is reading.
func (in *inbound) has() bool {
	if !in.mu.TryLock() {
		return false
	}
	defer in.mu.Unlock()
	return len(in.early)+len(in.bytes) > 0 || in.err != nil
}

// wait reads what there is, waiting for it. The lock is held.
func (in *inbound) wait() {
	if len(in.bytes) > 0 || in.err != nil {
		return
	}
	if err := in.raw.Read(in.take); err != nil {
		in.err = err
	}
}

// fill reads without waiting; false means that there is nothing.
func (in *inbound) fill(fd uintptr) bool {
	b, _ := readBuffers.Get().(*readBuffer)
	n, err := syscall.Read(int(fd), b[:])
	for errors.Is(err, syscall.EINTR) {
		n, err = syscall.Read(int(fd), b[:])
	}
	if n > 0 {
		in.buf, in.bytes = b, b[:n]
		return true
	}
	readBuffers.Put(b)
	if errors.Is(err, syscall.EAGAIN) {
		return false
	}
	if in.err = err; err == nil {
		in.err = io.EOF
	}
	return true
}

// readers are the goroutines that handle what has come. A session's own goroutine only waits for bytes, so that an idle socket costs the
// smallest stack there is; what calls deeper runs on these, whose stacks have grown already.
type readers struct {
	work chan *session
	quit chan struct{}
	idle atomic.Int32
	wg   sync.WaitGroup
}

// idleReaders is how many wait for work at most; those beyond end.
const idleReaders = 64

func newReaders() *readers {
	return &readers{work: make(chan *session), quit: make(chan struct{})}
}

// handle has the frames handled that have come for a session.
func (r *readers) handle(s *session) {
	select {
	case r.work <- s:
	default:
		r.wg.Add(1)
		go r.run(s)
	}
}

func (r *readers) run(s *session) {
	defer r.wg.Done()
	for {
		s.handled <- s.handleFrames()
		if r.idle.Add(1) > idleReaders {
			r.idle.Add(-1)
			return
		}
		select {
		case s = <-r.work:
			r.idle.Add(-1)
		case <-r.quit:
			return
		}
	}
}

// stop ends the readers. No session is left.
func (r *readers) stop() {
	close(r.quit)
	r.wg.Wait()
}
