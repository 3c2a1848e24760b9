package bench

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// the bounds of a wire
const (
	wireBuffer   = 64 << 10 // of those that all wires share for reading
	maxWireFrame = 4 << 20
	maxUpgrade   = 4 << 10 // the answer's headers
)

// the opcodes that a server sends
const (
	opBinary = 2
	opClose  = 8
	opPing   = 9
	opPong   = 10
)

// wireBuffers are what sockets are read into: a thousand of them need no buffer each, and what is read stays in the processor's cache.
var wireBuffers = sync.Pool{New: func() any { b := make([]byte, wireBuffer); return &b }}

// closedError is the server's own end of a connection.
type closedError struct {
	code   uint16
	reason string
}

// Error implements error.
func (e *closedError) Error() string {
	return fmt.Sprintf("closed by the server: %d %s", e.code, e.reason)
}

// wire is a WebSocket that costs its reader little: one system call for all that has come, no copy, no allocation.
//
// What must hold: before run one goroutine uses it, by next; afterwards run alone reads. The frame that the callback gets is good until it returns.
type wire struct {
	conn *net.TCPConn
	raw  syscall.RawConn
	rest []byte // read, and not a whole frame yet

	held    atomic.Int64 // Unix nanoseconds until which nothing is read
	writing sync.Mutex
	out     []byte
}

// dialWire opens a WebSocket on a loopback address.
func dialWire(ctx context.Context, addr string) (*wire, error) {
	u, err := url.Parse(addr)
	if err != nil {
		return nil, err
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return nil, err
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("%T is no TCP connection", conn), conn.Close())
	}
	w := &wire{conn: tcp}
	if err := w.upgrade(ctx, u); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return w, nil
}

func (w *wire) upgrade(ctx context.Context, u *url.URL) (err error) {
	if w.raw, err = w.conn.SyscallConn(); err != nil {
		return err
	}
	var key [16]byte
	_, _ = rand.Read(key[:]) // never fails
	request := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: %s\r\n\r\n", u.RequestURI(), u.Host, base64.StdEncoding.EncodeToString(key[:]))
	if _, err := io.WriteString(w.conn, request); err != nil {
		return err
	}
	for {
		if end := bytes.Index(w.rest, []byte("\r\n\r\n")); end >= 0 {
			if !bytes.HasPrefix(w.rest, []byte("HTTP/1.1 101 ")) {
				return fmt.Errorf("no WebSocket: %.200s", w.rest[:end])
			}
			w.rest = w.rest[end+4:]
			return nil
		}
		if len(w.rest) > maxUpgrade {
			return errors.New("no end of the headers")
		}
		if err := w.more(ctx); err != nil {
			return err
		}
	}
}

// more reads something.
func (w *wire) more(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = w.conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	buf := wireBuffers.Get().(*[]byte)
	defer wireBuffers.Put(buf)
	n, err := w.conn.Read(*buf)
	w.rest = append(w.rest, (*buf)[:n]...)
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// next returns the next frame.
func (w *wire) next(ctx context.Context) (frame []byte, err error) {
	for frame == nil {
		n, err := w.split(w.rest, func(b []byte) error { frame = bytes.Clone(b); return errEnough })
		w.rest = w.rest[n:]
		if err != nil && !errors.Is(err, errEnough) {
			return nil, err
		}
		if frame != nil {
			break
		}
		if err := w.more(ctx); err != nil {
			return nil, err
		}
	}
	return frame, nil
}

// errEnough ends a split after the frame that was handed on.
var errEnough = errors.New("enough")

// run hands every frame on until the connection ends or is closed.
func (w *wire) run(each func(frame []byte) error) error {
	if err := w.feed(w.rest, each); err != nil {
		return err
	}
	for {
		if held := w.heldFor(); held > 0 {
			time.Sleep(held)
			_ = w.conn.SetReadBuffer(wideBuffer) // a hint
		}
		if err := w.readOnce(each); err != nil {
			return err
		}
	}
}

// readOnce waits for bytes, reads all that a buffer holds, and handles them.
func (w *wire) readOnce(each func(frame []byte) error) (err error) {
	polled := w.raw.Read(func(fd uintptr) bool {
		buf := wireBuffers.Get().(*[]byte)
		defer wireBuffers.Put(buf)
		b := *buf
		if need := wanted(w.rest); need > len(b) {
			b = make([]byte, need)
		}
		kept := copy(b, w.rest)
		n, failed := readFile(int(fd), b[kept:])
		switch {
		case errors.Is(failed, syscall.EAGAIN):
			return false
		case failed != nil:
			err = failed
		case n == 0:
			err = io.EOF
		default:
			err = w.feed(b[:kept+n], each)
		}
		return true
	})
	return errors.Join(err, polled)
}

// readFile reads, whatever signals come.
func readFile(fd int, b []byte) (n int, err error) {
	for {
		if n, err = syscall.Read(fd, b); !errors.Is(err, syscall.EINTR) {
			return n, err
		}
	}
}

// feed handles the whole frames of b and keeps what is left.
func (w *wire) feed(b []byte, each func(frame []byte) error) error {
	n, err := w.split(b, each)
	w.rest = append(w.rest[:0], b[n:]...)
	return err
}

// wanted returns the size of the frame that begins b, as far as it is known.
func wanted(b []byte) int {
	head, n, ok := frameHead(b)
	if !ok {
		return 0
	}
	return head + n
}

// frameHead reads the size of the frame that begins b: of its head and of what follows.
func frameHead(b []byte) (head, n int, ok bool) {
	if len(b) < 2 {
		return 0, 0, false
	}
	switch n := int(b[1] & 0x7f); {
	case n < 126:
		return 2, n, true
	case n == 126 && len(b) >= 4:
		return 4, int(binary.BigEndian.Uint16(b[2:])), true
	case n == 127 && len(b) >= 10:
		return 10, int(min(binary.BigEndian.Uint64(b[2:]), 1<<40)), true
	default:
		return 0, 0, false
	}
}

// split hands on the whole frames that b begins with and returns how long they are.
func (w *wire) split(b []byte, each func(frame []byte) error) (used int, err error) {
	for {
		head, n, ok := frameHead(b[used:])
		switch {
		case !ok:
			return used, nil
		case n > maxWireFrame:
			return used, fmt.Errorf("frame of %d bytes", n)
		case len(b)-used < head+n:
			return used, nil
		}
		first, body := b[used], b[used+head:used+head+n]
		used += head + n
		if err := w.handle(first, body, each); err != nil {
			return used, err
		}
	}
}

func (w *wire) handle(first byte, body []byte, each func(frame []byte) error) error {
	switch first {
	case 0x80 | opBinary:
		return each(body)
	case 0x80 | opPing:
		return w.write(opPong, body)
	case 0x80 | opPong:
		return nil
	case 0x80 | opClose:
		if len(body) < 2 {
			return &closedError{}
		}
		return &closedError{code: binary.BigEndian.Uint16(body), reason: string(body[2:])}
	default:
		return fmt.Errorf("frame that begins with %#02x", first)
	}
}

// send writes a binary frame.
func (w *wire) send(frame []byte) error { return w.write(opBinary, frame) }

// write writes a frame under the mask of all zeros, which is one like any other.
func (w *wire) write(op byte, body []byte) error {
	w.writing.Lock()
	defer w.writing.Unlock()
	w.out = append(w.out[:0], 0x80|op)
	if len(body) < 126 {
		w.out = append(w.out, 0x80|byte(len(body)))
	} else {
		w.out = binary.BigEndian.AppendUint16(append(w.out, 0x80|126), uint16(len(body)))
	}
	w.out = append(append(w.out, 0, 0, 0, 0), body...)
	_, err := w.conn.Write(w.out)
	return err
}

// what the system keeps for one who does not read, and for one who catches up
const narrowBuffer, wideBuffer = 8 << 10, 1 << 20

// hold stops the reading for a while, as a phone does that has been put away. It has an effect when what is being read now has been handled.
func (w *wire) hold(d time.Duration) {
	_ = w.conn.SetReadBuffer(narrowBuffer) // a hint
	w.held.Store(time.Now().Add(d).UnixNano())
}

// heldFor is how long nothing will be read.
func (w *wire) heldFor() time.Duration { return time.Until(time.Unix(0, w.held.Load())) }

// cut breaks the connection without a word.
func (w *wire) cut() { _ = w.conn.Close() } // it may have ended
