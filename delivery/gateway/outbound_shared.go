package gateway

import (
	"encoding/binary"
	"errors"
	"math"
	"os"
)

// shared is a frame, or the rest of one, that waits among an outbound's own bytes: at so many of them. Other connections have it too.
type shared struct {
	at    int
	bytes []byte
}

// sharedCost is what a waiting frame costs besides its bytes, so that many small ones are bounded too.
const sharedCost = 256

// share writes whole WebSocket frames, which must never change: at once where the socket takes them, else they wait, at most limit bytes of
// them. It never blocks.
func (o *outbound) share(b []byte, limit int) {
	o.mu.Lock()
	if o.err != nil || o.last {
		o.mu.Unlock()
		return
	}
	if !o.busy && o.left == 0 && o.fd >= 0 {
		n, err := writeNow(o.fd, b)
		if err != nil || n == len(b) {
			o.mu.Unlock()
			if err != nil {
				o.fail(err)
			}
			return
		}
		b = b[n:]
	}
	cost := len(b) + sharedCost
	if o.behind+cost > limit && o.behind > 0 {
		o.mu.Unlock()
		o.fail(errSlowViewer)
		return
	}
	o.behind += cost
	o.shared = append(o.shared, shared{at: len(o.waiting) + o.left, bytes: b})
	queue := !o.busy
	o.busy = true
	o.mu.Unlock()
	if queue {
		o.flusher.add(o)
	}
}

// takeShared moves the frames whose place is reached to a parcel. Those that follow the library's frame that is not whole yet stay.
func (o *outbound) takeShared(p *parcel) {
	n := 0
	for n < len(o.shared) && o.shared[n].at <= len(p.own) {
		o.taken += len(o.shared[n].bytes) + sharedCost
		n++
	}
	if n == 0 {
		o.later(len(p.own))
		return
	}
	p.shared = o.shared[:n:n]
	p.rooms = true
	o.shared = append([]shared(nil), o.shared[n:]...)
	o.later(len(p.own))
}

// later moves the places of the frames that stay by the bytes that went.
func (o *outbound) later(went int) {
	for i := range o.shared {
		o.shared[i].at -= went
	}
}

// follow finds the ends of the frames that the library writes. It writes a header in one piece, since its buffer is empty when a frame
// begins, and never masks.
func (o *outbound) follow(p []byte) {
	for len(p) > o.left {
		p = p[o.left:]
		o.left = 0
		head, n := header(p)
		if head == 0 {
			return
		}
		const opcode, opClose = 0x0f, 8
		if p[0]&opcode == opClose {
			o.last = true
		}
		p = p[head:]
		o.left = n
	}
	o.left -= len(p)
}

// header reads the header of a WebSocket frame without mask: its length and that of the payload. 0: it is not whole.
func header(p []byte) (head, payload int) {
	if len(p) < 2 {
		return 0, 0
	}
	switch n := int(p[1] & 0x7f); {
	case n < 126:
		return 2, n
	case n == 126 && len(p) >= 4:
		return 4, int(binary.BigEndian.Uint16(p[2:]))
	case n == 127 && len(p) >= 10:
		return 10, int(min(binary.BigEndian.Uint64(p[2:]), math.MaxInt32))
	default:
		return 0, 0
	}
}

// parcel is what is written in one go: own bytes, with shared frames among them.
type parcel struct {
	own    []byte
	shared []shared
	done   int // of own
	rooms  bool
}

// next returns the bytes that come next, empty at the end.
func (p *parcel) next() []byte {
	if len(p.shared) == 0 {
		return p.own[p.done:]
	}
	if s := &p.shared[0]; s.at <= p.done {
		return s.bytes
	}
	return p.own[p.done:p.shared[0].at]
}

// wrote notes that so many of the next bytes are written.
func (p *parcel) wrote(n int) {
	if len(p.shared) == 0 || p.shared[0].at > p.done {
		p.done += n
		return
	}
	s := &p.shared[0]
	if s.bytes = s.bytes[n:]; len(s.bytes) == 0 {
		s.bytes = nil
		p.shared = p.shared[1:]
	}
}

func (p *parcel) written() bool { return len(p.shared) == 0 && p.done == len(p.own) }

// free gives the buffer back.
func (p *parcel) free() {
	if p.own != nil {
		putBuffer(p.own)
		p.own = nil
	}
}

// slow names what a client did not read in time.
func (p *parcel) slow(err error) error {
	switch {
	case !errors.Is(err, os.ErrDeadlineExceeded):
		return err
	case p.rooms:
		return errSlowViewer
	default:
		return errSlow
	}
}
