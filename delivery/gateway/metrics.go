package gateway

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	sessions  prometheus.Gauge
	connects  prometheus.Counter
	refused   *prometheus.CounterVec // sockets, before or at the handshake
	logins    *prometheus.CounterVec
	login     prometheus.Histogram
	closes    *prometheus.CounterVec
	frames    *prometheus.CounterVec
	bytes     *prometheus.CounterVec
	commands  *prometheus.CounterVec
	ack       prometheus.Histogram
	delivered *prometheus.CounterVec
	latency   prometheus.Histogram
	behind    *prometheus.CounterVec
	pages     *prometheus.CounterVec
	cursors   *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "parley_gateway_" + name, Help: help}, labels)
		reg.MustRegister(c)
		return c
	}
	histogram := func(name, help string) prometheus.Histogram {
		h := prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "parley_gateway_" + name, Help: help, Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
		})
		reg.MustRegister(h)
		return h
	}
	m := &metrics{
		sessions:  prometheus.NewGauge(prometheus.GaugeOpts{Name: "parley_gateway_sessions", Help: "Sockets that are logged in."}),
		connects:  prometheus.NewCounter(prometheus.CounterOpts{Name: "parley_gateway_connects_total", Help: "Sockets opened."}),
		refused:   counter("refused_total", "Sockets refused before they were logged in, by reason.", "reason"),
		logins:    counter("logins_total", "Handshakes answered, by outcome.", "outcome"),
		login:     histogram("login_seconds", "Time to answer a handshake."),
		closes:    counter("closes_total", "Sockets closed, by reason.", "reason"),
		frames:    counter("frames_total", "Frames, by direction and command.", "direction", "command"),
		bytes:     counter("bytes_total", "Bytes of frames, by direction.", "direction"),
		commands:  counter("commands_total", "Commands from sockets, by name and outcome.", "command", "outcome"),
		ack:       histogram("ack_seconds", "Time from a command's frame to its answer."),
		delivered: counter("delivered_total", "Entries pushed to sockets, by way.", "way"),
		latency:   histogram("delivery_seconds", "Time from the decision of an entry to its push on a live queue."),
		behind:    counter("behind_total", "Queues that fell behind, by reason.", "reason"),
		pages:     counter("pages_total", "Pages read, by outcome.", "outcome"),
		cursors:   counter("cursor_writes_total", "Writes of cursors, by outcome.", "outcome"),
	}
	reg.MustRegister(m.sessions, m.connects)
	return m
}
