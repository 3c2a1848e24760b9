package lease

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"parley/domain"
)

// moved is a cluster in which bob's device was cut on the first node, and views on the second again. The first knows so; the third does not yet.
type moved struct {
	*cluster
	a, b, c *member
}

var bobWeb = socketKey{"bob", "web"}

func newMoved(rt *rapid.T) *moved {
	c := newCluster(rt, 3)
	v := &moved{c, c.nodes[0], c.nodes[1], c.nodes[2]}
	v.joinAt(v.a)
	v.hear(0, 1)
	v.hear(0, 2)
	clear(v.a.heard.told)
	clear(v.b.heard.told)
	clear(v.c.heard.told)
	v.clock.pass(5 * time.Second)
	v.a.close(bobWeb)
	v.clock.pass(time.Second)
	v.hear(0, 1)
	require.Len(rt, v.b.Attach(app, "bob", 1, "web"), 1)
	v.hear(1, 0)
	return v
}

func (v *moved) joinAt(m *member) {
	_, _, err := m.Join(v.wish("bob", 1, one, "web"))
	require.NoError(v.rt, err)
	m.sockets[bobWeb] = &socket{inc: 1, rooms: map[Room]bool{one: true}}
}

// hear lets one node hear all that another has told it.
func (v *moved) hear(from, to int) {
	for v.deliver(from, to) {
	}
}

// wait lets all be heard, what the first node says before the others, and then time pass, with sweeps.
func (v *moved) wait(d time.Duration) {
	v.hear(0, 2)
	v.deliverAll()
	v.clock.pass(d)
	for range 2 {
		for _, m := range v.nodes {
			if m != nil {
				m.sweep()
			}
		}
		v.deliverAll()
	}
}

// told finds that living nodes told viewers this and nothing else since the last call, and say whether bob views.
func (v *moved) told(views bool, want ...string) {
	for _, m := range v.nodes {
		if m == nil {
			continue
		}
		require.Equal(v.rt, want, m.heard.told[one], m.node.Name)
		require.Equal(v.rt, views, m.Viewing(one, "bob"), m.node.Name)
		clear(m.heard.told)
	}
}

// gone lets all be heard, and finds that what was told last is that bob has gone.
func (v *moved) gone() {
	v.deliverAll()
	for _, m := range v.nodes {
		require.Equal(v.rt, "-bob 1", m.heard.told[one][len(m.heard.told[one])-1], m.node.Name)
		require.False(v.rt, m.Viewing(one, "bob"), m.node.Name)
		clear(m.heard.told)
	}
}

// TestMoved is what may happen to a device that has come back on another node, before a third node knows of it.
func TestMoved(t *testing.T) {
	for name, happens := range map[string]func(v *moved){
		"nothing": func(v *moved) {
			v.wait(yieldWait)
			require.False(v.rt, v.a.room(one).viewers["bob"].held(), "its node says nothing of it any more")
			v.wait(time.Hour)
		},
		"a link is slow": func(v *moved) {
			v.clock.pass(linkLag)
			v.a.sweep()
			v.hear(0, 2)
			v.told(true)
		},
		"a link begins anew": func(v *moved) {
			v.cut(1, 2)
			v.hear(0, 2)
			v.wait(linkLag)
			v.connect(1, 2)
			v.wait(yieldWait)
		},
		"the link of its node of before begins anew": func(v *moved) {
			v.cut(0, 2)
			v.connect(0, 2)
			v.hear(0, 2)
			v.told(true)
		},
		"it is cut there": func(v *moved) {
			v.b.Detach(app, "bob", "web", nil)
			v.wait(yieldWait)
			v.told(true)
			v.wait(DefaultSettings().Keep)
			v.told(false, "-bob 1")
		},
		"its new node dies": func(v *moved) {
			v.killed(1)
			v.wait(time.Minute)
			v.told(true)
			v.wait(DefaultSettings().Keep)
			v.told(false, "-bob 1")
		},
		"its node of before dies": func(v *moved) {
			v.killed(0)
			v.wait(time.Hour)
		},
		"it leaves there": func(v *moved) {
			v.b.Leave(app, "bob", one, "web")
			v.hear(1, 0)
			v.hear(1, 2)
			v.deliverAll()
			v.told(false, "-bob 1")
		},
		"it leaves there, and the third hears so late": func(v *moved) {
			v.b.Leave(app, "bob", one, "web")
			v.hear(1, 0)
			v.hear(0, 2)
			v.gone()
		},
		"it is removed on the third": func(v *moved) {
			require.Equal(v.rt, []domain.UserID{"bob"}, v.c.Remove(one, []domain.UserID{"bob"}))
			v.hear(2, 0)
			v.hear(2, 1)
			v.hear(0, 1)
			v.gone()
		},
		"the room ends": func(v *moved) {
			v.c.EndRoom(one)
			v.deliverAll()
			v.told(false)
		},
	} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				v := newMoved(rt)
				happens(v)
				v.deliverAll()
				if v.nodes[0] != nil && v.nodes[0].Viewing(one, "bob") {
					v.told(true)
				}
				v.wait(time.Hour)
				for _, m := range v.nodes {
					if m != nil {
						require.Empty(rt, m.heard.told[one])
					}
				}
			})
		})
	}
}

// killed has a node die, and all others know.
func (v *moved) killed(i int) {
	dead := v.nodes[i].node
	v.nodes[i] = nil
	for j := range v.nodes {
		if j != i {
			v.cut(i, j)
			v.cut(j, i)
		}
	}
	for _, m := range v.nodes {
		if m != nil {
			m.Gone(dead)
		}
	}
}

// Who leaves on the second node before that has heard of the first is gone when that has heard it: nobody asks the first.
func TestLeftUnheard(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := newCluster(rt, 3)
		v := &moved{c, c.nodes[0], c.nodes[1], c.nodes[2]}
		v.joinAt(v.a)
		v.clock.pass(5 * time.Second)
		v.a.close(bobWeb)
		v.joinAt(v.b)
		v.hear(1, 0)
		require.True(rt, v.b.Leave(app, "bob", one, "web"))
		v.deliverAll()
		for _, m := range v.nodes {
			require.False(rt, m.Viewing(one, "bob"), m.node.Name)
		}
	})
}

// Who was added without a device, has taken that up on another node and leaves there, is gone at once.
func TestAddedMovedAndLeft(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := newCluster(rt, 3)
		v := &moved{c, c.nodes[0], c.nodes[1], c.nodes[2]}
		_, _, err := v.a.Join(v.wish("bob", 1, one, ""))
		require.NoError(rt, err)
		v.deliverAll()
		require.Len(rt, v.b.Attach(app, "bob", 1, "web"), 1)
		v.hear(1, 0)
		v.hear(0, 2)
		v.deliverAll()
		require.True(rt, v.b.Leave(app, "bob", one, "web"))
		require.False(rt, v.b.Viewing(one, "bob"))
		v.deliverAll()
		v.told(false, "+bob 2", "-bob 1")
	})
}
