package fence

import (
	"bytes"
	"time"

	"parley/domain"
)

// OnRing reports what the ring says, at first and at every change. Saying the same again changes nothing.
func (o *Owner) OnRing(now time.Duration, ring Ring) {
	if ring == o.ring {
		return
	}
	if o.ring == NotNamed {
		o.named = pause{now, o.cfg.Settle}
	}
	o.ring, o.atOnce = ring, ring == NamedAtOnce
	o.giveUpRead() // a long wait at the end would delay the claim
}

// claimIn tells how long until the node may claim; wanted is false when the ring does not name it.
func (o *Owner) claimIn(now time.Duration) (left time.Duration, wanted bool) {
	if o.ring == NotNamed && !o.omits(onlyWhenNamed) {
		return 0, false
	}
	if !o.omits(claimsMetered) {
		left = o.meter.left(now)
	}
	if !o.atOnce && !o.omits(settledRing) {
		left = max(left, o.named.left(now))
	}
	return left, true
}

// startClaim sends a claim of the next term with a fresh nonce. Earlier claims without answer may still land: they are others' now.
func (o *Owner) startClaim(now time.Duration) Action {
	term := o.read.Term + 1
	if o.omits(termAboveAll) {
		term = max(1, o.read.Term)
	}
	o.claim = append(AppendHeader(nil, Header{Term: term}), o.cfg.Claim()...)
	o.phase = claiming
	o.meter = pause{now, o.cfg.backoff(o.claims)}
	o.claims++
	return o.start(Action{
		Do: DoAppend, Expected: o.read.Next,
		Batch: domain.Batch{Keys: [][]byte{nil}, Values: [][]byte{o.claim}, Plain: true},
	})
}

// isOwnClaim tells whether the record is the claim that this node waits for. All its bytes count, the nonce among them.
func (o *Owner) isOwnClaim(value []byte) bool {
	if o.phase != claiming {
		return false
	}
	if o.omits(ownNonce) {
		return bytes.Equal(value[:HeaderSize], o.claim[:HeaderSize])
	}
	return bytes.Equal(value, o.claim)
}

// won makes the node the owner: its claim was accepted, and everything before it has been read. A batch that was open and that the rule
// has not accepted by now never will be.
func (o *Owner) won(effects []Effect, term domain.Term) []Effect {
	if o.open != nil {
		effects = o.void(effects, 0)
	}
	o.phase, o.owns = owning, true
	o.term, o.first = term, o.read.Index+1
	return append(effects, Owned{Term: term, First: o.first})
}

// lost obeys the claim of another. One that has just lost a partition does not take it back at once, whatever the ring has said before.
func (o *Owner) lost(now time.Duration, effects []Effect, by domain.Term) []Effect {
	if o.phase == following || o.omits(stepsDown) && o.phase == owning || o.omits(claimNotVoid) && o.phase == claiming {
		return effects
	}
	if o.open != nil {
		effects = o.void(effects, by)
	}
	if o.owns {
		effects = append(effects, Deposed{By: by})
	}
	o.phase, o.owns = following, false
	o.named, o.atOnce = pause{now, o.cfg.Settle}, false
	return effects
}
