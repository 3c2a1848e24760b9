package wire

import (
	"encoding/binary"

	"google.golang.org/protobuf/encoding/protowire"
)

// room is what Open leaves for a length: two bytes fit messages of 128 to 16,383 bytes, which is most of those that are long.
const room = 2

// Open starts an embedded message and returns where it begins; Close gives it its length.
func Open(dst []byte, field protowire.Number) (out []byte, at int) {
	dst = protowire.AppendTag(dst, field, protowire.BytesType)
	return append(dst, 0, 0), len(dst)
}

// Close writes the length of the message that began at `at`, and moves its bytes when the length does not fit the room left.
func Close(dst []byte, at int) []byte {
	n := len(dst) - at - room
	size := protowire.SizeVarint(uint64(n))
	if size == room {
		dst[at], dst[at+1] = byte(n)|0x80, byte(n>>7)
		return dst
	}
	for range size - room {
		dst = append(dst, 0)
	}
	copy(dst[at+size:], dst[at+room:at+room+n])
	protowire.AppendVarint(dst[:at], uint64(n))
	return dst[:at+size+n]
}

// AppendVarint appends a number, nothing for 0.
func AppendVarint(dst []byte, field protowire.Number, v uint64) []byte {
	if v == 0 {
		return dst
	}
	return protowire.AppendVarint(protowire.AppendTag(dst, field, protowire.VarintType), v)
}

// AppendBool appends a truth, nothing for false.
func AppendBool(dst []byte, field protowire.Number, v bool) []byte {
	if !v {
		return dst
	}
	return append(protowire.AppendTag(dst, field, protowire.VarintType), 1)
}

// AppendFixed64 appends a number of eight bytes, nothing for 0.
func AppendFixed64(dst []byte, field protowire.Number, v uint64) []byte {
	if v == 0 {
		return dst
	}
	return binary.LittleEndian.AppendUint64(protowire.AppendTag(dst, field, protowire.Fixed64Type), v)
}

// AppendString appends a string, nothing for an empty one.
func AppendString(dst []byte, field protowire.Number, v string) []byte {
	if v == "" {
		return dst
	}
	return protowire.AppendString(protowire.AppendTag(dst, field, protowire.BytesType), v)
}

// AppendBytes appends bytes, nothing for none.
func AppendBytes(dst []byte, field protowire.Number, v []byte) []byte {
	if len(v) == 0 {
		return dst
	}
	return protowire.AppendBytes(protowire.AppendTag(dst, field, protowire.BytesType), v)
}
