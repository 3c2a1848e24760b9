package room

import (
	"encoding/binary"

	"parley/schemas/msync"
)

// Frame is what viewers are shown at once: one or more MSync frames, each in a WebSocket frame of its own, back to back. Frames of servers
// are not masked, so that the bytes are the same for all. It never changes.
type Frame struct {
	wire   []byte
	metas  int
	behind int
}

// Wire returns the bytes as they go to the socket: whole WebSocket frames. They must not be changed.
func (f *Frame) Wire() []byte { return f.wire }

// Metas returns how many entries, notices and the like the frame shows.
func (f *Frame) Metas() int { return f.metas }

// Behind returns how many bytes of frames may wait for one viewer.
func (f *Frame) Behind() int { return f.behind }

// What one MSync frame holds at most. Clients tell a repeated entry by the last 100 that they have seen.
const (
	maxMetas = 50
	maxBytes = 64 << 10
)

// encode makes a frame of metas; nil when there are none.
func encode(q msync.Queue, metas [][]byte, behind int) *Frame {
	if len(metas) == 0 {
		return nil
	}
	f := &Frame{metas: len(metas), behind: behind}
	for len(metas) > 0 {
		n := fit(metas)
		f.wire = appendMessage(f.wire, &msync.Page{Queue: q, Metas: metas[:n], IsLast: true})
		metas = metas[n:]
	}
	return f
}

// fit returns how many of the metas go into one frame, at least one.
func fit(metas [][]byte) int {
	size := 0
	for n, m := range metas {
		size += len(m) + 4
		if n > 0 && (n == maxMetas || size > maxBytes) {
			return n
		}
	}
	return len(metas)
}

// headerBytes is the most that the header of a server's WebSocket frame takes.
const headerBytes = 10

// appendMessage appends a binary WebSocket message of one frame.
func appendMessage(dst []byte, p *msync.Page) []byte {
	begin := len(dst)
	if dst == nil {
		dst = make([]byte, 0, headerBytes+msync.SizePage(p))
	}
	dst = append(dst, make([]byte, headerBytes)...)
	dst = msync.AppendPage(dst, p)
	n := len(dst) - begin - headerBytes
	h := putHeader(dst[begin:], n)
	copy(dst[begin+h:], dst[begin+headerBytes:])
	return dst[:begin+h+n]
}

// putHeader writes the header of a final, unmasked, binary frame of n bytes and returns its length (RFC 6455, 5.2).
func putHeader(dst []byte, n int) int {
	const finBinary = 0x82
	dst[0] = finBinary
	switch {
	case n < 126:
		dst[1] = byte(n)
		return 2
	case n <= 0xffff:
		dst[1] = 126
		binary.BigEndian.PutUint16(dst[2:], uint16(n))
		return 4
	default:
		dst[1] = 127
		binary.BigEndian.PutUint64(dst[2:], uint64(n))
		return 10
	}
}
