package runner

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics count what the projections of a process do.
type Metrics struct {
	commits     prometheus.Counter
	writes      prometheus.Counter
	batches     prometheus.Histogram
	failures    *prometheus.CounterVec // by operation
	lagSeconds  *prometheus.GaugeVec   // by partition and projection
	lagCommits  *prometheus.GaugeVec
	quarantined *prometheus.GaugeVec // by projection: streams
	held        prometheus.Counter
	halted      prometheus.Gauge
	waits       prometheus.Histogram
	waitsOver   prometheus.Counter
}

// NewMetrics registers the metrics of this package.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	f := promauto.With(reg)
	by := []string{"partition", "projection"}
	return &Metrics{
		commits: f.NewCounter(prometheus.CounterOpts{
			Name: "parley_runner_commits_total", Help: "Commits that went through a pass of projections.",
		}),
		writes: f.NewCounter(prometheus.CounterOpts{
			Name: "parley_runner_writes_total", Help: "Writes to rows of read models, after coalescing.",
		}),
		batches: f.NewHistogram(prometheus.HistogramOpts{
			Name: "parley_runner_batch_seconds", Help: "Time to apply and store a batch, with every try.",
			Buckets: prometheus.ExponentialBuckets(0.0002, 3, 10),
		}),
		failures: f.NewCounterVec(prometheus.CounterOpts{
			Name: "parley_runner_store_failures_total", Help: "Calls to the store that failed and were tried again.",
		}, []string{"operation"}),
		lagSeconds: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "parley_runner_lag_seconds", Help: "Age of the newest applied commit, 0 when the projection is at the feed's head.",
		}, by),
		lagCommits: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "parley_runner_lag_commits", Help: "Commits of the feed that are not applied yet.",
		}, by),
		quarantined: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "parley_runner_quarantined_streams", Help: "Streams whose events wait in quarantine.",
		}, by),
		held: f.NewCounter(prometheus.CounterOpts{
			Name: "parley_runner_quarantined_commits_total", Help: "Commits that went into quarantine.",
		}),
		halted: f.NewGauge(prometheus.GaugeOpts{
			Name: "parley_runner_halted", Help: "Passes of projections that have ended with an error.",
		}),
		waits: f.NewHistogram(prometheus.HistogramOpts{
			Name: "parley_runner_wait_seconds", Help: "How long answers waited for projections.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2.5, 9),
		}),
		waitsOver: f.NewCounter(prometheus.CounterOpts{
			Name: "parley_runner_waits_over_total", Help: "Answers that stopped waiting for projections.",
		}),
	}
}
