package fence

import (
	"fmt"

	"parley/domain"
)

// Reason says why a partition halted. The names go into logs and metrics.
type Reason string

// Reasons to halt. Each means that the log is not what it was, or that something wrote to it that is no owner.
const (
	Malformed  Reason = "malformed"   // the value does not begin with a header
	Backwards  Reason = "backwards"   // an offset below the next to read was offered
	FutureTerm Reason = "future_term" // a commit of a term that nobody has claimed
	Gap        Reason = "gap"         // a commit's index is above the next one
	Damaged    Reason = "damaged"     // a commit's prev differs from the running checksum
	Truncated  Reason = "truncated"   // the log ends below, or starts above, what was read before
	Torn       Reason = "torn"        // a part of a batch is in the log, and a higher term came before the rest
)

// HaltError ends the reading of a partition. It is never skipped: an operator looks, and resets the partition or the log.
type HaltError struct {
	Offset domain.Offset // the record that could not be read, or the next to read
	Reason Reason
	Err    error // more, or nil
}

// Error implements error.
func (e *HaltError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("log halted at offset %d: %s: %v", e.Offset, e.Reason, e.Err)
	}
	return fmt.Sprintf("log halted at offset %d: %s", e.Offset, e.Reason)
}

// Unwrap returns the cause.
func (e *HaltError) Unwrap() error { return e.Err }
