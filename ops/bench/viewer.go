package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"parley/delivery/gateway/client"
	"parley/schemas/msync"
)

// speaker is a user who views the room and writes to it.
type speaker struct {
	writer
	r      *room
	index  int
	name   string
	differ int // acknowledged under another id than somebody received
	chats  atomic.Int64
}

// newSpeaker connects a user and lets it join. Speakers are spread evenly over the interval.
func newSpeaker(ctx context.Context, r *room, index int, name string, token msync.Token) (*speaker, error) {
	s := &speaker{r: r, index: index, name: name}
	if err := s.prepare(); err != nil {
		return nil, err
	}
	var err error
	s.session, err = client.Dial(ctx, r.cfg.Target.WS, client.Options{
		AppKey: r.cfg.Target.App, User: name, Token: token, Resource: "bench", MaxPending: maxPending, Heartbeat: beatEvery,
		OnMeta: func(d client.Delivery) {
			if d.Meta.NS == msync.Meta_CHAT {
				s.chats.Add(1)
			}
		},
	})
	if err != nil {
		return nil, fmt.Errorf("bench: sender %s: %w", name, err)
	}
	_, a, err := s.session.JoinRoom(ctx, r.id, "")
	if err == nil && a.Code != msync.Status_OK {
		err = fmt.Errorf("%v %s", a.Code, a.Reason)
	}
	if err != nil {
		return nil, fmt.Errorf("bench: sender %s joins: %w", name, errors.Join(err, s.session.Cut()))
	}
	return s, nil
}

func (s *speaker) prepare() error {
	r := s.r
	cfg, mark := &r.cfg, marker(r.run, r.first+s.index)
	body, err := client.RoomTextBody(s.name, r.id, blank(mark, cfg.Size))
	if err != nil {
		return fmt.Errorf("bench: body: %w", err)
	}
	out, err := client.RoomMessage(r.id, body, priorities[cfg.Priority])
	if err != nil {
		return fmt.Errorf("bench: body: %w", err)
	}
	s.writer = writer{
		t: &r.timing, n: cfg.perSender(), interval: cfg.interval(), onID: s.onID,
		offset: cfg.interval() * time.Duration(s.index) / time.Duration(cfg.Senders),
	}
	s.write(out, mark)
	return nil
}

// onID runs on the reader of the session.
func (s *speaker) onID(seq int, id uint64) {
	if !s.r.agree(s.r.place(s.index, seq), id) {
		s.differ++
	}
}

func (s *speaker) close() {
	_ = s.session.Cut()
	<-s.session.Done()
}

// viewer is a user who views the room over a wire of its own. What must hold: what arrivals fill is written by the reader of the wire alone,
// and read when that has ended.
type viewer struct {
	r     *room
	name  string
	token msync.Token
	w     *wire
	nth   uint64 // of its own sends
	done  chan struct{}
	ended error // why the reader ended; nil after cut

	chats   atomic.Int64 // messages
	others  int          // news
	checker *checker     // nil for nine of ten

	answers  chan client.Ack
	joining  atomic.Uint64 // its join without answer: what follows the answer is the newest, which it may have seen
	heldOnce bool          // a guest has stopped reading since it connected
}

// checker judges every message of one viewer.
type checker struct {
	got      tray
	metas    [][]byte
	lastAt   time.Duration // when the last arrival was, from the start
	quarters [4]histogram  // from the scheduled time to the arrival, by quarter of the measured time
}

func newViewer(r *room, name string, token msync.Token) *viewer {
	return &viewer{r: r, name: name, token: token, answers: make(chan client.Ack, 8)}
}

// check makes it one of those who check.
func (v *viewer) check() { v.checker = &checker{got: newTray(&v.r.book)} }

// handshakeLimit is how long it may take until one views.
const handshakeLimit = 20 * time.Second

// dial connects, logs in and joins as the SDKs do, and begins to read.
func (v *viewer) dial(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeLimit)
	defer cancel()
	if v.w, err = dialWire(ctx, v.r.cfg.Target.WS); err != nil {
		return fmt.Errorf("bench: viewer %s: %w", v.name, err)
	}
	if err := v.enter(ctx); err != nil {
		v.w.cut()
		return fmt.Errorf("bench: viewer %s: %w", v.name, err)
	}
	v.done, v.ended = make(chan struct{}), nil
	go v.read(v.w, v.done)
	return nil
}

func (v *viewer) enter(ctx context.Context) error {
	if err := v.login(ctx); err != nil {
		return fmt.Errorf("log-in: %w", err)
	}
	if err := v.w.send(msync.AppendUnreadRequest(nil)); err != nil {
		return err
	}
	if _, err := v.await(ctx, msync.MSync_UNREAD); err != nil {
		return fmt.Errorf("unread: %w", err)
	}
	if err := v.command(msync.MUCBody_JOIN); err != nil {
		return err
	}
	return v.joined(ctx)
}

func (v *viewer) login(ctx context.Context) error {
	hello, err := msync.AppendHello(nil, &msync.Hello{
		AppKey: v.r.cfg.Target.App, User: v.name, Token: v.token, Resource: "viewer", DeviceUUID: "viewer", DeviceName: "parley",
		OS: msync.Provision_OS_OTHER, Version: "4.21.1", ActionVersion: "v5.2", SessionID: fmt.Sprintf("%d:", time.Now().UnixMilli()),
	})
	if err != nil {
		return err
	}
	if err := v.w.send(hello); err != nil {
		return err
	}
	fr, err := v.await(ctx, msync.MSync_PROVISION)
	if err != nil {
		return err
	}
	a, err := msync.DecodeProvisionAnswer(fr.Payload)
	if err == nil && a.Code != msync.Status_OK {
		err = fmt.Errorf("%v %s", a.Code, a.Reason)
	}
	return err
}

// await reads until a frame of a command has come.
func (v *viewer) await(ctx context.Context, want msync.MSync_Command) (msync.Frame, error) {
	for {
		b, err := v.w.next(ctx)
		if err != nil {
			return msync.Frame{}, err
		}
		fr, err := msync.DecodeFrame(b)
		if err != nil || fr.Command == want {
			return fr, err
		}
		if err := v.onFrame(b); err != nil {
			return msync.Frame{}, err
		}
	}
}

// command sends a join or leave.
func (v *viewer) command(op msync.MUCBody_Operation) error {
	app := v.r.cfg.Target.App
	v.nth++
	if op == msync.MUCBody_JOIN {
		v.joining.Store(v.nth)
	}
	return v.w.send(msync.AppendSend(nil, &msync.Outgoing{
		ID: v.nth, AppKey: app, To: v.r.id, ToDomain: msync.GroupDomain, NS: msync.Meta_MUC,
		Payload: client.RoomCommandBody(app, v.name, v.r.id, op, ""),
	}))
}

// joined waits for the answer to a join, which may follow what the room shows.
func (v *viewer) joined(ctx context.Context) error {
	for {
		b, err := v.w.next(ctx)
		if err != nil {
			return fmt.Errorf("join: %w", err)
		}
		fr, err := msync.DecodeFrame(b)
		if err != nil {
			return err
		}
		s, err := msync.DecodeSyncDown(fr.Payload, nil)
		if err != nil {
			return err
		}
		if fr.Command != msync.MSync_SYNC || s.MetaID != v.nth {
			if err := v.onFrame(b); err != nil {
				return err
			}
			continue
		}
		if s.Status.Code != msync.Status_OK {
			return fmt.Errorf("join: %v %s", s.Status.Code, s.Status.Reason)
		}
		if v.checker != nil {
			v.checker.got.resume()
		}
		_, err = client.ReadRoomInfo(&client.Ack{Metas: s.Metas}, v.name)
		return err
	}
}

// read runs until the wire ends.
func (v *viewer) read(w *wire, done chan<- struct{}) {
	v.ended = w.run(v.onFrame)
	close(done)
}

func (v *viewer) onFrame(b []byte) error {
	if v.checker != nil {
		return v.checkFrame(b)
	}
	g, err := look(b)
	if g.chats > 0 {
		v.chats.Add(int64(g.chats))
	}
	v.others += g.others
	return err
}

// checkFrame holds a frame and each message in it to what a room may show.
func (v *viewer) checkFrame(b []byte) error {
	fr, err := msync.DecodeFrame(b)
	if err != nil || fr.Command != msync.MSync_SYNC {
		return err
	}
	c := v.checker
	s, err := msync.DecodeSyncDown(fr.Payload, c.metas)
	if err != nil {
		return err
	}
	c.metas = s.Metas
	if s.MetaID != 0 {
		if v.joining.CompareAndSwap(s.MetaID, 0) {
			c.got.resume()
		}
		v.answered(&s)
		return nil
	}
	for _, raw := range s.Metas {
		m, err := msync.DecodeMeta(raw)
		if err != nil {
			return err
		}
		if m.NS != msync.Meta_CHAT {
			v.others++
			continue
		}
		if !s.IsLast || !bytes.Equal(s.Queue.Name, []byte(v.r.id)) || s.NextKey != 0 {
			c.got.strange++ // it would be acknowledged, or shown elsewhere
		}
		v.chats.Add(1)
		c.add(v.r, &m)
	}
	return nil
}

func (c *checker) add(r *room, m *msync.MetaView) {
	sender, seq, due, ok := r.read(m.Payload)
	if !ok {
		c.got.strange++
		return
	}
	c.got.add(&r.book, sender, seq, m.ID)
	if at := due - r.warmup; at >= 0 {
		c.lastAt = time.Since(r.start)
		c.quarters[min(int(4*at/r.cfg.Duration), 3)].record(c.lastAt - due)
	}
}

// alive tells whether the reader goes on.
func (v *viewer) alive() bool {
	select {
	case <-v.done:
		return false
	default:
		return true
	}
}

// close ends the connection and waits for its reader. It may be called twice.
func (v *viewer) close() {
	if v.done != nil {
		v.w.cut()
		<-v.done
	}
}
