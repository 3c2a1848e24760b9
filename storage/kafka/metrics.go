package kafka

import (
	"github.com/prometheus/client_golang/prometheus"

	"parley/domain"
)

type metrics struct {
	batches prometheus.Counter
	records prometheus.Counter
	errors  *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		batches: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "parley_kafka_batches_total", Help: "Batches that all in-sync replicas have acknowledged.",
		}),
		records: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "parley_kafka_records_total", Help: "Records that all in-sync replicas have acknowledged.",
		}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "parley_kafka_append_errors_total", Help: "Appends without a good answer, by class.",
		}, []string{"class"}),
	}
	if r != nil {
		r.MustRegister(m.batches, m.records, m.errors)
	}
	return m
}

func (m *metrics) appended(b domain.Batch) {
	m.batches.Inc()
	m.records.Add(float64(len(b.Values)))
}

func (m *metrics) failed(err error) { m.errors.WithLabelValues(string(ClassOf(err))).Inc() }
