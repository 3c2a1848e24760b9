package room_test

import (
	"context"
	"encoding/binary"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"parley/delivery/room"
	"parley/domain"
	"parley/domain/conversation"
	"parley/schemas/msync"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	lobby     = domain.RoomStream("org#app", "77")
	parsed, _ = lobby.Parse()
)

// log is a room's log: what the owner has acknowledged and what is readable of it.
type log struct {
	mu       sync.Mutex
	events   []domain.Event
	readable int
	fail     error
	reads    int
}

func (l *log) append(body domain.Body) *domain.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	seq := domain.Seq(len(l.events) + 1)
	l.events = append(l.events, domain.Event{Seq: seq, T: domain.T(seq) << 12, Body: body})
	l.readable = len(l.events)
	return &l.events[seq-1]
}

func (l *log) Heads(_ context.Context, ids []domain.StreamID) ([]domain.Row, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reads++
	if l.fail != nil {
		return nil, l.fail
	}
	out := make([]domain.Row, len(ids))
	if len(l.events) > 0 {
		out[0] = &conversation.RoomHead{Head: conversation.Head{Seq: domain.Seq(len(l.events))}}
	}
	return out, nil
}

func (l *log) Entries(_ context.Context, _ domain.StreamID, from, to domain.Seq, limit, _ int) ([]domain.Event, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	to = min(to, domain.Seq(l.readable), from+domain.Seq(limit)-1)
	if from > to {
		return nil, nil
	}
	return append([]domain.Event(nil), l.events[from-1:to]...), nil
}

// said makes a message's body.
func said(from domain.UserID, audience ...domain.UserID) conversation.MessageSent {
	return conversation.MessageSent{From: from, FromResource: "web", SyncOwn: true, Body: []byte{0x08, 0x03}, Audience: audience}
}

// viewer notes what it is shown.
type viewer struct {
	user     domain.UserID
	resource domain.Resource

	mu    sync.Mutex
	metas []msync.MetaView
	raw   []*room.Frame
}

func (v *viewer) User() domain.UserID       { return v.user }
func (v *viewer) Resource() domain.Resource { return v.resource }
func (v *viewer) Show(f *room.Frame) {
	if f == nil {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.raw = append(v.raw, f)
	v.metas = append(v.metas, metasOf(f)...)
}

// ids returns the ids of what the viewer was shown.
func (v *viewer) ids() []uint64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	out := make([]uint64, len(v.metas))
	for i := range v.metas {
		out[i] = v.metas[i].ID
	}
	return out
}

// seqs are ids of entries, as seqs.
func (v *viewer) seqs() []domain.Seq {
	ids := v.ids()
	out := make([]domain.Seq, len(ids))
	for i, id := range ids {
		out[i] = domain.Seq(id >> 12)
	}
	return out
}

// messages splits a frame into its WebSocket messages.
func messages(wire []byte) (out [][]byte) {
	for len(wire) > 0 {
		if wire[0] != 0x82 {
			panic("not a final binary frame")
		}
		n, head := int(wire[1]), 2
		switch n {
		case 126:
			n, head = int(binary.BigEndian.Uint16(wire[2:])), 4
		case 127:
			n, head = int(binary.BigEndian.Uint64(wire[2:])), 10
		}
		out = append(out, wire[head:head+n])
		wire = wire[head+n:]
	}
	return out
}

func metasOf(f *room.Frame) (out []msync.MetaView) {
	for _, msg := range messages(f.Wire()) {
		frame, err := msync.DecodeFrame(msg)
		if err != nil {
			panic(err)
		}
		down, err := msync.DecodeSyncDown(frame.Payload, nil)
		if err != nil {
			panic(err)
		}
		if !down.IsLast || string(down.Queue.Name) != "77" || string(down.Queue.Domain) != msync.GroupDomain || down.NextKey != 0 {
			panic("not a frame of a room")
		}
		for _, b := range down.Metas {
			m, err := msync.DecodeMeta(b)
			if err != nil {
				panic(err)
			}
			out = append(out, m)
		}
	}
	return out
}

type rig struct {
	*room.Rooms
	t    *testing.T
	log  *log
	reg  *prometheus.Registry
	stop func()
}

func newRig(t *testing.T, set func(*room.Settings)) *rig {
	t.Helper()
	r := &rig{t: t, log: &log{}, reg: prometheus.NewRegistry()}
	settings := room.DefaultSettings()
	if set != nil {
		set(&settings)
	}
	var n sync.Mutex
	next := domain.T(1) << 40
	rooms, err := room.New(room.Config{
		Settings: settings, Owners: r.log, Reads: r.log, Now: time.Now, Registerer: r.reg,
		NextT: func() domain.T {
			n.Lock()
			defer n.Unlock()
			next++
			return next
		},
	})
	require.NoError(t, err)
	r.Rooms = rooms
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- rooms.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(r.stop)
	return r
}

// say appends an entry to the log and routes it.
func (r *rig) say(body domain.Body) domain.Seq {
	ev := r.log.append(body)
	r.Entry(lobby, parsed, ev)
	return ev.Seq
}

func (r *rig) add(v *viewer, from room.Start) {
	calls := 0
	r.Add(r.t.Context(), lobby, v, func(h *room.Frame) {
		calls++
		v.Show(h)
	}, from)
	require.Equal(r.t, 1, calls)
}

// settled waits until a viewer has been shown all that is said by now.
func (r *rig) settled(v *viewer) {
	r.t.Helper()
	marker := conversation.MessageSent{From: "marker", Body: []byte{0x08, 0x03}, Audience: []domain.UserID{v.user}}
	id := domain.T(1)<<50 + domain.T(len(v.resource))
	r.Volatile(lobby, parsed, &domain.Event{T: id, Body: marker})
	require.Eventually(r.t, func() bool {
		v.mu.Lock()
		defer v.mu.Unlock()
		n := len(v.metas)
		if n == 0 || v.metas[n-1].ID != uint64(id) {
			return false
		}
		v.metas = v.metas[:n-1]
		return true
	}, 5*time.Second, time.Millisecond/2)
}

func (r *rig) shown(v *viewer, want ...domain.Seq) {
	r.t.Helper()
	require.Eventually(r.t, func() bool { return len(v.ids()) >= len(want) }, 5*time.Second, time.Millisecond)
	require.Equal(r.t, want, v.seqs())
}

func TestViewersAreShownWhatComesBetweenAddAndRemove(t *testing.T) {
	r := newRig(t, nil)
	ann, bob := &viewer{user: "ann", resource: "web"}, &viewer{user: "bob", resource: "web"}
	r.say(said("cat"))
	r.add(ann, room.Start{})
	r.say(said("cat"))
	r.say(said("cat"))
	r.shown(ann, 2, 3)
	r.add(bob, room.Start{Newest: 2})
	r.say(said("cat"))
	r.shown(ann, 2, 3, 4)
	r.shown(bob, 2, 3, 4)
	require.Equal(t, domain.Seq(4), r.Remove(lobby, ann))
	r.say(said("cat"))
	r.shown(bob, 2, 3, 4, 5)
	require.Equal(t, []domain.Seq{2, 3, 4}, ann.seqs())
	require.Equal(t, 1, r.Viewers(lobby))
}
