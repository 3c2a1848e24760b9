package pebble

import (
	"bytes"
	"fmt"
	"sync"
	"testing"
	"time"

	"parley/domain"
)

// BenchmarkAppend appends synced batches of 10 records of 250 bytes, one at a time on each partition.
func BenchmarkAppend(b *testing.B) {
	batch := domain.Batch{}
	for range 10 {
		batch.Keys = append(batch.Keys, []byte("org#app/d/alice/bob"))
		batch.Values = append(batch.Values, bytes.Repeat([]byte("v"), 250))
	}
	for _, partitions := range []int{1, 4, 16} {
		b.Run(fmt.Sprint("partitions=", partitions), func(b *testing.B) {
			l, err := OpenLog(b.TempDir(), Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = l.Close() }()
			b.ResetTimer()
			began := time.Now()
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
			b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "batches/s")
		})
	}
}

// BenchmarkStoreWrite writes batches of 100 rows of 300 bytes.
func BenchmarkStoreWrite(b *testing.B) {
	s, err := OpenStore(b.TempDir(), Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	b.ResetTimer()
	for i := range b.N {
		if err := s.Write(b.Context(), testWrites(100, uint64(i)*100)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(100*b.N)/b.Elapsed().Seconds(), "rows/s")
}
