package reactor

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics count what the reactors of a process do.
type Metrics struct {
	commands   *prometheus.CounterVec // by reactor and outcome: done, or the code of the refusal
	retries    *prometheus.CounterVec // by reactor and code
	failures   *prometheus.CounterVec // of the store, by operation
	answers    prometheus.Histogram
	lagCommits *prometheus.GaugeVec // by partition
	lagSeconds *prometheus.GaugeVec
	halted     prometheus.Gauge
}

// NewMetrics registers the metrics of this package.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	f := promauto.With(reg)
	return &Metrics{
		commands: f.NewCounterVec(prometheus.CounterOpts{
			Name: "parley_reactor_commands_total", Help: "Commands that were answered: done, or refused with a code.",
		}, []string{"reactor", "outcome"}),
		retries: f.NewCounterVec(prometheus.CounterOpts{
			Name: "parley_reactor_retries_total", Help: "Commands that were sent again, by the code of the answer before.",
		}, []string{"reactor", "code"}),
		failures: f.NewCounterVec(prometheus.CounterOpts{
			Name: "parley_reactor_store_failures_total", Help: "Calls to the store that failed.",
		}, []string{"operation"}),
		answers: f.NewHistogram(prometheus.HistogramOpts{
			Name: "parley_reactor_answer_seconds", Help: "Time until a command had its answer, with every try.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 3, 10),
		}),
		lagCommits: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "parley_reactor_lag_commits", Help: "Commits of the feed whose consequences are not done yet.",
		}, []string{"partition"}),
		lagSeconds: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "parley_reactor_lag_seconds", Help: "Age of the newest commit that was reacted to, 0 at the feed's head.",
		}, []string{"partition"}),
		halted: f.NewGauge(prometheus.GaugeOpts{
			Name: "parley_reactor_halted", Help: "Partitions whose reactors have ended with an error.",
		}),
	}
}
