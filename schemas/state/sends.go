package state

import (
	"encoding/binary"
	"slices"

	"parley/domain"
	"parley/domain/conversation"
	"parley/schemas/internal/wire"
)

// A Sends row is flushed often, so it is packed: field 1 holds its sends, oldest first, each as the difference to the one before (the first:
// to zeros). Differences wrap, so every value has a form; usual ones take about 20 bytes.
//
//	client id: zigzag varint
//	hash:      8 bytes, little-endian
//	seq:       zigzag varint
//	t:         zigzag varint of its microseconds, then varint of its log's number xor the one before
const (
	fieldPacked = 1
	numberBits  = 12 // low bits of a T
	number      = 1<<numberBits - 1
)

func appendSends(dst []byte, r *conversation.Sends) []byte {
	if r.Len() == 0 {
		return dst
	}
	dst, at := wire.Open(slices.Grow(dst, r.Len()*usualPacked+8), fieldPacked)
	var last conversation.Send
	for s := range r.All() {
		dst = binary.AppendVarint(dst, int64(s.ClientID-last.ClientID))
		dst = binary.LittleEndian.AppendUint64(dst, s.Hash)
		dst = binary.AppendVarint(dst, int64(s.Seq-last.Seq))
		dst = binary.AppendVarint(dst, int64(s.T>>numberBits-last.T>>numberBits))
		dst = binary.AppendUvarint(dst, uint64((s.T^last.T)&number))
		last = s
	}
	return wire.Close(dst, at)
}

func decodeSends(b []byte) (domain.Row, error) {
	var sends []conversation.Send
	s := wire.NewScan("Sends", b)
	for s.Next() {
		switch s.Tag {
		case fieldPacked<<3 | wire.Length:
			var ok bool
			if sends, ok = unpack(s.B); !ok {
				s.Fail("bad packing")
			}
		default:
			s.Unknown()
		}
	}
	return conversation.NewSends(sends), s.Err
}

// unpack reads packed sends. ok is false when they are cut short.
func unpack(b []byte) (sends []conversation.Send, ok bool) {
	sends = make([]conversation.Send, 0, min(len(b)/leastPacked, mostSends))
	var last conversation.Send
	p := packed{rest: b}
	for len(p.rest) > 0 {
		last.ClientID += uint64(p.varint())
		last.Hash = p.fixed64()
		last.Seq += domain.Seq(p.varint())
		micros := last.T>>numberBits + domain.T(p.varint())
		last.T = micros<<numberBits | (last.T^domain.T(p.uvarint()))&number
		if p.short {
			return nil, false
		}
		sends = append(sends, last)
	}
	return sends, true
}

const (
	leastPacked = 12  // bytes of the smallest send
	usualPacked = 22  // and of most
	mostSends   = 512 // that a row is expected to have
)

// packed reads numbers off the front; short is set when there are none left.
type packed struct {
	rest  []byte
	short bool
}

func (p *packed) skip(n int) {
	if n <= 0 {
		p.short, p.rest = true, nil
		return
	}
	p.rest = p.rest[n:]
}

func (p *packed) varint() int64 {
	v, n := binary.Varint(p.rest)
	p.skip(n)
	return v
}

func (p *packed) uvarint() uint64 {
	v, n := binary.Uvarint(p.rest)
	p.skip(n)
	return v
}

func (p *packed) fixed64() uint64 {
	if len(p.rest) < 8 {
		p.skip(0)
		return 0
	}
	v := binary.LittleEndian.Uint64(p.rest)
	p.skip(8)
	return v
}
