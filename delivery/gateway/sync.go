package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"parley/delivery/directory"
	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/user"
	"parley/schemas/msync"
)

// sessionState is what log-in reads: the account, the user's conversations, where the device stands in each, and where each ends.
type sessionState struct {
	account *user.Head
	device  deviceState
	known   []conversationState
}

type conversationState struct {
	membership conversation.Membership
	head       *conversation.Head
}

// read reads the state of a log-in: two partition reads, and one request for heads.
func (g *Gateway) read(ctx context.Context, s *session) (sessionState, error) {
	var st sessionState
	info := &deviceInfo{platform: s.info.Platform, uuid: s.info.DeviceUUID, name: s.info.DeviceName}
	g.settleElsewhere(ctx, s.device.key)
	device, err := g.devices.load(ctx, s.device, info)
	if err != nil {
		return st, err
	}
	st.device = device
	members, err := g.cfg.Reads.Memberships(ctx, s.key.App, s.key.User, s.info.Incarnation)
	if err != nil {
		return st, fmt.Errorf("read memberships: %w", err)
	}
	s.subscribeAll(members) // before heads are asked: what comes later is handed over
	ids := make([]domain.StreamID, len(members), len(members)+1)
	for i := range members {
		ids[i] = members[i].Stream
	}
	ids = append(ids, domain.UserStream(s.key.App, s.key.User))
	heads, err := g.cfg.Owners.Heads(ctx, ids)
	if err != nil {
		return st, fmt.Errorf("read heads: %w", err)
	}
	st.account, _ = heads[len(members)].(*user.Head)
	for i := range members {
		if head := conversation.HeadOf(heads[i]); head != nil {
			st.known = append(st.known, conversationState{membership: members[i], head: head})
		}
	}
	return st, nil
}

// errGone ends the reading of a session whose account changed while it logged in.
var errGone = errors.New("the account changed during the log-in")

// load reads the session's state after it attached. The account is read again: what changed between the check of the token and the attach
// found no session to end. first tells that nothing was read before: then the marks of sockets that died count.
func (s *session) load(ctx context.Context, first bool) (sessionState, error) {
	st, err := s.gw.read(ctx, s)
	if err != nil {
		return st, err
	}
	switch a := st.account; {
	case a == nil || !a.Exists || a.Incarnation != s.info.Incarnation:
		s.Kick(directory.KickRemoved, "")
		return st, errGone
	case a.AuthEpoch != s.info.AuthEpoch:
		s.Kick(directory.KickPasswordChanged, "")
		return st, errGone
	}
	if first {
		s.device.takeLeftover(st.device.marks, s.gw.cfg.Now().Add(-s.gw.cfg.Settings.MarksKept))
	}
	return st, nil
}

// adopt makes queues of what was read. At log-in those with news are listed for the first answer to UNREAD, as many as it may name;
// the others, and all later, are served unasked. It is called with the lock held.
func (s *session) adopt(st sessionState, atLogin bool) (listed int) {
	var news []*queue
	for i := range st.known {
		c := &st.known[i]
		q := s.queues[c.membership.Stream]
		switch {
		case q == nil && c.over(&st.device):
			continue
		case q == nil:
			q = s.addQueue(c.membership.Stream)
			if q == nil {
				continue
			}
			s.place(q, c, &st.device)
		case q.loading:
			s.place(q, c, &st.device)
		}
		if q.pushed < q.target && !q.loading {
			news = append(news, q)
		}
	}
	if q := s.placeSystem(st.account, &st.device); q != nil && q.pushed < q.target {
		news = append(news, q)
	}
	s.holding = 0
	for _, q := range s.queues {
		if q.holding() {
			s.holding++
		}
	}
	if !atLogin {
		return 0
	}
	slices.SortFunc(news, func(a, b *queue) int { return cmp.Compare(b.hold, a.hold) }) // what was shown before comes first
	for _, q := range news {
		if listed == s.gw.cfg.Settings.MaxListed {
			break
		}
		q.listed = true
		listed++
		s.unread = append(s.unread, msync.UnreadQueue{Queue: q.name, N: uint32(min(q.target-q.pushed, 1<<31))})
	}
	s.syncing = listed
	s.noteSyncing()
	return listed
}

// noteSyncing notes when the client was last seen to pull, while it has queues to pull. It is called with the lock held.
func (s *session) noteSyncing() {
	at := int64(0)
	if s.syncing > 0 {
		at = s.gw.cfg.Now().UnixMilli()
	}
	s.pulledAt.Store(at)
}

// unlist gives up to wait for pulls of listed queues: their entries are pushed unasked. Otherwise a queue that is never pulled would keep
// back what is newer in all of them.
func (s *session) unlist() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range s.queues {
		if q.listed && !q.pulling {
			q.listed = false
			s.syncing--
			s.gw.metrics.behind.WithLabelValues("not_pulled").Inc()
		}
	}
	s.unread = nil
	s.noteSyncing()
	s.servePages()
}

// addQueue makes a queue for a conversation of which nothing is known yet; nil when the user is not in it.
func (s *session) addQueue(stream domain.StreamID) *queue {
	parsed, ok := stream.Parse()
	if !ok {
		return nil
	}
	q := &queue{stream: stream, parsed: parsed, name: s.queueName(parsed), loading: true}
	if parsed.Kind == domain.KindGroup {
		q.group = &membership{}
	}
	if s.queues == nil {
		s.queues = make(map[domain.StreamID]*queue)
	}
	s.queues[stream] = q
	return q
}

// place puts a queue where the device stands in it: at its cursor, but not before the membership, nor before the cap. A device without
// cursor skips what is older than its first log-in and read; the user's first device gets all.
func (s *session) place(q *queue, c *conversationState, d *deviceState) {
	m, head := &c.membership, c.head
	end, start, limit := head.Seq, max(m.From, 1)-1, withReceipts(s.gw.cfg.Settings.Cap, head)
	if q.group != nil {
		if s.unsure {
			return // the user may have left since
		}
		q.group.read(m, head.Closed)
		end, start, limit = q.group.end(end), q.group.first()-1, domain.Seq(s.gw.cfg.Settings.GroupCap)
		s.keepSubscribed(q)
	} else if m.Until != 0 {
		end = min(end, m.Until)
	}
	if end > limit {
		start = max(start, end-limit)
	}
	if head.T < domain.TAt(s.gw.cfg.Now().Add(-s.gw.cfg.Settings.CapAge)) {
		start = max(start, end)
	}
	at, known := d.marks[m.Stream]
	if !known && !d.first && head.T < domain.TAt(d.firstLogin) && m.Unread(head.N) == 0 {
		at.acked = end
	}
	q.start(start, end, at)
}

// receiptsCounted bounds how many entries a message of a direct conversation is taken for: itself, its receipts, and one to spare.
const receiptsCounted = 4

// withReceipts returns a cap on messages as one on entries: receipts are entries, too, and must not push messages out.
func withReceipts(messages int, head *conversation.Head) domain.Seq {
	each := domain.Seq(1)
	if n := domain.Seq(head.N); n > 0 {
		each = min((head.Seq+n-1)/n, receiptsCounted)
	}
	return domain.Seq(messages) * max(each, 1)
}

// sayUnread answers UNREAD: the first time with the queues that have news, later with none.
func (s *session) sayUnread() {
	s.mu.Lock()
	list := s.unread
	s.unread = nil
	s.mu.Unlock()
	now := uint64(s.gw.cfg.Now().UnixMilli())
	s.write(msync.MSync_UNREAD, func(dst []byte) []byte { return msync.AppendUnread(dst, list, now) })
}

// sync handles a SYNC frame: something to send, or an acknowledgement, or a pull.
func (s *session) sync(payload []byte) closeReason {
	sy, err := msync.DecodeSync(payload)
	if err != nil {
		s.gw.log.Debug("bad SYNC", "err", err, "user", s.key.User)
		return closeBadFrame
	}
	if sy.HasMeta {
		return s.meta(&sy.Meta)
	}
	if !sy.HasQueue {
		return closeBadFrame
	}
	s.pull(&sy)
	return ""
}

// pull takes a key and serves what follows. A pull without key is always answered, at worst by an empty last page; so is one with a key
// while a pull or the first sync is going on.
func (s *session) pull(sy *msync.Sync) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.queueNamed(&sy.Queue)
	if q == nil {
		s.emptyPage(sy.Queue.Queue(), 0)
		return
	}
	if sy.Key != 0 {
		s.acknowledge(q, keySeq(sy.Key))
	} else {
		q.pulling = true
	}
	if s.syncing > 0 {
		q.pulling = true
		s.noteSyncing()
		if s.pullsBegan.IsZero() {
			s.pullsBegan = time.Now()
		}
	}
	if q.pulling && !q.behind() && !q.loading {
		s.endPull(q)
	}
	s.servePages()
}

// queueNamed finds the queue that a client means; nil when there is none.
func (s *session) queueNamed(j *msync.JIDView) *queue {
	switch {
	case len(j.Name) == 0:
		return s.queues[domain.UserStream(s.key.App, s.key.User)]
	case string(j.Domain) == msync.GroupDomain:
		return s.queues[domain.GroupStream(s.key.App, string(j.Name))]
	default:
		return s.queues[domain.DirectStream(s.key.App, s.key.User, domain.UserID(j.Name))]
	}
}

// queueName is what clients call the queue of a stream: the peer, the group, or nothing for the system queue.
func (s *session) queueName(st domain.Stream) msync.Queue {
	q := msync.Queue{AppKey: string(s.key.App), Domain: msync.UserDomain}
	switch st.Kind {
	case domain.KindUser:
	case domain.KindGroup:
		q.Name, q.Domain = st.A, msync.GroupDomain
	default:
		q.Name = string(st.Peer(s.key.User))
	}
	return q
}

// endPull answers a pull that has nothing more.
func (s *session) endPull(q *queue) {
	q.pulling = false
	if q.listed {
		q.listed = false
		s.syncing--
		s.noteSyncing()
	}
	s.emptyPage(q.name, s.device.nextKey(q.pushed))
}

func (s *session) emptyPage(name msync.Queue, key uint64) {
	now := uint64(s.gw.cfg.Now().UnixMilli())
	s.write(msync.MSync_SYNC, func(dst []byte) []byte {
		return msync.AppendPage(dst, &msync.Page{Queue: name, NextKey: key, IsLast: true, Timestamp: now})
	})
}

// acknowledge takes an acknowledgement up to seq.
func (s *session) acknowledge(q *queue, seq domain.Seq) {
	before, held := q.acked, q.holding()
	shown := q.ack(seq)
	s.outstanding -= shown
	if held && !q.holding() {
		s.holding--
	}
	switch {
	case s.outstanding == 0:
		s.unackedAt.Store(0)
	case shown > 0:
		s.unackedAt.Store(s.gw.cfg.Now().UnixMilli())
	}
	if q.acked > before {
		s.gw.devices.note(s.device, q.stream, mark{acked: q.acked, pushed: q.pushed})
	}
	if shown > 0 {
		s.wakePager()
	}
}

// Deliver implements directory.Session: a live queue is pushed the entry as it comes, any other only hears how far it has to go.
func (s *session) Deliver(d *directory.Delivery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.Change != directory.Unchanged && !s.changed(d) {
		return
	}
	q := s.queues[d.Stream]
	if q == nil {
		if q = s.addQueue(d.Stream); q == nil {
			return
		}
		if d.Event.Seq == 1 {
			q.loading = false // the conversation has just begun: there is nothing to read
		}
	}
	seq := d.Event.Seq
	switch {
	case seq <= q.target || q.group.over(seq):
		return
	case !q.live() || seq != q.pushed+1:
		s.fallBehind(q, seq, "gap")
		return
	}
	if len(d.Metas) == 0 || !s.sees(d.Parsed, q.group, d.Event) {
		s.pass(q, seq)
		return
	}
	if s.outstanding >= s.gw.cfg.Settings.Window || s.holding > 0 || !s.pushable {
		s.fallBehind(q, seq, "window")
		return
	}
	s.push(q, seq, d.Metas)
	s.gw.metrics.live.Inc()
	s.gw.metrics.latency.Observe(s.gw.cfg.Now().Sub(d.Event.T.Time()).Seconds())
}

func (s *session) fallBehind(q *queue, seq domain.Seq, reason string) {
	if q.pushed >= q.target {
		s.gw.metrics.behind.WithLabelValues(reason).Inc()
	}
	q.target = max(q.target, seq)
	s.servePages()
}

// pass moves a queue past entries that the device may not see.
func (s *session) pass(q *queue, end domain.Seq) {
	held, acked := q.holding(), q.acked
	q.passed(end, 0)
	if held && !q.holding() {
		s.holding--
	}
	if q.acked > acked {
		s.gw.devices.note(s.device, q.stream, mark{acked: q.acked, pushed: q.pushed})
	}
}

// push sends a page whose last entry, shown or not, is end.
func (s *session) push(q *queue, end domain.Seq, metas [][]byte) {
	held := q.holding()
	q.passed(end, len(metas))
	if held && !q.holding() {
		s.holding--
	}
	if s.outstanding == 0 {
		s.unackedAt.Store(s.gw.cfg.Now().UnixMilli())
	}
	s.outstanding += len(metas)
	key, now := s.device.nextKey(end), uint64(s.gw.cfg.Now().UnixMilli())
	s.write(msync.MSync_SYNC, func(dst []byte) []byte {
		return msync.AppendPage(dst, &msync.Page{Queue: q.name, Metas: metas, NextKey: key, Timestamp: now})
	})
	s.gw.devices.note(s.device, q.stream, mark{pushed: end})
}

// DeliverVolatile implements directory.Session. The frame's key is that of what was pushed before it, so that the client acknowledges
// nothing it has not seen.
func (s *session) DeliverVolatile(d *directory.Delivery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := s.queueName(d.Parsed)
	var pushed domain.Seq
	q := s.queues[d.Stream]
	if q != nil {
		pushed, name = q.pushed, q.name
	}
	if !s.pushable || d.Parsed.Kind == domain.KindGroup && !s.seesVolatile(q, d) {
		return
	}
	key, now := s.device.nextKey(pushed), uint64(s.gw.cfg.Now().UnixMilli())
	s.gw.metrics.volatile.Inc()
	s.write(msync.MSync_SYNC, func(dst []byte) []byte {
		return msync.AppendPage(dst, &msync.Page{Queue: name, Metas: d.Metas, NextKey: key, Timestamp: now})
	})
}
