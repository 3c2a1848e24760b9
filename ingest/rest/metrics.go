package rest

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	limited  *prometheus.CounterVec
	waits    *prometheus.CounterVec
	unsent   *prometheus.CounterVec
	hashing  prometheus.Histogram
	panics   prometheus.Counter
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "parley_rest_requests_total", Help: "Calls by API and HTTP status.",
		}, []string{"api", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "parley_rest_request_seconds", Help: "Time to answer a call.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 15),
		}, []string{"api"}),
		limited: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "parley_rest_limited_total", Help: "Calls refused, by the limit that refused them.",
		}, []string{"limit"}),
		waits: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "parley_rest_waits_total", Help: "Waits for read models after a change; late: answered before they had passed it.",
		}, []string{"outcome"}),
		unsent: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "parley_rest_unsent_total", Help: "Messages that were not accepted, by reason.",
		}, []string{"reason"}),
		hashing: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "parley_rest_hash_seconds", Help: "Time of hashing or checking a password, waiting included.",
			Buckets: prometheus.ExponentialBuckets(0.005, 2, 12),
		}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{Name: "parley_rest_panics_total", Help: "Calls that ended in a panic."}),
	}
	if r != nil {
		r.MustRegister(m.requests, m.seconds, m.limited, m.waits, m.unsent, m.hashing, m.panics)
	}
	return m
}

func (m *metrics) answered(api string, status int, took time.Duration) {
	m.requests.WithLabelValues(api, statusText(status)).Inc()
	m.seconds.WithLabelValues(api).Observe(took.Seconds())
}

func statusText(status int) string { return strconv.Itoa(status) }
