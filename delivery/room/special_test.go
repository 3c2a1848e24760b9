package room_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"parley/delivery/room"
	"parley/domain"
	"parley/domain/conversation"
	"parley/schemas/msync"
)

func at(user domain.UserID) *viewer { return &viewer{user: user, resource: "web"} }

// happenings are the events that a viewer was shown: "PRESENCE ann,bob of 3".
func (v *viewer) happenings() (out []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for i := range v.metas {
		if v.metas[i].NS != msync.Meta_MUC {
			continue
		}
		var b msync.MUCBody
		if err := proto.Unmarshal(v.metas[i].Payload, &b); err != nil {
			panic(err)
		}
		names := b.GetMembers()
		if len(names) == 0 {
			names = []string{b.GetFrom().GetName()}
		}
		for _, j := range b.GetTo() {
			names = append(names, "to", j.GetName())
		}
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s of %d %s", b.GetOperation(), strings.Join(names, ","), b.GetMucMemberCount(), b.GetExt())))
	}
	return out
}

func (r *rig) happened(v *viewer, want ...string) {
	r.t.Helper()
	require.Eventually(r.t, func() bool { return len(v.happenings()) >= len(want) }, 5*time.Second, time.Millisecond)
	require.Equal(r.t, want, v.happenings())
}

func TestDirectedMessagesComeInOrderWithTheRest(t *testing.T) {
	r := newRig(t, nil)
	ann, bob, cat := at("ann"), at("bob"), at("cat")
	for _, v := range []*viewer{ann, bob, cat} {
		r.add(v, room.Start{})
	}
	r.say(said("dan"))               // 1
	r.say(said("dan", "ann"))        // 2
	r.say(said("dan"))               // 3
	r.say(said("dan", "ann", "bob")) // 4
	r.shown(ann, 1, 2, 3, 4)
	r.shown(bob, 1, 3, 4)
	r.settled(cat)
	r.shown(cat, 1, 3)
	back := at("bob")
	r.add(back, room.Start{Seen: 1})
	r.shown(back, 3, 4)
}

// A window's frame of most is one for all; those who are shown the same share theirs too.
func TestFramesAreShared(t *testing.T) {
	r := newRig(t, nil)
	r.Heat()
	time.Sleep(250 * time.Millisecond)
	all := make([]*viewer, 100)
	for i := range all {
		all[i] = at(domain.UserID(fmt.Sprint("u", i)))
		r.add(all[i], room.Start{})
	}
	r.say(said("dan"))
	r.say(said("dan"))
	r.say(said("dan", "u1", "u2"))
	r.shown(all[1], 1, 2, 3)
	r.shown(all[2], 1, 2, 3)
	r.shown(all[3], 1, 2)
	r.shown(all[4], 1, 2)
	n := len(all[3].raw)
	require.Equal(t, n, len(all[4].raw))
	for i := range n {
		require.Same(t, all[3].raw[i], all[4].raw[i])
	}
	require.Same(t, all[1].raw[len(all[1].raw)-1], all[2].raw[len(all[2].raw)-1])
}

func TestLargeWindowsAreSplit(t *testing.T) {
	for _, c := range []struct {
		name       string
		size, most int
		number     int
	}{{"many", 10, 50, 170}, {"large", 9 << 10, 7, 30}, {"one beyond the limit", 100 << 10, 1, 3}} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, nil)
			m := conversation.MessageSent{From: "dan", Body: bytes.Repeat([]byte{1}, c.size)}
			for range c.number {
				r.say(m)
			}
			v := at("ann")
			r.add(v, room.Start{Newest: 200})
			require.Len(t, v.ids(), c.number)
			require.Len(t, v.raw, 1)
			require.Equal(t, c.number, v.raw[0].Metas())
			parts := messages(v.raw[0].Wire())
			require.Len(t, parts, (c.number+c.most-1)/c.most)
			for _, p := range parts {
				require.LessOrEqual(t, len(p), msync.MaxFrameBytes)
			}
		})
	}
}

func TestComingAndGoingIsToldToTheOthers(t *testing.T) {
	r := newRig(t, nil)
	ann := at("ann")
	r.Came(lobby, "ann", "", 1)
	r.add(ann, room.Start{})
	r.Came(lobby, "bob", "hello", 2)
	bob := at("bob")
	r.add(bob, room.Start{})
	r.happened(ann, "PRESENCE bob of 2 hello") // at once
	for i, u := range []domain.UserID{"cat", "dan", "eve"} {
		r.Came(lobby, u, "", 3+i)
	}
	cat := at("cat")
	r.add(cat, room.Start{})
	r.Went(lobby, "dan", 4) // before anybody was told
	r.Went(lobby, "bob", 3)
	r.Remove(lobby, bob)
	r.Came(lobby, "fay", "hi", 4)
	r.happened(ann, "PRESENCE bob of 2 hello", "ABSENCE bob of 4", "PRESENCE cat,eve of 4", "PRESENCE fay of 4 hi")
	r.happened(cat, "ABSENCE bob of 4", "PRESENCE eve of 4", "PRESENCE fay of 4 hi")
	require.Empty(t, bob.happenings(), "who came is not told of itself")
}

func TestManyNoticesAreBatchedAndLargeRoomsAreTold(t *testing.T) {
	r := newRig(t, func(s *room.Settings) { s.NoticeViewers = 50 })
	ann := at("ann")
	r.add(ann, room.Start{})
	for i := range 60 {
		r.Came(lobby, domain.UserID(fmt.Sprint("u", i)), "", i+2)
	}
	r.happened(ann, append([]string{"PRESENCE u0 of 2"}, batches(1, 48, 50)...)...)
	require.Equal(t, 11.0, r.metric("parley_room_notices_left_out_total"))
}

// batches are the notices of users from to to, 20 at a time.
func batches(from, to, count int) (out []string) {
	for from <= to {
		var names []string
		for ; from <= to && len(names) < 20; from++ {
			names = append(names, fmt.Sprint("u", from))
		}
		out = append(out, fmt.Sprintf("PRESENCE %s of %d", strings.Join(names, ","), count))
	}
	return out
}

func TestSomeAreToldBeforeTheyAreRemoved(t *testing.T) {
	r := newRig(t, nil)
	ann, bob := at("ann"), at("bob")
	r.add(ann, room.Start{})
	r.add(bob, room.Start{})
	n := msync.RoomNotice{ID: 5 << 12, Room: parsed, Op: msync.MUCBody_KICK, Users: []domain.UserID{"bob"}}
	r.Tell(lobby, []domain.UserID{"bob", "cat"}, msync.AppendRoomNotice(nil, &n))
	r.Remove(lobby, bob)
	require.Equal(t, []string{"KICK @ppAdmin,to,bob of 0"}, bob.happenings())
	require.Empty(t, ann.happenings())
}

func TestEventsOfTheAllowListAreForThoseNamed(t *testing.T) {
	r := newRig(t, nil)
	ann, bob, cat := at("ann"), at("bob"), at("cat")
	for _, v := range []*viewer{ann, bob, cat} {
		r.add(v, room.Start{})
	}
	r.say(conversation.UsersAllowed{Users: []conversation.Person{{User: "ann"}, {User: "bob"}}})
	r.say(conversation.UsersDisallowed{Users: []conversation.Person{{User: "bob"}}})
	r.happened(ann, "ADD_USER_WHITE_LIST @ppAdmin,to,ann of 0")
	r.happened(bob, "ADD_USER_WHITE_LIST @ppAdmin,to,bob of 0", "REMOVE_USER_WHITE_LIST @ppAdmin,to,bob of 0")
	r.settled(cat)
	require.Empty(t, cat.happenings())
}

// What is for all is not for the device that did it.
func TestWhoDidItIsNotTold(t *testing.T) {
	r := newRig(t, nil)
	web, phone, bob := at("ann"), &viewer{user: "ann", resource: "phone"}, at("bob")
	for _, v := range []*viewer{web, phone, bob} {
		r.add(v, room.Start{})
	}
	name := "new"
	r.say(conversation.RoomChanged{By: conversation.Doer{User: "ann", Resource: "web"}, Change: conversation.RoomChange{Name: &name}})
	r.happened(phone, "UPDATE ann of 0")
	r.happened(bob, "UPDATE ann of 0")
	r.say(conversation.MessageRecalled{Message: 9 << 12, From: "bob", By: "ann", ByResource: "web", Body: []byte{8, 6}})
	r.shown(phone, 1, 2)
	r.shown(bob, 1, 2)
	r.settled(web)
	require.Empty(t, web.ids())
}

// What the app says in a user's name is not for that user, unless it is to be: over REST that is said.
func TestWhoIsSaidToHaveSaidItIsNotShownIt(t *testing.T) {
	r := newRig(t, nil)
	ann, bob := at("ann"), at("bob")
	r.add(ann, room.Start{})
	r.add(bob, room.Start{})
	unasked := said("ann")
	unasked.FromResource, unasked.SyncOwn = "", false
	r.say(unasked)
	asked := unasked
	asked.SyncOwn = true
	r.say(asked)
	directed := unasked
	directed.Audience = []domain.UserID{"ann", "bob"}
	r.say(directed)
	r.shown(bob, 1, 2, 3)
	r.settled(ann)
	r.shown(ann, 2)
	again := &viewer{user: "ann", resource: "phone"}
	r.add(again, room.Start{Newest: 10})
	r.shown(again, 2)
}

func TestADestroyedRoomIsEmptyAfterItsLastEntry(t *testing.T) {
	r := newRig(t, nil)
	ann, bob := at("ann"), at("bob")
	r.add(ann, room.Start{})
	r.say(said("bob"))
	r.say(conversation.RoomDestroyed{Name: "lobby"})
	r.say(said("bob")) // cannot be; it would be shown to nobody
	r.shown(ann, 1, 2)
	require.Eventually(t, func() bool { return r.Known() == 0 }, 5*time.Second, time.Millisecond)
	require.Zero(t, r.Viewers(lobby))
	require.Zero(t, r.Remove(lobby, ann))
	require.Empty(t, bob.ids())
}

func TestVolatileMessagesAreNotKept(t *testing.T) {
	r := newRig(t, nil)
	ann := at("ann")
	r.add(ann, room.Start{})
	r.say(said("bob"))
	r.Volatile(lobby, parsed, &domain.Event{T: 9 << 12, Body: said("bob")})
	r.say(said("bob"))
	r.shown(ann, 1, 9, 2)
	bob := at("bob")
	r.add(bob, room.Start{Newest: 10})
	r.shown(bob, 1, 2)
}

func TestAdmit(t *testing.T) {
	const high, normal, low = conversation.PriorityHigh, conversation.PriorityNormal, conversation.PriorityLow
	r := newRig(t, func(s *room.Settings) { s.Rate = 100 })
	admitted := map[conversation.Priority]int{}
	for range 3 {
		for _, p := range []conversation.Priority{low, normal, high} {
			for range 100 {
				if err := r.Admit(lobby, p); err == nil {
					admitted[p]++
				} else {
					require.Equal(t, domain.RateLimited, domain.CodeOf(err))
				}
			}
		}
	}
	require.Equal(t, 300, admitted[high])
	require.InDelta(t, 50, admitted[normal], 10)
	require.InDelta(t, 50, admitted[low], 10)
	require.NoError(t, r.Admit(domain.RoomStream("org#app", "other"), low))
	for name, shed := range map[string]int{"high": 0, "normal": 300 - admitted[normal], "low": 300 - admitted[low]} {
		require.Equal(t, float64(shed), r.metric("parley_room_shed_total", name, "rate"), name)
	}
}

// metric returns the value of a counter with the given labels' values.
func (r *rig) metric(name string, labels ...string) float64 {
	r.t.Helper()
	families, err := r.reg.Gather()
	require.NoError(r.t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var has []string
			for _, l := range m.GetLabel() {
				has = append(has, l.GetValue())
			}
			if f.GetName() == name && slices.Equal(has, labels) {
				return m.GetCounter().GetValue()
			}
		}
	}
	r.t.Fatalf("no metric %s %v", name, labels)
	return 0
}

func TestColdRings(t *testing.T) {
	t.Run("newest", func(t *testing.T) {
		r := newRig(t, nil)
		for range 300 {
			r.say(said("bob"))
		}
		v := at("ann")
		r.add(v, room.Start{Newest: 3})
		r.shown(v, 298, 299, 300)
		r.add(at("cat"), room.Start{Newest: 3})
		require.Equal(t, 1, r.log.reads, "it is read once")
	})
	t.Run("back after too many", func(t *testing.T) {
		r := newRig(t, nil)
		for range 300 {
			r.say(said("bob"))
		}
		v := at("ann")
		r.add(v, room.Start{Seen: 90})
		ids := v.seqs()
		require.Len(t, ids, 200)
		require.Equal(t, domain.Seq(101), ids[0])
		require.Equal(t, 10.0, r.metric("parley_room_missed_total", "late"))
	})
	t.Run("later than", func(t *testing.T) {
		r := newRig(t, nil)
		for range 5 {
			r.say(said("bob"))
		}
		v := at("ann")
		r.add(v, room.Start{After: 3 << 12})
		r.shown(v, 4, 5)
	})
	t.Run("recalled", func(t *testing.T) {
		r := newRig(t, nil)
		for range 4 {
			r.say(said("bob"))
		}
		r.say(conversation.MessageRecalled{Message: 2 << 12, MessageSeq: 2, From: "bob", By: "bob", Body: []byte{8, 6}})
		v, back := at("ann"), at("cat")
		r.add(v, room.Start{Newest: 3})
		r.shown(v, 1, 3, 4)
		r.say(conversation.MessageRecalled{Message: 3 << 12, MessageSeq: 3, From: "bob", By: "bob", Body: []byte{8, 6}})
		r.add(back, room.Start{Seen: 1})
		r.shown(back, 4, 5, 6)
	})
	t.Run("no room", func(t *testing.T) {
		r := newRig(t, nil)
		v := at("ann")
		r.add(v, room.Start{Newest: 3})
		r.say(said("bob"))
		r.shown(v, 1)
	})
	t.Run("a read that fails", func(t *testing.T) {
		r := newRig(t, nil)
		r.say(said("bob"))
		r.log.fail = errors.New("no owner")
		v := at("ann")
		r.add(v, room.Start{Newest: 3})
		r.log.fail = nil
		r.say(said("bob"))
		r.shown(v, 2)
		again := at("cat")
		r.add(again, room.Start{Newest: 3})
		r.shown(again, 1, 2)
	})
	t.Run("not readable yet", func(t *testing.T) {
		r := newRig(t, nil)
		for range 5 {
			r.say(said("bob"))
		}
		r.log.readable = 3
		var wg sync.WaitGroup
		wg.Go(func() {
			time.Sleep(60 * time.Millisecond)
			r.say(said("bob"))
		})
		v := at("ann")
		r.add(v, room.Start{Newest: 4})
		wg.Wait()
		r.settled(v)
		require.Contains(t, [][]domain.Seq{{2, 3, 4, 5, 6}, {3, 4, 5, 6}}, v.seqs())
	})
}

// What is acknowledged may be read before it is routed: nobody is shown it twice, and who came before is shown it.
func TestReadFurtherThanRouted(t *testing.T) {
	for range 20 {
		r := newRig(t, nil)
		early, late := at("ann"), at("bob")
		r.add(early, room.Start{})
		var unrouted []*domain.Event
		for range 5 {
			unrouted = append(unrouted, r.log.append(said("cat")))
		}
		r.add(late, room.Start{Newest: 3})
		r.shown(late, 3, 4, 5)
		for i, ev := range unrouted {
			r.Entry(lobby, parsed, ev)
			if i == rand.IntN(5) {
				time.Sleep(time.Millisecond)
			}
		}
		r.say(said("cat"))
		r.shown(early, 1, 2, 3, 4, 5, 6)
		r.shown(late, 3, 4, 5, 6)
	}
}
