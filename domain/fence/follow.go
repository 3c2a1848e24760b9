package fence

import (
	"bytes"
	"errors"
	"time"

	"parley/domain"
)

var (
	errLowEnd      = errors.New("the log ends below what was read")
	errTwoContents = errors.New("another content stands under the number of an own commit")
)

// OnRead reports the records that a read returned, in order (none: nothing came within the wait), and the log's end (the offset after its
// last record) as the log knew it. The end must be one that the log does not take back: one below what this Owner has read halts.
// Records are kept by the effects: they must not be changed afterwards.
func (o *Owner) OnRead(now time.Duration, id ActionID, records []domain.LogRecord, end domain.Offset) []Effect {
	if o.way != id || o.wayDo != DoRead {
		return nil
	}
	o.way, o.readFails = 0, 0
	if end < o.read.Next && !o.omits(lowerEndHalts) {
		return o.halt(nil, &HaltError{end, Truncated, errLowEnd})
	}
	var effects []Effect
	for i := range records {
		effects = o.take(now, effects, &records[i])
		if o.phase == halted {
			return effects
		}
	}
	o.atEnd = o.read.Next >= end
	o.follow = pause{now, o.cfg.Follow}
	if o.atEnd && o.phase == owning && o.open != nil && o.omits(endProvesNothing) {
		effects = o.void(effects, 0)
	}
	return effects
}

// take applies the reader rule to the next record and says what follows from it.
func (o *Owner) take(now time.Duration, effects []Effect, rec *domain.LogRecord) []Effect {
	verdict, err := o.read.Read(rec.Offset, rec.Value)
	if err != nil {
		var halt *HaltError
		errors.As(err, &halt)
		return o.halt(effects, halt)
	}
	switch verdict {
	case Accepted:
		return o.takeCommit(effects, rec)
	case Claimed:
		return o.takeClaim(now, effects, rec)
	case Void:
		if o.omits(claimNotVoid) && o.isOwnClaim(rec.Value) {
			return o.won(effects, o.read.Term)
		}
	case Repeat:
	}
	return effects
}

// takeCommit sorts an accepted commit: it is of the open batch, or it is news. (term, index) names one content, unless the log lost a claim
// and two nodes own one term: that shows here.
func (o *Owner) takeCommit(effects []Effect, rec *domain.LogRecord) []Effect {
	h, _ := ParseHeader(rec.Value)
	if b := o.open; b != nil && h.Term == b.send.Term && h.Index >= b.first() && h.Index <= b.last() && !o.omits(claimSettles) {
		i := int(h.Index - b.first())
		if !bytes.Equal(rec.Value, b.records[i].Value) && !o.omits(sameBatchAgain) {
			return o.halt(effects, &HaltError{rec.Offset, Damaged, errTwoContents})
		}
		b.place(i, rec.Offset)
		if h.Index == b.last() {
			return o.acked(effects)
		}
		return effects
	}
	found := Record{Offset: rec.Offset, Key: rec.Key, Value: rec.Value, Header: h, After: o.read}
	if n := len(effects); n > 0 {
		if news, ok := effects[n-1].(CommitsRead); ok {
			effects[n-1] = CommitsRead{append(news.Records, found)}
			return effects
		}
	}
	return append(effects, CommitsRead{[]Record{found}})
}

// takeClaim ends a term. The log writes a batch whole or not at all: a claim in the middle of one means that it does not.
func (o *Owner) takeClaim(now time.Duration, effects []Effect, rec *domain.LogRecord) []Effect {
	if b := o.open; b != nil && o.read.Index >= b.first() && !o.omits(claimSettles) {
		return o.halt(effects, &HaltError{rec.Offset, Torn, nil})
	}
	if o.isOwnClaim(rec.Value) {
		return o.won(effects, o.read.Term)
	}
	return o.lost(now, effects, o.read.Term)
}
