// Package wire reads and writes protobuf fields by hand, for the forms that every message passes through.
//
// Reading is strict: what a schema does not name is an error, not something to skip. What is read aliases the input.
package wire

import (
	"fmt"
	"math"
	"slices"
	"unsafe"

	"google.golang.org/protobuf/encoding/protowire"
)

// Wire types, as they stand in the low bits of a tag: a tag is field number << 3 | wire type.
const (
	Varint  = uint64(protowire.VarintType)
	Fixed64 = uint64(protowire.Fixed64Type)
	Length  = uint64(protowire.BytesType) // strings, bytes and messages
)

// Error says what could not be read.
type Error struct {
	At   string // the message that was being read, as in "MessageSent"
	What string
}

// Error implements error.
func (e *Error) Error() string { return e.At + ": " + e.What }

// Scan reads the fields of one message, one after the other, until there are none or something is wrong (Err).
type Scan struct {
	Tag uint64 // of the field just read
	V   uint64 // the value of a Varint or Fixed64 field
	B   []byte // the value of a Length field
	At  string // the message's name, for errors
	Err error

	rest []byte
}

// NewScan returns a Scan over the fields of the message named at.
func NewScan(at string, b []byte) Scan { return Scan{At: at, rest: b} }

// Next reads a field. It is false at the end and after a failure.
func (s *Scan) Next() bool {
	if len(s.rest) == 0 || s.Err != nil {
		return false
	}
	tag, n := protowire.ConsumeVarint(s.rest)
	if n < 0 || tag > math.MaxUint32 || tag>>3 == 0 {
		return s.Fail("bad tag")
	}
	s.Tag, s.rest = tag, s.rest[n:]
	switch tag & 7 {
	case Varint:
		s.V, n = protowire.ConsumeVarint(s.rest)
	case Fixed64:
		s.V, n = protowire.ConsumeFixed64(s.rest)
	case Length:
		s.B, n = protowire.ConsumeBytes(s.rest)
	default:
		return s.Fail(fmt.Sprintf("field %d has wire type %d", tag>>3, tag&7))
	}
	if n < 0 {
		return s.Fail(fmt.Sprintf("field %d is cut short", tag>>3))
	}
	s.rest = s.rest[n:]
	return true
}

// Fail sets Err, unless there is one, and returns false.
func (s *Scan) Fail(what string) bool {
	if s.Err == nil {
		s.Err = &Error{At: s.At, What: what}
	}
	return false
}

// Unknown refuses the field just read.
func (s *Scan) Unknown() {
	s.Fail(fmt.Sprintf("field %d of wire type %d is not known", s.Tag>>3, s.Tag&7))
}

// Within returns the number just read, which must be at most limit.
func (s *Scan) Within(limit uint64) uint64 {
	if s.V > limit {
		s.Fail(fmt.Sprintf("field %d holds %d", s.Tag>>3, s.V))
		return 0
	}
	return s.V
}

// Uint32 returns the number just read.
func (s *Scan) Uint32() uint32 { return uint32(s.Within(math.MaxUint32)) }

// Bytes returns the bytes just read; none are nil.
func (s *Scan) Bytes() []byte {
	if len(s.B) == 0 {
		return nil
	}
	return slices.Clip(s.B)
}

// String returns the bytes just read as a string.
func (s *Scan) String() string { return unsafe.String(unsafe.SliceData(s.B), len(s.B)) }
