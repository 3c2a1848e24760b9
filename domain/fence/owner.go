package fence

import (
	"errors"
	"time"

	"parley/domain"
)

// phase is what an Owner is about. Whether it owns is another question: an owner that claims anew, to settle a batch, owns meanwhile.
type phase uint8

const (
	following phase = iota // reads; claims at the end of the log when the ring wants it
	claiming               // has sent a claim and reads up to it
	owning                 // idle, or with an open batch
	halted
)

// Owner is one node's part in the ownership of one partition, for the life of the process: it follows, claims, owns, and is deposed.
// Time is what the caller says it is (any monotonic duration); it decides when to try, never what is true.
type Owner struct {
	cfg   Config
	phase phase
	owns  bool
	err   *HaltError

	// What was read.
	read      Reader
	atEnd     bool  // nothing was left to read, when last seen
	follow    pause // until an idle owner reads again
	readAgain pause // after a failed read
	readFails int

	// What is under way.
	lastID ActionID
	way    ActionID // 0: nothing
	wayDo  Do

	// The ring and the claim.
	ring    Ring
	atOnce  bool   // without waiting for that
	named   pause  // until the ring has named the node for long enough
	claim   []byte // the last one sent, whole
	meter   pause  // until the next claim
	claims  int    // since a batch was last Acked
	term    domain.Term
	first   domain.Index // of the term
	batches BatchID
	open    *batch // nil: none
}

// NewOwner returns an Owner that has read up to from: the checkpoint, else the zero Reader. Never an anchor.
func NewOwner(from Reader, cfg Config) *Owner {
	from.omit = cfg.omit
	return &Owner{cfg: cfg.withDefaults(), read: from}
}

// Position returns where the reader rule stands: behind the last record that was read or Acked.
func (o *Owner) Position() Reader { return o.read }

// Owns tells whether the last of Owned, Deposed and Halted was Owned.
func (o *Owner) Owns() bool { return o.owns }

// Err returns why the Owner halted, or nil.
func (o *Owner) Err() *HaltError { return o.err }

// Idle tells whether Propose would take a batch.
func (o *Owner) Idle() bool {
	return o.phase == owning && o.open == nil
}

// Next returns the action wanted now. While a read or an append is under way it is a rest.
// Call it after every event, and when a rest's Wait has passed.
func (o *Owner) Next(now time.Duration) Action {
	switch {
	case o.phase == halted || o.way != 0:
		return Action{Do: DoRest}
	case o.phase != owning:
		return o.seek(now)
	case o.open != nil:
		return o.settle(now)
	case !o.omits(followsTail):
		return o.tail(now)
	default:
		return Action{Do: DoRest}
	}
}

// tail reads on for an idle owner, so that it learns of its deposition.
func (o *Owner) tail(now time.Duration) Action {
	if left := o.follow.left(now); left > 0 && o.atEnd {
		return Action{Do: DoRest, Wait: left}
	}
	return o.startRead(now, 0)
}

// seek reads to the end, and there claims when it may.
func (o *Owner) seek(now time.Duration) Action {
	if !o.atEnd {
		return o.startRead(now, 0)
	}
	left, wanted := o.claimIn(now)
	switch {
	case !wanted:
		return o.startRead(now, o.cfg.Poll)
	case left == 0:
		return o.startClaim(now)
	default:
		return o.startRead(now, min(left, o.cfg.Poll))
	}
}

func (o *Owner) startRead(now, wait time.Duration) Action {
	if left := o.readAgain.left(now); left > 0 {
		return Action{Do: DoRest, Wait: left}
	}
	return o.start(Action{Do: DoRead, From: o.read.Next, Wait: wait})
}

func (o *Owner) start(a Action) Action {
	o.lastID++
	a.ID = o.lastID
	o.way, o.wayDo = a.ID, a.Do
	return a
}

// giveUpRead forgets a read that is under way, when there is something better to do. Its answer will be ignored.
func (o *Owner) giveUpRead() {
	if o.wayDo == DoRead {
		o.way = 0
	}
}

// OnReadFailed reports a read that failed. domain.ErrTruncated in its chain halts; after any other error it is tried again.
func (o *Owner) OnReadFailed(now time.Duration, id ActionID, err error) []Effect {
	if o.way != id || o.wayDo != DoRead {
		return nil
	}
	o.way = 0
	if errors.Is(err, domain.ErrTruncated) {
		return o.halt(nil, &HaltError{o.read.Next, Truncated, err})
	}
	o.readAgain = pause{now, o.cfg.backoff(o.readFails)}
	o.readFails++
	return nil
}

func (o *Owner) halt(effects []Effect, err *HaltError) []Effect {
	o.phase, o.owns, o.err, o.way = halted, false, err, 0
	return append(effects, Halted{err})
}

func (o *Owner) omits(r rule) bool { return o.cfg.omit.has(r) }
