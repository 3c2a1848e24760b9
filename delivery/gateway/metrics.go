package gateway

import (
	"github.com/prometheus/client_golang/prometheus"

	"parley/domain"
	"parley/schemas/msync"
)

// metrics are the gateway's. What is counted for every frame is a child that was looked up once.
type metrics struct {
	sessions prometheus.Gauge
	connects prometheus.Counter
	refused  *prometheus.CounterVec // sockets, before or at the handshake
	logins   *prometheus.CounterVec
	login    prometheus.Histogram
	closes   *prometheus.CounterVec
	commands *prometheus.CounterVec
	accepted map[string]prometheus.Counter // children of commands, by name, with the outcome ok
	ack      prometheus.Histogram
	latency  prometheus.Histogram
	behind   *prometheus.CounterVec
	settles  *prometheus.CounterVec
	resent   prometheus.Counter

	framesIn, framesOut                           frameCounters
	bytesIn, bytesOut                             prometheus.Counter
	live, paged, volatile                         prometheus.Counter
	pageRead, pageFailed, pageNotYet, pageNowhere prometheus.Counter

	cursorsWritten, cursorsFailed, cursorsNotSynced prometheus.Counter
}

// frameCounters are by command.
type frameCounters struct {
	known [5]prometheus.Counter
	other prometheus.Counter
}

func newFrameCounters(vec *prometheus.CounterVec, direction string) (f frameCounters) {
	for c := range f.known {
		f.known[c] = vec.WithLabelValues(direction, msync.MSync_Command(c).String())
	}
	f.other = vec.WithLabelValues(direction, "other")
	return f
}

func (f *frameCounters) inc(c msync.MSync_Command) {
	if c >= 0 && int(c) < len(f.known) {
		f.known[c].Inc()
		return
	}
	f.other.Inc()
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
		sessions: prometheus.NewGauge(prometheus.GaugeOpts{Name: "parley_gateway_sessions", Help: "Sockets that are logged in."}),
		connects: prometheus.NewCounter(prometheus.CounterOpts{Name: "parley_gateway_connects_total", Help: "Sockets opened."}),
		refused:  counter("refused_total", "Sockets refused before they were logged in, by reason.", "reason"),
		logins:   counter("logins_total", "Handshakes answered, by outcome.", "outcome"),
		login:    histogram("login_seconds", "Time to answer a handshake."),
		closes:   counter("closes_total", "Sockets closed, by reason.", "reason"),
		commands: counter("commands_total", "Commands from sockets, by name and outcome.", "command", "outcome"),
		ack:      histogram("ack_seconds", "Time from a command's frame to its answer."),
		latency:  histogram("delivery_seconds", "Time from the decision of an entry to its push on a live queue."),
		behind:   counter("behind_total", "Queues that fell behind, by reason.", "reason"),
		settles:  counter("settles_total", "Nodes asked at log-ins to write what the device had acknowledged there, by outcome.", "outcome"),
		resent: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "parley_gateway_unknown_total", Help: "Answers of owners that left a command's outcome unknown, so that it was queued to be submitted again.",
		}),
	}
	m.known()
	frames := counter("frames_total", "Frames, by direction and command.", "direction", "command")
	m.framesIn, m.framesOut = newFrameCounters(frames, "in"), newFrameCounters(frames, "out")
	bytes := counter("bytes_total", "Bytes of frames, by direction.", "direction")
	m.bytesIn, m.bytesOut = bytes.WithLabelValues("in"), bytes.WithLabelValues("out")
	delivered := counter("delivered_total", "Entries pushed to sockets, by way.", "way")
	m.live, m.paged, m.volatile = delivered.WithLabelValues("live"), delivered.WithLabelValues("page"), delivered.WithLabelValues("volatile")
	pages := counter("pages_total", "Pages read, by outcome.", "outcome")
	m.pageRead, m.pageFailed = pages.WithLabelValues("read"), pages.WithLabelValues("failed")
	m.pageNotYet, m.pageNowhere = pages.WithLabelValues("not_yet"), pages.WithLabelValues("no_membership")
	cursors := counter("cursor_writes_total", "Writes of cursors, by outcome.", "outcome")
	m.cursorsWritten, m.cursorsFailed = cursors.WithLabelValues("written"), cursors.WithLabelValues("failed")
	m.cursorsNotSynced = cursors.WithLabelValues("not_synced")
	reg.MustRegister(m.sessions, m.connects, m.resent)
	return m
}

// command returns the counter of commands of a name with an outcome.
func (m *metrics) command(name, outcome string) prometheus.Counter {
	if c := m.accepted[name]; c != nil && outcome == "ok" {
		return c
	}
	return m.commands.WithLabelValues(name, outcome)
}

// known makes the children of all reasons there are, so that they are 0, and not absent, before the first of each: rates and alerts need that.
func (m *metrics) known() {
	for _, r := range closeReasons {
		m.closes.WithLabelValues(string(r))
	}
	for _, r := range []string{"origin", "draining", "max_sessions", "handshake"} {
		m.refused.WithLabelValues(r)
	}
	for _, r := range []refusal{refuseExpired, refuseToken, refuseNoUser, refuseBusy, refuseResource, {name: "ok"}} {
		m.logins.WithLabelValues(r.name)
	}
	for _, r := range []string{"gap", "window", "not_pulled"} {
		m.behind.WithLabelValues(r)
	}
	for _, outcome := range []string{"settled", "late"} {
		m.settles.WithLabelValues(outcome)
	}
	m.accepted = make(map[string]prometheus.Counter)
	for _, command := range []string{"SendMessage", "MarkDelivered", "MarkRead", "ReadConversation"} {
		for _, outcome := range []domain.Code{"ok", domain.Unknown, domain.Busy, domain.Stopping, domain.Internal, domain.RateLimited} {
			m.commands.WithLabelValues(command, string(outcome))
		}
		m.accepted[command] = m.commands.WithLabelValues(command, "ok")
	}
}
