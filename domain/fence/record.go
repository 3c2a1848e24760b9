package fence

import (
	"encoding/binary"
	"errors"
	"hash/crc64"

	"parley/domain"
)

// HeaderSize is the number of bytes at the start of every value of a partition's log that the fence reads and writes.
const HeaderSize = 27

// Tags of Record's first three fields: fixed64 term = 1, index = 2, prev = 3.
const (
	tagTerm  = 1<<3 | 1
	tagIndex = 2<<3 | 1
	tagPrev  = 3<<3 | 1
)

var (
	errShort = errors.New("value is shorter than a header")
	errTags  = errors.New("value does not begin with term, index and prev")
	errTerm  = errors.New("term 0")
)

// Header is what the fence knows of a record: the first 27 bytes of the protobuf Record, always written in full and in this order.
// The rest of the value is none of its business.
type Header struct {
	Term  domain.Term  // of the writer, from 1
	Index domain.Index // of the commit in its partition, dense from 1; 0 marks a claim
	Prev  uint64       // Checksum of the commits accepted before this one; 0 in a claim
}

// IsClaim tells a claim from a commit.
func (h Header) IsClaim() bool { return h.Index == 0 }

// AppendHeader appends h's HeaderSize bytes.
func AppendHeader(dst []byte, h Header) []byte {
	dst = append(dst, tagTerm)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(h.Term))
	dst = append(dst, tagIndex)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(h.Index))
	dst = append(dst, tagPrev)
	return binary.LittleEndian.AppendUint64(dst, h.Prev)
}

// PutHeader overwrites the first HeaderSize bytes of value, which must be there.
func PutHeader(value []byte, h Header) { AppendHeader(value[:0:HeaderSize], h) }

// ParseHeader reads the header of a record's value.
func ParseHeader(value []byte) (Header, error) {
	if len(value) < HeaderSize {
		return Header{}, errShort
	}
	if value[0] != tagTerm || value[9] != tagIndex || value[18] != tagPrev {
		return Header{}, errTags
	}
	h := Header{
		Term:  domain.Term(binary.LittleEndian.Uint64(value[1:])),
		Index: domain.Index(binary.LittleEndian.Uint64(value[10:])),
		Prev:  binary.LittleEndian.Uint64(value[19:]),
	}
	if h.Term == 0 {
		return Header{}, errTerm
	}
	return h, nil
}

var ecma = crc64.MakeTable(crc64.ECMA)

// Checksum continues the running checksum over the accepted commits with the whole value (header included) of the next one: CRC-64
// with the ECMA-182 polynomial (reflected, as in xz), seeded with prev. Before the first commit it is 0. It is part of the stored
// format. It finds truncation and damage; against a forger who can write to the log it proves nothing.
func Checksum(prev uint64, value []byte) uint64 { return crc64.Update(prev, ecma, value) }
