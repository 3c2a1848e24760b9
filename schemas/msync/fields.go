package msync

import (
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// fields walks the fields of one message without allocating. After next, num names the field; a reader method takes its value and
// checks the wire type. The first error ends the walk and stays in err.
type fields struct {
	b      []byte
	name   string
	single uint64 // bit n: field n is singular, a second one is refused
	seen   uint64
	num    protowire.Number
	typ    protowire.Type
	n      uint64 // value of a varint or fixed field
	val    []byte // value of a bytes field
	err    error
}

// walk starts a walk. single lists the singular fields as bits, made by once.
func walk(name string, b []byte, single uint64) fields {
	return fields{b: b, name: name, single: single}
}

// once makes the bits of singular fields.
func once(nums ...uint) uint64 {
	var m uint64
	for _, n := range nums {
		m |= 1 << n
	}
	return m
}

func (f *fields) fail(err error) {
	if f.err == nil {
		f.err = &DecodeError{Message: f.name, Field: f.num, Err: err}
	}
}

// next moves to the next field.
func (f *fields) next() bool {
	if f.err != nil || len(f.b) == 0 {
		return false
	}
	num, typ, n := protowire.ConsumeTag(f.b)
	if n < 0 || num > protowire.MaxValidNumber {
		f.num = 0
		f.fail(ErrMalformed)
		return false
	}
	f.num, f.typ = num, typ
	if num < 64 {
		bit := uint64(1) << num
		if f.seen&f.single&bit != 0 {
			f.fail(ErrRepeated)
			return false
		}
		f.seen |= bit
	}
	return f.value(f.b[n:])
}

// value consumes the value that begins b.
func (f *fields) value(b []byte) bool {
	var n int
	switch f.typ {
	case protowire.VarintType:
		f.n, n = protowire.ConsumeVarint(b)
	case protowire.BytesType:
		f.val, n = protowire.ConsumeBytes(b)
	case protowire.Fixed64Type:
		f.n, n = protowire.ConsumeFixed64(b)
	case protowire.Fixed32Type:
		var v uint32
		v, n = protowire.ConsumeFixed32(b)
		f.n = uint64(v)
	default: // groups
		f.fail(ErrWireType)
		return false
	}
	if n < 0 {
		f.fail(ErrMalformed)
		return false
	}
	f.b = b[n:]
	return true
}

func (f *fields) want(t protowire.Type) bool {
	if f.typ != t {
		f.fail(ErrWireType)
		return false
	}
	return true
}

// varint returns an integer, enumeration or bool.
func (f *fields) varint() uint64 {
	if !f.want(protowire.VarintType) {
		return 0
	}
	return f.n
}

// bytes returns a value of at most limit bytes; limit 0 means any.
func (f *fields) bytes(limit int) []byte {
	if !f.want(protowire.BytesType) {
		return nil
	}
	if limit > 0 && len(f.val) > limit {
		f.fail(ErrTooLarge)
		return nil
	}
	return f.val
}

// text returns a part of an address: UTF-8, of at most MaxAddressBytes.
func (f *fields) text() []byte {
	v := f.bytes(MaxAddressBytes)
	if !utf8.Valid(v) {
		f.fail(ErrText)
		return nil
	}
	return v
}

// sub takes the error of a decoder of a nested message.
func (f *fields) sub(err error) {
	if f.err == nil {
		f.err = err
	}
}
