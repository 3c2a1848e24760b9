package shard

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"parley/domain"
	"parley/domain/fence"
)

// Why a shard is not ready.
var (
	errTakingOver = errors.New("taking over")
	errStopped    = errors.New("stopped")
)

const (
	tickEvery = 100 * time.Millisecond // deadlines, the ring, gauges
	never     = time.Hour
)

// Run is the shard until ctx ends: it takes the partition over, decides, and at the end finishes the batch in hand and flushes. A partition
// that halts stays so, refusing everything, until ctx ends: the others go on.
func (s *Shard) Run(ctx context.Context) error {
	defer s.shut()
	io, cancel := context.WithCancel(context.WithoutCancel(ctx)) // outlives ctx, so that the stop can finish its work
	defer s.work.Wait()
	defer s.drain()
	defer cancel()
	if err := s.begin(ctx); err != nil {
		return nil // it was to stop before the checkpoint could be read: nothing was begun
	}
	if s.loop(ctx, io) {
		s.stop(io)
	}
	return nil
}

// begin reads the checkpoint, as often as it takes. Commands wait meanwhile, and are refused at their deadline. It fails when the shard is to stop.
func (s *Shard) begin(ctx context.Context) error {
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	results := make(chan error, 1)
	var c checkpoint
	try := func() {
		load, cancel := context.WithTimeout(ctx, s.set.LoadTimeout)
		defer cancel()
		var err error
		c, err = loadCheckpoint(load, s.cfg.Store, s.cfg.Partition)
		results <- err
	}
	s.work.Go(try)
	retry := time.NewTimer(never)
	defer retry.Stop()
	for fails := 1; ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case s.elsewhere = <-s.leave:
			return errStopped
		case <-tick.C:
			s.receive(time.Now())
			s.expire(time.Now())
		case <-retry.C:
			s.work.Go(try)
		case err := <-results:
			if err == nil {
				s.storeErr = nil
				s.beginAt(c)
				return nil
			}
			s.storeErr = err
			s.storeFailed("checkpoint", err)
			s.setReady()
			retry.Reset(s.backoff(fails))
			fails++
		}
	}
}

func (s *Shard) beginAt(c checkpoint) {
	cfg := s.set.Fence
	cfg.Claim = s.claim
	cfg.Jitter = rand.Uint64()
	s.owner = fence.NewOwner(c.Reader, cfg)
	s.start = time.Now()
	s.saved, s.lastT, s.ackedT = c, c.t, c.t
	s.flushedAt = position(s.cfg.Partition, c.Reader)
	s.at.Store(&Place{s.flushedAt, c.t})
	s.setReady()
}

func (s *Shard) elapsed() time.Duration { return time.Since(s.start) }

// loop is the shard's life. It returns true when there is something to finish.
func (s *Shard) loop(ctx, io context.Context) bool {
	tick, flush := time.NewTicker(tickEvery), time.NewTicker(s.set.FlushEvery)
	defer tick.Stop()
	defer flush.Stop()
	timer := time.NewTimer(never)
	defer timer.Stop()
	s.askRing()
	for {
		s.decideAll()
		wait := s.drive(io, false)
		s.startLoads(io, time.Now())
		if wait < never {
			timer.Reset(wait)
		}
		select {
		case <-ctx.Done():
			return true
		case s.elsewhere = <-s.leave:
			return true
		case <-s.mail.bell:
			s.receive(time.Now())
		case r := <-s.ioResults:
			s.onIO(r)
		case r := <-s.loadResults:
			s.onLoaded(r, time.Now())
		case f := <-s.flushResults:
			s.onFlushed(f, time.Now())
			if s.tail.len()-s.tail.flushed >= s.set.FlushRows {
				s.startFlush(io, time.Now())
			}
		case <-flush.C:
			s.startFlush(io, time.Now())
		case <-tick.C:
			s.onTick(time.Now())
		case <-timer.C:
		}
	}
}

// drive hands the batch over when it is time, starts what the fence wants, and returns how long the loop may sleep.
func (s *Shard) drive(io context.Context, hurry bool) time.Duration {
	if s.halted != nil {
		return never
	}
	wait := s.propose(hurry)
	if s.readingTooMuch() {
		return wait
	}
	act := s.owner.Next(s.elapsed())
	switch act.Do {
	case fence.DoRead:
		s.startRead(io, act)
	case fence.DoAppend:
		s.startAppend(io, act)
	case fence.DoRest:
		if act.Wait > 0 {
			wait = min(wait, act.Wait)
		}
	}
	return wait
}

// readingTooMuch holds the reading of a log back whose commits cannot be flushed as fast.
func (s *Shard) readingTooMuch() bool { return !s.owned && s.flight.len() == 0 && s.tailFull() }

// propose hands the batch that formed to the fence. After a small batch, or when stopping, at once; else it may grow for a moment.
func (s *Shard) propose(hurry bool) time.Duration {
	b := s.forming
	if b.len() == 0 || !s.owner.Idle() {
		return never
	}
	if !hurry && s.lastBatch > s.set.SmallBatch && b.len() < min(s.lastBatch, s.set.BatchCommits) && len(b.buf) < s.set.BatchBytes {
		if left := s.set.BatchWait - time.Since(b.began); left > 0 {
			return left
		}
	}
	s.cancelRead()
	s.reading = 0
	keys, values := b.records()
	id, err := s.owner.Propose(keys, values)
	if err != nil {
		s.halt(err)
		return never
	}
	b.id, b.sent = id, time.Now()
	s.forming, s.flight = s.flight, b
	return never
}

// receive takes what is in the mailbox.
func (s *Shard) receive(now time.Time) {
	s.inbox, s.asked = s.mail.take(s.inbox[:0], s.asked[:0])
	for _, p := range s.inbox {
		switch {
		case s.halted != nil:
			s.refuse(p, errHaltedBusy)
		case !now.Before(p.deadline):
			s.refuse(p, errExpired)
		default:
			s.queue.push(p)
		}
	}
	clear(s.inbox)
	s.receiveReads()
}

// receiveReads answers reads, or keeps them until the partition is owned.
func (s *Shard) receiveReads() {
	if s.halted != nil {
		for _, r := range append(s.held, s.asked...) {
			r.fail(errHaltedBusy)
		}
		s.held = nil
		clear(s.asked)
		return
	}
	if !s.owned {
		s.held = append(s.held, s.asked...)
		clear(s.asked)
		return
	}
	for _, r := range s.held {
		s.answerRead(r)
	}
	s.held = nil
	for _, r := range s.asked {
		s.answerRead(r)
	}
	clear(s.asked)
}

// onTick does what is done from time to time.
func (s *Shard) onTick(now time.Time) {
	s.askRing()
	s.expire(now)
	s.asked = s.asked[:0]
	s.receiveReads()
	s.setReady()
	m := s.metrics
	m.tail.Set(float64(s.tail.len()))
	s.tailCommits.Store(int64(s.tail.len()))
	m.tailBytes.Set(float64(s.tail.bytes))
	m.mailbox.Set(float64(s.mail.size()))
	m.rows.Set(float64(len(s.cache.clock)))
	m.lead.Set(max(0, s.lastT.Time().Sub(s.cfg.Now()).Seconds()))
}

func (s *Shard) askRing() {
	if ring := s.cfg.Ring(); ring != s.ring || s.elapsed() < tickEvery {
		s.ring = ring
		s.owner.OnRing(s.elapsed(), ring)
	}
}

// expire answers commands that have waited too long. What was sent may have happened; what was not decided has not, unless it was decided before
// and answered then: it keeps its place before what came after it.
func (s *Shard) expire(now time.Time) {
	fresh := func(p *pending) bool {
		if p.answered || now.Before(p.deadline) {
			return true
		}
		s.refuse(p, errExpired)
		return false
	}
	s.queue.filter(fresh)
	for st := range s.waits {
		if st.waiting = filter(st.waiting, fresh); len(st.waiting) == 0 {
			st.waiting = nil
			delete(s.waits, st)
			s.cache.forget(st)
		}
	}
	for _, b := range []*batch{s.flight, s.forming} {
		for _, w := range b.waiters {
			if !now.Before(w.p.deadline) {
				s.answer(w.p, domain.Result{Err: errUnanswered})
			}
		}
	}
	s.held = filterReads(s.held)
}

func filterReads(rs []*read) []*read {
	out := rs[:0]
	for _, r := range rs {
		if !r.gone.Load() {
			out = append(out, r)
		}
	}
	clear(rs[len(out):])
	return out
}

func (s *Shard) storeFailed(call string, err error) {
	s.metrics.storeFails.WithLabelValues(call).Inc()
	s.log.Warn("store does not answer", "call", call, "error", err)
}
