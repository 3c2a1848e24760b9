package shard_test

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"parley/domain"
	"parley/ingest/shard"
)

// BenchmarkShardSend decides, appends (synced) and acknowledges messages over 50 streams, with the flush beside. cpu-us/op is the process's
// CPU time for one message, the client's side included.
func BenchmarkShardSend(b *testing.B) {
	d := openDisk(b, b.TempDir())
	defer d.close(b)
	r := start(b, d, func(c *shard.Config) {
		c.Settings = shard.Settings{Mailbox: 1 << 16}
		c.Log, c.Store, c.Feed = d.log, d.store, nothing{}
	})
	defer r.stop()
	r.ready()
	const streams = 50
	cmds := make([]domain.UserID, 2*streams)
	for i := range cmds {
		cmds[i] = domain.UserID(fmt.Sprintf("user%d", i))
	}
	var next atomic.Uint64
	b.SetParallelism(200 / runtime.GOMAXPROCS(0))
	b.ReportAllocs()
	before := cpu()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		answer := make(chan domain.Result, 1)
		done := func(res domain.Result) { answer <- res }
		for pb.Next() {
			n := next.Add(1)
			from, to := cmds[2*(n%streams)], cmds[2*(n%streams)+1]
			r.Submit(domain.Request{Stream: direct(from, to), Command: send(from, to, n), Done: done})
			if res := <-answer; res.Err != nil {
				b.Error(res.Err)
			}
		}
	})
	b.ReportMetric(float64((cpu()-before).Microseconds())/float64(b.N), "cpu-us/op")
}

// BenchmarkHeadsWarm asks for the heads of 2,000 streams in memory.
func BenchmarkHeadsWarm(b *testing.B) {
	d := openDisk(b, b.TempDir())
	defer d.close(b)
	r := start(b, d, nil)
	defer r.stop()
	r.ready()
	ids := make([]domain.StreamID, 2000)
	for i := range ids {
		ids[i] = direct(domain.UserID(fmt.Sprintf("a%d", i)), "zed")
	}
	_, err := r.Heads(b.Context(), ids)
	require.NoError(b, err)
	b.ResetTimer()
	for b.Loop() {
		if _, err := r.Heads(b.Context(), ids); err != nil {
			b.Fatal(err)
		}
	}
}

type nothing struct{}

func (nothing) Publish([]domain.Accepted) {}

// cpu is the CPU time that the process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
