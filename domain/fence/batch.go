package fence

import (
	"errors"
	"slices"
	"time"

	"parley/domain"
)

// ErrNotIdle is returned by Propose when the Owner cannot take a batch now.
var ErrNotIdle = errors.New("fence: not an idle owner")

// ErrBatch is returned by Propose for a batch that is empty, lacks keys, or has a value without room for a header.
var ErrBatch = errors.New("fence: malformed batch")

// batch is the open batch: proposed, and neither Acked nor void. Its content never changes.
type batch struct {
	id      BatchID
	send    domain.Batch
	records []Record // offsets are filled in when they are known
	sends   int
	again   pause // before it is sent again
	closed  bool  // not to be sent again: the log must tell
}

func (b *batch) first() domain.Index { return b.records[0].Header.Index }
func (b *batch) last() domain.Index  { return b.records[len(b.records)-1].Header.Index }

// Propose hands over the next batch: one key per value, each value with HeaderSize bytes at its start, into which Propose writes the
// term, the index and prev. From then on keys and values belong to the Owner until the batch is Acked or void, and never change.
// A read that is under way is given up for it. Exactly one of Acked and BatchVoid follows, unless the Owner halts.
func (o *Owner) Propose(keys, values [][]byte) (BatchID, error) {
	if !o.Idle() {
		return 0, ErrNotIdle
	}
	short := func(v []byte) bool { return len(v) < HeaderSize }
	if len(values) == 0 || len(keys) != len(values) || slices.ContainsFunc(values, short) {
		return 0, ErrBatch
	}
	o.giveUpRead()
	o.batches++
	o.open = o.stamp(keys, values)
	return o.open.id, nil
}

// stamp writes the headers. The running checksum stands still while a batch is open, so it is known for every record.
func (o *Owner) stamp(keys, values [][]byte) *batch {
	b := &batch{id: o.batches, records: make([]Record, len(values))}
	b.send = domain.Batch{Keys: keys, Values: values, Term: o.term, Sequence: uint64(o.read.Index + 1 - o.first)}
	at := o.read
	at.Term = o.term
	for i, v := range values {
		h := Header{Term: o.term, Index: at.Index + 1, Prev: at.Prev}
		PutHeader(v, h)
		at.Index, at.Prev = h.Index, Checksum(at.Prev, v)
		b.records[i] = Record{Key: keys[i], Value: v, Header: h, After: at}
	}
	return b
}

// settle does what an open batch needs: to be sent, to be sent again, or to be looked for.
func (o *Owner) settle(now time.Duration) Action {
	b := o.open
	switch {
	case b.closed:
		return o.seek(now)
	case b.sends == 0:
		return o.startAppend()
	case o.ring == NotNamed && !o.omits(onlyWhenNamed):
		return o.startRead(now, o.cfg.Poll)
	}
	if left := b.again.left(now); left > 0 {
		return o.startRead(now, min(left, o.cfg.Poll))
	}
	return o.startAppend()
}

func (o *Owner) startAppend() Action {
	b := o.open
	b.sends++
	if b.sends > 1 && o.omits(sameBatchAgain) {
		b.send.Values = othersInstead(b.send.Values)
	}
	return o.start(Action{Do: DoAppend, Expected: o.read.Next, Batch: b.send})
}

// OnAppend reports how an append ended; base counts only when it Landed.
func (o *Owner) OnAppend(now time.Duration, id ActionID, outcome Outcome, base domain.Offset) []Effect {
	if o.way == 0 || o.wayDo != DoAppend || o.way != id && !o.omits(oldAnswersIgnored) {
		return nil
	}
	o.way, o.atEnd = 0, false
	if outcome == Landed && base < o.read.Next && !o.omits(lowerBaseHalts) {
		return o.halt(nil, &HaltError{base, Truncated, errLowBase})
	}
	if o.phase == claiming {
		return o.claimAnswered(outcome, base)
	}
	b := o.open
	switch outcome {
	case Landed:
		if base <= o.read.Next && o.read.Index < b.first() || o.omits(gapIsRead) {
			return o.landed(now, base)
		}
		b.closed = true // somebody wrote in between, or a part has been read: what is where, is found by reading
	case Refused:
		b.closed = !o.omits(refusedClaims)
	case Unknown:
		if o.omits(unknownIsNotNo) {
			return o.void(nil, 0)
		}
		if o.omits(unknownIsNotYes) {
			return o.landed(now, o.read.Next)
		}
		b.closed = b.sends >= o.cfg.Sends && !o.omits(refusedClaims)
	}
	b.again = pause{now, o.cfg.backoff(b.sends - 1)}
	return nil
}

var errLowBase = errors.New("an append landed below what was read")

// claimAnswered changes nothing: a claim is owned where it is read, wherever the answer says it is.
func (o *Owner) claimAnswered(outcome Outcome, base domain.Offset) []Effect {
	if outcome != Landed || !o.omits(claimReadBack) {
		return nil
	}
	o.read.Next, o.read.Term = base+1, o.read.Term+1
	return o.won(nil, o.read.Term)
}

// landed acknowledges the open batch at the place where reading stands: nobody wrote in between.
func (o *Owner) landed(now time.Duration, base domain.Offset) []Effect {
	for i := range o.open.records {
		o.open.place(i, base+domain.Offset(i))
	}
	o.read = o.open.records[len(o.open.records)-1].After
	o.atEnd, o.follow = true, pause{now, o.cfg.Follow}
	return o.acked(nil)
}

func (b *batch) place(i int, at domain.Offset) {
	b.records[i].Offset, b.records[i].After.Next = at, at+1
}

func (o *Owner) acked(effects []Effect) []Effect {
	b := o.open
	o.open, o.claims = nil, 0
	return append(effects, Acked{Batch: b.id, Records: b.records})
}

// void gives the open batch up, which another's claim of a term has made void, or with 0 what this node read.
func (o *Owner) void(effects []Effect, by domain.Term) []Effect {
	b := o.open
	o.open = nil
	if o.omits(claimSettlesVoid) {
		return append(effects, Acked{Batch: b.id, Records: b.records})
	}
	return append(effects, BatchVoid{Batch: b.id, By: by})
}

// othersInstead is what a decider would do that forgot what it had sent: other content under the same numbers.
func othersInstead(values [][]byte) [][]byte {
	others := make([][]byte, len(values))
	for i, v := range values {
		others[i] = append(slices.Clone(v[:HeaderSize]), values[len(values)-1-i][HeaderSize:]...)
		if len(values) == 1 {
			others[i] = others[i][:HeaderSize]
		}
	}
	return others
}
