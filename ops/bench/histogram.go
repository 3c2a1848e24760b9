package bench

import (
	"encoding/json"
	"fmt"
	"math"
	"math/bits"
	"sync/atomic"
	"time"
)

// subBits gives 64 buckets per power of two: a value is reported at most 1.6 % too high.
const subBits = 6

// maxBits bounds what is told apart: 2^42 ns is over an hour.
const maxBits = 42

// histogram counts durations in logarithmic buckets. Many goroutines record at once without a lock, which is why it is our own.
type histogram struct {
	counts [(maxBits - subBits + 1) << subBits]atomic.Uint64
	n      atomic.Uint64
	max    atomic.Int64
}

// bucket returns where a value of nanoseconds belongs.
func bucket(v uint64) int {
	v = min(v, 1<<maxBits-1)
	if v < 1<<subBits {
		return int(v)
	}
	e := bits.Len64(v) - 1 - subBits
	return e<<subBits + int(v>>e)
}

// upper returns the largest value of a bucket.
func upper(i int) uint64 {
	if i < 2<<subBits {
		return uint64(i)
	}
	e := i>>subBits - 1
	return uint64(i-e<<subBits+1)<<e - 1
}

func (h *histogram) record(d time.Duration) {
	d = max(d, 0)
	h.counts[bucket(uint64(d))].Add(1)
	h.n.Add(1)
	for {
		old := h.max.Load()
		if int64(d) <= old || h.max.CompareAndSwap(old, int64(d)) {
			return
		}
	}
}

// add counts what another has counted. Nobody may record in it meanwhile.
func (h *histogram) add(o *histogram) {
	for i := range o.counts {
		if n := o.counts[i].Load(); n > 0 {
			h.counts[i].Add(n)
		}
	}
	h.n.Add(o.n.Load())
	h.max.Store(max(h.max.Load(), o.max.Load()))
}

// quantile returns a value that the share q of all does not exceed, 0 when there are none.
func (h *histogram) quantile(q float64) time.Duration {
	rank := uint64(math.Ceil(q * float64(h.n.Load())))
	var seen uint64
	for i := range h.counts {
		seen += h.counts[i].Load()
		if seen >= rank && seen > 0 {
			return time.Duration(min(int64(upper(i)), h.max.Load()))
		}
	}
	return 0
}

// Latency is what a report says of a histogram.
type Latency struct {
	Count              uint64
	P50, P90, P99, Max time.Duration
}

func (h *histogram) latency() Latency {
	return Latency{
		Count: h.n.Load(), P50: h.quantile(0.5), P90: h.quantile(0.9), P99: h.quantile(0.99), Max: time.Duration(h.max.Load()),
	}
}

// String implements fmt.Stringer.
func (l Latency) String() string {
	return fmt.Sprintf("p50 %s  p90 %s  p99 %s  max %s  (%d)", millis(l.P50), millis(l.P90), millis(l.P99), millis(l.Max), l.Count)
}

// MarshalJSON implements json.Marshaler, in milliseconds.
func (l Latency) MarshalJSON() ([]byte, error) {
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return json.Marshal(map[string]any{
		"count": l.Count, "p50_ms": ms(l.P50), "p90_ms": ms(l.P90), "p99_ms": ms(l.P99), "max_ms": ms(l.Max),
	})
}

func millis(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d.Microseconds())/1000) }
