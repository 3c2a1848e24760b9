package directory_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"parley/delivery/directory"
	"parley/domain"
)

var (
	east = domain.Node{Name: "east", Life: 1}
	west = domain.Node{Name: "west", Life: 2}
)

// far is a directory on another node, whose facts are kept until they are handed on.
type far struct {
	*directory.Directory
	node  domain.Node
	facts [][]byte
}

func newFar(n domain.Node) *far {
	f := &far{node: n}
	f.Directory = directory.New(directory.Telling(func(fact []byte) { f.facts = append(f.facts, fact) }))
	return f
}

// tells hands on what has happened since the last time.
func (f *far) tells(t *testing.T, d *directory.Directory) {
	t.Helper()
	for _, fact := range f.facts {
		require.NoError(t, d.Apply(f.node, fact))
	}
	f.facts = nil
}

// snapshot hands on everything.
func (f *far) snapshot(t *testing.T, d *directory.Directory) {
	t.Helper()
	f.facts = nil
	d.Begin(f.node)
	f.Snapshot(func(fact []byte) { require.NoError(t, d.Apply(f.node, fact)) })
	d.End(f.node)
}

func TestSessionsElsewhere(t *testing.T) {
	d, e, w := directory.New(), newFar(east), newFar(west)
	e.snapshot(t, d)
	w.snapshot(t, d)
	phone := &session{dir: e.Directory, key: alice, info: directory.Info{
		Resource: "phone", DeviceUUID: "u-1", DeviceName: "Alice\xff's phone", Platform: "ios", Incarnation: 3, AuthEpoch: 7, Since: time.UnixMicro(1_000_001),
	}}
	require.Empty(t, e.Attach(alice, phone, 4, ""))
	add(w.Directory, 4, "web", "web", 2)
	require.False(t, d.Online(alice))
	e.tells(t, d)
	w.tells(t, d)
	require.True(t, d.Online(alice))
	require.True(t, d.Elsewhere(alice))
	require.False(t, d.Elsewhere(directory.Key{App: "org#other", User: "alice"}))
	require.Empty(t, d.Sessions(alice), "they are not here")
	here, _ := add(d, 4, "here", "web", 3)
	devices := d.Devices(alice)
	require.Len(t, devices, 3)
	require.Equal(t, phone.info, devices[0])
	require.EqualValues(t, "web", devices[1].Resource)
	require.EqualValues(t, "here", devices[2].Resource)
	d.Detach(alice, here)
	e.Detach(alice, phone)
	e.tells(t, d)
	require.Len(t, d.Devices(alice), 1)
	d.Gone(west)
	require.False(t, d.Online(alice))
	require.Error(t, d.Apply(west, must(w)), "nothing is heard of who is gone")
}

// must returns a fact of a node.
func must(f *far) (fact []byte) {
	f.Snapshot(func(b []byte) { fact = b })
	return fact
}

// What a snapshot does not have is forgotten at its end, of that node only; facts may come twice.
func TestASnapshotReplacesWhatWasKnown(t *testing.T) {
	d, e, w := directory.New(), newFar(east), newFar(west)
	a, _ := add(e.Directory, 4, "a", "web", 1)
	add(e.Directory, 4, "b", "web", 2)
	add(w.Directory, 4, "w", "web", 3)
	e.snapshot(t, d)
	w.snapshot(t, d)
	require.Len(t, d.Devices(alice), 3)
	e.Detach(alice, a)
	e.snapshot(t, d)
	e.snapshot(t, d)
	require.Len(t, d.Devices(alice), 2)
	add(e.Directory, 4, "c", "web", 4)
	twice := append(e.facts, e.facts...)
	e.facts = twice
	d.Begin(e.node)
	e.tells(t, d)
	require.Len(t, d.Devices(alice), 3, "until the end what was known is believed")
	d.End(e.node)
	require.Len(t, d.Devices(alice), 2)
}

func TestDevicesAreLimitedOverAllNodes(t *testing.T) {
	for _, c := range []struct {
		name         string
		here, there  []string // resource/platform@second, attached in this order; those here first
		limit        int
		left, kicked []string // here
	}{
		{"room", []string{"a/web@1"}, []string{"b/web@2"}, 2, []string{"a"}, nil},
		{"the first log-in goes", []string{"a/web@1"}, []string{"b/web@2"}, 1, nil, []string{"a"}},
		{"the newcomer logged in before", []string{"a/web@2"}, []string{"b/web@1"}, 1, []string{"a"}, nil},
		{"at one moment the greater name stays", []string{"a/web@1"}, []string{"b/web@1"}, 1, nil, []string{"a"}},
		{"and on the other node, too", []string{"b/web@1"}, []string{"a/web@1"}, 1, []string{"b"}, nil},
		{"all tabs go", []string{"a/web@1", "a/web@5"}, []string{"b/web@2", "c/web@3"}, 2, nil, []string{"a", "a"}},
		{"a device on both nodes is one", []string{"a/web@1", "b/web@2"}, []string{"b/web@3"}, 2, []string{"a", "b"}, nil},
		{"another platform is not counted", []string{"a/ios@1"}, []string{"b/web@2"}, 1, []string{"a"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, e := directory.New(), newFar(east)
			e.snapshot(t, d)
			var here []*session
			device := func(to *directory.Directory, limit int, s string) *session {
				name, second := s[:strings.Index(s, "@")], int(s[len(s)-1]-'0')
				at, displaced := add(to, limit, name[:1], name[2:], second)
				require.Empty(t, displaced)
				return at
			}
			for _, s := range c.here {
				here = append(here, device(d, 9, s))
			}
			for _, s := range c.there {
				device(e.Directory, c.limit, s)
			}
			e.tells(t, d)
			require.Equal(t, c.left, resources(d.Sessions(alice)))
			var kicked []string
			for _, s := range here {
				for range s.reasons() {
					kicked = append(kicked, string(s.info.Resource))
				}
			}
			require.Equal(t, c.kicked, kicked)
		})
	}
}

// Who logs in here stays, also where clocks of other nodes are ahead, and displaces what is elsewhere by telling.
func TestANewcomerHereStays(t *testing.T) {
	d, e := newFar(west), newFar(east)
	e.snapshot(t, d.Directory)
	d.snapshot(t, e.Directory)
	ahead, _ := add(e.Directory, 1, "ahead", "web", 100)
	e.tells(t, d.Directory)
	now, displaced := add(d.Directory, 1, "now", "web", 5)
	require.Empty(t, displaced, "it is not here")
	d.tells(t, e.Directory)
	require.Equal(t, []directory.KickReason{directory.KickAnotherDevice}, ahead.reasons())
	require.Empty(t, e.Sessions(alice))
	e.tells(t, d.Directory)
	require.Empty(t, now.reasons())
	require.Len(t, d.Devices(alice), 1)
	require.Equal(t, d.Devices(alice), e.Devices(alice))
}

// What is displaced is told as ended, and a session that has left is told once.
func TestWhatIsTold(t *testing.T) {
	d, e := directory.New(), newFar(east)
	e.snapshot(t, d)
	a, _ := add(e.Directory, 1, "a", "web", 1)
	require.Len(t, e.facts, 1)
	_, displaced := add(e.Directory, 1, "b", "web", 2)
	require.Len(t, displaced, 1)
	require.Len(t, e.facts, 3)
	e.tells(t, d)
	require.Len(t, d.Devices(alice), 1)
	e.Detach(alice, a)
	require.Empty(t, e.facts)
	for range 9 {
		add(e.Directory, 1, "b", "web", 3)
	}
	require.Len(t, e.facts, 9+2, "of eight sockets two had to go")
	long, _ := add(e.Directory, 9, strings.Repeat("r", 100), "web", 4)
	long.info.DeviceName = strings.Repeat("n", 1<<20)
	e.snapshot(t, d)
	require.Len(t, d.Devices(alice), 2)
	require.Len(t, d.Devices(alice)[1].DeviceName, 1024)
}

func TestFactsThatAreNone(t *testing.T) {
	d, e := directory.New(), newFar(east)
	add(e.Directory, 1, "a", "web", 1)
	require.Error(t, d.Apply(east, must(e)), "nothing has begun")
	d.Begin(east)
	for _, fact := range []string{"", "\xff", "\x0a\x01a"} {
		require.Error(t, d.Apply(east, []byte(fact)))
	}
	d.End(west)
	d.Gone(west)
	require.NoError(t, d.Apply(east, must(e)))
	require.True(t, d.Online(alice))
}

func FuzzApply(f *testing.F) {
	e := newFar(east)
	add(e.Directory, 1, "a", "web", 1)
	f.Add(must(e))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, fact []byte) {
		d := directory.New()
		d.Begin(east)
		if d.Apply(east, fact) != nil {
			return
		}
		if d.Apply(east, fact) != nil {
			t.Fatal("a fact comes twice")
		}
		d.Begin(east)
		d.End(east)
		if d.Remote() != 0 {
			t.Fatal("something stays")
		}
	})
}

// crowd is a directory of users with a device each.
func crowd(users int) *far {
	f := newFar(east)
	for i := range users {
		k := directory.Key{App: "org#app", User: domain.UserID(fmt.Sprint("user", i))}
		f.Attach(k, &session{info: directory.Info{
			Resource: domain.Resource(fmt.Sprintf("android_%08x-%04x-4000-8000-%012x", i, i%65536, i)), DeviceUUID: fmt.Sprintf("%08x-%04x-4000-8000-%012x", i, i%65536, i),
			DeviceName: "Pixel 8 Pro", Platform: "android", Incarnation: 1, AuthEpoch: 1, Since: time.UnixMilli(int64(i)),
		}}, 4, "")
	}
	return f
}

// A snapshot of 100,000 sessions, told; taken; and what one costs in memory.
func BenchmarkSnapshot100000(b *testing.B) {
	f := crowd(100_000)
	var facts [][]byte
	b.Run("told", func(b *testing.B) {
		for b.Loop() {
			facts = facts[:0]
			f.Snapshot(func(fact []byte) { facts = append(facts, fact) })
		}
	})
	b.Run("taken", func(b *testing.B) {
		for b.Loop() {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			d := directory.New()
			d.Begin(east)
			for _, fact := range facts {
				if err := d.Apply(east, fact); err != nil {
					b.Fatal(err)
				}
			}
			d.End(east)
			runtime.GC()
			runtime.ReadMemStats(&after)
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(len(facts)), "B/session")
			b.ReportMetric(float64(len(facts[0])), "B/fact")
			runtime.KeepAlive(d)
		}
	})
}

func BenchmarkElsewhere(b *testing.B) {
	f, d := crowd(100_000), directory.New()
	d.Begin(east)
	f.Snapshot(func(fact []byte) { _ = d.Apply(east, fact) })
	k := directory.Key{App: "org#app", User: "user4711"}
	b.ReportAllocs()
	for b.Loop() {
		if !d.Elsewhere(k) {
			b.Fatal("not there")
		}
	}
}

func BenchmarkAttach(b *testing.B) {
	f := newFar(east)
	s := &session{info: directory.Info{Resource: "phone", Platform: "ios", Since: time.UnixMilli(1)}}
	b.ReportAllocs()
	for b.Loop() {
		f.facts = f.facts[:0]
		f.Attach(alice, s, 4, "")
		f.Detach(alice, s)
	}
}
