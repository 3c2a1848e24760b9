package domain

import "time"

// T is the id of an event, of a message, and the write timestamp of the rows it changes:
// (µs since 2025-01-01 UTC, 51 bits) << 12 | number of the log. Ids cross JSON as strings.
type T uint64

// MessageID is the T of the event that brought the message.
type MessageID = T

const (
	numberBits = 12
	epochMicro = 1735689600_000000 // 2025-01-01T00:00:00Z
)

// NextT returns the id of the next event of a log: at now, or just above the given floor when the clock stands still or went back.
// floor is the highest of the log's last T and the asof of every row that the event touches.
func NextT(now time.Time, floor T, number Partition) T {
	us := max(now.UnixMicro()-epochMicro, 0)
	t := T(us)<<numberBits | T(number)
	if t <= floor {
		t = (floor>>numberBits+1)<<numberBits | T(number)
	}
	return t
}

// TAt returns the least T of an instant, for ranges by time.
func TAt(at time.Time) T {
	us := at.UnixMicro() - epochMicro
	if us < 0 {
		return 0
	}
	return T(us) << numberBits
}

// Time returns when the event was decided.
func (t T) Time() time.Time { return time.UnixMicro(int64(t>>numberBits) + epochMicro) }

// Milli returns Unix milliseconds, the unit of the wire.
func (t T) Milli() int64 { return (int64(t>>numberBits) + epochMicro) / 1000 }

// Number returns the number of the log or node that made the id.
func (t T) Number() Partition { return Partition(t & (1<<numberBits - 1)) }
