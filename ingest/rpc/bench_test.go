package rpc_test

import (
	"context"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"parley/domain"
	"parley/domain/user"
	"parley/ingest/rpc"
)

// BenchmarkSubmit sends messages of 200 bytes at a fixed rate, or as fast as so many in flight allow, to an owner that answers at once. Both
// ends run in this process: the CPU per command is that of both nodes.
func BenchmarkSubmit(b *testing.B) {
	for _, rate := range []int{1_000, 10_000, 0} {
		b.Run(fmt.Sprintf("rate=%d", rate), func(b *testing.B) {
			f := newFar(b, &owner{submit: echo}, rpc.Settings{})
			p, stop := near(b, f, rpc.Settings{})
			defer stop()
			reqs := make([]domain.Request, 1000)
			for i := range reqs {
				reqs[i] = send(i, nil)
			}
			measure(b, rate, 1000, func(i int, done func()) {
				req := reqs[i%len(reqs)]
				req.Done = func(r domain.Result) {
					if r.Err != nil {
						b.Error(r.Err)
					}
					done()
				}
				p.Submit(there, req, 0)
			})
		})
	}
}

// BenchmarkHeads reads one head at a time.
func BenchmarkHeads(b *testing.B) {
	for _, rate := range []int{1_000, 10_000, 0} {
		b.Run(fmt.Sprintf("rate=%d", rate), func(b *testing.B) {
			head := []domain.Row{&user.Head{Exists: true, Incarnation: 1, UUID: "6f1c3c8e-0000-4000-8000-000000000000", Nickname: "Ann"}}
			f := newFar(b, &owner{heads: func(context.Context, []domain.StreamID) ([]domain.Row, error) { return head, nil }}, rpc.Settings{})
			p, stop := near(b, f, rpc.Settings{})
			defer stop()
			ids := []domain.StreamID{"demo#chat/u/ann"}
			measure(b, rate, 100, func(_ int, done func()) {
				go func() {
					rows, err := p.Heads(b.Context(), there, ids)
					if err != nil || len(rows) != 1 {
						b.Error(rows, err)
					}
					done()
				}()
			})
		})
	}
}

// measure runs b.N calls at a rate (0: as fast as can be with at most atOnce under way), and reports the CPU for each.
func measure(b *testing.B, rate, atOnce int, call func(i int, done func())) {
	b.Helper()
	room := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	wg.Add(b.N)
	before := cpu(b)
	b.ResetTimer()
	start := time.Now()
	for i := range b.N {
		if rate > 0 {
			if d := time.Until(start.Add(time.Duration(i) * time.Second / time.Duration(rate))); d > 200*time.Microsecond {
				time.Sleep(d)
			}
		}
		room <- struct{}{}
		call(i, func() { <-room; wg.Done() })
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64((cpu(b)-before).Nanoseconds())/float64(b.N)/1000, "cpu-us/op")
	b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "calls/s")
}

func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
