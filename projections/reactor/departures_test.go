package reactor_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/fence"
	"parley/domain/message"
	"parley/domain/user"
	"parley/projections"
	"parley/projections/feed"
	"parley/projections/logtest"
	"parley/projections/queries"
	"parley/projections/reactor"
	"parley/projections/runner"
)

// town is two partitions with all that follows them: accounts live in one, groups and rooms in the other.
type town struct {
	users, rest *owners
	reactors    *reactor.Runner
	runner      *runner.Runner
	feeds       []*feed.Feed
}

// Submit implements reactor.Owners.
func (c *town) Submit(r domain.Request) { c.of(r.Stream).Submit(r) }

func (c *town) of(stream domain.StreamID) *owners {
	if st, _ := stream.Parse(); st.Kind == domain.KindUser {
		return c.users
	}
	return c.rest
}

// do lets something happen, if the rules let it.
func (c *town) do(stream domain.StreamID, cmd domain.Command) {
	o := c.of(stream)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.world.Do(stream, cmd)
}

// person is a user as an edge finds it now.
func (c *town) person(u domain.UserID) conversation.Person {
	c.users.mu.Lock()
	defer c.users.mu.Unlock()
	return c.users.world.Person(u)
}

func (h *house) town(tb logtest.TB, rnd *rand.Rand) *town {
	for _, t := range projections.Tables() {
		if err := h.store.Drop(context.Background(), t); err != nil {
			tb.Fatalf("drop: %v", err)
		}
	}
	c := &town{users: &owners{world: h.world(tb)}, rest: &owners{world: h.world(tb), rnd: rnd}}
	var err error
	c.runner, err = runner.New(context.Background(), h.store, projections.Kinds(), runner.DefaultSettings(),
		runner.NewMetrics(prometheus.NewRegistry()), slog.New(slog.DiscardHandler))
	if err != nil {
		tb.Fatalf("runner: %v", err)
	}
	metrics := feed.NewMetrics(prometheus.NewRegistry())
	for _, o := range []*owners{c.users, c.rest} {
		c.feeds = append(c.feeds, feed.New(o.world.Partition, h.log, feed.DefaultSettings(), metrics))
	}
	q := queries.New(h.store, queries.FeedsFunc(func(domain.StreamID, domain.Seq, domain.Seq) []domain.Event { return nil }), c.runner)
	c.reactors = reactor.New(h.store, c, reactor.All(q, c.runner), settings(), reactor.NewMetrics(prometheus.NewRegistry()),
		slog.New(slog.DiscardHandler))
	return c
}

// live runs everything while act happens, and until nothing follows any more.
func (h *house) live(tb logtest.TB, c *town, act func()) {
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	for _, f := range c.feeds {
		wg.Go(func() { _ = f.Follow(ctx, fence.Reader{}) })
		wg.Go(func() { _ = c.runner.Run(ctx, f) })
		wg.Go(func() { _ = c.reactors.Run(ctx, f) })
	}
	act()
	settled := func() bool { // what follows from the users comes first: it makes commits in the other partition
		return h.place(tb, c.users.world.Partition) == index(c.users, c.users.world) &&
			h.place(tb, c.rest.world.Partition) == index(c.rest, c.rest.world)
	}
	for deadline := time.Now().Add(20 * time.Second); !settled(); time.Sleep(200 * time.Microsecond) {
		if time.Now().After(deadline) {
			tb.Fatalf("the reactors are late")
		}
	}
}

// leftovers are the parts of accounts that have ended.
func (c *town) leftovers(groups, rooms []domain.StreamID) (out []string) {
	alive := func(p conversation.Person) bool { return c.users.world.Incarnation(p.User) == p.Incarnation }
	for _, stream := range groups {
		head := c.rest.world.Group(stream)
		if !head.Open() {
			continue
		}
		for _, m := range c.rest.world.Members(stream) {
			if m.Until == 0 && !alive(conversation.Person{User: m.User, Incarnation: m.Incarnation}) {
				out = append(out, fmt.Sprintf("%s: member %s %d, owner %s", stream, m.User, m.Incarnation, head.Owner))
			}
		}
	}
	for _, stream := range rooms {
		head := c.rest.world.Room(stream)
		if !head.Open() {
			continue
		}
		if !alive(head.Owner) {
			out = append(out, fmt.Sprintf("%s: owner %v", stream, head.Owner))
		}
		for _, p := range head.Allowed {
			if !alive(p) {
				out = append(out, fmt.Sprintf("%s: allowed %v", stream, p))
			}
		}
	}
	return out
}

// TestNothingIsLeftOfAnEndedAccount gives accounts parts in groups and rooms while they end: edges know who has an account only from before.
func TestNothingIsLeftOfAnEndedAccount(t *testing.T) {
	h := open(t)
	groups, rooms := streamsOf(domain.GroupStream), streamsOf(domain.RoomStream)
	rapid.Check(t, func(rt *rapid.T) {
		var rnd *rand.Rand
		if rapid.Bool().Draw(rt, "faults") {
			rnd = rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		}
		c := h.town(rt, rnd)
		h.live(rt, c, func() {
			known := make(map[domain.UserID]conversation.Person)
			for range rapid.IntRange(1, 80).Draw(rt, "steps") {
				u := rapid.SampledFrom(logtest.Users).Draw(rt, "user")
				if p := c.person(u); p.Incarnation != 0 && (known[u].Incarnation == 0 || rapid.Bool().Draw(rt, "look")) {
					known[u] = p
				}
				switch rapid.IntRange(0, 9).Draw(rt, "step") {
				case 0:
					c.do(domain.UserStream(logtest.App, u), user.Delete{})
				case 1, 2, 3:
					c.do(domain.UserStream(logtest.App, u), user.Register{UUID: "uuid"})
				case 4, 5, 6:
					stream := rapid.SampledFrom(groups).Draw(rt, "group")
					c.do(stream, groupCommand(rt, known[u]))
				default:
					stream := rapid.SampledFrom(rooms).Draw(rt, "room")
					c.do(stream, roomCommand(rt, known[u]))
				}
			}
		})
		if left := c.leftovers(groups, rooms); len(left) > 0 {
			rt.Fatalf("left:\n%s", strings.Join(left, "\n"))
		}
	})
}

func streamsOf(of func(domain.AppID, string) domain.StreamID) (out []domain.StreamID) {
	for _, id := range []string{"1", "2", "3"} {
		out = append(out, of(logtest.App, id))
	}
	return out
}

func groupCommand(rt *rapid.T, p conversation.Person) domain.Command {
	switch rapid.IntRange(0, 4).Draw(rt, "in a group") {
	case 0, 1:
		return conversation.CreateGroup{By: app, Owner: p, Settings: conversation.GroupSettings{Name: "g", MaxUsers: 200}}
	case 2:
		return conversation.TransferOwnership{By: app, To: p.User}
	default:
		return conversation.AddMembers{By: app, Users: []conversation.Person{p}}
	}
}

func roomCommand(rt *rapid.T, p conversation.Person) domain.Command {
	switch rapid.IntRange(0, 4).Draw(rt, "in a room") {
	case 0, 1:
		return conversation.CreateRoom{By: app, Owner: p, Settings: conversation.RoomSettings{Name: "r", MaxUsers: 10}}
	case 2:
		return conversation.TransferRoom{By: app, To: p}
	default:
		return conversation.AllowUsers{By: app, Users: []conversation.Person{p}}
	}
}

// TestOthersKeepTheirs ends an account among others: what is not its own stays.
func TestOthersKeepTheirs(t *testing.T) {
	h := open(t)
	c := h.town(t, nil)
	for _, u := range logtest.Users {
		c.do(domain.UserStream(logtest.App, u), user.Register{UUID: "uuid"})
	}
	ann, bob, cyd := c.person("ann"), c.person("bob"), c.person("cyd")
	room := func(id string) domain.StreamID { return domain.RoomStream(logtest.App, id) }
	group := func(id string) domain.StreamID { return domain.GroupStream(logtest.App, id) }
	for i := range 3 {
		owner := []conversation.Person{ann, ann, bob}[i]
		id := fmt.Sprint(i + 1)
		c.do(room(id), conversation.CreateRoom{By: app, Owner: owner, Settings: conversation.RoomSettings{Name: id, MaxUsers: 10}})
		c.do(room(id), conversation.AllowUsers{By: app, Users: []conversation.Person{ann, bob, cyd}})
		c.do(group(id), conversation.CreateGroup{
			By: app, Owner: owner, Members: []conversation.Person{ann, bob, cyd}, Settings: conversation.GroupSettings{Name: id, MaxUsers: 200},
		})
	}
	c.do(room("2"), conversation.TransferRoom{By: app, To: bob})
	c.do(group("2"), conversation.TransferOwnership{By: app, To: "bob"})
	c.do(room("3"), conversation.SendRoomMessage{
		Sender: conversation.Sender{User: "ann", Incarnation: ann.Incarnation}, Viewer: true, Envelope: message.Envelope{Kind: message.Text},
	})
	h.live(t, c, func() { c.do(domain.UserStream(logtest.App, "ann"), user.Delete{}) })
	w := c.rest.world
	if w.Room(room("1")).Open() || w.Group(group("1")).Open() {
		t.Errorf("a room or group goes on without its owner")
	}
	for _, id := range []string{"2", "3"} {
		if r := w.Room(room(id)); !r.Open() || !slices.Equal(r.Allowed, []conversation.Person{bob, cyd}) {
			t.Errorf("room %s: %+v", id, r)
		}
		if g := w.Group(group(id)); !g.Open() || g.Count != 2 || g.Owner != "bob" {
			t.Errorf("group %s: %+v", id, g)
		}
	}
	asked := c.rest.asked
	h.live(t, c, func() {})
	if c.rest.asked != asked {
		t.Errorf("%d commands after all was done", c.rest.asked-asked)
	}
}
