package fence

import (
	"errors"
	"time"

	"parley/domain"
)

// simClient wants one thing done once: it asks until it is answered, whoever answers.
type simClient struct {
	id     uint16
	stream uint8
	seq    uint64 // of the answer; 0: none yet
	try    int
}

func (w *simWorld) client(id uint16, in time.Duration) {
	c := &simClient{id: id, stream: uint8(w.rnd.IntN(simStreams))}
	w.clients = append(w.clients, c)
	w.after(in, func() { w.ask(c) })
}

// ask sends the command to a node: mostly the one that the ring names. An answer may be lost; then the client asks again.
func (w *simWorld) ask(c *simClient) {
	if c.seq != 0 {
		return
	}
	c.try++
	try := c.try
	n := w.nodes[w.named]
	if w.chance(300) {
		n = w.nodes[w.rnd.IntN(len(w.nodes))]
	}
	n.in(w.hop(), func() {
		n.command(c.stream, c.id, func(seq uint64) {
			if seq != 0 {
				w.checkAnswer(n, c, seq)
			} else if c.try == try {
				c.try++
				w.after(3*time.Millisecond+w.upTo(8*time.Millisecond), func() { w.ask(c) })
			}
		})
	})
	w.after(25*time.Millisecond+w.upTo(25*time.Millisecond), func() {
		if c.try == try {
			w.ask(c)
		}
	})
}

func (w *simWorld) done() bool {
	for _, c := range w.clients {
		if c.seq == 0 {
			return false
		}
	}
	return true
}

// checkAnswer: what is answered is in the log, for ever, under that number.
func (w *simWorld) checkAnswer(n *simNode, c *simClient, seq uint64) {
	if !w.truncated && w.log.row(c.stream).has(c.id) != seq {
		w.failf("node %d answers seq %d to command %d, the log says %d", n.id, seq, c.id, w.log.row(c.stream).has(c.id))
	}
	c.seq = seq
}

// checkRow: a row in the store is what the accepted commits up to its asof make.
func (w *simWorld) checkRow(stream uint8, row *simRow) {
	if !w.truncated && !row.equal(w.log.rowAt(stream, row.asof)) {
		w.failf("store: row %d is not the fold of the log at t %d", stream, row.asof)
	}
}

// checkPlace: a checkpoint is a place of the one sequence, and all rows before it are in the store.
func (w *simWorld) checkPlace(place Reader, t uint64) {
	if w.truncated {
		return
	}
	if place.Index == 0 || int(place.Index) > len(w.log.accepted) || w.log.accepted[place.Index-1].After != plain(place) {
		w.failf("checkpoint %+v is not a place of the log", place)
		return
	}
	for stream := range uint8(simStreams) {
		for _, r := range w.log.rows[stream] {
			if r.asof <= t && w.store.row(stream).asof < r.asof {
				w.failf("checkpoint at index %d passes a row of stream %d that is not stored", place.Index, stream)
				return
			}
		}
	}
}

// checkAcked: an owner acknowledges only above what it has read.
func (n *simNode) checkAcked(e Acked) {
	n.claims = 0
	n.checkOpen(e.Batch)
	n.w.notef("node %d: acked %d records from %d", n.id, len(e.Records), e.Records[0].Offset)
	for i, r := range e.Records {
		if len(n.tail) > 0 && r.Offset < n.tail[len(n.tail)-1].rec.After.Next {
			n.w.failf("node %d acknowledges offset %d, which is below what it knows", n.id, r.Offset)
		}
		if len(e.Records) != len(n.sent) || &n.sent[i][0] != &r.Value[0] {
			n.w.failf("node %d: acked is not the batch that was proposed", n.id)
			return
		}
	}
}

// checkOpen: a batch is Acked or void, once.
func (n *simNode) checkOpen(id BatchID) {
	if id != n.open {
		n.w.failf("node %d settles batch %d, open is %d", n.id, id, n.open)
	}
	n.open = 0
}

// checkOwned: a term has one owner, who has no open batch.
func (n *simNode) checkOwned(e Owned) {
	if n.open != 0 || !n.w.truncated && n.w.log.owners[e.Term] {
		n.w.failf("node %d owns term %d, batch %d is open, owned before: %v", n.id, e.Term, n.open, n.w.log.owners[e.Term])
	}
	n.w.log.owners[e.Term] = true
}

// checkVoid: what is called void is not in the log, and never will be.
func (n *simNode) checkVoid(e BatchVoid) {
	n.checkOpen(e.Batch)
	for _, v := range n.sent {
		h, _ := ParseHeader(v)
		if i := int(h.Index); !n.w.truncated && i <= len(n.w.log.accepted) && n.w.log.accepted[i-1].Header.Term == h.Term {
			n.w.failf("node %d calls index %d of term %d void, but it is in", n.id, h.Index, h.Term)
		}
		n.w.log.voided[[2]uint64{uint64(h.Term), uint64(h.Index)}] = true
	}
}

// watch checks the manners of an append: who tries, and how often.
func (n *simNode) watch(a Action) {
	first := firstOf(a.Batch)
	if !a.Batch.Plain {
		if first == n.tried && n.ring == NotNamed {
			n.w.failf("node %d sends again though the ring does not name it", n.id)
		}
		n.tried = first
		return
	}
	pause := min(3*time.Millisecond<<max(0, n.claims-1), 40*time.Millisecond)
	switch gap := n.now() - n.claimed; {
	case n.ring == NotNamed:
		n.w.failf("node %d claims though the ring does not name it", n.id)
	case n.ring == Named && n.now() >= n.since && n.now()-n.since < 60*time.Millisecond:
		n.w.failf("node %d claims %v after it was named", n.id, n.now()-n.since)
	case n.claims > 0 && gap >= 0 && gap < pause:
		n.w.failf("node %d claims again after %v", n.id, gap)
	}
	n.claimed = n.now()
	n.claims++
}

// checkEnd: when all works again, all gets done, one node owns, the others know it, and the store has everything.
func (w *simWorld) checkEnd() {
	for _, c := range w.clients {
		if c.seq == 0 {
			w.failf("command %d is never done", c.id)
		}
	}
	for _, n := range w.nodes {
		if n.o.Owns() != (n.id == w.named) {
			w.failf("the ring names %d, node %d says that it owns: %v", w.named, n.id, n.o.Owns())
		}
		if at := n.o.Position(); at.Index != w.log.read.Index || at.Prev != w.log.read.Prev {
			w.failf("node %d stands at %+v, the log ends at %+v", n.id, at, w.log.read)
		}
	}
	for stream := range uint8(simStreams) {
		if got, want := w.store.row(stream), w.log.row(stream); !got.equal(want) {
			w.failf("store: row %d is %+v in the end, the log makes %+v", stream, got, want)
		}
	}
	if w.store.place.Index != w.log.read.Index {
		w.failf("the checkpoint ends at index %d of %d", w.store.place.Index, w.log.read.Index)
	}
}

// checkTruncated: in a log that lost its end and gets no new one, whoever had read that end halts.
func (w *simWorld) checkTruncated() {
	for _, n := range w.nodes {
		if at := n.o.Position(); w.frozenLog && at.Next > w.log.end && n.o.Err() == nil {
			w.failf("node %d stands at %d, the log ends at %d, and it has not halted", n.id, at.Next, w.log.end)
		}
	}
}

// checkReaders reads the finished log from every place, and with every kind of damage.
func (w *simWorld) checkReaders() {
	if w.failure != nil {
		return
	}
	for range 3 {
		w.checkResumed()
		w.checkHole()
		w.checkFlip()
	}
}

func (w *simWorld) checkResumed() {
	from := w.log.accepted[w.rnd.IntN(len(w.log.accepted))].After
	if end, _, err := w.readAll(from, -1, nil); err != nil || plain(end) != w.log.read {
		w.failf("a reader from %+v ends at %+v, %w", from, end, err)
	}
}

// damageable is the number of records that enough commits follow: less than a batch and one more commit cannot tell.
func (w *simWorld) damageable() int {
	return int(w.log.accepted[max(0, len(w.log.accepted)-simBatch-2)].Offset)
}

// checkHole: a reader that misses a record that matters halts, and says what is missing.
func (w *simWorld) checkHole() {
	hole := w.rnd.IntN(max(1, w.damageable()))
	end, _, err := w.readAll(Reader{}, hole, nil)
	if err == nil && end.Prev != w.log.read.Prev {
		w.failf("a reader without record %d ends at %+v", hole, end)
	}
	h, _ := ParseHeader(w.log.records[hole].Value)
	reason := haltReason(err)
	if h.IsClaim() {
		if reason == "" && w.hasCommits(h.Term, hole) {
			w.failf("a reader without the claim of term %d does not halt", h.Term)
		}
	} else if reason != "" && reason != Gap {
		w.failf("a reader without record %d halts because of %v, not the gap", hole, err)
	}
}

// hasCommits tells whether commits of the term were accepted because of the claim at the offset.
func (w *simWorld) hasCommits(term domain.Term, claim int) bool {
	var r Reader
	for i, rec := range w.log.records {
		before := r.Term
		_, _ = r.Read(rec.Offset, rec.Value)
		if i == claim && (r.Term == before || r.Term != term) {
			return false
		}
	}
	for _, a := range w.log.accepted {
		if a.Header.Term == term {
			return !w.claimedAgain(term, claim, int(a.Offset))
		}
	}
	return false
}

// claimedAgain tells whether a twin of the claim, or a rival of the same term, takes its place before the first commit.
func (w *simWorld) claimedAgain(term domain.Term, claim, before int) bool {
	for i := claim + 1; i < before; i++ {
		if h, _ := ParseHeader(w.log.records[i].Value); h.IsClaim() && h.Term == term {
			return true
		}
	}
	return false
}

// checkFlip: a commit that was changed in the log is noticed at the next one.
func (w *simWorld) checkFlip() {
	at := w.rnd.IntN(max(1, w.damageable()))
	value := append([]byte(nil), w.log.records[at].Value...)
	value[HeaderSize+w.rnd.IntN(len(value)-HeaderSize)] ^= 1 << w.rnd.IntN(8)
	end, accepted, err := w.readAll(Reader{}, at, value)
	if err == nil && (end.Prev != w.log.read.Prev || accepted[at] == Accepted) {
		w.failf("a reader of the changed record %d does not halt", at)
	}
}

// readAll reads the log from a place, with one record replaced, or missing when value is nil.
func (w *simWorld) readAll(from Reader, at int, value []byte) (Reader, map[int]Verdict, error) {
	from.omit = w.omit
	verdicts := map[int]Verdict{}
	for i, rec := range w.log.records {
		v := rec.Value
		if i == at {
			v = value
		}
		if rec.Offset < from.Next || v == nil {
			continue
		}
		verdict, err := from.Read(rec.Offset, v)
		if err != nil {
			return from, verdicts, err
		}
		verdicts[i] = verdict
	}
	return from, verdicts, nil
}

func haltReason(err error) Reason {
	if halt := (*HaltError)(nil); errors.As(err, &halt) {
		return halt.Reason
	}
	return ""
}
