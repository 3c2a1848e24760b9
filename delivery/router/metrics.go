package router

import "github.com/prometheus/client_golang/prometheus"

// Metrics are the router's, registered once a process.
type Metrics struct{ *metrics }

type metrics struct {
	online, offline, volatile, rooms prometheus.Counter

	told    prometheus.Counter
	dropped *prometheus.CounterVec
	age     prometheus.Histogram
}

// NewMetrics registers the router's metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	routed := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "parley_router_entries_total", Help: "Entries routed, by whether anybody was there.",
	}, []string{"to"})
	m := &metrics{
		online: routed.WithLabelValues("online"), offline: routed.WithLabelValues("offline"), volatile: routed.WithLabelValues("volatile"),
		rooms: routed.WithLabelValues("room"),
		told: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "parley_router_volatile_told_total", Help: "Events that are not logged and were told to other nodes.",
		}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "parley_router_dropped_total", Help: "Events that no session could be shown, by reason.",
		}, []string{"reason"}),
		age: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "parley_router_entry_age_seconds", Help: "Time from the decision to the routing of an entry.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
		}),
	}
	for _, reason := range []string{"bad_stream", "no_wire_form"} {
		m.dropped.WithLabelValues(reason) // 0, not absent, before the first
	}
	reg.MustRegister(routed, m.told, m.dropped, m.age)
	return &Metrics{m}
}
