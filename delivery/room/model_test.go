package room_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"parley/delivery/room"
	"parley/domain"
	"parley/domain/conversation"
)

// span is one stay of a viewer in the room.
type span struct {
	*viewer
	from    room.Start
	before  domain.Seq // the last entry when it came
	seen    domain.Seq // at its end
	removed bool
}

// visible tells whether a user is shown an entry.
func visible(ev *domain.Event, u domain.UserID) bool {
	m, ok := ev.Body.(conversation.MessageSent)
	return ok && (len(m.Audience) == 0 || slices.Contains(m.Audience, u) || m.From == u)
}

// check compares what a viewer was shown with the room's order: no gap, nothing twice, all from its coming to its going.
func (p *span) check(t require.TestingT, events []domain.Event) {
	var all []domain.Seq // that the viewer may be shown, up to its end
	for i := range events {
		if ev := &events[i]; visible(ev, p.user) && ev.Seq <= p.seen {
			all = append(all, ev.Seq)
		}
	}
	shown := p.seqs()
	begin := len(all) - len(shown)
	require.GreaterOrEqual(t, begin, 0, "%s was shown more than there is: %v of %v", p.user, shown, all)
	require.Equal(t, append([]domain.Seq{}, all[begin:]...), append([]domain.Seq{}, shown...), "%s, from %+v", p.user, p.from)
	earlier := 0 // those shown that were there when it came
	for _, s := range shown {
		if s <= p.before {
			earlier++
		}
	}
	had, after := 0, 0
	for _, s := range all {
		if s <= p.before {
			had++
		}
		if s <= p.before && s > p.from.Seen {
			after++
		}
	}
	switch {
	case p.from.Seen != 0:
		require.Equal(t, after, earlier, "%s came back after %d", p.user, p.from.Seen)
	case !p.removed || p.seen >= p.before:
		require.GreaterOrEqual(t, earlier, min(had, p.from.Newest))
	}
}

// What each viewer is shown is what the room's order says, whoever comes and goes meanwhile.
func TestViewersAreShownTheRoomsOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := newRig(t, func(s *room.Settings) { s.Window = 3 * time.Millisecond })
		defer r.stop()
		if rapid.Bool().Draw(rt, "hot") {
			r.Heat()
		}
		const users = 5
		now := map[int]*span{}
		last := map[int]domain.Seq{}
		var spans []*span
		steps := rapid.IntRange(1, 60).Draw(rt, "steps")
		for i := range steps {
			u := rapid.IntRange(0, users-1).Draw(rt, "user")
			name := domain.UserID(fmt.Sprint("u", u))
			switch rapid.SampledFrom([]string{"say", "say", "say", "directed", "formless", "toggle", "toggle", "wait"}).Draw(rt, "do") {
			case "say":
				r.say(said(name))
			case "directed":
				r.say(said("cat", name, "u0"))
			case "formless":
				r.say(conversation.MemberAdded{User: name})
			case "wait":
				time.Sleep(time.Millisecond)
			case "toggle":
				if p := now[u]; p != nil {
					p.seen, p.removed = r.Remove(lobby, p.viewer), true
					last[u] = p.seen
					delete(now, u)
					continue
				}
				p := &span{viewer: &viewer{user: name, resource: domain.Resource(fmt.Sprint("d", i))}, before: domain.Seq(len(r.log.events))}
				switch rapid.IntRange(0, 2).Draw(rt, "from") {
				case 1:
					p.from.Newest = rapid.IntRange(1, 10).Draw(rt, "newest")
				case 2:
					p.from.Seen = last[u]
				}
				r.add(p.viewer, p.from)
				now[u] = p
				spans = append(spans, p)
			}
		}
		for _, p := range now {
			r.settled(p.viewer)
			p.seen = domain.Seq(len(r.log.events))
		}
		for _, p := range spans {
			p.check(rt, r.log.events)
		}
	})
}

// The order holds while many speak, come and go at once.
func TestOrderUnderLoad(t *testing.T) {
	for _, hot := range []bool{false, true} {
		t.Run(fmt.Sprintf("hot=%t", hot), func(t *testing.T) {
			r := newRig(t, nil)
			if hot {
				r.Heat()
			}
			var senders, viewers sync.WaitGroup
			var routing sync.Mutex
			stop := make(chan struct{})
			for i := range 4 {
				senders.Go(func() {
					for range 300 {
						routing.Lock()
						r.say(said(domain.UserID(fmt.Sprint("s", i))))
						routing.Unlock()
						time.Sleep(300 * time.Microsecond)
					}
				})
			}
			var mu sync.Mutex
			var spans []*span
			for i := range 8 {
				viewers.Go(func() {
					seen := domain.Seq(0)
					for n := 0; ; n++ {
						p := &span{viewer: &viewer{user: domain.UserID(fmt.Sprint("v", i)), resource: domain.Resource(fmt.Sprint("d", n))}, from: room.Start{Seen: seen}}
						routing.Lock()
						p.before = domain.Seq(len(r.log.events))
						routing.Unlock()
						r.add(p.viewer, p.from)
						select {
						case <-stop:
							r.settled(p.viewer)
						case <-time.After(time.Duration(1+(i*n)%7) * time.Millisecond):
						}
						p.seen, p.removed = r.Remove(lobby, p.viewer), true
						seen = p.seen
						mu.Lock()
						spans = append(spans, p)
						mu.Unlock()
						select {
						case <-stop:
							return
						default:
						}
					}
				})
			}
			senders.Wait()
			close(stop)
			viewers.Wait()
			gaps := 0
			for _, p := range spans {
				shown := p.seqs()
				if len(shown) == 0 {
					continue
				}
				for i := range shown {
					require.Equal(t, shown[0]+domain.Seq(i), shown[i], "%s: a gap or something twice in %v", p.user, shown)
				}
				require.Equal(t, p.seen, shown[len(shown)-1])
				if p.from.Seen != 0 {
					require.Greater(t, shown[0], p.from.Seen)
					gaps += int(shown[0] - p.from.Seen - 1)
				}
			}
			require.LessOrEqual(t, float64(gaps), r.metric("parley_room_missed_total", "late"), "only who is away for longer than is kept misses something")
			require.Greater(t, len(spans), 20)
		})
	}
}
