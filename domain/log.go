package domain

import (
	"errors"
	"fmt"
)

// Control is the partition of the compacted control topic (slot map, apps, anchors). It has no fence: per key the last record counts.
const Control Partition = 1<<16 - 1

// LogRecord is one record of a partition, as read.
type LogRecord struct {
	Offset Offset
	Key    []byte
	Value  []byte
}

// Batch is what one append writes, whole or not at all.
type Batch struct {
	Keys   [][]byte // one per value
	Values [][]byte
	// Plain batches (claims, control) carry no fencing hint. The others carry the term and Sequence, the number of records that the
	// term wrote before this batch: an engine may use them to refuse older terms and to drop repeats, but nobody relies on it.
	Plain    bool
	Term     Term
	Sequence uint64
}

// ErrTruncated is in the chain of an error of a read below the log's start: readers halt, they never skip.
var ErrTruncated = errors.New("the log starts above the wanted offset")

// TruncatedError tells where the log starts.
type TruncatedError struct {
	Partition Partition
	Wanted    Offset
	Start     Offset
}

// Error implements error.
func (e *TruncatedError) Error() string {
	return fmt.Sprintf("partition %d: offset %d wanted, the log starts at %d", e.Partition, e.Wanted, e.Start)
}

// Is makes errors.Is(err, ErrTruncated) true.
func (e *TruncatedError) Is(target error) bool { return target == ErrTruncated }

// ErrRefused is in the chain of an append's error when the log will never take this batch from this writer: it is too large, out of sequence, or
// of a term that was deposed. It must not be sent again. Whether an earlier attempt landed, or still lands, is as unknown as after any error:
// only a claim of a higher term, read back, settles it.
var ErrRefused = errors.New("the log will never take this batch from this writer")
