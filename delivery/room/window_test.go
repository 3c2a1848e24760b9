package room_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"parley/delivery/room"
	"parley/domain/conversation"
)

func TestWindow(t *testing.T) {
	const messages, every = 1000, 2 * time.Millisecond
	for _, c := range []struct {
		name         string
		viewers      int
		window       time.Duration
		least, most  int           // frames
		latest, than time.Duration // longest that a message waits, and the least that the longest is
	}{
		{"quiet: at once", 1, 40 * time.Millisecond, messages, messages, 0, 0},
		{"hot: one a window", 2000, 40 * time.Millisecond, 45, 160, 40 * time.Millisecond, 30 * time.Millisecond},
		{"hot, no window", 2000, 0, messages, messages, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, func(s *room.Settings) { s.Window = c.window })
				v := &timedViewer{viewer: viewer{user: "ann", resource: "web"}}
				r.Add(t.Context(), lobby, v, func(*room.Frame) {}, room.Start{})
				for range c.viewers - 1 {
					r.Add(t.Context(), lobby, &counter{user: "crowd"}, func(*room.Frame) {}, room.Start{})
				}
				said0 := make([]time.Time, 0, messages)
				for range messages {
					said0 = append(said0, time.Now())
					r.say(said("cat"))
					time.Sleep(every)
				}
				time.Sleep(time.Second)
				require.Len(t, v.ids(), messages)
				require.GreaterOrEqual(t, len(v.raw), c.least)
				require.LessOrEqual(t, len(v.raw), c.most)
				longest := time.Duration(0)
				for i, at := range v.times {
					longest = max(longest, at.Sub(said0[i]))
				}
				require.LessOrEqual(t, longest, c.latest)
				require.GreaterOrEqual(t, longest, c.than)
				r.stop()
			})
		})
	}
}

// After a hot time the first message goes at once again.
func TestTheFirstMessageAfterQuietGoesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		ann := at("ann")
		r.add(ann, room.Start{})
		r.Heat()
		time.Sleep(200 * time.Millisecond)
		r.say(said("cat"))
		r.say(said("cat"))
		synctest.Wait()
		require.NotEmpty(t, ann.ids())
		time.Sleep(40 * time.Millisecond)
		synctest.Wait()
		require.Len(t, ann.ids(), 2)
		r.stop()
	})
}

// A room that nobody views is forgotten, and so is a rate that is not used.
func TestRoomsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		ann := at("ann")
		r.say(said("cat"))
		require.Zero(t, r.Known(), "nobody views it")
		r.add(ann, room.Start{})
		require.NoError(t, r.Admit(lobby, conversation.PriorityLow))
		time.Sleep(time.Hour)
		require.Equal(t, 1, r.Known(), "somebody views it")
		r.Went(lobby, "bob", 1)
		r.Went(lobby, "dan", 1)
		r.Remove(lobby, ann)
		time.Sleep(30 * time.Second)
		require.Equal(t, 1, r.Known(), "they may come back")
		time.Sleep(time.Minute)
		require.Zero(t, r.Known())
		r.say(said("cat"))
		r.add(ann, room.Start{Newest: 5})
		synctest.Wait()
		require.Len(t, ann.ids(), 2)
		r.stop()
	})
}

// timedViewer notes when it is shown each meta.
type timedViewer struct {
	viewer
	times []time.Time
}

func (v *timedViewer) Show(f *room.Frame) {
	for range f.Metas() {
		v.times = append(v.times, time.Now())
	}
	v.viewer.Show(f)
}
