package pebble

import (
	"testing"

	"parley/storage/storagetest"
)

// BenchmarkAppend measures synced batches.
func BenchmarkAppend(b *testing.B) {
	storagetest.BenchLog(b, func(b *testing.B) storagetest.Log {
		l, err := OpenLog(b.TempDir(), Options{})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = l.Close() })
		return l
	})
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
