package owners_test

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/message"
	"parley/ingest/control"
	"parley/ingest/owners"
	"parley/ingest/shard"
	"parley/storage/pebble"
)

// BenchmarkOpenLoop sends over 50 pairs and 16 partitions at a fixed rate, whatever the answers do, and measures from the scheduled time.
func BenchmarkOpenLoop(b *testing.B) {
	for _, rate := range []int{1_000, 10_000, 20_000} {
		b.Run(fmt.Sprintf("rate=%d", rate), func(b *testing.B) { openLoop(b, rate) })
	}
}

func openLoop(b *testing.B, rate int) {
	dir := b.TempDir()
	log, err := pebble.OpenLog(filepath.Join(dir, "log"), pebble.Options{})
	require.NoError(b, err)
	store, err := pebble.OpenStore(filepath.Join(dir, "store"), pebble.Options{})
	require.NoError(b, err)
	c := control.New(log, slog.New(slog.DiscardHandler), time.Now)
	_, err = c.EnsureSlotMap(b.Context(), control.DefaultChats, control.DefaultRooms)
	require.NoError(b, err)
	f := &feeds{n: make(map[domain.Partition]int)}
	o, err := owners.New(owners.Config{
		Node: "n1", Control: c, Log: log, Store: store,
		Feed:  func(p domain.Partition) shard.Feed { return oneFeed{f, p} },
		Rules: func(domain.Kind) domain.Rules { return conversation.NewRules(message.DefaultLimits) },
	})
	require.NoError(b, err)
	stop := run(b, o, log, store)
	defer stop()
	require.Eventually(b, func() bool { return o.Ready() == nil }, 10*time.Second, time.Millisecond)

	took := make([]time.Duration, b.N)
	var wg sync.WaitGroup
	wg.Add(b.N)
	before := cpu()
	b.ResetTimer()
	start := time.Now()
	for i := range b.N {
		due := start.Add(time.Duration(i) * time.Second / time.Duration(rate))
		if d := time.Until(due); d > 200*time.Microsecond {
			time.Sleep(d)
		}
		from, to := domain.UserID(fmt.Sprintf("a%d", i%50)), domain.UserID(fmt.Sprintf("b%d", i%50))
		body := fmt.Appendf(nil, "%0200d", i)
		o.Submit(domain.Request{
			Stream: domain.DirectStream("demo#chat", from, to),
			Command: conversation.SendMessage{
				Sender:   conversation.Sender{User: from, Incarnation: 1, Resource: "web", ClientID: uint64(i + 1), Hash: message.Hash(body)},
				To:       conversation.Recipient{User: to, Incarnation: 1},
				Envelope: message.Envelope{Kind: message.Text, Size: len(body)}, Body: body,
			},
			Done: func(r domain.Result) {
				if r.Err != nil {
					b.Error(r.Err)
				}
				took[i] = time.Since(due)
				wg.Done()
			},
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64((cpu()-before).Microseconds())/float64(b.N), "cpu-us/op")
	slices.Sort(took)
	b.ReportMetric(float64(took[b.N/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[b.N*99/100].Microseconds())/1000, "p99-ms")
}

func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
