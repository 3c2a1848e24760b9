package reactor_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/fence"
	"parley/domain/user"
	"parley/projections/feed"
	"parley/projections/logtest"
	"parley/projections/reactor"
	"parley/schemas/table"
	"parley/storage/pebble"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// house is a log and a store on disk, and a world whose owner reactors ask.
type house struct {
	log   *pebble.Log
	store *pebble.Store
	next  domain.Partition
}

func open(t *testing.T) *house {
	t.Helper()
	log, err := pebble.OpenLog(t.TempDir(), pebble.Options{})
	if err != nil {
		t.Fatal(err)
	}
	store, err := pebble.OpenStore(t.TempDir(), pebble.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(log.Close(), store.Close()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return &house{log: log, store: store}
}

func (h *house) world(tb logtest.TB) *logtest.World {
	h.next++
	return logtest.NewWorld(tb, h.log, h.next-1)
}

// owners decide commands in the world. Some of them do not answer as they should.
type owners struct {
	mu    sync.Mutex
	world *logtest.World
	rnd   *rand.Rand // nil: no faults
	asked int
	// stop is called after so many commands, when it is not nil.
	stopAfter int
	stop      context.CancelFunc
}

// Submit implements reactor.Owners.
func (o *owners) Submit(r domain.Request) { go func() { r.Done(domain.Result{Err: o.decide(r)}) }() }

func (o *owners) decide(r domain.Request) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.asked++; o.stop != nil && o.asked >= o.stopAfter {
		o.stop()
	}
	fault := 9
	if o.rnd != nil {
		fault = o.rnd.IntN(10)
	}
	switch fault {
	case 0:
		return domain.Refuse(domain.Busy, "full")
	case 1:
		return domain.Refuse(domain.Unknown, "moved, and not decided")
	case 2:
		_, _ = o.world.Try(r.Stream, r.Command)
		return domain.Refuse(domain.Unknown, "moved, and decided")
	default:
		_, err := o.world.Try(r.Stream, r.Command)
		return err
	}
}

// store fails to write every now and then.
type store struct {
	*pebble.Store
	mu  sync.Mutex
	rnd *rand.Rand
}

func (s *store) Write(ctx context.Context, writes []table.Write) error {
	s.mu.Lock()
	fail := s.rnd != nil && s.rnd.IntN(3) == 0
	s.mu.Unlock()
	if fail {
		return errors.New("store is down")
	}
	return s.Store.Write(ctx, writes)
}

func settings() reactor.Settings {
	s := reactor.DefaultSettings()
	s.Batch, s.CheckpointEvery, s.FirstPause, s.LastPause = 3, 50*time.Microsecond, 10*time.Microsecond, 100*time.Microsecond
	return s
}

// life runs the reactors until ctx ends or done says so.
func (h *house) life(tb logtest.TB, w *logtest.World, st reactor.Store, o *owners, stopAfter int) {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	o.mu.Lock()
	o.asked, o.stopAfter, o.stop = 0, stopAfter, nil
	if stopAfter > 0 {
		o.stop = stop
	}
	o.mu.Unlock()
	r := reactor.New(st, o, []reactor.Reactor{reactor.Notices{}}, settings(), reactor.NewMetrics(prometheus.NewRegistry()), slog.New(slog.DiscardHandler))
	f := feed.New(w.Partition, h.log, feed.DefaultSettings(), feed.NewMetrics(prometheus.NewRegistry()))
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	ended := make(chan error, 1)
	wg.Go(func() { ended <- r.Run(ctx, f) })
	wg.Go(func() { _ = f.Follow(ctx, fence.Reader{}) })
	deadline := time.Now().Add(20 * time.Second)
	for {
		select {
		case err := <-ended:
			if err != nil || stopAfter == 0 {
				tb.Fatalf("the reactors ended: %v", err)
			}
			return
		default:
		}
		if h.place(tb, w.Partition) == index(o, w) {
			return
		}
		if time.Now().After(deadline) {
			tb.Fatalf("the reactors stand at index %d of %d", h.place(tb, w.Partition), index(o, w))
		}
		time.Sleep(200 * time.Microsecond)
	}
}

func index(o *owners, w *logtest.World) domain.Index {
	o.mu.Lock()
	defer o.mu.Unlock()
	return w.At().Index
}

// place returns the index of the stored checkpoint.
func (h *house) place(tb logtest.TB, p domain.Partition) domain.Index {
	rows, err := h.store.Get(context.Background(), reactor.Tables()[0], []table.RowKey{{Partition: table.Key(nil).Uint64(uint64(p))}})
	if err != nil {
		tb.Fatalf("get: %v", err)
	}
	if !rows[0].Found() {
		return 0
	}
	return domain.Index(binary.BigEndian.Uint64(rows[0].Cells[2].Value))
}

var app = conversation.Actor{App: true}

// group makes a public group whose owner is ann; who is invited has to accept.
func group(tb logtest.TB, w *logtest.World, id string) domain.StreamID {
	stream := domain.GroupStream(logtest.App, id)
	if _, ok := w.Do(stream, conversation.CreateGroup{
		By: app, Owner: w.Person("ann"), Settings: conversation.GroupSettings{
			Name: "The " + id, Public: true, Approval: true, InviteConfirm: true, MaxUsers: 200,
		},
	}); !ok {
		tb.Fatalf("no group")
	}
	return stream
}

// live lets groups invite and decline, and users end and come again.
func live(rt *rapid.T, w *logtest.World) {
	w.Register("ann")
	for _, u := range logtest.Users[1:] {
		w.Register(u)
	}
	streams := []domain.StreamID{group(rt, w, "101"), group(rt, w, "102")}
	for range rapid.IntRange(1, 40).Draw(rt, "steps") {
		stream := rapid.SampledFrom(streams).Draw(rt, "stream")
		u := rapid.SampledFrom(logtest.Users[1:]).Draw(rt, "user")
		by := conversation.Actor{User: u, Incarnation: w.Incarnation(u), Resource: "web"}
		switch rapid.IntRange(0, 7).Draw(rt, "step") {
		case 0:
			w.Do(domain.UserStream(logtest.App, u), user.Delete{})
		case 1:
			w.Do(domain.UserStream(logtest.App, u), user.Register{UUID: "again"})
		case 2, 3:
			w.Do(stream, conversation.ApplyToJoin{By: by, Reason: "please"})
		case 4:
			w.Do(stream, conversation.AnswerApplication{By: app, User: u, Accept: rapid.Bool().Draw(rt, "accept"), Reason: "so"})
		case 5:
			w.Do(stream, conversation.InviteUsers{By: conversation.Actor{User: "ann", Incarnation: 1, Resource: "web"}, Users: []conversation.Person{w.Person(u)}, Reason: "come"})
		default:
			var all []conversation.Person
			for _, v := range logtest.Users[1:] {
				if w.Incarnation(v) != 0 {
					all = append(all, w.Person(v))
				}
			}
			w.Do(stream, conversation.InviteUsers{By: app, Users: all})
		}
	}
}

// expected returns the notices that follow from the groups' events, for the accounts that exist at the end.
func expected(w *logtest.World) map[domain.UserID][]string {
	out := make(map[domain.UserID][]string)
	for _, a := range w.Accepted {
		st, _ := a.Commit.Stream.Parse()
		n := 0
		tell := func(p conversation.Person, kind user.NoticeKind, by domain.UserID, name, reason string) {
			n++
			if w.Incarnation(p.User) == p.Incarnation {
				out[p.User] = append(out[p.User], fmt.Sprint(kind, st.A, name, by, reason, p.Incarnation, a.Offset, n))
			}
		}
		for _, ev := range a.Commit.Events {
			switch b := ev.Body.(type) {
			case conversation.UsersInvited:
				for _, p := range b.Users {
					tell(p, user.GroupInvited, b.By.User, b.Name, b.Reason)
				}
			case conversation.JoinAnswered:
				if !b.Accepted {
					tell(b.User, user.GroupDeclined, b.By.User, b.Name, b.Reason)
				}
			}
		}
	}
	return out
}

// noticed returns the notices of the users' streams.
func noticed(w *logtest.World) map[domain.UserID][]string {
	out := make(map[domain.UserID][]string)
	for _, a := range w.Accepted {
		st, _ := a.Commit.Stream.Parse()
		for _, ev := range a.Commit.Events {
			if b, ok := ev.Body.(user.Noticed); ok {
				u := domain.UserID(st.A)
				out[u] = append(out[u], fmt.Sprint(b.Kind, b.Group, b.Name, b.By, b.Reason, b.Incarnation, b.Cause.Offset, b.Cause.N))
			}
		}
	}
	return out
}

// TestEveryoneIsToldOnceAndInOrder lets reactors stop at any command, owners answer wrongly and the store refuse checkpoints.
func TestEveryoneIsToldOnceAndInOrder(t *testing.T) {
	h := open(t)
	rapid.Check(t, func(rt *rapid.T) {
		w := h.world(rt)
		live(rt, w)
		want := expected(w)
		seed := rapid.Uint64().Draw(rt, "seed")
		o := &owners{world: w, rnd: rand.New(rand.NewPCG(seed, 1))}
		st := &store{Store: h.store, rnd: rand.New(rand.NewPCG(seed, 2))}
		for range rapid.IntRange(0, 4).Draw(rt, "stops") {
			h.life(rt, w, st, o, rapid.IntRange(1, 20).Draw(rt, "stop after"))
		}
		h.life(rt, w, st, o, 0)
		for _, u := range logtest.Users {
			if got := noticed(w)[u]; !slices.Equal(got, want[u]) {
				rt.Fatalf("notices of %s:\ngot  %q\nwant %q", u, got, want[u])
			}
		}
		asked := o.asked
		h.life(rt, w, st, o, 0)
		if asked, o.asked = o.asked, asked; asked != 0 {
			rt.Fatalf("%d commands after all was done", asked)
		}
	})
}

// TestARefusalIsAnAnswer tells a user who is gone: the reactors go on.
func TestARefusalIsAnAnswer(t *testing.T) {
	h := open(t)
	w := h.world(t)
	w.Register("ann")
	w.Register("bob")
	w.Register("cyd")
	stream := group(t, w, "101")
	w.Do(stream, conversation.InviteUsers{By: app, Users: []conversation.Person{w.Person("bob"), w.Person("cyd")}})
	w.Do(domain.UserStream(logtest.App, "bob"), user.Delete{})
	h.life(t, w, h.store, &owners{world: w}, 0)
	got := noticed(w)
	if len(got["bob"]) != 0 || len(got["cyd"]) != 1 {
		t.Errorf("got %q", got)
	}
}

func TestAGroupsEventOutsideAGroupHalts(t *testing.T) {
	h := open(t)
	w := h.world(t)
	w.Append(&domain.Commit{Stream: domain.UserStream(logtest.App, "ann"), Events: []domain.Event{
		{T: 4096, Body: conversation.UsersInvited{Users: []conversation.Person{{User: "bob", Incarnation: 1}}}},
	}})
	r := reactor.New(h.store, &owners{world: w}, []reactor.Reactor{reactor.Notices{}}, settings(), reactor.NewMetrics(prometheus.NewRegistry()), slog.New(slog.DiscardHandler))
	f := feed.New(w.Partition, h.log, feed.DefaultSettings(), feed.NewMetrics(prometheus.NewRegistry()))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := r.Run(ctx, f); err == nil {
		t.Errorf("the reactors went on")
	}
}

func TestSettingsSayWhatIsWrong(t *testing.T) {
	if err := reactor.DefaultSettings().Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	err := reactor.Settings{}.Validate()
	for _, name := range []string{"batch", "streams", "checkpoint_every", "store_timeout", "first_pause"} {
		if err == nil || !containsName(err, name) {
			t.Errorf("%v does not name %s", err, name)
		}
	}
}

func containsName(err error, name string) bool {
	return slices.ContainsFunc(err.(interface{ Unwrap() []error }).Unwrap(), func(e error) bool {
		return len(e.Error()) > len("reactor.")+len(name) && e.Error()[:len("reactor.")+len(name)] == "reactor."+name
	})
}
