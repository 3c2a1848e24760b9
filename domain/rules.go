package domain

import "time"

// PartID names a row of a stream's state. PartHead is the head; the others are parts, as in "m/<user>".
type PartID string

// PartHead is the row that every stream with state has.
const PartHead PartID = ""

// Row is the value of one row of state. It is immutable: Evolve makes a new one. A nil Row means that there is no row.
type Row interface {
	// RowName is the row's name in the state schema, as in "Head".
	RowName() string
}

// HeadRow is the row of PartHead.
type HeadRow interface {
	Row
	// LastSeq is the seq of the stream's last entry, 0 before the first.
	LastSeq() Seq
}

// View is what Decide sees of a stream: the rows that Needs named.
type View interface {
	Head() HeadRow // nil: the stream is new
	Part(PartID) Row
}

// Decision is what Decide makes of a command. No bodies and no error mean "already so".
type Decision struct {
	Bodies []Body
	// Seq and T of the first answer, when the command repeats an earlier one (Repeat). Otherwise the owner fills them from the first entry.
	Repeat bool
	Seq    Seq
	T      T
}

// Rules are the rules of one kind of stream: pure functions, the same live and on replay.
//
// A row changes only from itself and the event. Events carry absolute values, so that applying one twice changes nothing.
type Rules interface {
	// Needs appends the parts (not the head) that Decide reads for cmd, and those that its events touch.
	Needs(dst []PartID, st Stream, cmd Command) []PartID
	// Decide says what follows from cmd. It changes nothing. A refusal is an *Error.
	Decide(st Stream, v View, cmd Command, now time.Time) (Decision, error)
	// Touches appends the rows that ev changes, PartHead included.
	Touches(dst []PartID, st Stream, ev *Event) []PartID
	// Evolve returns the row after ev. row is nil when there was none.
	Evolve(st Stream, id PartID, row Row, ev *Event) Row
}

// Entry is implemented by bodies; those that answer true take a seq.
type Entry interface{ IsEntry() bool }

// Stamp gives the bodies of one decision their seq and t: seqs dense above head, t above floor, both in order.
func Stamp(bodies []Body, head Seq, now time.Time, floor T, number Partition) []Event {
	events := make([]Event, len(bodies))
	for i, b := range bodies {
		floor = NextT(now, floor, number)
		events[i] = Event{T: floor, Body: b}
		if e, ok := b.(Entry); ok && e.IsEntry() {
			head++
			events[i].Seq = head
		}
	}
	return events
}
