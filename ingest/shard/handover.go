package shard

import (
	"slices"
	"time"

	"parley/domain"
)

// HandOver makes the shard stop so that another node can go on. What it has sent to the log it settles; what it has not decided, and what comes
// while it stops, it gives to elsewhere in the order in which it came, from its own goroutine. settled is closed when that is done: from then
// on it decides nothing and calls elsewhere no more. Rows are flushed afterwards, until Run returns. Call it once.
func (s *Shard) HandOver(elsewhere func(domain.Request)) (settled <-chan struct{}) {
	s.leave <- elsewhere // has room for it
	return s.settled
}

// Owns tells whether the shard is the partition's owner, as far as it knows.
func (s *Shard) Owns() bool { return s.serving.Load() }

// Uncertain tells, when the shard has settled, whether what it has handed over, or what came meanwhile, may have been sent behind a command whose outcome
// was left unknown, before the sender knew that. The sender submits that command again: what came after it must not be decided before.
func (s *Shard) Uncertain() bool { return s.uncertain.Load() }

// dismiss answers what is not decided, or gives it to whoever takes it over.
func (s *Shard) dismiss() {
	if s.elsewhere == nil {
		s.failUndecided(errStopping)
		return
	}
	heard := s.unknownAt.Add(s.set.Hearing)
	if time.Now().Before(heard) {
		s.uncertain.Store(true)
	}
	for _, p := range s.undecided() {
		s.mail.decided(1)
		if p.at.Before(heard) {
			s.uncertain.Store(true)
		}
		if !p.answered {
			p.answered = true
			s.metrics.handedOver.Inc()
			p.req.Deadline = p.deadline // it goes on there
			s.elsewhere(p.req)
		}
	}
}

// undecided takes all commands that are not decided out, those of each stream in order.
func (s *Shard) undecided() (all []*pending) {
	for st := range s.waits {
		all = append(all, st.waiting...) // they came before those of the queue
		st.waiting = nil
		delete(s.waits, st)
		s.cache.forget(st)
	}
	for s.queue.len() > 0 {
		all = append(all, s.queue.pop())
	}
	return slices.Clip(all)
}

// noteSettled closes settled when nothing is left that could still be in the log because of this shard.
func (s *Shard) noteSettled() {
	if s.forming.len() == 0 && s.flight.len() == 0 {
		s.settledOnce.Do(func() { close(s.settled) })
	}
}
