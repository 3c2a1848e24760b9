package lease

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"parley/domain"
)

// duo is two nodes on one store that tell one another when they are let.
type duo struct {
	t     *testing.T
	clock *clock
	store *memory
	a, b  *half
	lives uint64
}

type half struct {
	*Leases
	node   domain.Node
	number int
	heard  *heard
	facts  [][]byte // that the other has not heard
	ended  []domain.UserID
	added  []domain.UserID
}

func (h *half) Ended(_ Room, _ domain.AppID, u domain.UserID) { h.ended = append(h.ended, u) }
func (h *half) Added(_ Room, _ domain.AppID, u domain.UserID, _ domain.Incarnation) {
	h.added = append(h.added, u)
}

func newDuo(t *testing.T) *duo {
	d := &duo{t: t, clock: newClock(), store: &memory{}}
	d.a, d.b = d.boot("a", 1), d.boot("b", 2)
	d.meet()
	return d
}

// boot starts a life of a node.
func (d *duo) boot(name domain.NodeName, number int) *half {
	d.t.Helper()
	d.lives++
	h := &half{node: domain.Node{Name: name, Life: d.lives}, number: number, heard: &heard{}}
	h.Leases = New(Config{
		Store: d.store, Settings: DefaultSettings(), Sink: h.heard, Now: d.clock.now, Self: h.node, Number: number, Local: h,
		Tell: func(fact []byte) { h.facts = append(h.facts, fact) },
	})
	require.NoError(d.t, h.Load(d.t.Context()))
	return h
}

// meet lets both begin to tell one another.
func (d *duo) meet() {
	d.t.Helper()
	for _, p := range [][2]*half{{d.a, d.b}, {d.b, d.a}} {
		from, to := p[0], p[1]
		to.Begin(from.node)
		from.facts = nil
		from.Snapshot(func(fact []byte) { require.NoError(d.t, to.Apply(from.node, fact)) })
		to.End(from.node)
	}
	d.talk()
}

// talk lets both hear all.
func (d *duo) talk() {
	d.t.Helper()
	for len(d.a.facts)+len(d.b.facts) > 0 {
		d.one(d.a, d.b)
		d.one(d.b, d.a)
	}
}

// yielded lets both hear all, and drop what the other knows better.
func (d *duo) yielded() {
	d.t.Helper()
	d.talk()
	d.clock.pass(yieldWait)
	d.a.sweep()
	d.b.sweep()
	d.talk()
}

// one lets one node hear what the other has told so far.
func (d *duo) one(from, to *half) {
	d.t.Helper()
	facts := from.facts
	from.facts = nil
	for _, f := range facts {
		require.NoError(d.t, to.Apply(from.node, f))
	}
}

func (d *duo) save() {
	for _, h := range []*half{d.a, d.b} {
		if h != nil {
			h.save(d.t.Context(), false)
		}
	}
}

func (h *half) joins(t *testing.T, who domain.UserID, dev domain.Resource, change ...func(*Join)) int {
	t.Helper()
	j := Join{App: app, User: who, Incarnation: 1, Device: dev, Room: one, Owner: "alice", MaxUsers: 2}
	for _, f := range change {
		f(&j)
	}
	n, _, err := h.Join(j)
	require.NoError(t, err)
	return n
}

// A device that comes back on another node goes on where it was cut, as well as anybody can know that.
func TestReturnElsewhere(t *testing.T) {
	begin := func(t *testing.T) (d *duo, joined int64) {
		d = newDuo(t)
		d.a.joins(t, "bob", "web")
		d.talk()
		joined = d.clock.now().UnixMicro()
		d.clock.pass(time.Minute)
		return d, joined
	}
	t.Run("its end was told", func(t *testing.T) {
		d, _ := begin(t)
		d.a.Detach(app, "bob", "web", map[Room]domain.Seq{one: 12})
		d.talk()
		cut := d.clock.now()
		d.clock.pass(time.Second)
		require.Equal(t, []Resumed{{Room: one, Seen: 12, After: domain.TAt(cut)}}, d.b.Attach(app, "bob", 1, "web"))
		require.Empty(t, d.b.Attach(app, "bob", 1, "pad"), "a device that did not view")
		d.yielded()
		require.False(t, d.a.room(one).viewers["bob"].held(), "its node says nothing of it any more")
	})
	t.Run("its node is dead", func(t *testing.T) {
		d, joined := begin(t)
		d.b.Gone(d.a.node)
		gone := d.clock.now()
		d.clock.pass(time.Second)
		require.Equal(t, gone.Add(2*time.Minute), d.b.RoomsOf(app, "bob")[0].Until.UTC())
		require.Equal(t, []Resumed{{
			Room: one, After: domain.TAt(gone.Add(-deathNotice)), Shown: domain.TAt(gone),
		}}, d.b.Attach(app, "bob", 1, "web"))
		require.Positive(t, joined)
	})
	t.Run("nobody has noticed its end", func(t *testing.T) {
		d, joined := begin(t)
		now := d.clock.now()
		require.Equal(t, []Resumed{{Room: one, After: at(joined), Shown: domain.TAt(now)}}, d.b.Attach(app, "bob", 1, "web"))
		require.Equal(t, []Resumed{{Room: one, Open: true}}, d.b.Attach(app, "bob", 1, "web"))
		d.talk()
		d.clock.pass(time.Minute)
		d.a.Detach(app, "bob", "web", map[Room]domain.Seq{one: 3})
		d.talk()
		for _, h := range []*half{d.a, d.b} {
			require.Equal(t, []domain.Resource{"web"}, h.RoomsOf(app, "bob")[0].Devices, "it views elsewhere")
			require.Equal(t, "+bob 2", h.heard.take(one))
		}
		d.clock.pass(time.Hour)
		require.Equal(t, at(d.b.micro()-(2*time.Minute).Microseconds()), d.a.Attach(app, "bob", 1, "web")[0].After)
	})
}

// What is done on one node happens to who has sessions on the other.
func TestDoneElsewhere(t *testing.T) {
	d := newDuo(t)
	d.a.joins(t, "bob", "web")
	d.talk()
	require.Equal(t, 2, d.b.Count(one))
	require.True(t, d.b.Viewing(one, "bob"))
	require.False(t, d.b.Views(one, "bob", "web"), "not there")
	require.Equal(t, []domain.UserID{"bob"}, d.b.Remove(one, []domain.UserID{"bob", "carol"}))
	require.False(t, d.b.Viewing(one, "bob"), "at once")
	d.talk()
	require.False(t, d.a.Viewing(one, "bob"))
	require.Equal(t, []domain.UserID{"bob"}, d.a.ended)
	require.Equal(t, "+bob 2, -bob 1", d.a.heard.take(one))
	require.Equal(t, "+bob 2, -bob 1", d.b.heard.take(one))

	d.b.joins(t, "bob", "", func(j *Join) { j.Everywhere = true })
	d.talk()
	require.Contains(t, d.a.added, domain.UserID("bob"))
	n, ok := d.a.View(app, "bob", 1, one, "web")
	require.True(t, ok)
	require.Equal(t, 2, n)
	d.yielded()
	require.False(t, d.b.room(one).viewers["bob"].held(), "a device views")
	require.True(t, d.b.Leave(app, "bob", one, ""))
	d.talk()
	require.Equal(t, []domain.UserID{"bob", "bob"}, d.a.ended)
	_, ok = d.a.View(app, "bob", 1, one, "web")
	require.False(t, ok, "nobody was added")
	require.Empty(t, d.a.Rooms())
	require.Empty(t, d.b.Rooms())
}

// Who leaves on one node and joins on the other right afterwards views on, whatever the clocks say, though the leave is told again.
func TestJoinAfterAsk(t *testing.T) {
	d := newDuo(t)
	d.a.joins(t, "bob", "web")
	d.talk()
	require.True(t, d.b.Leave(app, "bob", one, ""))
	d.talk()
	d.clock.pass(-time.Second)
	d.a.joins(t, "bob", "web")
	d.talk()
	d.meet()
	require.True(t, d.a.Views(one, "bob", "web"))
	require.True(t, d.b.Viewing(one, "bob"))
}

// A room's bound is judged where somebody joins; what is heard is never refused.
func TestFullOverNodes(t *testing.T) {
	d := newDuo(t)
	d.a.joins(t, "bob", "web")
	d.b.joins(t, "carol", "web")
	d.a.joins(t, "dave", "web")
	d.talk()
	require.Equal(t, 4, d.a.Count(one))
	require.Equal(t, 4, d.b.Count(one))
	_, _, err := d.b.Join(Join{App: app, User: "eve", Incarnation: 1, Device: "web", Room: one, Owner: "alice", MaxUsers: 2})
	require.Equal(t, domain.RoomFull, domain.CodeOf(err))
}

// What a dead node's rows say counts no more when it was taken over: who left meanwhile does not come back with that node, nor with all.
func TestTakenOverRows(t *testing.T) {
	for _, after := range []string{"the node", "all", "one alone"} {
		t.Run(after, func(t *testing.T) {
			d := newDuo(t)
			d.a.joins(t, "bob", "web", stays)
			d.a.joins(t, "carol", "web", stays)
			d.talk()
			d.save()
			dead := d.a.node
			d.a = nil
			d.b.Gone(dead)
			d.save()
			require.True(t, d.b.Leave(app, "bob", one, ""))
			d.clock.pass(10 * time.Minute)
			d.b.sweep()
			d.save()
			d.clock.pass(time.Second)
			switch after {
			case "the node":
				d.a = d.boot("a", 1)
				require.False(t, d.a.Viewing(one, "bob"))
				d.meet()
			case "all":
				d.a, d.b = d.boot("a", 1), d.boot("b", 2)
				d.meet()
			default:
				alone := New(Config{Store: d.store, Settings: DefaultSettings(), Now: d.clock.now})
				require.NoError(t, alone.Load(t.Context()))
				require.False(t, alone.Viewing(one, "bob"))
				require.True(t, alone.Viewing(one, "carol"))
				alone.save(t.Context(), true)
				require.True(t, alone.Leave(app, "carol", one, ""))
				alone.save(t.Context(), true)
				d.a, d.b = d.boot("a", 1), d.boot("b", 2)
				d.meet()
				require.Empty(t, d.a.Rooms())
				require.Empty(t, d.b.Rooms())
				return
			}
			for _, h := range []*half{d.a, d.b} {
				require.False(t, h.Viewing(one, "bob"))
				require.True(t, h.Viewing(one, "carol"))
			}
		})
	}
}

// A node that was believed dead and is not goes on, and its rows are written anew.
func TestBelievedDead(t *testing.T) {
	for _, told := range []bool{true, false} {
		t.Run(fmt.Sprint("told ", told), func(t *testing.T) {
			d := newDuo(t)
			d.a.joins(t, "bob", "web", stays)
			d.talk()
			d.save()
			d.b.Gone(d.a.node)
			d.save() // and declares a's rows void
			if told {
				d.meet()
				require.Equal(t, []domain.Resource{"web"}, d.b.RoomsOf(app, "bob")[0].Devices)
				d.yielded()
				require.False(t, d.b.room(one).viewers["bob"].held(), "its node says what is so")
			}
			d.clock.pass(11 * time.Second)
			d.a.save(t.Context(), false)
			a := d.boot("a", 1)
			require.True(t, a.Viewing(one, "bob"))
		})
	}
}

// Rows of a node that is not there are taken over by one that is.
func TestRowsOfNobody(t *testing.T) {
	d := newDuo(t)
	d.a.joins(t, "bob", "web", stays)
	d.b.joins(t, "carol", "web", stays)
	d.talk()
	d.save()
	d.a, d.b = nil, d.boot("b", 2)
	require.Equal(t, 3, d.b.Count(one))
	require.False(t, d.b.room(one).viewers["bob"].held())
	require.True(t, d.b.room(one).viewers["carol"].held())
	d.clock.pass(loadedWait)
	d.b.sweep()
	require.True(t, d.b.room(one).viewers["bob"].held())
	d.save()
	c := d.boot("c", 3)
	require.Equal(t, 3, c.Count(one))
	d.b.Leave(app, "bob", one, "")
	d.clock.pass(time.Hour)
	d.save()
	c = d.boot("c", 3)
	require.Equal(t, 2, c.Count(one))
}
