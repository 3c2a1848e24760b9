package lease

import (
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"parley/domain"
)

func crowd(n int, room func(i int) string) []Join {
	joins := make([]Join, n)
	for i := range joins {
		joins[i] = Join{
			App: app, User: domain.UserID(fmt.Sprint("viewer_", i)), Incarnation: 1, Device: domain.Resource(fmt.Sprint("webim_1772366400_", i)),
			Room: domain.RoomStream(app, room(i)), Owner: "owner",
		}
	}
	return joins
}

func heapNow() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// perViewer is the most bytes that a viewer takes, without its names.
const perViewer = 600

// 100,000 viewers, in one room and in a thousand: what they take, viewing, cut and written.
func TestMemory(t *testing.T) {
	n := 100_000
	if raceEnabled {
		n = 5000 // the detector's own memory counts too: only the plain run judges
	}
	for _, rooms := range []int{1, 1000} {
		joins := crowd(n, func(i int) string { return fmt.Sprint(i % rooms) })
		empty := heapNow()
		l := New(Config{Store: discard{}, Settings: DefaultSettings()})
		for i := range joins {
			if _, _, err := l.Join(joins[i]); err != nil {
				t.Fatal(err)
			}
		}
		viewing := heapNow()
		l.save(t.Context(), false)
		written := heapNow()
		for i := range joins {
			l.Detach(app, joins[i].User, joins[i].Device, nil)
		}
		cut := heapNow()
		l.save(t.Context(), false)
		each := func(now uint64) int64 { return (int64(now) - int64(empty)) / int64(n) }
		t.Logf("%d rooms: %d bytes a viewer while its row waits, %d written, %d cut while its row waits, %d cut and written",
			rooms, each(viewing), each(written), each(cut), each(heapNow()))
		if got := each(written); got > perViewer && !raceEnabled {
			t.Errorf("%d bytes a viewer, must be at most %d", got, perViewer)
		}
		runtime.KeepAlive(l)
		runtime.KeepAlive(joins)
	}
}

// BenchmarkJoin: users begin to view one room, on all cores.
func BenchmarkJoin(b *testing.B) {
	for _, rooms := range []int{1, 1000} {
		b.Run(fmt.Sprint(rooms, " rooms"), func(b *testing.B) {
			joins := crowd(b.N, func(i int) string { return fmt.Sprint(i % rooms) })
			l := New(Config{Store: discard{}, Settings: DefaultSettings(), Sink: silent{}})
			var next atomic.Int64
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, _, err := l.Join(joins[next.Add(1)-1]); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

// BenchmarkJoinLeave: one of 10,000 viewers leaves and comes again.
func BenchmarkJoinLeave(b *testing.B) {
	joins := crowd(10_000, func(int) string { return "1" })
	l := New(Config{Store: discard{}, Settings: DefaultSettings(), Sink: silent{}})
	for _, j := range joins {
		_, _, _ = l.Join(j)
	}
	l.save(b.Context(), false)
	var next atomic.Int64
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			j := &joins[int(next.Add(1))%len(joins)]
			l.Leave(app, j.User, j.Room, j.Device)
			_, _, _ = l.Join(*j)
		}
	})
}

// BenchmarkCutReturn: a viewer's device is cut and back.
func BenchmarkCutReturn(b *testing.B) {
	joins := crowd(10_000, func(int) string { return "1" })
	l := New(Config{Store: discard{}, Settings: DefaultSettings()})
	for _, j := range joins {
		_, _, _ = l.Join(j)
	}
	b.ReportAllocs()
	for i := range b.N {
		j := &joins[i%len(joins)]
		l.Detach(app, j.User, j.Device, nil)
		l.Attach(app, j.User, 1, j.Device)
	}
}

func BenchmarkViewing(b *testing.B) {
	joins := crowd(10_000, func(int) string { return "1" })
	l := New(Config{Store: discard{}, Settings: DefaultSettings()})
	for _, j := range joins {
		_, _, _ = l.Join(j)
	}
	b.ReportAllocs()
	for i := range b.N {
		l.Viewing(one, joins[i%len(joins)].User)
	}
}

// BenchmarkRoster: a page of 1,000 of 10,000.
func BenchmarkRoster(b *testing.B) {
	l := New(Config{Store: discard{}, Settings: DefaultSettings()})
	for _, j := range crowd(10_000, func(int) string { return "1" }) {
		_, _, _ = l.Join(j)
	}
	b.ReportAllocs()
	for range b.N {
		l.Roster(one, "", 1000)
	}
}

// BenchmarkSave: rows of 10,000 changed users, to a store that costs nothing.
func BenchmarkSave(b *testing.B) {
	joins := crowd(10_000, func(int) string { return "1" })
	l := New(Config{Store: discard{}, Settings: DefaultSettings()})
	b.ReportAllocs()
	for range b.N {
		b.StopTimer()
		for i := range joins {
			_, _, _ = l.Join(joins[i])
		}
		b.StartTimer()
		l.save(b.Context(), false)
	}
}

// BenchmarkSweep: 100,000 leases of which none has run out.
func BenchmarkSweep(b *testing.B) {
	l := New(Config{Store: discard{}, Settings: DefaultSettings()})
	for _, j := range crowd(100_000, func(int) string { return "1" }) {
		j.Device = ""
		_, _, _ = l.Join(j)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		l.sweep()
	}
}

// 10,000 joins a second into one room take a small part of a core.
func TestJoinRate(t *testing.T) {
	joins := crowd(20_000, func(int) string { return strings.Repeat("9", 15) })
	l := New(Config{Store: discard{}, Settings: DefaultSettings(), Sink: silent{}})
	start := time.Now()
	for _, j := range joins {
		if _, _, err := l.Join(j); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("%d joins took %s", len(joins), took)
	}
}

// BenchmarkHear: a replica hears of 10,000 viewers, by a snapshot.
func BenchmarkHear(b *testing.B) {
	tell := New(Config{Store: discard{}, Settings: DefaultSettings(), Self: domain.Node{Name: "a", Life: 1}, Tell: func([]byte) {}})
	for _, j := range crowd(10_000, func(int) string { return "1" }) {
		_, _, _ = tell.Join(j)
	}
	b.ReportAllocs()
	for range b.N {
		hear := New(Config{Store: discard{}, Settings: DefaultSettings(), Self: domain.Node{Name: "b", Life: 1}, Tell: func([]byte) {}})
		hear.Begin(tell.self)
		tell.Snapshot(func(fact []byte) {
			if err := hear.Apply(tell.self, fact); err != nil {
				b.Fatal(err)
			}
		})
		hear.End(tell.self)
	}
}
