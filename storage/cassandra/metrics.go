package cassandra

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	statements prometheus.Histogram
	failed     prometheus.Counter
	rows       prometheus.Counter
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		statements: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "parley_cassandra_statement_seconds", Help: "Time of one try of a statement.",
			Buckets: prometheus.ExponentialBuckets(0.00025, 2, 14),
		}),
		failed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "parley_cassandra_tries_failed_total", Help: "Tries of statements that failed; most are tried again.",
		}),
		rows: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "parley_cassandra_rows_written_total", Help: "Rows written.",
		}),
	}
	if r != nil {
		r.MustRegister(m.statements, m.failed, m.rows)
	}
	return m
}

func (m *metrics) statement(began time.Time, err error) {
	m.statements.Observe(time.Since(began).Seconds())
	if err != nil {
		m.failed.Inc()
	}
}
