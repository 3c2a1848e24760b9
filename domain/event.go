package domain

// Event is a fact that happened in a stream. It never changes.
type Event struct {
	T    T
	Seq  Seq // 0: an aside
	Body Body
}

// Body is what an event says; the sealed sets are conversation.Event and user.Event.
type Body interface {
	// EventName is the body's name in the log's schema, as in "MessageSent".
	EventName() string
}

// Cause names the accepted event that made a reactor issue a command; the target keeps the highest per source partition.
type Cause struct {
	Partition Partition
	Offset    Offset
	N         uint32
}

// Commit is all events of one decision: one record of the log. It is immutable once decided.
type Commit struct {
	Stream StreamID
	Events []Event // never empty; T strictly growing
	Cause  *Cause  // nil: a client's command
}

// LastT returns the T of the commit's last event.
func (c *Commit) LastT() T { return c.Events[len(c.Events)-1].T }

// Position is where an accepted commit stands in its partition.
type Position struct {
	Partition Partition
	Offset    Offset // of the record itself
	Term      Term
	Index     Index
	Prev      uint64 // the running checksum after this commit
}

// Accepted is a commit that the reader rule accepted: what feeds carry.
type Accepted struct {
	Position
	Commit *Commit
}
