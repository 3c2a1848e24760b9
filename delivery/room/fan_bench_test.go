package room_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"parley/delivery/room"
	"parley/domain"
)

// counter is a viewer that only counts.
type counter struct {
	user domain.UserID
	mu   sync.Mutex
	n    int
}

func (c *counter) User() domain.UserID       { return c.user }
func (c *counter) Resource() domain.Resource { return "web" }
func (c *counter) Show(f *room.Frame) {
	c.mu.Lock()
	c.n += f.Metas()
	c.mu.Unlock()
}

func (c *counter) shown() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

// The number of allocations of a message does not grow with the number of those who view it.
func TestHandingOutAllocatesNothing(t *testing.T) {
	per := func(viewers int) float64 {
		r := newRig(t, nil)
		all := make([]*counter, viewers)
		for i := range all {
			all[i] = &counter{user: domain.UserID(fmt.Sprint("u", i))}
			r.Add(t.Context(), lobby, all[i], func(*room.Frame) {}, room.Start{})
		}
		n := 0
		return testing.AllocsPerRun(50, func() {
			n++
			r.say(said("cat"))
			for _, v := range all {
				for v.shown() < n {
					time.Sleep(10 * time.Microsecond)
				}
			}
		})
	}
	few, many := per(10), per(1000)
	t.Logf("%.1f allocations for 10 viewers, %.1f for 1000", few, many)
	require.LessOrEqual(t, many, few+5)
}

// What handing a message to a thousand viewers costs without sockets.
func BenchmarkFanOut(b *testing.B) {
	const viewers = 1000
	set := room.DefaultSettings()
	set.Window = 0
	l := &log{}
	rooms, err := room.New(room.Config{
		Settings: set, Owners: l, Reads: l, Now: time.Now, Registerer: prometheus.NewRegistry(), NextT: func() domain.T { return 1 },
	})
	require.NoError(b, err)
	ctx, stop := context.WithCancel(b.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = rooms.Run(ctx) })
	all := make([]*counter, viewers)
	for i := range all {
		all[i] = &counter{user: domain.UserID(fmt.Sprint("u", i))}
		rooms.Add(ctx, lobby, all[i], func(*room.Frame) {}, room.Start{})
	}
	ev := domain.Event{Body: said("cat")}
	b.ReportAllocs()
	for b.Loop() {
		ev.Seq++
		ev.T++
		rooms.Entry(lobby, parsed, &ev)
		for all[viewers-1].shown() < int(ev.Seq) {
			time.Sleep(time.Microsecond)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/viewers, "ns/delivery")
	stop()
	wg.Wait()
}
