package shard

import (
	"fmt"
	"slices"
	"time"

	"parley/domain"
	"parley/domain/fence"
	"parley/schemas/event"
)

// obey does what the fence's effects mean, in order.
func (s *Shard) obey(effects []fence.Effect) {
	for _, e := range effects {
		if s.halted != nil {
			return
		}
		switch e := e.(type) {
		case fence.CommitsRead:
			s.onRead(e.Records)
		case fence.Owned:
			s.onOwned(e)
		case fence.Acked:
			s.onAcked(e)
		case fence.BatchVoid:
			s.onVoid(e.By != 0)
		case fence.Deposed:
			s.onDeposed(e)
		case fence.Halted:
			s.halt(e.Err)
		}
	}
}

// onRead takes in commits that this owner did not write. There is nothing speculative that they could contradict: what was decided on
// the state before them goes back into the queue.
func (s *Shard) onRead(records []fence.Record) {
	s.redecide()
	accepted := make([]domain.Accepted, 0, len(records))
	for i := range records {
		a, err := s.replay(&records[i])
		if err != nil {
			s.halt(err)
			break
		}
		accepted = append(accepted, a)
	}
	if n := len(accepted); n > 0 {
		s.metrics.read.Add(float64(n))
		s.publish(accepted)
	}
}

// replay applies a commit that was read to the tail and to the rows in memory.
func (s *Shard) replay(rec *fence.Record) (domain.Accepted, error) {
	r, err := event.DecodeRecord(rec.Value)
	if err != nil {
		return domain.Accepted{}, fmt.Errorf("offset %d: %w", rec.Offset, err)
	}
	if r.Commit == nil || len(r.Commit.Events) == 0 {
		return domain.Accepted{}, fmt.Errorf("offset %d: a record that this version cannot apply", rec.Offset)
	}
	st, refused := s.streamOf(r.Commit.Stream)
	if refused != nil {
		return domain.Accepted{}, fmt.Errorf("offset %d: %w", rec.Offset, refused)
	}
	e := &entry{stream: st, commit: r.Commit, after: rec.After, bytes: len(rec.Value)}
	s.tail.add(e)
	s.refresh(st, e.commit)
	a := domain.Accepted{Position: s.positionOf(rec), Commit: e.commit}
	st.last, st.spec = a.Position, a.Index
	s.lastT, s.ackedT = max(s.lastT, e.commit.LastT()), max(s.ackedT, e.commit.LastT())
	return a, nil
}

// refresh brings the rows in memory up to a commit that was read.
func (s *Shard) refresh(st *stream, c *domain.Commit) {
	for i := range c.Events {
		ev := &c.Events[i]
		s.touches = st.rules.Touches(s.touches[:0], st.parsed, ev)
		for _, id := range s.touches {
			r := st.row(id)
			if r == nil || ev.T <= r.spec.asof {
				continue
			}
			r.spec = &version{row: st.rules.Evolve(st.parsed, id, r.spec.row, ev), asof: ev.T}
			r.acked.Store(r.spec)
		}
	}
}

func (s *Shard) positionOf(rec *fence.Record) domain.Position {
	return domain.Position{
		Partition: s.cfg.Partition, Offset: rec.Offset, Term: rec.Header.Term, Index: rec.Header.Index, Prev: rec.After.Prev,
	}
}

// publish hands accepted commits to the feed once the partition has been owned, and notes where we are.
func (s *Shard) publish(accepted []domain.Accepted) {
	last := &accepted[len(accepted)-1]
	s.at.Store(&Place{last.Position, last.Commit.LastT()})
	if s.everOwned {
		s.cfg.Feed.Publish(accepted)
	}
}

// onOwned starts a term: what was decided and not acknowledged has the wrong index, and is decided again.
func (s *Shard) onOwned(e fence.Owned) {
	s.redecide()
	s.owned, s.everOwned = true, true
	s.serving.Store(true)
	s.nextIndex = e.First
	s.appendErr = nil // the claim is in, whatever its append answered
	s.metrics.claims.Inc()
	s.metrics.owned.Set(1)
	s.log.Info("partition owned", "term", uint64(e.Term), "index", uint64(e.First), "tail", s.tail.len())
	s.setReady()
}

// onAcked makes the batch's versions visible, tells the feed, and then those who wait.
func (s *Shard) onAcked(e fence.Acked) {
	b := s.flight
	now := time.Now()
	s.metrics.acked(b, now)
	accepted := make([]domain.Accepted, b.len())
	from := 0
	for i := range e.Records {
		en := b.entries[i]
		for _, c := range b.changes[from:b.upto[i]] {
			c.row.acked.Store(c.v)
		}
		from = b.upto[i]
		en.after = e.Records[i].After
		s.tail.add(en)
		accepted[i] = domain.Accepted{Position: s.positionOf(&e.Records[i]), Commit: en.commit}
		en.stream.last = accepted[i].Position
		s.ackedT = en.commit.LastT()
	}
	s.publish(accepted)
	for _, w := range b.waiters {
		if w.commit < 0 {
			s.settle(w)
			continue
		}
		w.result.Position = accepted[w.commit].Position
		s.answer(w.p, w.result)
	}
	s.lastBatch = b.len()
	b.reset(b.tries == 1)
	s.appendWorks()
}

// onVoid gives up the batch in flight, which will never be in. Its commands are decided again, before those that were decided after them: else
// a sender's later messages would overtake earlier ones. A command whose batch is void for the second time without another's claim moved, and all of
// its stream that came after it with it: the batch may be what the log refuses.
func (s *Shard) onVoid(deposed bool) {
	s.redecide()
	s.flight.drop()
	again := make([]*pending, 0, len(s.flight.waiters))
	moved := make(map[domain.StreamID]bool)
	for _, w := range s.flight.waiters {
		if !deposed && w.p.voided || moved[w.p.req.Stream] {
			moved[w.p.req.Stream] = true
			s.answer(w.p, domain.Result{Err: errMoved})
			continue
		}
		w.p.voided = w.p.voided || !deposed
		again = append(again, w.p)
	}
	s.putBack(again)
	s.flight.reset(false)
	if len(moved) > 0 {
		s.receive(time.Now())
		s.failStreams(moved, errMoved)
	}
}

// failStreams answers the undecided commands of some streams.
func (s *Shard) failStreams(streams map[domain.StreamID]bool, err *domain.Error) {
	keep := func(p *pending) bool {
		if !streams[p.req.Stream] {
			return true
		}
		s.refuse(p, err)
		return false
	}
	s.queue.filter(keep)
	for st := range s.waits {
		if !streams[st.id] {
			continue
		}
		for _, p := range st.waiting {
			s.refuse(p, err)
		}
		st.waiting = nil
		delete(s.waits, st)
		s.cache.forget(st)
	}
}

// failFlight answers the commands of the batch in flight and forgets the batch.
func (s *Shard) failFlight(err *domain.Error) {
	for _, w := range s.flight.waiters {
		s.answer(w.p, domain.Result{Err: err})
	}
	s.flight.reset(false)
}

// redecide puts what was decided and not sent back to where it came from, in order. What was answered meanwhile with an unknown outcome goes with
// the rest: it may happen, and now is the last moment at which it does before what came after it.
func (s *Shard) redecide() {
	b := s.forming
	if b.len() == 0 {
		return
	}
	b.drop()
	// The commits in flight, if there are any, still stand below what is dropped.
	for _, c := range s.flight.changes {
		c.row.spec = c.v
	}
	for i, e := range s.flight.entries {
		e.stream.spec = s.flight.first + domain.Index(i)
	}
	s.nextIndex = b.first
	again := make([]*pending, 0, len(b.waiters))
	for _, w := range b.waiters {
		again = append(again, w.p)
	}
	s.putBack(again)
	b.reset(true)
}

// putBack puts decided commands back to where they came from, before all others there.
func (s *Shard) putBack(decided []*pending) {
	back := make([]*pending, 0, len(decided))
	for _, p := range slices.Backward(decided) {
		s.mail.decided(-1)
		if st := p.stream; len(st.waiting) > 0 {
			st.waiting = append([]*pending{p}, st.waiting...)
			continue
		}
		back = append(back, p)
	}
	slices.Reverse(back)
	s.queue.unshift(back)
}

// onDeposed ends the ownership. What is not decided waits in order, that of the void batch in front: for this shard to own again while the ring names its
// node, for the hand-over when it does not, or for its deadline. Nobody is told that an outcome is unknown: who was would submit the command again behind
// those that the sender had sent after it.
func (s *Shard) onDeposed(e fence.Deposed) {
	s.log.Warn("partition lost", "term", uint64(e.By))
	s.metrics.deposed.Inc()
	s.disown()
}

// disown stops deciding and drops what was decided and not acknowledged.
func (s *Shard) disown() {
	s.owned = false
	s.serving.Store(false)
	s.metrics.owned.Set(0)
	s.redecide()
	s.setReady()
}

// halt stops the partition until an operator resets it.
func (s *Shard) halt(err error) {
	s.log.Error("partition halted", "error", err)
	s.halted = err
	s.metrics.halted.Set(1)
	s.disown()
	s.flight.drop()
	s.failFlight(errMoved)
	s.failUndecided(errHaltedBusy)
}

// failUndecided answers every command that is not decided.
func (s *Shard) failUndecided(err *domain.Error) {
	for s.queue.len() > 0 {
		s.refuse(s.queue.pop(), err)
	}
	for st := range s.waits {
		for _, p := range st.waiting {
			s.refuse(p, err)
		}
		st.waiting = nil
		delete(s.waits, st)
		s.cache.forget(st)
	}
}
