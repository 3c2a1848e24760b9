package rpc_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"parley/delivery/directory"
	"parley/delivery/rpc"
	"parley/domain"
)

// A link begins with a snapshot, and what is told while it runs comes after it.
func TestASnapshotAndThenWhatChanges(t *testing.T) {
	p := newPair(t, settings())
	for i := range 100 {
		p.ta.set(fmt.Sprintf("w%02d", i), true)
	}
	p.ta.snapshot = func() {
		p.ta.set("w10", false) // was sent already
		p.ta.set("w90", false) // is still to be sent
		p.ta.set("x", true)
	}
	p.tb.set("of b", true)
	require.Error(t, p.b.links.Ready(), "nobody has said who lives")
	p.b.links.Members([]domain.Node{p.a.Node})
	require.ErrorContains(t, p.b.links.Ready(), "a")
	p.meet()
	eventually(t, func() error {
		if n := len(p.tb.knows(p.a.Node)); n != 99 {
			return fmt.Errorf("%d words are known", n)
		}
		return nil
	})
	require.NoError(t, p.b.links.Ready())
	require.NotContains(t, p.tb.knows(p.a.Node), "w10")
	require.NotContains(t, p.tb.knows(p.a.Node), "w90")
	p.ta.set("y", true)
	eventually(t, func() error {
		if got := p.tb.knows(p.a.Node); got[len(got)-1] != "y" {
			return fmt.Errorf("the last is %q", got[len(got)-1])
		}
		return nil
	})
	eventually(t, func() error {
		if got := p.ta.knows(p.b.Node); len(got) != 1 {
			return fmt.Errorf("a knows %q", got)
		}
		return nil
	})
	require.EqualValues(t, 1, p.a.value("snapshots_total", "told"))
	require.EqualValues(t, 104, p.a.value("facts_total", "told"))
	require.EqualValues(t, 104, p.b.value("facts_total", "heard"))
	require.EqualValues(t, 2, p.a.value("up", ""))
	require.Zero(t, p.a.value("queue_bytes", ""))
}

// A cut changes nothing that is believed; the next link sets right what was missed.
func TestACut(t *testing.T) {
	p := newPair(t, settings())
	p.meet()
	p.ta.set("x", true)
	p.hears("x")
	for range 3 {
		p.to.cut(true)
		p.ta.set("x", false)
		p.ta.set("y", true)
		time.Sleep(50 * time.Millisecond)
		require.Equal(t, []string{"x"}, p.tb.knows(p.a.Node))
		p.to.heal()
		p.hears("y")
		p.ta.set("y", false)
		p.ta.set("x", true)
		p.hears("x")
	}
	require.Zero(t, p.tb.timesGone(p.a.Node))
	require.EqualValues(t, 3, p.a.value("cuts_total", "told"))
	require.EqualValues(t, 3, p.a.value("cuts_total", "broken"))
}

// A cut of which no packet tells is noticed by both sides, and a connection that is dead is not used again.
func TestASilentCut(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		do   func(*pipe)
	}{
		{"nothing moves for a while", func(p *pipe) { p.stall(true) }},
		{"the connection is dead for ever", (*pipe).lose},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t, settings())
			p.meet()
			p.ta.set("x", true)
			p.hears("x")
			begin := time.Now()
			c.do(p.to)
			p.ta.set("y", true)
			eventually(t, func() error {
				if p.a.value("cuts_total", "told") == 0 || p.b.value("cuts_total", "heard") == 0 {
					return fmt.Errorf("after %s nobody has noticed", time.Since(begin))
				}
				return nil
			})
			require.Less(t, time.Since(begin), rpc.Silence+2*time.Second)
			p.to.heal()
			p.hears("x", "y")
			require.Less(t, time.Since(begin), rpc.Silence+3*time.Second)
		})
	}
}

// A quiet link is not taken for a silent one.
func TestAQuietLinkStays(t *testing.T) {
	t.Parallel()
	p := newPair(t, settings())
	p.meet()
	p.hears()
	time.Sleep(rpc.Silence + 1500*time.Millisecond)
	require.Equal(t, 1, p.tb.begun(p.a.Node))
	require.Zero(t, p.a.value("cuts_total", ""))
	p.ta.set("x", true)
	p.hears("x")
}

// What a slow node is to be told is bounded, telling never waits for it, and in the end it knows all.
func TestASlowNode(t *testing.T) {
	set := settings()
	set.Queue = 4 << 20
	p := newPair(t, set)
	slow := make(chan struct{})
	p.tb.slowly(slow)
	p.meet()
	eventually(t, func() error {
		if p.a.value("up", "told") == 0 {
			return fmt.Errorf("no link")
		}
		return nil
	})
	begin := time.Now()
	long := strings.Repeat("x", 10_000)
	for i := range 5000 { // 50 MB
		p.ta.set(long, i%2 == 0)
	}
	require.Less(t, time.Since(begin), 5*time.Second)
	require.LessOrEqual(t, p.a.value("queue_bytes", ""), float64(set.Queue))
	eventually(t, func() error {
		if p.a.value("cuts_total", "queue_full") == 0 {
			return fmt.Errorf("no cut")
		}
		return nil
	})
	p.ta.set("end", true)
	close(slow)
	p.hears("end")
}

// A fact that no message could carry is left out, and the others are not.
func TestAHugeFact(t *testing.T) {
	p := newPair(t, settings())
	p.ta.set("a", true)
	p.meet()
	p.hears("a")
	p.ta.set(strings.Repeat("x", 3<<20), true)
	p.ta.set(strings.Repeat("y", 1<<20), true)
	p.hears("a", strings.Repeat("y", 1<<20))
	require.EqualValues(t, 1, p.a.value("dropped_total", "too_large"))
	require.Zero(t, p.a.value("queue_bytes", ""))
	require.Zero(t, p.a.value("cuts_total", ""))
}

// Gone is told once for each life that had begun.
func TestLives(t *testing.T) {
	p := newPair(t, settings())
	p.tb.set("x", true)
	first := p.b.Node
	knows := func(n domain.Node, words int) {
		t.Helper()
		eventually(t, func() error {
			if got := p.ta.knows(n); len(got) != words {
				return fmt.Errorf("%q are known", got)
			}
			return nil
		})
	}
	never := domain.Node{Name: "never", Life: 1}
	p.a.links.Members([]domain.Node{first, never})
	p.b.links.Members([]domain.Node{p.a.Node})
	knows(first, 1)
	p.a.links.Members([]domain.Node{first})
	require.Zero(t, p.ta.timesGone(never), "it had told nothing")

	// It stalls, is believed dead, and wakes: it begins anew, without having noticed anything.
	p.a.links.Members(nil)
	require.Equal(t, 1, p.ta.timesGone(first))
	require.NoError(t, p.a.links.Ready())
	p.tb.set("y", true)
	time.Sleep(30 * time.Millisecond)
	require.Nil(t, p.ta.knows(first), "who is gone is not heard")
	p.a.links.Members([]domain.Node{first})
	knows(first, 2)
	p.tb.set("z", true)
	knows(first, 3)

	// It starts again.
	p.b.stop()
	p.tb = newBook(t)
	p.startB(settings())
	p.tb.set("new", true)
	p.meet()
	require.Equal(t, 2, p.ta.timesGone(first))
	knows(p.b.Node, 1)
	require.Nil(t, p.ta.knows(first))
	p.ta.set("of a", true)
	p.hears("of a")
	p.a.links.Members(nil)
	p.a.links.Members(nil)
	require.Equal(t, 2, p.ta.timesGone(first))
	require.Equal(t, 1, p.ta.timesGone(p.b.Node))
}

// A node that cannot be reached does not keep others from starting for ever.
func TestReadyDoesNotWaitForEver(t *testing.T) {
	set := settings()
	set.Await = 100 * time.Millisecond
	p := newPair(t, set)
	p.a.links.Members([]domain.Node{p.b.Node})
	require.Error(t, p.a.links.Ready())
	time.Sleep(set.Await)
	require.NoError(t, p.a.links.Ready())
}

func TestSettings(t *testing.T) {
	s := rpc.DefaultSettings()
	require.NoError(t, s.Validate())
	s = rpc.Settings{Await: -1}
	for _, name := range []string{"queue", "retry", "await"} {
		require.ErrorContains(t, s.Validate(), "cluster.links."+name)
	}
}

func TestKindsHaveNames(t *testing.T) {
	require.Equal(t, "sessions leases volatile 9", fmt.Sprint(rpc.Sessions, " ", rpc.Leases, " ", rpc.Volatile, " ", rpc.Kind(9)))
}

func BenchmarkTell(b *testing.B) {
	for _, peers := range []int{0, 2, 10} {
		b.Run(fmt.Sprint(peers, "_peers"), func(b *testing.B) {
			hear := newBook(b)
			n := start("a", func(domain.NodeName) string { return "127.0.0.1:1" }, rpc.DefaultSettings(), map[rpc.Kind]rpc.Party{rpc.Sessions: hear})
			defer n.stop()
			var others []domain.Node
			for i := range peers {
				others = append(others, domain.Node{Name: domain.NodeName(fmt.Sprint(i)), Life: 1})
			}
			n.links.Members(others)
			fact := make([]byte, 150)
			b.ReportAllocs()
			for b.Loop() {
				n.links.Tell(rpc.Sessions, fact)
			}
		})
	}
}

// A snapshot of 100,000 sessions over a link, from the hello to the end of it at the other node; then as many facts one after the other.
func BenchmarkLink100000(b *testing.B) {
	const sessions = 100_000
	tells, hears := crowd(sessions), directory.New()
	var at string
	a := start("a", func(domain.NodeName) string { return at }, rpc.DefaultSettings(), map[rpc.Kind]rpc.Party{rpc.Sessions: tells})
	defer a.stop()
	z := start("b", func(domain.NodeName) string { return a.addr }, rpc.DefaultSettings(), map[rpc.Kind]rpc.Party{rpc.Sessions: hears})
	defer z.stop()
	at = z.addr
	heard := func(facts, snapshots int) {
		for z.value("facts_total", "heard") < float64(facts) || z.value("snapshots_total", "heard") < float64(snapshots) {
			time.Sleep(time.Millisecond)
		}
	}
	facts, snapshots := 0, 0
	b.Run("snapshot", func(b *testing.B) {
		for b.Loop() {
			z.links.Members([]domain.Node{a.Node})
			a.links.Members([]domain.Node{z.Node})
			facts, snapshots = facts+sessions, snapshots+1
			heard(facts, snapshots)
			b.StopTimer()
			a.links.Members(nil)
			z.links.Members(nil)
			b.StartTimer()
		}
	})
	z.links.Members([]domain.Node{a.Node})
	a.links.Members([]domain.Node{z.Node})
	facts, snapshots = facts+sessions, snapshots+1
	heard(facts, snapshots)
	var fact []byte
	tells.Snapshot(func(f []byte) { fact = f })
	b.Run("told", func(b *testing.B) {
		for b.Loop() {
			for range sessions {
				a.links.Tell(rpc.Sessions, fact)
			}
			facts += sessions
			heard(facts, snapshots)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/sessions, "ns/fact")
	})
	if n := a.value("cuts_total", "broken"); n != 0 {
		b.Fatalf("%v cuts", n)
	}
}

// crowd is a directory of users with a device each.
func crowd(users int) *directory.Directory {
	d := directory.New()
	for i := range users {
		k := directory.Key{App: "org#app", User: domain.UserID(fmt.Sprint("user", i))}
		d.Attach(k, &socket{info: directory.Info{
			Resource: domain.Resource(fmt.Sprintf("android_%08x-%04x-4000-8000-%012x", i, i%65536, i)), DeviceName: "Pixel 8 Pro", Platform: "android",
			DeviceUUID: fmt.Sprintf("%08x-%04x-4000-8000-%012x", i, i%65536, i), Incarnation: 1, AuthEpoch: 1, Since: time.UnixMilli(int64(i)),
		}}, 4, "")
	}
	return d
}
