package owners

import (
	"github.com/prometheus/client_golang/prometheus"

	"parley/domain"
)

// metrics are of one node.
type metrics struct {
	handed  prometheus.Histogram
	waiting prometheus.Gauge
	refused *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		handed: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "parley_owners_hand_over_seconds", Buckets: prometheus.ExponentialBuckets(1e-3, 2, 14),
			Help: "From the beginning of a hand-over until the shard had settled and given away what it had not decided.",
		}),
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "parley_owners_waiting", Help: "Commands that wait for partitions that come or go.",
		}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "parley_owners_refused_total", Help: "Commands that were refused while they waited for a partition, or because too many did.",
		}, []string{"reason"}),
	}
	for _, err := range []*domain.Error{errFull, errExpired} {
		m.refused.WithLabelValues(reasons[err])
	}
	if reg != nil {
		reg.MustRegister(m.handed, m.waiting, m.refused)
	}
	return m
}

// reasons are the values of a label.
var reasons = map[*domain.Error]string{errFull: "full", errExpired: "expired"}
