package feed

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics count what the feeds of a process do.
type Metrics struct {
	published prometheus.Counter
	fetched   *prometheus.CounterVec // by verdict: accepted, void, repeat, claim
	behind    prometheus.Counter
	failures  prometheus.Counter
	halted    prometheus.Gauge
}

// NewMetrics registers the metrics of this package.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	f := promauto.With(reg)
	return &Metrics{
		published: f.NewCounter(prometheus.CounterOpts{
			Name: "parley_feed_published_total", Help: "Commits that entered a ring.",
		}),
		fetched: f.NewCounterVec(prometheus.CounterOpts{
			Name: "parley_feed_fetched_total", Help: "Records read from the log instead of a ring, by the reader rule's verdict.",
		}, []string{"verdict"}),
		behind: f.NewCounter(prometheus.CounterOpts{
			Name: "parley_feed_fell_behind_total", Help: "Times that a reader fell out of a ring and went to the log.",
		}),
		failures: f.NewCounter(prometheus.CounterOpts{
			Name: "parley_feed_read_failures_total", Help: "Reads of the log that failed and were tried again.",
		}),
		halted: f.NewGauge(prometheus.GaugeOpts{
			Name: "parley_feed_halted", Help: "Partitions whose feed has halted: corruption, a gap or a truncated log.",
		}),
	}
}
