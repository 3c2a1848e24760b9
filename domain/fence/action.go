package fence

import (
	"time"

	"parley/domain"
)

// Do is a kind of action.
type Do uint8

// Kinds of actions.
const (
	DoRest   Do = iota // nothing until an event, or until Wait has passed (0: an event only)
	DoRead             // read from From; wait at most Wait for a record; report with OnRead or OnReadFailed
	DoAppend           // append Batch; report with OnAppend
)

// ActionID names one attempt to read or append. The answer to an attempt that was given up is known by it, and ignored.
type ActionID uint64

// Action is what the owner wants done. At most one read or append is under way.
type Action struct {
	Do       Do
	ID       ActionID
	From     domain.Offset // of a read: the next to read
	Wait     time.Duration // of a read or a rest
	Batch    domain.Batch  // of an append. Claims are Plain. Not to be changed
	Expected domain.Offset // of an append: the base offset if nobody writes in between; for logs and metrics
}

// Outcome is how an append ended, as far as the shell can tell.
type Outcome uint8

// Outcomes. Whatever is not a plain success is unknown: an error, a time limit, a lost connection, a full disk.
const (
	Unknown Outcome = iota // it may have landed, may yet, or never will. The same batch may be sent again
	Landed                 // the log answered with a base offset
	Refused                // unknown too, but sending it again is forbidden (too large, out of sequence, fenced by the engine)
)

// Ring is what the ring says about this node and the partition.
type Ring uint8

// What the ring can say.
const (
	NotNamed    Ring = iota // another node shall own it: claim nothing, send nothing again, step down at its claim
	Named                   // this node shall own it; it claims when that has been so for Config.Settle
	NamedAtOnce             // the same, and the old owner is dead or has handed over: do not wait
)

// BatchID names a proposed batch, from 1.
type BatchID uint64

// Record is a commit that the reader rule accepted.
type Record struct {
	Offset domain.Offset
	Key    []byte
	Value  []byte // header included
	Header Header
	After  Reader // where the rule stands after it: what a checkpoint that passes this commit holds
}

// Effect is what a step means for the shell. Effects are obeyed in order: the feed carries Accepted and Acked records as they come.
//
//sumtype:decl
type Effect interface{ effect() }

// CommitsRead are accepted commits that were found by reading: those of earlier owners, of an earlier life of this node, and after
// Deposed those of the next owner. A batch of this Owner is never among them: it comes as Acked, once.
type CommitsRead struct{ Records []Record }

// Owned means that the partition belongs to this node under a new term, and that every commit before it has been reported.
// Whatever was decided and not Acked is dropped and decided again: nothing else would have the right index and state.
type Owned struct {
	Term  domain.Term
	First domain.Index // of the next commit
}

// Acked means that the whole batch is in, for ever. Its senders may be answered.
type Acked struct {
	Batch   BatchID
	Records []Record
}

// BatchVoid means that no record of the batch is in, nor ever will be. The speculative state goes, and its commands are to be decided again.
type BatchVoid struct {
	Batch BatchID
	By    domain.Term // of another's claim, which made it void; 0: nobody else claimed
}

// Deposed means that another claim ended this node's ownership, after BatchVoid if a batch was open. What was decided and not Acked
// is dropped. The Owner goes on as a follower, and claims again when the ring wants it.
type Deposed struct{ By domain.Term }

// Halted is the last effect: the partition is broken until an operator resets it. A batch that was open stays unknown.
type Halted struct{ Err *HaltError }

func (CommitsRead) effect() {}
func (Owned) effect()       {}
func (Acked) effect()       {}
func (BatchVoid) effect()   {}
func (Deposed) effect()     {}
func (Halted) effect()      {}
