package shard

import (
	"context"
	cryptorand "crypto/rand"
	"encoding/binary"
	"errors"
	"time"

	"parley/domain"
	"parley/domain/fence"
	"parley/schemas/event"
)

// readBytes bounds one read of the log.
const readBytes = 1 << 20

// ioResult is what came of a read or an append.
type ioResult struct {
	id      fence.ActionID
	do      fence.Do
	err     error
	records []domain.LogRecord // of a read
	end     domain.Offset      // of the log, known before the read
	base    domain.Offset      // of an append
}

// claim makes the body of a claim, with a nonce that was never used before.
func (s *Shard) claim() []byte {
	var nonce [8]byte
	_, _ = cryptorand.Read(nonce[:]) // never fails
	return event.AppendClaim(nil, s.cfg.Node, binary.LittleEndian.Uint64(nonce[:]))
}

// startRead reads beside the loop. The log's end is asked for first, so that it is never above what the read can have seen.
func (s *Shard) startRead(io context.Context, act fence.Action) {
	ctx, cancel := context.WithTimeout(io, act.Wait+s.set.AppendTimeout)
	s.cancelRead, s.reading = cancel, act.ID
	s.work.Go(func() {
		defer cancel()
		r := ioResult{id: act.ID, do: act.Do}
		if _, r.end, r.err = s.cfg.Log.Bounds(ctx, s.cfg.Partition); r.err == nil {
			r.records, r.err = s.cfg.Log.Read(ctx, s.cfg.Partition, act.From, readBytes, act.Wait)
		}
		s.ioResults <- r
	})
}

// startAppend appends beside the loop.
func (s *Shard) startAppend(io context.Context, act fence.Action) {
	if !act.Batch.Plain {
		s.flight.tries++
	}
	ctx, cancel := context.WithTimeout(io, s.set.AppendTimeout)
	s.work.Go(func() {
		defer cancel()
		r := ioResult{id: act.ID, do: act.Do}
		r.base, r.err = s.cfg.Log.Append(ctx, s.cfg.Partition, act.Batch)
		s.ioResults <- r
	})
}

// onIO tells the fence what came of its action.
func (s *Shard) onIO(r ioResult) {
	if s.halted != nil {
		return
	}
	now := s.elapsed()
	switch {
	case r.do == fence.DoAppend && r.err != nil:
		s.metrics.appendFails.Inc()
		s.logFailed("append", &s.appendErr, r.err)
		s.obey(s.owner.OnAppend(now, r.id, failed(r.err), 0))
	case r.do == fence.DoAppend:
		s.appendWorks()
		s.obey(s.owner.OnAppend(now, r.id, fence.Landed, r.base))
	case r.err != nil:
		if r.id == s.reading {
			s.logFailed("read", &s.readErr, r.err)
		}
		s.obey(s.owner.OnReadFailed(now, r.id, r.err))
	default:
		s.readWorks()
		s.metrics.records.Add(float64(len(r.records)))
		s.obey(s.owner.OnRead(now, r.id, r.records, r.end))
	}
}

// failed is what an append that failed means to the fence. The same batch may be sent again, except where the log says that it never takes it.
func failed(err error) fence.Outcome {
	if errors.Is(err, domain.ErrRefused) {
		return fence.Refused
	}
	return fence.Unknown
}

// logFailed notes why the log does not work; the fence tries again.
func (s *Shard) logFailed(call string, was *error, err error) {
	if *was == nil {
		s.log.Warn("log does not answer", "call", call, "error", err)
	}
	*was = err
	s.setReady()
}

func (s *Shard) appendWorks() {
	if s.appendErr != nil {
		s.log.Info("log takes appends again")
	}
	if s.appendErr != nil || s.readErr != nil { // an owner may have no reason to read again for long
		s.appendErr, s.readErr = nil, nil
		s.setReady()
	}
}

func (s *Shard) readWorks() {
	if s.readErr != nil {
		s.readErr = nil
		s.setReady()
	}
}

// stop refuses what is not decided, finishes what is, and leaves the store as new as can be, all within StopTimeout.
func (s *Shard) stop(io context.Context) {
	s.mail.close()
	s.receive(time.Now())
	s.dismiss()
	s.stopReads()
	s.noteSettled()
	deadline := time.NewTimer(s.set.StopTimeout)
	defer deadline.Stop()
	timer := time.NewTimer(never)
	defer timer.Stop()
	for s.halted == nil && s.unfinished() {
		timer.Reset(min(s.drive(io, true), s.finishFlush(io)))
		s.startLoads(io, time.Now())
		select {
		case r := <-s.ioResults:
			s.onIO(r)
		case r := <-s.loadResults:
			s.onLoaded(r, time.Now())
		case f := <-s.flushResults:
			s.onFlushed(f, time.Now())
		case <-timer.C:
		case <-deadline.C:
			s.log.Warn("stopped before all was flushed", "tail", s.tail.len())
			return
		}
		s.dismiss() // what came back because of a new term
		s.noteSettled()
	}
}

// unfinished tells whether there is a batch to settle or a row to flush.
func (s *Shard) unfinished() bool {
	return s.flushing || s.forming.len() > 0 || s.flight.len() > 0 || s.tail.flushed < s.tail.len()
}

// finishFlush flushes when the last batch is in, and returns when to come back.
func (s *Shard) finishFlush(io context.Context) time.Duration {
	if s.forming.len() == 0 && s.flight.len() == 0 {
		s.startFlush(io, time.Now())
	}
	return s.set.RetryAfter
}

func (s *Shard) stopReads() {
	for _, r := range s.held {
		r.fail(errStopping)
	}
	s.held = nil
	for _, l := range s.loads {
		l.fail(errStopping)
	}
}

// shut answers all that is left. Run has ended: nothing changes any more.
func (s *Shard) shut() {
	s.mail.close()
	s.receive(time.Now())
	s.dismiss()
	s.stopReads()
	for _, b := range []*batch{s.flight, s.forming} {
		for _, w := range b.waiters {
			s.answer(w.p, domain.Result{Err: errUnanswered})
		}
	}
	s.cfg.Budget.add(-s.tail.bytes)
	s.serving.Store(false)
	s.owned = false
	s.metrics.gone()
	s.why.Store(&errStopped)
	s.settledOnce.Do(func() { close(s.settled) })
}

// drain lets the work beside the loop end: its results are nobody's.
func (s *Shard) drain() {
	done := make(chan struct{})
	go func() {
		s.work.Wait()
		close(done)
	}()
	for {
		select {
		case <-s.ioResults:
		case <-s.loadResults:
		case <-s.flushResults:
		case <-done:
			return
		}
	}
}
