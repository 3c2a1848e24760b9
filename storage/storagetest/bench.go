package storagetest

import (
	"bytes"
	"fmt"
	"sync"
	"testing"

	"parley/domain"
)

// BenchLog appends batches of 10 records of 250 bytes, one at a time on each of 1, 4 and 16 partitions of chats.
func BenchLog(b *testing.B, open func(b *testing.B) Log) {
	for _, partitions := range []int{1, 4, 16} {
		b.Run(fmt.Sprint("partitions=", partitions), func(b *testing.B) {
			l := open(b)
			batch := domain.Batch{Plain: true}
			for range 10 {
				batch.Keys = append(batch.Keys, []byte("org#app/d/alice/bob"))
				batch.Values = append(batch.Values, bytes.Repeat([]byte("v"), 250))
			}
			b.ResetTimer()
			var wg sync.WaitGroup
			for p := range partitions {
				wg.Go(func() {
					for i := p; i < b.N; i += partitions {
						if _, err := l.Append(b.Context(), domain.Partition(p), batch); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "batches/s")
		})
	}
}
