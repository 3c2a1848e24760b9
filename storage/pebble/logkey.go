package pebble

import (
	"encoding/binary"
	"errors"

	"parley/domain"
)

// Keys of the log: topic, partition (2 bytes), offset (8 bytes), big-endian. A partition's start lies under 1, topic, partition.
const (
	prefixStart  byte = 1
	topicChats   byte = 0x10
	topicRooms   byte = 0x11
	topicOthers  byte = 0x12
	topicControl byte = 0x1f
)

const logFormat = "parley log 1"

func topicOf(p domain.Partition) byte {
	switch {
	case p == domain.Control:
		return topicControl
	case p.IsRooms():
		return topicRooms
	case p < domain.FirstRooms:
		return topicChats
	default:
		return topicOthers
	}
}

const recordKeySize = 1 + 2 + 8

func appendRecordKey(b []byte, p domain.Partition, o domain.Offset) []byte {
	b = append(b, topicOf(p))
	b = binary.BigEndian.AppendUint16(b, uint16(p))
	return binary.BigEndian.AppendUint64(b, uint64(o))
}

func recordKey(p domain.Partition, o domain.Offset) []byte {
	return appendRecordKey(make([]byte, 0, recordKeySize), p, o)
}

func offsetOf(key []byte) domain.Offset {
	return domain.Offset(binary.BigEndian.Uint64(key[3:]))
}

func startKey(p domain.Partition) []byte {
	return binary.BigEndian.AppendUint16([]byte{prefixStart, topicOf(p)}, uint16(p))
}

// putRecord writes a stored record, the length of its key and then both, into b, which has recordSize bytes.
func putRecord(b, key, value []byte) {
	n := binary.PutUvarint(b, uint64(len(key)))
	n += copy(b[n:], key)
	copy(b[n:], value)
}

func recordSize(key, value []byte) int {
	var b [binary.MaxVarintLen64]byte
	return binary.PutUvarint(b[:], uint64(len(key))) + len(key) + len(value)
}

var errBadRecord = errors.New("the log holds a malformed record")

// cutRecord takes a stored record apart. The parts lie in b.
func cutRecord(b []byte) (key, value []byte, err error) {
	size, n := binary.Uvarint(b)
	if n <= 0 || size > uint64(len(b)-n) {
		return nil, nil, errBadRecord
	}
	end := n + int(size)
	return b[n:end:end], b[end:], nil
}
