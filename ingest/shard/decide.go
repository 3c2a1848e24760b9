package shard

import (
	"errors"
	"strings"
	"time"

	"parley/domain"
	"parley/schemas/event"
)

// Refusals of the shard itself.
var (
	errStopping    = domain.Refuse(domain.Stopping, "the node stops")
	errMailboxFull = domain.Refuse(domain.Busy, "mailbox full")
	errReadsFull   = domain.Refuse(domain.Busy, "too many reads")
	errTailFull    = domain.Refuse(domain.Busy, "tail full")
	errExpired     = domain.Refuse(domain.Busy, "waited too long")
	errHaltedBusy  = domain.Refuse(domain.Busy, "partition halted")
	errMoved       = domain.Refuse(domain.Unknown, "moved")
	errUnanswered  = domain.Refuse(domain.Unknown, "the log does not answer")
	errCommitSize  = domain.Refuse(domain.TooLarge, "commit too large")
	errStreamName  = domain.Refuse(domain.BadRequest, "malformed stream")
	errPartName    = domain.Refuse(domain.BadRequest, "zero byte in a name")
	errKind        = domain.Refuse(domain.Unsupported, "no such kind of stream here")
	errBroken      = domain.Refuse(domain.Internal, "broken row")
)

// view is what Decide sees of a stream: the speculative versions.
type view struct{ s *stream }

// Head implements domain.View.
func (v *view) Head() domain.HeadRow {
	if v.s.head == nil || v.s.head.spec.row == nil {
		return nil
	}
	return v.s.head.spec.row.(domain.HeadRow)
}

// Part implements domain.View.
func (v *view) Part(id domain.PartID) domain.Row {
	if r := v.s.row(id); r != nil {
		return r.spec.row
	}
	return nil
}

// canDecide tells whether another commit has room.
func (s *Shard) canDecide() bool {
	return s.owned && s.halted == nil && s.forming.len() < s.set.BatchCommits && len(s.forming.buf) < s.set.BatchBytes
}

// decideAll decides what can be decided now: first the streams whose rows have come, then what came next.
func (s *Shard) decideAll() {
	for s.canDecide() {
		switch {
		case len(s.ready) > 0:
			st := s.ready[0]
			s.ready[0] = nil
			s.ready = s.ready[1:]
			st.ready = false
			s.resume(st)
		case s.queue.len() > 0:
			s.decide(s.queue.pop())
		default:
			return
		}
	}
}

// resume goes on with a stream's waiting commands until one has to wait again.
func (s *Shard) resume(st *stream) {
	for len(st.waiting) > 0 {
		if !s.canDecide() {
			s.markReady(st)
			return
		}
		if !s.tryDecide(st.waiting[0]) {
			return
		}
		st.waiting[0] = nil
		st.waiting = st.waiting[1:]
	}
	st.waiting = nil
	delete(s.waits, st)
	s.cache.forget(st)
}

func (s *Shard) markReady(st *stream) {
	if !st.ready {
		st.ready = true
		s.ready = append(s.ready, st)
	}
}

// decide takes the next command: it is decided, or waits for rows behind the others of its stream.
func (s *Shard) decide(p *pending) {
	if p.stream == nil || s.cache.get(p.stream.id) != p.stream {
		st, err := s.streamOf(p.req.Stream)
		if err != nil {
			s.refuse(p, err)
			return
		}
		p.stream = st
	}
	if len(p.stream.waiting) == 0 && s.tryDecide(p) {
		s.cache.forget(p.stream)
		return
	}
	p.stream.waiting = append(p.stream.waiting, p)
	s.waits[p.stream] = struct{}{}
}

// streamOf returns the stream, making it when nothing is known of it.
func (s *Shard) streamOf(id domain.StreamID) (*stream, *domain.Error) {
	if st := s.cache.get(id); st != nil {
		return st, nil
	}
	parsed, ok := id.Parse()
	if !ok || strings.IndexByte(string(id), 0) >= 0 {
		return nil, errStreamName
	}
	rules := s.cfg.Rules(parsed.Kind)
	if rules == nil {
		return nil, errKind
	}
	st := &stream{id: id, key: []byte(id), parsed: parsed, rules: rules}
	s.cache.addStream(st)
	return st, nil
}

// tryDecide decides a command when all its rows are there. If not it asks for them and returns false.
func (s *Shard) tryDecide(p *pending) bool {
	st := p.stream
	if s.tailFull() {
		s.refuse(p, errTailFull)
		return true
	}
	s.needs = st.rules.Needs(append(s.needs[:0], domain.PartHead), st.parsed, p.req.Command)
	if there, err := s.loaded(st, s.needs); err != nil {
		s.refuse(p, err)
		return true
	} else if !there {
		return false
	}
	s.view.s = st
	now := s.cfg.Now()
	d, err := st.rules.Decide(st.parsed, &s.view, p.req.Command, now)
	if err != nil || len(d.Bodies) == 0 {
		s.rest(p, domain.Result{Err: err, Seq: d.Seq, T: d.T, Repeat: d.Repeat})
		return true
	}
	return s.commit(p, d, now)
}

// commit gives the decision its seqs and ids, puts it into the batch that forms, and applies it to the speculative rows.
func (s *Shard) commit(p *pending, d domain.Decision, now time.Time) bool {
	st := p.stream
	head := domain.Seq(0)
	if h := s.view.Head(); h != nil {
		head = h.LastSeq()
	}
	events := domain.Stamp(d.Bodies, head, now, s.lastT, s.cfg.Partition)
	there, floor, err := s.touched(st, events)
	switch {
	case err != nil:
		s.refuse(p, err)
		return true
	case !there:
		return false
	case floor >= events[0].T:
		events = domain.Stamp(d.Bodies, head, now, floor, s.cfg.Partition)
	}
	c := &domain.Commit{Stream: st.id, Events: events}
	b := s.forming
	at := len(b.buf)
	b.buf = event.AppendCommit(b.buf, event.Header{Term: 1}, c)
	size := len(b.buf) - at
	if size > s.set.CommitBytes {
		b.buf = b.buf[:at]
		s.refuse(p, errCommitSize)
		return true
	}
	if b.len() == 0 {
		b.began, b.first = time.Now(), s.nextIndex
	}
	b.entries = append(b.entries, &entry{stream: st, commit: c, bytes: size})
	b.ends = append(b.ends, len(b.buf))
	s.apply(b, st, events)
	st.spec = s.nextIndex
	s.nextIndex++
	s.lastT = c.LastT()
	s.mail.decided(1)
	s.metrics.decided.Observe(time.Since(p.at).Seconds())
	b.waiters = append(b.waiters, waiter{p: p, result: firstEntry(d, events), commit: b.len() - 1})
	return true
}

// firstEntry is what the sender of a new commit is told: the first entry, or the first event when there is none.
func firstEntry(d domain.Decision, events []domain.Event) domain.Result {
	for i := range events {
		if events[i].Seq != 0 {
			return domain.Result{Seq: events[i].Seq, T: events[i].T, Repeat: d.Repeat}
		}
	}
	return domain.Result{T: events[0].T, Repeat: d.Repeat}
}

// touch is a row that an event changes.
type touch struct {
	row   *row
	event int
}

// touched tells whether all rows that the events change are loaded, and the highest asof among them. It notes them in touching.
func (s *Shard) touched(st *stream, events []domain.Event) (there bool, floor domain.T, err *domain.Error) {
	floor = s.lastT
	s.touching = s.touching[:0]
	for i := range events {
		s.touches = st.rules.Touches(s.touches[:0], st.parsed, &events[i])
		if there, err := s.loaded(st, s.touches); err != nil || !there {
			return false, 0, err
		}
		for _, id := range s.touches {
			r := st.row(id)
			floor = max(floor, r.spec.asof)
			s.touching = append(s.touching, touch{r, i})
		}
	}
	return true, floor, nil
}

// apply makes the speculative versions of the rows that touched has noted.
func (s *Shard) apply(b *batch, st *stream, events []domain.Event) {
	from := len(b.changes)
	for _, t := range s.touching {
		ev, r := &events[t.event], t.row
		if ev.T <= r.spec.asof {
			continue
		}
		r.spec = &version{row: st.rules.Evolve(st.parsed, r.part, r.spec.row, ev), asof: ev.T}
		b.changes = append(b.changes, change{r, r.spec})
	}
	b.upto = append(b.upto, len(b.changes))
	e := b.entries[len(b.entries)-1]
	e.rows = make([]*row, 0, len(b.changes)-from)
	for _, c := range b.changes[from:] {
		if n := len(e.rows); n == 0 || e.rows[n-1] != c.row {
			e.rows = append(e.rows, c.row)
		}
	}
}

// rest answers a command that made no commit, when the commits that its answer rests on are acknowledged.
func (s *Shard) rest(p *pending, r domain.Result) {
	s.mail.decided(1)
	w := waiter{p: p, result: r, commit: -1}
	switch at := p.stream.spec; {
	case s.forming.len() > 0 && at >= s.forming.first:
		s.forming.waiters = append(s.forming.waiters, w)
	case s.flight.len() > 0 && at >= s.flight.first:
		s.flight.waiters = append(s.flight.waiters, w)
	default:
		s.settle(w)
	}
}

// settle answers a command whose batch, if any, is acknowledged.
func (s *Shard) settle(w waiter) {
	w.result.Position = w.p.stream.last
	if w.result.Position.Index == 0 {
		w.result.Position = s.flushedAt
	}
	s.answer(w.p, w.result)
}

// refuse answers an undecided command at once.
func (s *Shard) refuse(p *pending, err *domain.Error) {
	s.mail.decided(1)
	s.answer(p, domain.Result{Err: err})
}

// answer tells the sender, once.
func (s *Shard) answer(p *pending, r domain.Result) {
	if p.answered {
		return
	}
	p.answered = true
	if errors.Is(r.Err, errExpired) || domain.CodeOf(r.Err) == domain.Unknown { // of a node that stalled neither is waited for: both are submitted again elsewhere
		s.unknownAt = time.Now()
		if s.elsewhere != nil {
			s.uncertain.Store(true)
		}
	}
	s.metrics.answered(p, r)
	p.req.Done(r)
}
