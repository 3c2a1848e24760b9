package fence

import (
	"container/heap"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"parley/domain"
)

// simWorld is one run: a log, a store, nodes that shall own the partition, clients that want things done, and everything that can go wrong
// between them. Time is virtual; whatever happens follows from the seed.
type simWorld struct {
	rnd   *rand.Rand
	now   time.Duration
	queue simQueue
	count int // of events ever queued, to keep their order
	steps int // that nodes have made

	log     *simLog
	store   *simStore
	nodes   []*simNode
	clients []*simClient
	omit    rule
	shell   shellRule

	faults    simFaults
	quiet     bool // no new faults
	named     int
	refused   map[[2]uint64]bool // batches that the log never takes
	truncated bool
	// storeDoomed: the checkpoint is above the end of the truncated log. Whoever had read what was lost halts when it sees a low end or
	// a low answer. When the log has grown past that place before, only a later commit's prev tells: such nodes may be misled until then.
	storeDoomed bool
	frozenLog   bool // nothing lands any more
	failure     error
	nonce       uint64
	trace       func(format string, args ...any)
}

// simFaults are the chances of a run, in per mille of each request or of each quarter of a millisecond.
type simFaults struct {
	nodes                               int
	lostRequest, lostAnswer, late, twin int
	error, refuse                       int
	lostRead, lostWrite, lateWrite      int
	crash, freeze, jump, ring, evict    int
	crashAt                             int // the step after which its node crashes
	truncate                            time.Duration
	still                               bool // nothing lands after the truncation
}

const (
	simActive   = 700 * time.Millisecond  // of faults
	simPatience = 4000 * time.Millisecond // then everything must be done
	simTimeout  = 8 * time.Millisecond    // of an append, a read, a write
	simBatch    = 3
	simStreams  = 3
)

var errSimPanic = errors.New("panic")

// simSpec says what to run.
type simSpec struct {
	seed    uint64
	omit    rule
	shell   shellRule
	crashAt int // 0: by the seed
	trace   func(format string, args ...any)
}

// runSim runs a world to its end and returns what did not hold, or nil.
func runSim(spec simSpec) (w *simWorld, failure error) {
	w = newSimWorld(spec)
	defer func() {
		if p := recover(); p != nil {
			failure = fmt.Errorf("%w: %v", errSimPanic, p)
			if spec.omit == 0 && spec.shell == 0 {
				panic(p)
			}
		}
	}()
	w.run()
	return w, w.failure
}

func newSimWorld(spec simSpec) *simWorld {
	rnd := rand.New(rand.NewPCG(spec.seed, 0x70617264))
	w := &simWorld{
		rnd: rnd, log: newSimLog(), store: &simStore{rows: map[uint8]*simRow{}}, refused: map[[2]uint64]bool{},
		omit: spec.omit, shell: spec.shell, trace: spec.trace,
	}
	level := func(top int) int { // most faults are absent, rare or frequent in a run as a whole
		return []int{0, top / 8, top / 3, top}[rnd.IntN(4)]
	}
	w.faults = simFaults{
		nodes:       []int{1, 2, 2, 2, 3, 3}[rnd.IntN(6)],
		lostRequest: level(250), lostAnswer: level(250), late: level(250), twin: level(150), error: level(200), refuse: level(60),
		lostRead: level(100), lostWrite: level(200), lateWrite: level(300),
		crash: level(6), freeze: level(8), jump: level(8), ring: level(12), evict: level(20),
		crashAt: 1 + rnd.IntN(500),
	}
	if spec.crashAt > 0 {
		w.faults.crashAt = spec.crashAt
	}
	if rnd.IntN(8) == 0 {
		w.faults.truncate = time.Duration(rnd.Int64N(int64(simActive)))
		w.faults.still = rnd.IntN(2) == 0
	}
	for i := range w.faults.nodes {
		w.nodes = append(w.nodes, &simNode{w: w, id: i})
	}
	return w
}

func (w *simWorld) run() {
	w.named = w.rnd.IntN(len(w.nodes))
	for _, n := range w.nodes {
		n.start()
	}
	for i := range 6 + w.rnd.IntN(20) {
		w.client(uint16(i+1), w.upTo(simActive))
	}
	w.at(0, w.fate)
	if w.faults.truncate > 0 {
		w.at(w.faults.truncate, w.truncate)
	}
	w.advance(simActive, nil)
	w.calm()
	if w.truncated {
		w.advance(w.now+600*time.Millisecond, nil)
		w.checkTruncated()
		return
	}
	for range 2 * simBatch { // enough commits after all that went wrong for readers to notice it
		w.client(uint16(len(w.clients)+1), w.upTo(300*time.Millisecond))
	}
	w.advance(w.now+simPatience, w.done)
	w.advance(w.now+400*time.Millisecond, nil)
	w.checkEnd()
	w.checkReaders()
}

// advance lets the world go on until the time, a failure, or done.
func (w *simWorld) advance(until time.Duration, done func() bool) {
	for w.failure == nil && w.queue.Len() > 0 && w.queue[0].at <= until {
		if done != nil && done() {
			return
		}
		e := heap.Pop(&w.queue).(simEventAt)
		w.now = e.at
		e.do()
	}
	if done == nil {
		w.now = until
	}
}

func (w *simWorld) at(at time.Duration, do func()) {
	w.count++
	heap.Push(&w.queue, simEventAt{max(at, w.now), w.count, do})
}

func (w *simWorld) after(d time.Duration, do func()) { w.at(w.now+d, do) }

func (w *simWorld) failf(format string, args ...any) {
	if w.failure == nil {
		w.failure = fmt.Errorf("at %v: %w", w.now, fmt.Errorf(format, args...))
	}
}

func (w *simWorld) notef(format string, args ...any) {
	if w.trace != nil {
		w.trace("%9v  "+format, append([]any{w.now}, args...)...)
	}
}

// chance is true in so many of a thousand cases, and never when the world is quiet.
func (w *simWorld) chance(perMille int) bool { return !w.quiet && w.rnd.IntN(1000) < perMille }

func (w *simWorld) upTo(d time.Duration) time.Duration { return time.Duration(w.rnd.Int64N(int64(d))) }

// hop is how long a message takes when all is well.
func (w *simWorld) hop() time.Duration { return 100*time.Microsecond + w.upTo(900*time.Microsecond) }

// fate strikes the nodes now and then.
func (w *simWorld) fate() {
	if w.quiet {
		return
	}
	n := w.nodes[w.rnd.IntN(len(w.nodes))]
	switch {
	case w.chance(w.faults.crash):
		n.crash()
	case w.chance(w.faults.freeze):
		n.frozen = w.now + w.upTo(150*time.Millisecond)
		w.notef("node %d stalls until %v", n.id, n.frozen)
	case w.chance(w.faults.jump):
		n.skew += w.upTo(400*time.Millisecond) - 200*time.Millisecond
		n.since, n.claimed = -time.Hour, -time.Hour // a clock that jumps ends pauses: no fault of the Owner
		n.wall += w.upTo(400*time.Millisecond) - 200*time.Millisecond
	case w.chance(w.faults.ring):
		w.rename(w.rnd.IntN(len(w.nodes)))
	case w.chance(w.faults.evict):
		n.evict()
	}
	w.after(time.Millisecond, w.fate)
}

// rename lets the ring name another node. Each learns of it in its own time, so that two may believe they are named, or none.
func (w *simWorld) rename(to int) {
	w.named = to
	ring := []Ring{Named, Named, NamedAtOnce}[w.rnd.IntN(3)]
	w.notef("ring names %d", to)
	for _, n := range w.nodes {
		n.in(w.upTo(60*time.Millisecond), func() {
			if n.id == w.named {
				n.setRing(ring)
			} else {
				n.setRing(NotNamed)
			}
		})
	}
}

func (w *simWorld) truncate() {
	if w.log.end == 0 {
		return
	}
	lost := 1 + w.rnd.IntN(min(6, len(w.log.records)))
	w.notef("the log loses %d of %d records", lost, len(w.log.records))
	w.log.truncate(lost)
	w.truncated, w.frozenLog = true, w.faults.still
	w.storeDoomed = w.store.place.Next > w.log.end
	for _, n := range w.nodes {
		under := n.o.way != 0 && n.o.wayDo == DoAppend // its answer may tell of what was lost
		n.doomed = n.doomed || under || n.o.Position().Next > w.log.end
	}
}

// calm ends the faults: what was sent still arrives, but from now on everything works.
func (w *simWorld) calm() {
	w.notef("calm")
	w.quiet = true
	w.named = w.rnd.IntN(len(w.nodes))
	for _, n := range w.nodes {
		n.frozen = 0
		if !n.up {
			n.start()
		}
		n.in(20*time.Millisecond, func() {
			if n.id == w.named {
				n.setRing(Named)
			} else {
				n.setRing(NotNamed)
			}
		})
	}
}

// send carries an append to the log: perhaps late, twice or never; and its answer back, perhaps never or late.
func (w *simWorld) send(b domain.Batch, answer func(Outcome, domain.Offset)) {
	for _, v := range b.Values {
		if err := w.log.sent(v); err != nil && !w.truncated {
			w.failf("append: %w", err)
			return
		}
	}
	key := firstOf(b)
	if !b.Plain && w.chance(w.faults.refuse) {
		w.refused[key] = true
	}
	if w.refused[key] {
		w.after(w.hop(), func() { answer(Refused, 0) })
		return
	}
	if w.chance(w.faults.error) { // an error at once; what it did to the log is another matter
		w.after(w.hop(), func() { answer([]Outcome{Unknown, Refused}[w.rnd.IntN(2)], 0) })
		answer = func(Outcome, domain.Offset) {}
	}
	if w.chance(w.faults.lostRequest) {
		return
	}
	arrive := func(after time.Duration, answer func(Outcome, domain.Offset)) {
		w.after(after, func() { w.arrive(b, answer) })
	}
	if w.chance(w.faults.twin) {
		arrive(w.hop()+w.upTo(200*time.Millisecond), answer)
	}
	delay := w.hop()
	if w.chance(w.faults.late) {
		delay += w.upTo(200 * time.Millisecond)
	}
	arrive(delay, answer)
}

func (w *simWorld) arrive(b domain.Batch, answer func(Outcome, domain.Offset)) {
	if w.frozenLog {
		return
	}
	base, err := w.log.land(b.Values)
	if err != nil {
		w.broken(err)
	}
	w.notef("landed at %d: %v", base, firstOf(b))
	if w.chance(w.faults.lostAnswer) {
		return
	}
	delay := w.hop()
	if w.chance(w.faults.late) {
		delay += w.upTo(100 * time.Millisecond)
	}
	w.after(delay, func() { answer(Landed, base) })
}

// broken reports what the log itself shows to be wrong. After a truncation an owner that does not know of it yet may write what no reader accepts. That is loud, not wrong.
func (w *simWorld) broken(err error) {
	if !w.truncated {
		w.failf("%w", err)
	}
}

func firstOf(b domain.Batch) [2]uint64 {
	h, _ := ParseHeader(b.Values[0])
	return [2]uint64{uint64(h.Term), uint64(h.Index)}
}

// simQueue orders what will happen.
type simQueue []simEventAt

type simEventAt struct {
	at time.Duration
	n  int
	do func()
}

func (q simQueue) Len() int { return len(q) }
func (q simQueue) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].n < q[j].n
}
func (q simQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *simQueue) Push(x any)   { *q = append(*q, x.(simEventAt)) }
func (q *simQueue) Pop() any {
	old := *q
	x := old[len(old)-1]
	old[len(old)-1] = simEventAt{}
	*q = old[:len(old)-1]
	return x
}
