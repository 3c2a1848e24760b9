// Package event is the stored form of parley's log: it turns commits and claims into the values of records and back.
//
// The form is protobuf, described by eventpb/event.proto; the code here is written by hand because every message passes through it, and
// tests hold it against the generated code in both directions. What must hold:
//
//   - A value starts with its Header: 27 bytes, always all three fields, in order.
//   - One commit has one encoding, so equal commits have equal bytes on every node.
//   - Decoding is strict. A value that holds anything that this code does not know (a kind of event, a field, a wire type) is a
//     *DecodeError: readers halt, because what they skip they would lose.
package event

import (
	"parley/domain"
	"parley/domain/fence"
)

// Header is what the fence reads of a record: the first fence.HeaderSize bytes of its value.
type Header = fence.Header

// Record is a decoded record. Exactly one of the pointers is set.
type Record struct {
	Header     Header
	Commit     *domain.Commit
	Claim      *Claim
	SlotClosed *SlotClosed
	SlotOpened *SlotOpened
}

// Claim starts a term: who reads its own nonce back owns the partition.
type Claim struct {
	Node  string
	Nonce uint64
}

// SlotClosed is the last record of a slot in its old partition.
type SlotClosed struct {
	Slot   domain.Slot
	T      domain.T       // the new owner's clock goes on above it
	Causes []domain.Cause // the highest per source partition
}

// SlotOpened is the first record of a slot in its new partition.
type SlotOpened struct {
	Slot   domain.Slot
	T      domain.T // of the SlotClosed
	From   domain.Partition
	Closed domain.Offset // of the SlotClosed in the old partition
}

// DecodeError says that a record's value cannot be read. Readers halt on it; they never skip.
type DecodeError struct{ Err error }

// Error implements error.
func (e *DecodeError) Error() string { return "undecodable record: " + e.Err.Error() }

// Unwrap returns the cause.
func (e *DecodeError) Unwrap() error { return e.Err }
