package fence

import (
	"errors"
	"time"

	"parley/domain"
)

// Config tunes an Owner. Zero durations and counts mean the defaults in brackets. None of them bears on safety.
type Config struct {
	// Claim returns what follows the header in a claim's value: the claim field with the node and a nonce that was never used before.
	// It is called once for each attempt.
	Claim func() []byte
	// Jitter spreads the back-off; nodes have different ones.
	Jitter uint64

	Settle     time.Duration // how long the ring must name the node before it claims (2 s)
	Follow     time.Duration // how often an idle owner reads its tail (500 ms)
	Poll       time.Duration // the longest wait of a read (500 ms)
	BackoffMin time.Duration // the first pause before a claim or a batch is sent again (50 ms), doubled
	BackoffMax time.Duration // up to this (5 s)
	Sends      int           // how often one batch is sent before a claim settles it (4)

	omit rule
}

// ErrNotIdle is returned by Propose when the Owner cannot take a batch now.
var ErrNotIdle = errors.New("fence: not an idle owner")

// ErrBatch is returned by Propose for a batch that is empty, lacks keys, or has a value without room for a header.
var ErrBatch = errors.New("fence: malformed batch")

// Owner is one node's part in the ownership of one partition, for the life of the process: it follows, claims, owns, and is deposed.
// Time is what the caller says it is (any monotonic duration); it decides when to try, never what is true.
type Owner struct{}

// NewOwner returns an Owner that has read up to from: the checkpoint, else the zero Reader. Never an anchor.
func NewOwner(from Reader, cfg Config) *Owner { panic("fence: being written") }

// Next returns the action wanted now. While a read or an append is under way it is a rest.
// Call it after every event, and when a rest's Wait has passed.
func (o *Owner) Next(now time.Duration) Action { panic("fence: being written") }

// OnRead reports the records that a read returned, in order (none: nothing came within the wait), and the log's end (the offset after its
// last record) as the log knew it. The end must be one that the log does not take back: one below what this Owner has read halts.
// Records are kept by the effects: they must not be changed afterwards.
func (o *Owner) OnRead(now time.Duration, id ActionID, records []domain.LogRecord, end domain.Offset) []Effect {
	panic("fence: being written")
}

// OnReadFailed reports a read that failed. domain.ErrTruncated in its chain halts; after any other error it is tried again.
func (o *Owner) OnReadFailed(now time.Duration, id ActionID, err error) []Effect {
	panic("fence: being written")
}

// OnAppend reports how an append ended; base counts only when it Landed.
func (o *Owner) OnAppend(now time.Duration, id ActionID, outcome Outcome, base domain.Offset) []Effect {
	panic("fence: being written")
}

// OnRing reports what the ring says, at first and at every change. Saying the same again changes nothing.
func (o *Owner) OnRing(now time.Duration, ring Ring) { panic("fence: being written") }

// Idle tells whether Propose would take a batch.
func (o *Owner) Idle() bool { panic("fence: being written") }

// Propose hands over the next batch: one key per value, each value with HeaderSize bytes at its start, into which Propose writes the
// term, the index and prev. From then on keys and values belong to the Owner until the batch is Acked or void, and never change.
// A read that is under way is given up for it. Exactly one of Acked and BatchVoid follows, unless the Owner halts.
func (o *Owner) Propose(keys, values [][]byte) (BatchID, error) { panic("fence: being written") }

// Position returns where the reader rule stands: behind the last record that was read or Acked.
func (o *Owner) Position() Reader { panic("fence: being written") }

// Owns tells whether the last of Owned, Deposed and Halted was Owned.
func (o *Owner) Owns() bool { panic("fence: being written") }

// Err returns why the Owner halted, or nil.
func (o *Owner) Err() *HaltError { panic("fence: being written") }
