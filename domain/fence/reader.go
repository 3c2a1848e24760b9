package fence

import (
	"errors"
	"fmt"

	"parley/domain"
)

// Verdict is what the reader rule says of a record. The caller counts them.
type Verdict uint8

// Verdicts. Only an Accepted commit has an effect; Void and Repeat are skipped.
const (
	Accepted Verdict = iota + 1 // the partition's next commit
	Claimed                     // a claim of a higher term: the term follows
	Void                        // a claim that came too late, or a commit of a deposed writer
	Repeat                      // a commit that was accepted before
)

// String returns the verdict's name, for metrics.
func (v Verdict) String() string {
	switch v {
	case Accepted:
		return "accepted"
	case Claimed:
		return "claimed"
	case Void:
		return "void"
	case Repeat:
		return "repeat"
	default:
		return "none"
	}
}

// Reader is the reader rule and the place where it stands. It is a value: copy it to remember a place, save its four fields in
// a checkpoint or an anchor, and go on from there. The zero Reader stands at the start of the log. Keep it only after an
// acknowledged record: never after a halt.
type Reader struct {
	Next  domain.Offset // the next to read
	Term  domain.Term   // the highest claimed
	Index domain.Index  // the last accepted
	Prev  uint64        // the running checksum after it
	omit  rule          // rules left out, by the simulation alone
}

// Read judges the next record. Offsets may jump ahead (some logs use a few for themselves) but never go back.
// An error is a *HaltError and leaves the Reader as it was.
func (r *Reader) Read(offset domain.Offset, value []byte) (Verdict, error) {
	if offset < r.Next {
		return 0, &HaltError{offset, Backwards, fmt.Errorf("next is %d", r.Next)}
	}
	h, err := ParseHeader(value)
	if err != nil {
		return 0, &HaltError{offset, Malformed, err}
	}
	v, err := r.judge(h)
	if err != nil {
		return 0, r.halt(offset, h, err)
	}
	switch v {
	case Claimed:
		r.Term = h.Term
	case Accepted:
		r.Index, r.Prev = h.Index, Checksum(r.Prev, value)
	case Void, Repeat:
	}
	r.Next = offset + 1
	return v, nil
}

// judge is the reader rule. The order of the cases is part of it.
func (r *Reader) judge(h Header) (Verdict, error) {
	switch {
	case h.IsClaim() && (h.Term > r.Term || r.omit.has(claimHigher)):
		return Claimed, nil
	case h.IsClaim():
		return Void, nil
	case h.Term < r.Term && !r.omit.has(lowerTermVoid):
		return Void, nil
	case h.Term > r.Term && !r.omit.has(futureTermHalts):
		return 0, errFuture
	case h.Index <= r.Index && !r.omit.has(repeatSkipped):
		return Repeat, nil
	case h.Index > r.Index+1 && !r.omit.has(gapHalts):
		return 0, errGap
	case h.Prev != r.Prev && !r.omit.has(prevMatches):
		return 0, errPrev
	default:
		return Accepted, nil
	}
}

var (
	errFuture = errors.New("term was never claimed")
	errGap    = errors.New("commits are missing")
	errPrev   = errors.New("earlier commits differ from those it was written after")
)

func (r *Reader) halt(offset domain.Offset, h Header, err error) *HaltError {
	reason := Damaged
	switch {
	case errors.Is(err, errFuture):
		reason = FutureTerm
	case errors.Is(err, errGap):
		reason = Gap
	}
	return &HaltError{offset, reason, fmt.Errorf("%w: record has term %d, index %d; last were %d, %d", err, h.Term, h.Index, r.Term, r.Index)}
}
