package directory_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"parley/delivery/directory"
	"parley/domain"
)

// session is a socket that remembers why it was ended.
type session struct {
	info   directory.Info
	mu     sync.Mutex
	kicked []directory.KickReason
	dir    *directory.Directory
	key    directory.Key
}

func (s *session) Info() directory.Info                { return s.info }
func (s *session) Deliver(*directory.Delivery)         {}
func (s *session) DeliverVolatile(*directory.Delivery) {}
func (s *session) reasons() []directory.KickReason     { s.mu.Lock(); defer s.mu.Unlock(); return s.kicked }

func (s *session) Kick(r directory.KickReason, _ string) {
	s.dir.Detach(s.key, s) // a session that is kicked calls back
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kicked = append(s.kicked, r)
}

var (
	alice = directory.Key{App: "org#app", User: "alice"}
	zero  = time.UnixMilli(0)
)

// add attaches a socket of a device that opened at a second.
func add(d *directory.Directory, limit int, resource, platform string, second int) (*session, []directory.Session) {
	s := &session{dir: d, key: alice, info: directory.Info{
		Resource: domain.Resource(resource), Platform: platform, Since: zero.Add(time.Duration(second) * time.Second), AuthEpoch: uint32(second),
	}}
	return s, d.Attach(alice, s, limit, "")
}

func resources(all []directory.Session) (out []string) {
	for _, s := range all {
		out = append(out, string(s.Info().Resource))
	}
	return out
}

func TestSessionsAreFoundUntilTheyLeave(t *testing.T) {
	d := directory.New()
	require.False(t, d.Online(alice))
	a, _ := add(d, 4, "web", "web", 1)
	b, _ := add(d, 4, "phone", "ios", 2)
	tab, _ := add(d, 4, "web", "web", 3)
	require.Equal(t, []string{"web", "phone", "web"}, resources(d.Sessions(alice)))
	require.Len(t, d.Devices(alice), 2, "two tabs are one device")
	require.False(t, d.Online(directory.Key{App: "org#other", User: "alice"}))
	found := d.Sessions(alice)
	d.Detach(alice, a)
	require.Equal(t, []string{"web", "phone", "web"}, resources(found), "what was found does not change")
	require.Equal(t, []string{"phone", "web"}, resources(d.Sessions(alice)))
	d.Detach(alice, a)
	d.Detach(alice, b)
	d.Detach(alice, tab)
	require.False(t, d.Online(alice))
}

func TestDevicesOverTheLimit(t *testing.T) {
	for _, c := range []struct {
		name      string
		there     []string // resource/platform in the order of attaching; the seconds are the index, reversed where said
		newest    string
		limit     int
		displaced []string
	}{
		{"room", []string{"a/web"}, "b/web", 2, nil},
		{"the oldest goes", []string{"a/web", "b/web"}, "c/web", 2, []string{"a"}},
		{"all tabs of it", []string{"a/web", "b/web", "a/web"}, "c/web", 2, []string{"a", "a"}},
		{"another platform is not counted", []string{"a/ios", "b/web", "c/ios"}, "d/web", 2, nil},
		{"another tab is no new device", []string{"a/web", "b/web"}, "b/web", 2, nil},
		{"one alone", []string{"a/web"}, "b/web", 1, []string{"a"}},
		{"a lowered limit", []string{"a/web", "b/web", "c/web"}, "d/web", 1, []string{"a", "b", "c"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := directory.New()
			split := func(s string) (string, string) { return s[:1], s[2:] }
			for i, s := range c.there {
				r, p := split(s)
				add(d, 100, r, p, i)
			}
			r, p := split(c.newest)
			s, displaced := add(d, c.limit, r, p, len(c.there))
			got := resources(displaced)
			slices.Sort(got)
			require.Equal(t, c.displaced, got)
			require.Contains(t, d.Sessions(alice), directory.Session(s))
			for _, o := range displaced {
				require.NotContains(t, d.Sessions(alice), o)
			}
		})
	}
}

// A device has a bounded number of sockets: one more displaces its first, whatever the limit of devices.
func TestSocketsOfADevice(t *testing.T) {
	d := directory.New()
	other, _ := add(d, 9, "other", "web", 0)
	var all []*session
	for i := range 10 {
		s, displaced := add(d, 9, "web", "web", i+1)
		if all = append(all, s); i < 8 {
			require.Empty(t, displaced)
			continue
		}
		require.Equal(t, []directory.Session{all[i-8]}, displaced)
	}
	require.Len(t, d.Sessions(alice), 9)
	require.Contains(t, d.Sessions(alice), directory.Session(other))
	require.Contains(t, d.Sessions(alice), directory.Session(all[9]))
}

func TestKickEndsThoseItIsToEnd(t *testing.T) {
	d := directory.New()
	a, _ := add(d, 9, "a", "web", 1)
	b, _ := add(d, 9, "b", "web", 2)
	d.Kick(alice, func(i directory.Info) bool { return i.AuthEpoch < 2 }, directory.KickPasswordChanged, "")
	require.Equal(t, []directory.KickReason{directory.KickPasswordChanged}, a.reasons())
	require.Empty(t, b.reasons())
	require.Equal(t, []string{"b"}, resources(d.Sessions(alice)))
}

// Many come, go, are looked for and kicked at once; at the end nobody is there.
func TestDirectoryUnderRace(t *testing.T) {
	d := directory.New()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 200 {
				s, displaced := add(d, 3, fmt.Sprint("r", i), "web", n)
				for _, o := range displaced {
					o.Kick(directory.KickAnotherDevice, "")
				}
				d.Devices(alice)
				if n%10 == 0 {
					d.Kick(alice, func(i directory.Info) bool { return i.Resource == "r0" }, directory.KickRemoved, "")
				}
				d.Detach(alice, s)
			}
		})
	}
	wg.Wait()
	require.False(t, d.Online(alice))
}

func BenchmarkSessions(b *testing.B) {
	d := directory.New()
	add(d, 9, "a", "web", 1)
	b.ReportAllocs()
	for b.Loop() {
		d.Sessions(alice)
	}
}
