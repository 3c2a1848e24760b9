package event

import (
	"fmt"
	"math"
	"unsafe"

	"google.golang.org/protobuf/encoding/protowire"
)

// Wire types as they stand in the low bits of a tag.
const (
	varint  = uint64(protowire.VarintType)
	fixed64 = uint64(protowire.Fixed64Type)
	length  = uint64(protowire.BytesType) // strings, bytes and messages
)

// scan reads the fields of one message, one after the other, until there are none or something is wrong.
type scan struct {
	rest []byte
	tag  uint64 // field number << 3 | wire type
	v    uint64 // the value of a varint or fixed64 field
	b    []byte // the value of a length-delimited field
	at   string
	err  error
}

// next reads a field. It is false at the end and after a failure.
func (s *scan) next() bool {
	if len(s.rest) == 0 || s.err != nil {
		return false
	}
	tag, n := protowire.ConsumeVarint(s.rest)
	if n < 0 || tag > math.MaxUint32 || tag>>3 == 0 {
		return s.fail("bad tag")
	}
	s.tag, s.rest = tag, s.rest[n:]
	switch tag & 7 {
	case varint:
		s.v, n = protowire.ConsumeVarint(s.rest)
	case fixed64:
		s.v, n = protowire.ConsumeFixed64(s.rest)
	case length:
		s.b, n = protowire.ConsumeBytes(s.rest)
	default:
		return s.fail(fmt.Sprintf("field %d has wire type %d", tag>>3, tag&7))
	}
	if n < 0 {
		return s.fail(fmt.Sprintf("field %d is cut short", tag>>3))
	}
	s.rest = s.rest[n:]
	return true
}

// fail keeps the first error.
func (s *scan) fail(what string) bool {
	if s.err == nil {
		s.err = &DecodeError{At: s.at, What: what}
	}
	return false
}

// unknown refuses the field just read.
func (s *scan) unknown() {
	s.fail(fmt.Sprintf("field %d of wire type %d is not known", s.tag>>3, s.tag&7))
}

// within returns the number just read, which is at most limit.
func (s *scan) within(limit uint64) uint64 {
	if s.v > limit {
		s.fail(fmt.Sprintf("field %d holds %d", s.tag>>3, s.v))
		return 0
	}
	return s.v
}

func (s *scan) uint32() uint32 { return uint32(s.within(math.MaxUint32)) }

// bytes returns the bytes just read, which alias the input; none are nil.
func (s *scan) bytes() []byte {
	if len(s.b) == 0 {
		return nil
	}
	return s.b[:len(s.b):len(s.b)]
}

// str returns the bytes just read as a string that aliases the input.
func (s *scan) str() string { return unsafe.String(unsafe.SliceData(s.b), len(s.b)) }
