package pebble

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

type logMetrics struct {
	batches prometheus.Counter
	records prometheus.Counter
	groups  prometheus.Counter
	errors  *prometheus.CounterVec
}

func newLogMetrics(r prometheus.Registerer) *logMetrics {
	m := &logMetrics{
		batches: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "parley_pebble_log_batches_total", Help: "Batches appended and synced.",
		}),
		records: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "parley_pebble_log_records_total", Help: "Records appended and synced.",
		}),
		groups: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "parley_pebble_log_groups_total", Help: "Groups of batches that were synced at once.",
		}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "parley_pebble_log_append_errors_total", Help: "Appends without a good answer, by reason.",
		}, []string{"reason"}),
	}
	if r != nil {
		r.MustRegister(m.batches, m.records, m.groups, m.errors)
	}
	return m
}

func (m *logMetrics) committed(g *group) {
	if len(g.requests) == 0 {
		return
	}
	m.groups.Inc()
	m.batches.Add(float64(len(g.requests)))
	for _, r := range g.requests {
		m.records.Add(float64(len(r.batch.Values)))
	}
}

func (m *logMetrics) refused(err error) {
	m.errors.WithLabelValues(reason(err)).Inc()
}

func reason(err error) string {
	switch {
	case errors.Is(err, ErrFull):
		return "full"
	case errors.Is(err, ErrFailed):
		return "failed"
	case errors.Is(err, ErrClosed):
		return "closed"
	default:
		return "abandoned"
	}
}
