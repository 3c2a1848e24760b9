package lease

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"parley/domain"
)

var one = domain.RoomStream(app, "1")

// Who may view, and who not.
func TestRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		before []domain.UserID // in the room
		rooms  int             // that bob views besides
		who    domain.UserID
		change func(*Join)
		want   domain.Code
	}{
		{name: "the first", who: "bob"},
		{name: "the last", before: []domain.UserID{"carol", "dave"}, who: "bob"},
		{name: "one too many", before: []domain.UserID{"carol", "dave", "eve"}, who: "bob", want: domain.RoomFull},
		{name: "the owner does not count", before: []domain.UserID{"carol", "dave", "alice"}, who: "bob"},
		{name: "the owner comes into a full room", before: []domain.UserID{"carol", "dave", "eve"}, who: "alice"},
		{name: "who is there already", before: []domain.UserID{"carol", "dave", "bob"}, who: "bob"},
		{name: "the allow list has no place of its own", before: []domain.UserID{"carol", "dave", "eve"}, who: "bob", change: stays, want: domain.RoomFull},
		{name: "no bound", before: []domain.UserID{"carol", "dave", "eve"}, who: "bob", change: func(j *Join) { j.MaxUsers = 0 }},
		{name: "the last room", rooms: 3, who: "bob"},
		{name: "a room too many", rooms: 4, who: "bob", want: domain.TooManyRooms},
		{name: "an old incarnation", rooms: 1, who: "bob", change: func(j *Join) { j.Incarnation = 0 }, want: domain.UserNotFound},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			r.settings.MaxJoined = 4
			for _, u := range c.before {
				_, first, err := r.joins(u, "web", "1")
				require.NoError(t, err)
				require.True(t, first)
			}
			for i := range c.rooms {
				_, _, err := r.joins("bob", "web", strconv.Itoa(2+i))
				require.NoError(t, err)
			}
			before := r.Count(one)
			if c.change == nil {
				c.change = func(*Join) {}
			}
			_, _, err := r.joins(c.who, "web", "1", c.change)
			require.Equal(t, c.want, domain.CodeOf(err))
			require.Equal(t, c.want == "", r.Viewing(one, c.who))
			if c.want != "" {
				require.Equal(t, before, r.Count(one))
			}
		})
	}
}

// Several devices are one viewer, who has gone with the last of them; the owner counts in any case.
func TestDevices(t *testing.T) {
	r := newRig(t)
	joined := func(d domain.Resource, first bool, count int) {
		t.Helper()
		n, f, err := r.joins("bob", d, "1", func(j *Join) { j.Ext = "x" })
		require.NoError(t, err)
		require.Equal(t, first, f)
		require.Equal(t, count, n)
	}
	joined("web", true, 2)
	joined("pad", false, 2)
	joined("pad", false, 2)
	_, _, err := r.joins("alice", "web", "1")
	require.NoError(t, err)
	require.Equal(t, 2, r.Count(one))
	require.Equal(t, []domain.Resource{"web", "pad"}, r.Roster(one, "alice", 9)[0].Devices)
	require.False(t, r.Leave(app, "bob", one, "tv"))
	require.True(t, r.Leave(app, "bob", one, "web"))
	require.True(t, r.Viewing(one, "bob"))
	require.False(t, r.Leave(app, "bob", one, "web"))
	r.Detach(app, "bob", "pad", nil)
	require.Equal(t, r.clock.now().Add(2*time.Minute), r.RoomsOf(app, "bob")[0].Until.UTC())
	r.pass(2*time.Minute - time.Microsecond)
	require.True(t, r.Viewing(one, "bob"))
	r.pass(time.Microsecond)
	require.False(t, r.Viewing(one, "bob"))
	require.Equal(t, "+bobx 2, +alice 2, -bob 1", r.heard.take(one))
	r.Detach(app, "alice", "web", nil)
	r.pass(time.Hour)
	require.True(t, r.Viewing(one, "alice"), "the owner stays")
	require.True(t, r.Leave(app, "alice", one, ""))
	require.Empty(t, r.Rooms())
	require.Equal(t, 1, r.Count(one))
}

// Who hands a room over and is on its allow list stays, as others on the list do.
func TestOldOwnerOnTheAllowList(t *testing.T) {
	r := newRig(t)
	for _, who := range []domain.UserID{"alice", "bob"} {
		_, _, err := r.joins(who, "web", "1")
		require.NoError(t, err)
	}
	r.SetStays(one, "alice", true)
	r.SetOwner(one, "bob")
	require.True(t, r.Stays(one, "alice"))
	r.Detach(app, "alice", "web", nil)
	r.SetOwner(one, "alice")
	r.SetOwner(one, "bob")
	r.pass(time.Hour)
	require.True(t, r.Viewing(one, "alice"))
	r.SetOwner(one, "alice")
	r.SetStays(one, "alice", false)
	require.True(t, r.Stays(one, "alice"), "the owner stays")
	r.SetOwner(one, "bob")
	require.False(t, r.Stays(one, "alice"))
}

// A lease that has run out is over for its user at once, whenever the sweep comes.
func TestOverBeforeSweep(t *testing.T) {
	r := newRig(t)
	_, _, err := r.joins("bob", "", "1")
	require.NoError(t, err)
	require.Equal(t, r.clock.now().Add(2*time.Minute), r.RoomsOf(app, "bob")[0].Until.UTC())
	r.clock.pass(2 * time.Minute)
	require.Empty(t, r.Attach(app, "bob", 1, "web"))
	_, _, err = r.joins("bob", "", "1")
	require.NoError(t, err)
	r.clock.pass(time.Second)
	require.Equal(t, []Resumed{{Room: one, After: at(r.micro() - 1e6)}}, r.Attach(app, "bob", 1, "web"))
	require.Equal(t, "+bob 2, -bob 1, +bob 2", r.heard.take(one))
	r.pass(time.Hour)
	require.True(t, r.Viewing(one, "bob"))
}

// What a user makes up of devices is bounded.
func TestManyCutDevices(t *testing.T) {
	r := newRig(t)
	for i := range 100 {
		d := domain.Resource(fmt.Sprint("d", i))
		_, _, err := r.joins("bob", d, "1")
		require.NoError(t, err)
		r.clock.pass(time.Millisecond)
		r.Detach(app, "bob", d, map[Room]domain.Seq{one: domain.Seq(i + 1)})
	}
	require.Len(t, r.room(one).viewers["bob"].devices, maxCut)
	require.Empty(t, r.Attach(app, "bob", 1, "d91"))
	require.Equal(t, domain.Seq(100), r.Attach(app, "bob", 1, "d99")[0].Seen)
	require.True(t, r.Attach(app, "bob", 1, "d99")[0].Open)
}

func TestRoster(t *testing.T) {
	r := newRig(t)
	r.settings.Roster = 40
	for i := range 100 {
		_, _, err := r.joins(domain.UserID(fmt.Sprintf("u%02d", i)), "web", "1", func(j *Join) { j.MaxUsers = 100 })
		require.NoError(t, err)
	}
	var got []string
	for after, page := domain.UserID(""), r.Roster(one, "", 30); len(page) > 0; page = r.Roster(one, after, 30) {
		for _, le := range page {
			got = append(got, string(le.User))
			after = le.User
		}
	}
	require.Len(t, got, 100)
	require.IsIncreasing(t, got)
	require.Len(t, r.Roster(one, "", 100), 40)
	require.Empty(t, r.Roster(one, "", 0))
	require.Empty(t, r.Roster("no", "", 10))
}

// From many at once the Sink hears of one change after the other: each count follows from the one before.
func TestNewsInOrder(t *testing.T) {
	r := newRig(t)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 300 {
				who := domain.UserID(fmt.Sprint("u", (i*7+w)%40))
				switch i % 5 {
				case 3:
					r.Leave(app, who, one, "")
				case 4:
					r.Remove(one, []domain.UserID{who, "u1"})
				default:
					_, _, _ = r.joins(who, "web", "1", func(j *Join) { j.MaxUsers = 30 })
				}
				if i%50 == 0 {
					r.SetOwner(one, "alice")
					r.Roster(one, "", 10)
					r.Forget(app, who, 1)
				}
			}
		})
	}
	wg.Wait()
	r.heard.mu.Lock()
	defer r.heard.mu.Unlock()
	count, here := 1, map[string]bool{}
	for i, s := range r.heard.told[one] {
		who, n, _ := strings.Cut(s[1:], " ")
		came := s[0] == '+'
		require.NotEqual(t, came, here[who], "%d: %s", i, s)
		if here[who] = came; came {
			count++
		} else {
			count--
		}
		require.Equal(t, strconv.Itoa(count), n, "%d: %s", i, s)
	}
	require.Greater(t, len(r.heard.told[one]), 100)
}

// A Sink may ask and change Leases while it is told.
func TestSinkCallsBack(t *testing.T) {
	r := newRig(t)
	s := &meddler{heard: &heard{}}
	r.sink, s.l = s, r.Leases
	_, _, err := r.joins("bob", "web", "1")
	require.NoError(t, err)
	require.Equal(t, "+bob 2, -bob 1", s.take(one))
	require.Empty(t, r.Rooms())
}

type meddler struct {
	*heard
	l *Leases
}

func (m *meddler) Came(room Room, who domain.UserID, ext string, count int) {
	m.heard.Came(room, who, ext, count)
	m.l.Roster(room, "", 10)
	m.l.Remove(room, []domain.UserID{who})
}

func TestEndedRoom(t *testing.T) {
	r := newRig(t)
	_, _, err := r.joins("bob", "web", "1")
	require.NoError(t, err)
	r.EndRoom(one)
	r.EndRoom(one)
	require.Equal(t, "+bob 2", r.heard.take(one))
	require.Empty(t, r.RoomsOf(app, "bob"))
	_, _, err = r.joins("bob", "web", "1")
	require.Equal(t, domain.RoomNotFound, domain.CodeOf(err))
	r.pass(endedKept)
	require.Empty(t, r.Rooms())
	require.Empty(t, r.ended)
}

func TestSettings(t *testing.T) {
	s := DefaultSettings()
	require.NoError(t, s.Validate())
	s = Settings{}
	err := s.Validate()
	for _, name := range []string{"rooms.keep", "rooms.max_joined", "rooms.roster", "rooms.heartbeat"} {
		require.ErrorContains(t, err, name)
	}
	s = DefaultSettings()
	s.Heartbeat = s.Keep
	require.ErrorContains(t, s.Validate(), "rooms.heartbeat")
}
