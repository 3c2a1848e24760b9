package room

import (
	"encoding/binary"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"parley/domain"
)

// task is work for a worker: a room whose next frame is due, or a frame that is handed out.
type task struct {
	room *state // when frame is nil
	out  *fanout
}

// workers hand frames out: as many as there are processors.
type workers struct {
	mu     sync.Mutex
	cond   *sync.Cond
	queue  []task
	head   int
	closed bool
}

func (w *workers) init() { w.cond = sync.NewCond(&w.mu) }

func (w *workers) number() int { return runtime.GOMAXPROCS(0) }

// add queues a task. There is at most one of each room, and as many of its frame as there are workers.
func (w *workers) add(t task) {
	w.mu.Lock()
	w.queue = append(w.queue, t)
	w.mu.Unlock()
	w.cond.Signal()
}

// next waits for a task; false: there is none any more.
func (w *workers) next() (task, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.head == len(w.queue) && !w.closed {
		w.cond.Wait()
	}
	if w.closed {
		return task{}, false
	}
	t := w.queue[w.head]
	w.queue[w.head] = task{}
	if w.head++; w.head == len(w.queue) || w.head >= 1024 && w.head > len(w.queue)/2 {
		n := copy(w.queue, w.queue[w.head:])
		clear(w.queue[n:])
		w.queue, w.head = w.queue[:n], 0
	}
	return t, true
}

func (w *workers) close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.cond.Broadcast()
}

func (w *workers) run() {
	for {
		t, ok := w.next()
		if !ok {
			return
		}
		out := t.out
		if out == nil {
			if out = t.room.cut(); out == nil {
				continue
			}
			for range min(w.number()-1, out.chunks()-1) {
				w.add(task{out: out})
			}
		}
		out.work()
	}
}

// fanout is a frame on its way to those who viewed the room when it was cut.
type fanout struct {
	room    *state
	frame   *Frame     // for most; nil: nothing for them
	first   domain.Seq // the first entry in it, 0 for none
	last    domain.Seq
	members []*member
	begun   time.Time
	next    atomic.Int64 // member that nobody has taken yet
	left    atomic.Int64 // members that are not done
	shown   tally

	items   []item
	special map[domain.UserID]struct{} // who may be shown something else
	mu      sync.Mutex
	frames  map[string]*Frame // theirs, by what they are shown
}

// chunk is how many members a worker takes at once.
const chunk = 32

func (f *fanout) chunks() int { return (len(f.members) + chunk - 1) / chunk }

// cut makes the next frame of what is pending; nil when there is nothing to do.
func (s *state) cut() *fanout {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.pending) == 0 || len(s.members) == 0 {
		s.flying = false
		s.pending = s.pending[:0]
		return nil
	}
	s.cutAt = s.rooms.cfg.Now()
	if s.changed {
		clear(s.snap[min(len(s.members), len(s.snap)):])
		s.snap = append(s.snap[:0], s.members...)
		s.changed = false
	}
	f := &fanout{room: s, members: s.snap, items: s.pending, begun: s.cutAt}
	s.pending, s.spare = s.spare[:0], nil
	f.left.Store(int64(len(f.members)))
	f.fill()
	return f
}

// fill encodes the frame for most and notes who is shown something else.
func (f *fanout) fill() {
	metas := make([][]byte, 0, len(f.items))
	for i := range f.items {
		it := &f.items[i]
		if it.seq != 0 {
			f.last = it.seq
			if f.first == 0 {
				f.first = it.seq
			}
		}
		if it.meta != nil {
			metas = append(metas, it.meta)
		}
		for u := range it.named {
			f.mark(u)
		}
		if it.doer.User != "" {
			f.mark(it.doer.User)
		}
	}
	f.frame = f.room.encode(metas)
}

func (f *fanout) mark(u domain.UserID) {
	if f.special == nil {
		f.special = make(map[domain.UserID]struct{})
	}
	f.special[u] = struct{}{}
}

// work hands the frame to members until all are taken.
func (f *fanout) work() {
	n := int64(len(f.members))
	for {
		to := f.next.Add(chunk)
		from := to - chunk
		if from >= n {
			return
		}
		to = min(to, n)
		var t handed
		for _, m := range f.members[from:to] {
			f.hand(m, &t)
		}
		f.shown.add(&t)
		if f.left.Add(from-to) == 0 {
			f.done()
			return
		}
	}
}

// hand shows a member what is for it, unless it has gone.
func (f *fanout) hand(m *member, t *handed) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.gone {
		return
	}
	if frame := f.of(m); frame != nil {
		m.viewer.Show(frame)
		t.note(frame)
	}
	m.seen = max(m.seen, f.last)
}

// of returns what a member is shown; nil: nothing.
func (f *fanout) of(m *member) *Frame {
	own := false
	if f.special != nil {
		_, own = f.special[m.user]
	}
	if !own && (f.first == 0 || m.seen < f.first) {
		return f.frame
	}
	var key []byte
	metas := make([][]byte, 0, len(f.items))
	for i := range f.items {
		it := &f.items[i]
		n := 0
		if it.seq == 0 || it.seq > m.seen { // else its history had it: the log was read further than it was routed
			n = it.choose(m)
		}
		key = binary.AppendUvarint(key, uint64(n))
		if b := it.chosen(n); b != nil {
			metas = append(metas, b)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	frame, ok := f.frames[string(key)]
	if !ok {
		if f.frames == nil {
			f.frames = make(map[string]*Frame)
		}
		frame = f.room.encode(metas)
		f.frames[string(key)] = frame
	}
	return frame
}

// done is called when all members are served; it lets the next frame go.
func (f *fanout) done() {
	s := f.room
	r := s.rooms
	r.metrics.handed(f.shown.sum())
	r.metrics.fan.Observe(r.cfg.Now().Sub(f.begun).Seconds())
	s.mu.Lock()
	s.flying = false
	clear(f.items)
	if cap(f.items) <= keepItems {
		s.spare = f.items[:0]
	}
	over := s.finished()
	if !over {
		s.schedule()
	}
	s.mu.Unlock()
	if over {
		r.drop(s)
	}
}

// keepItems is the room for pending items that is kept for the next frame.
const keepItems = 256

// load is how much all rooms of the node have to show.
type load struct {
	at    time.Time
	count uint64  // metas times viewers so far
	rate  float64 // a second, smoothed
}

// What one processor hands out a second: below quiet frames wait for nothing, from hot on they wait the whole window.
const (
	quietLoad = 2_500
	hotLoad   = 50_000
)

// window returns how long a frame waits for more.
func (l *load) window(count uint64, now time.Time, processors int, longest time.Duration) time.Duration {
	passed := now.Sub(l.at).Seconds()
	if passed <= 0 {
		passed = tendEvery.Seconds()
	}
	l.rate += (float64(count-l.count)/passed - l.rate) / 2
	l.at, l.count = now, count
	each := l.rate / float64(processors)
	if each < quietLoad {
		return 0
	}
	return time.Duration(float64(longest) * min(1, each/hotLoad))
}
