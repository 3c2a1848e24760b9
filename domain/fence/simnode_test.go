package fence

import (
	"encoding/binary"
	"time"

	"parley/domain"
)

// shellRule names a rule of the toy shell as a bit of a set to leave out: what the fence needs of the code around it.
type shellRule uint32

const (
	answerAfterLog     shellRule = 1 << iota // an answer waits until its batch is Acked
	repeatWaits                              // a repeat's answer waits for the first one's batch
	unsentDropped                            // a new term drops what was decided and not sent
	speculativeDropped                       // a void batch drops the rows it changed
	ackedFlushed                             // only acknowledged rows are flushed
	rowsBeforePlace                          // the checkpoint waits for the rows
	inheritedFlushed                         // so it does for the rows of the tail inherited at take-over
	asofWins                                 // a row's older version never replaces a newer one in the store
	oldEventsSkipped                         // an event with t <= asof is skipped
	tAboveLast                               // t grows even when the clock goes back
	tailLoaded                               // a loaded row is the store's row and the tail
	checkpointed                             // a start goes on where the checkpoint stands, terms and all
)

func (r shellRule) has(x shellRule) bool { return r&x != 0 }

// simNode is a node with a toy shard around the real Owner: it decides, proposes, answers, keeps rows and a tail, and flushes.
type simNode struct {
	w          *simWorld
	id         int
	up         bool
	life       int
	frozen     time.Duration
	skew, wall time.Duration // of the two clocks
	doomed     bool          // it had read records that the log lost
	wake       int           // the last rest

	o       *Owner
	ring    Ring
	since   time.Duration // by the node's clock, when it was named
	claimed time.Duration // the last time
	claims  int           // since a batch was Acked

	tried [2]uint64 // term and index of the last batch sent

	rows    map[uint8]*simCell
	tail    []simTail
	lastT   uint64
	forming []simEvent
	sent    [][]byte
	open    BatchID // neither Acked nor void
	waiting map[uint16][]func(seq uint64)
	flush   *simFlush
}

// simCell is a row in memory: the version that is acknowledged, and the one that rests on what is not.
type simCell struct{ acked, spec *simRow }

type simTail struct {
	rec       Record
	ev        simEvent
	inherited bool
}

type simFlush struct {
	upTo simTail
	left int
}

func (n *simNode) now() time.Duration { return n.w.now + n.skew }

// in makes something happen at the node, unless it has died by then. A stalled node does it when it wakes.
func (n *simNode) in(d time.Duration, do func()) { n.inLife(n.life, d, do) }

// inLife is in for an answer: one to a question of an earlier life is lost, whatever lives there now.
func (n *simNode) inLife(life int, d time.Duration, do func()) {
	var deliver func()
	deliver = func() {
		switch {
		case n.life != life || !n.up:
		case n.frozen > n.w.now:
			n.w.at(n.frozen, deliver)
		default:
			n.w.steps++
			do()
			n.step()
			if n.w.steps == n.w.faults.crashAt {
				n.crash()
			}
		}
	}
	n.w.after(d, deliver)
}

func (n *simNode) start() {
	n.life++
	n.up, n.ring, n.claimed, n.claims = true, NotNamed, -time.Hour, 0
	n.rows, n.tail, n.forming, n.sent, n.open, n.flush = map[uint8]*simCell{}, nil, nil, nil, 0, nil
	n.waiting = map[uint16][]func(uint64){}
	place := n.w.store.place
	if n.w.shell.has(checkpointed) {
		place.Term = 0
	}
	n.lastT, n.doomed = n.w.store.t, n.w.storeDoomed
	n.o = NewOwner(place, Config{
		Claim: n.claimBody, Jitter: uint64(n.id), omit: n.w.omit,
		Settle: 60 * time.Millisecond, Follow: 15 * time.Millisecond, Poll: 20 * time.Millisecond, BackoffMin: 3 * time.Millisecond, BackoffMax: 40 * time.Millisecond, Sends: 3,
	})
	n.w.notef("node %d starts at %+v", n.id, plain(place))
	n.in(n.w.hop(), func() {
		if n.w.named == n.id {
			n.setRing([]Ring{Named, NamedAtOnce}[n.w.rnd.IntN(2)])
		}
	})
	n.in(n.w.upTo(30*time.Millisecond), n.flushTick)
}

func (n *simNode) crash() {
	if !n.up || n.w.quiet {
		return
	}
	n.w.notef("node %d crashes at step %d", n.id, n.w.steps)
	n.up = false
	n.w.after(n.w.upTo(100*time.Millisecond), func() {
		if !n.up {
			n.start()
		}
	})
}

func (n *simNode) claimBody() []byte {
	n.w.nonce++
	return binary.LittleEndian.AppendUint64([]byte{byte(n.id)}, n.w.nonce)
}

func (n *simNode) setRing(r Ring) {
	if n.ring == NotNamed && r != NotNamed {
		n.since = n.now()
	}
	n.ring = r
	n.o.OnRing(n.now(), r)
}

// step does what the Owner wants, until it wants nothing.
func (n *simNode) step() {
	if n.o.Idle() && len(n.forming) > 0 {
		n.propose()
	}
	a := n.o.Next(n.now())
	switch a.Do {
	case DoRead:
		n.read(a)
	case DoAppend:
		n.watch(a)
		n.w.notef("node %d appends %v, expects %d", n.id, firstOf(a.Batch), a.Expected)
		life := n.life
		answer := func(out Outcome, base domain.Offset) {
			n.inLife(life, 0, func() { n.obey(n.o.OnAppend(n.now(), a.ID, out, base)) })
		}
		n.w.send(a.Batch, answer)
		n.in(simTimeout, func() { n.obey(n.o.OnAppend(n.now(), a.ID, Unknown, 0)) })
	case DoRest:
		n.wake++
		if wake := n.wake; a.Wait > 0 {
			n.w.after(a.Wait, func() {
				if wake == n.wake {
					n.in(0, func() {})
				}
			})
		}
	}
}

func (n *simNode) read(a Action) {
	n.in(simTimeout+a.Wait, func() { n.obey(n.o.OnReadFailed(n.now(), a.ID, errSimPanic)) })
	if n.w.chance(n.w.faults.lostRead) {
		return
	}
	limit, life := 1+n.w.rnd.IntN(12), n.life
	answer := func() {
		recs, end := n.w.log.from(a.From, limit), n.w.log.end
		delay := n.w.hop()
		if n.w.chance(n.w.faults.late) {
			delay += n.w.upTo(60 * time.Millisecond)
		}
		whole := !n.w.truncated
		n.inLife(life, delay, func() {
			if whole == !n.w.truncated { // else it would be told of records that are no more
				n.obey(n.o.OnRead(n.now(), a.ID, recs, end))
			}
		})
	}
	n.w.after(n.w.hop(), func() {
		if a.Wait > 0 && n.w.log.end <= a.From {
			n.w.after(n.w.upTo(a.Wait), answer)
			return
		}
		answer()
	})
}

// command asks the node to carry out a client's command.
func (n *simNode) command(stream uint8, id uint16, answer func(seq uint64)) {
	if !n.o.Owns() {
		answer(0)
		return
	}
	cell := n.load(stream)
	if seq := cell.spec.has(id); seq != 0 {
		n.answer(cell.acked.has(id) != 0 || n.w.shell.has(repeatWaits), id, seq, answer)
		return
	}
	ev := simEvent{stream: stream, id: id, seq: cell.spec.seq + 1, t: n.nextT(cell.spec.asof)}
	cell.spec = cell.spec.evolve(ev, n.w.shell)
	n.forming = append(n.forming, ev)
	n.answer(n.w.shell.has(answerAfterLog), id, ev.seq, answer)
}

func (n *simNode) answer(now bool, id uint16, seq uint64, answer func(seq uint64)) {
	if now {
		answer(seq)
		return
	}
	n.waiting[id] = append(n.waiting[id], answer)
}

func (n *simNode) nextT(asof uint64) uint64 {
	t := uint64(max(1, n.w.now+n.wall+time.Second))
	if !n.w.shell.has(tAboveLast) {
		t = max(t, n.lastT+1, asof+1)
	}
	n.lastT = max(t, n.lastT)
	return t
}

func (n *simNode) load(stream uint8) *simCell {
	if c := n.rows[stream]; c != nil {
		return c
	}
	row := n.w.store.row(stream)
	for _, t := range n.tail {
		if t.ev.stream == stream && !n.w.shell.has(tailLoaded) {
			row = row.evolve(t.ev, n.w.shell)
		}
	}
	n.rows[stream] = &simCell{row, row}
	return n.rows[stream]
}

// evict forgets rows on which nothing speculative rests.
func (n *simNode) evict() {
	for stream, c := range n.rows {
		if c.acked == c.spec {
			delete(n.rows, stream)
		}
	}
}

func (n *simNode) propose() {
	k := min(len(n.forming), 1+n.w.rnd.IntN(simBatch))
	n.sent = nil
	for _, ev := range n.forming[:k] {
		n.sent = append(n.sent, ev.value())
	}
	n.forming = n.forming[k:]
	id, err := n.o.Propose(make([][]byte, k), n.sent)
	if err != nil || n.open != 0 {
		n.w.failf("node %d: propose while batch %d is open: %w", n.id, n.open, err)
	}
	n.open = id
}

// drop ends what rests on a state that is no more.
func (n *simNode) drop() {
	if !n.w.shell.has(speculativeDropped) {
		n.rows = map[uint8]*simCell{}
	}
	if !n.w.shell.has(unsentDropped) {
		n.forming = nil
	}
	for id, answers := range n.waiting {
		delete(n.waiting, id)
		for _, answer := range answers {
			answer(0)
		}
	}
}

func (n *simNode) obey(effects []Effect) {
	for _, e := range effects {
		switch e := e.(type) {
		case CommitsRead:
			for _, r := range e.Records {
				n.found(r, true)
			}
		case Acked:
			n.checkAcked(e)
			for _, r := range e.Records {
				n.found(r, false)
			}
		case BatchVoid:
			n.w.notef("node %d: batch void", n.id)
			n.checkVoid(e)
			n.drop()
		case Owned:
			n.checkOwned(e)
			n.w.notef("node %d owns term %d from index %d", n.id, e.Term, e.First)
			n.drop()
		case Deposed:
			n.w.notef("node %d deposed by term %d", n.id, e.By)
			n.drop()
			n.flush = nil
		case Halted:
			n.w.notef("node %d halts: %v", n.id, e.Err)
			n.drop()
			if !n.w.truncated {
				n.w.failf("node %d: %w", n.id, e.Err)
			}
		}
	}
}

// found applies an accepted commit: one path for those of others and one's own.
func (n *simNode) found(r Record, inherited bool) {
	if err := n.w.log.known(r); err != nil && !n.doomed {
		n.w.failf("node %d: %w", n.id, err)
	}
	ev := parseSimEvent(r.Value)
	n.tail = append(n.tail, simTail{r, ev, inherited})
	n.lastT = max(n.lastT, ev.t)
	if c := n.rows[ev.stream]; c != nil {
		same := c.acked == c.spec
		c.acked = c.acked.evolve(ev, n.w.shell)
		if same || c.spec.asof == c.acked.asof { // nothing speculative is left, or it was not made here
			c.spec = c.acked
		}
	}
	for _, answer := range n.waiting[ev.id] {
		answer(ev.seq)
	}
	delete(n.waiting, ev.id)
}

// flushTick writes the rows of the tail, then the checkpoint.
func (n *simNode) flushTick() {
	n.in(15*time.Millisecond+n.w.upTo(15*time.Millisecond), n.flushTick)
	if n.flush != nil || !n.o.Owns() || len(n.tail) == 0 {
		return
	}
	f := &simFlush{upTo: n.tail[len(n.tail)-1]}
	n.flush = f
	dirty := map[uint8]bool{}
	for _, t := range n.tail {
		if !t.inherited || !n.w.shell.has(inheritedFlushed) {
			dirty[t.ev.stream] = true
		}
	}
	for stream := range uint8(simStreams) {
		if dirty[stream] {
			n.flushRow(f, stream)
		}
	}
	if f.left == 0 || n.w.shell.has(rowsBeforePlace) {
		n.flushPlace(f)
	}
	n.in(simTimeout*2, func() { // what was not answered is written again next time
		if n.flush == f {
			n.flush = nil
		}
	})
}

func (n *simNode) flushRow(f *simFlush, stream uint8) {
	row := n.load(stream).acked
	if n.w.shell.has(ackedFlushed) {
		row = n.load(stream).spec
	}
	f.left++
	n.write(func() {
		n.w.checkRow(stream, row)
		n.w.store.write(stream, row, n.w.shell)
	}, func() {
		f.left--
		if f.left == 0 && n.flush == f {
			n.flushPlace(f)
		}
	})
}

func (n *simNode) flushPlace(f *simFlush) {
	doomed, whole := n.doomed, !n.w.truncated
	n.write(func() {
		n.w.checkPlace(f.upTo.rec.After, f.upTo.ev.t)
		n.w.storeDoomed = n.w.storeDoomed || doomed || whole == n.w.truncated
		n.w.store.pass(f.upTo.rec.After, f.upTo.ev.t)
	}, func() {
		for len(n.tail) > 0 && n.tail[0].rec.Offset < f.upTo.rec.After.Next {
			n.tail = n.tail[1:]
		}
		n.flush = nil
	})
}

// write carries a write to the store, perhaps never, late, or twice; and the answer back.
func (n *simNode) write(land, done func()) {
	if n.w.chance(n.w.faults.lostWrite) {
		return
	}
	delay, life := n.w.hop(), n.life
	if n.w.chance(n.w.faults.lateWrite) {
		delay += n.w.upTo(200 * time.Millisecond)
		n.w.after(delay+n.w.upTo(100*time.Millisecond), land)
	}
	n.w.after(delay, func() {
		land()
		n.inLife(life, n.w.hop(), done)
	})
}
