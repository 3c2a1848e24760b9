package room

import (
	"slices"
	"time"

	"parley/domain"
	"parley/domain/conversation"
	"parley/schemas/msync"
)

// item is one meta on its way into a frame.
type item struct {
	seq      domain.Seq // 0: not logged
	t        domain.T
	meta     []byte                // what all others are shown; nil: nothing
	variants [][]byte              // what some are shown instead
	named    map[domain.UserID]int // who: 1 and up: that variant, 0: nothing
	doer     conversation.Doer     // the device that did it, which is not told
	message  bool                  // a message that who joins is shown
	recalls  domain.MessageID      // the message that is no more
}

// choose returns which meta a member is shown: 0 none, 1 the one for all, 2 and up a variant.
func (it *item) choose(m *member) int {
	if it.doer.User == m.user && it.doer.User != "" && it.doer.Resource == m.resource {
		return 0
	}
	if v, ok := it.named[m.user]; ok {
		if v == 0 {
			return 0
		}
		return v + 1
	}
	if it.meta == nil {
		return 0
	}
	return 1
}

func (it *item) chosen(n int) []byte {
	switch n {
	case 0:
		return nil
	case 1:
		return it.meta
	default:
		return it.variants[n-2]
	}
}

// Entry takes an entry of a room, in the order of the room.
func (r *Rooms) Entry(id domain.StreamID, st domain.Stream, ev *domain.Event) {
	if ev.Seq == 0 {
		return
	}
	s := r.find(id)
	if s == nil {
		return
	}
	it, shown := newItem(st, ev)
	_, ends := ev.Body.(conversation.RoomDestroyed)
	if s.entry(ev.Seq, it, shown, ends) {
		r.drop(s)
	}
}

// Volatile takes what is not logged: it is shown to who views the room now, in order with the rest.
func (r *Rooms) Volatile(id domain.StreamID, st domain.Stream, ev *domain.Event) {
	s := r.find(id)
	if s == nil {
		return
	}
	if it, ok := newItem(st, ev); ok {
		it.seq = 0
		s.mu.Lock()
		s.push(it)
		s.mu.Unlock()
	}
}

// newItem makes an item of an event; false when it has no wire form.
func newItem(st domain.Stream, ev *domain.Event) (it item, ok bool) {
	if ev.Body == nil { // recalled
		return item{}, false
	}
	users, all := conversation.RoomAudience(ev)
	if !all && len(users) == 0 {
		return item{}, false
	}
	meta, ok := msync.MetaOfEntry(nil, st, ev, msync.FormAll, nil)
	if !ok {
		return item{}, false
	}
	it = item{seq: ev.Seq, t: ev.T, meta: meta}
	it.doer, _ = conversation.DoerOf(ev.Body)
	if !all {
		it.forOnly(users)
	}
	switch b := ev.Body.(type) {
	case conversation.MessageSent:
		it.message = shownOnJoin(&b)
		if !b.SyncOwn { // over REST
			it.hide(b.From)
		}
	case conversation.MessageRecalled: // clients drop their own messages, but not their own recalls
		it.recalls, it.doer = b.Message, conversation.Doer{User: b.By, Resource: b.ByResource}
	case conversation.UsersAllowed:
		it.listed(st, msync.MUCBody_ADD_USER_WHITE_LIST, b.By.User, users)
	case conversation.UsersDisallowed:
		it.listed(st, msync.MUCBody_REMOVE_USER_WHITE_LIST, b.By.User, users)
	}
	return it, true
}

// forOnly makes the item one for some users.
func (it *item) forOnly(users []domain.UserID) {
	it.variants, it.meta = [][]byte{it.meta}, nil
	it.named = make(map[domain.UserID]int, len(users))
	for _, u := range users {
		it.named[u] = 1
	}
}

// hide shows a user nothing.
func (it *item) hide(u domain.UserID) {
	if it.named == nil {
		it.named = make(map[domain.UserID]int, 1)
	}
	it.named[u] = 0
}

// variant is what a user is shown instead.
func (it *item) variant(u domain.UserID, meta []byte) {
	it.variants = append(it.variants, meta)
	it.named[u] = len(it.variants)
}

// listed tells each of several users that they are on the allow list, or not any more: clients show the first name to all.
func (it *item) listed(st domain.Stream, op msync.MUCBody_Operation, by domain.UserID, users []domain.UserID) {
	if len(users) < 2 {
		return
	}
	it.variants = nil
	for _, u := range users {
		n := msync.RoomNotice{ID: it.t, Room: st, Op: op, By: by, Users: []domain.UserID{u}}
		it.variant(u, msync.AppendRoomNotice(nil, &n))
	}
}

// entry takes an entry in; over: the room has ended, and nobody is left to be shown that.
func (s *state) entry(seq domain.Seq, it item, shown, ends bool) (over bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || s.dead || !s.ring.add(seq, it, shown) {
		return false
	}
	if shown {
		s.push(it)
	}
	s.over = ends
	return s.finished()
}

// finished ends the room when it is over and all has been shown. The room's lock is held; the caller drops the room when it has let go.
func (s *state) finished() bool {
	if !s.over || s.flying || len(s.pending) > 0 {
		return false
	}
	s.end()
	return true
}

// maxPending is how many metas wait for a room's next frame. What is over it nobody is shown: only a node that cannot keep up at all gets
// there.
const maxPending = 20_000

// push adds to the next frame. The room's lock is held.
func (s *state) push(it item) {
	if len(s.members) == 0 {
		return
	}
	if len(s.pending) >= maxPending {
		s.rooms.metrics.missedOverload.Inc()
		return
	}
	s.rooms.offered.Add(uint64(len(s.members)))
	s.pending = append(s.pending, it)
	s.schedule()
}

// schedule sees to it that what is pending goes out: at once after a quiet window, else at its end.
func (s *state) schedule() {
	if s.flying || s.armed || len(s.pending) == 0 {
		return
	}
	wait := time.Duration(s.rooms.window.Load()) - s.rooms.cfg.Now().Sub(s.cutAt)
	if wait <= 0 {
		s.fly()
		return
	}
	s.armed = true
	if s.timer == nil {
		s.timer = time.AfterFunc(wait, s.due)
		return
	}
	s.timer.Reset(wait)
}

// due is called at the end of a window.
func (s *state) due() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.armed = false
	if !s.flying && !s.dead && len(s.pending) > 0 {
		s.fly()
	}
}

func (s *state) fly() {
	s.flying = true
	s.rooms.workers.add(task{room: s})
}

// Tell shows something to some users who view the room, before it returns: the caller may remove them next. It may overtake entries.
func (r *Rooms) Tell(id domain.StreamID, users []domain.UserID, meta []byte) {
	s := r.find(id)
	if s == nil || len(meta) == 0 {
		return
	}
	f := s.encode([][]byte{meta})
	var to []*member
	s.mu.Lock()
	for _, m := range s.members {
		if slices.Contains(users, m.user) {
			to = append(to, m)
		}
	}
	s.mu.Unlock()
	var h handed
	for _, m := range to {
		m.tell(f, &h)
	}
	r.metrics.handed(h)
}
