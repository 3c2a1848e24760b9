package rpc

import (
	"github.com/prometheus/client_golang/prometheus"

	"parley/domain"
)

// Why a link ended, as its metric's label.
const (
	brokeOpening = "opening" // it could not be opened
	brokeOpen    = "open"    // it was open
	brokeSilent  = "silent"  // nothing came while an answer was overdue
)

// peerMetrics are those of the near side.
type peerMetrics struct {
	sent     prometheus.Counter
	answered *prometheus.CounterVec // by what and code
	broken   *prometheus.CounterVec // by when
	inFlight prometheus.Gauge
	trip     prometheus.Histogram
	frames   prometheus.Counter
}

func newPeerMetrics(reg prometheus.Registerer) *peerMetrics {
	f := factory{reg}
	return &peerMetrics{
		sent:     f.counter("parley_ingest_rpc_sent_total", "Calls sent to other nodes."),
		answered: f.vec("parley_ingest_rpc_answered_total", "Calls to other nodes by how they ended; no code: done.", "call", "code"),
		broken:   f.vec("parley_ingest_rpc_broken_total", "Links to other nodes that ended, by when.", "when"),
		inFlight: f.gauge("parley_ingest_rpc_in_flight", "Calls to other nodes that have no answer yet."),
		trip:     f.histogram("parley_ingest_rpc_round_trip_seconds", "From a call to another node to its answer from there."),
		frames:   f.counter("parley_ingest_rpc_frames_total", "Frames of calls sent to other nodes."),
	}
}

// canceled is the code of reads whose caller went away.
const canceled domain.Code = "canceled"

// ended counts the end of a call that was taken.
func (m *peerMetrics) ended(what string, code domain.Code) {
	m.answered.WithLabelValues(what, string(code)).Inc()
	m.inFlight.Dec()
}

// serverMetrics are those of the far side.
type serverMetrics struct {
	commands, reads prometheus.Counter
	links           prometheus.Gauge
	full            prometheus.Counter
}

func newServerMetrics(reg prometheus.Registerer) *serverMetrics {
	f := factory{reg}
	taken := f.vec("parley_ingest_rpc_taken_total", "Calls taken from other nodes.", "call")
	return &serverMetrics{
		commands: taken.WithLabelValues(commandCall), reads: taken.WithLabelValues(readCall),
		links: f.gauge("parley_ingest_rpc_links", "Links that other nodes have open to this one."),
		full:  f.counter("parley_ingest_rpc_full_total", "Times that a link was not read because too much of it was unanswered."),
	}
}

// factory registers metrics; without a registry they go nowhere. A second registration is a programming error and panics.
type factory struct{ reg prometheus.Registerer }

func (f factory) register(c prometheus.Collector) {
	if f.reg != nil {
		f.reg.MustRegister(c)
	}
}

// buckets reach from 100 µs to 6.5 s, doubling.
var buckets = prometheus.ExponentialBuckets(100e-6, 2, 17)

func (f factory) histogram(name, help string) prometheus.Histogram {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
	f.register(h)
	return h
}

func (f factory) counter(name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	f.register(c)
	return c
}

func (f factory) vec(name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	f.register(c)
	return c
}

func (f factory) gauge(name, help string) prometheus.Gauge {
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	f.register(g)
	return g
}
