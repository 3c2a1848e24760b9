package rpc

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// Reasons for which links are cut.
const (
	cutBroken   = "broken"
	cutFull     = "queue_full"
	cutSilent   = "silent"
	cutReplaced = "replaced"
	cutGone     = "node_gone"
	cutStop     = "stop"
)

// String names a kind, as in metrics.
func (k Kind) String() string {
	switch k {
	case Sessions:
		return "sessions"
	case Leases:
		return "leases"
	case Volatile:
		return "volatile"
	default:
		return strconv.Itoa(int(k))
	}
}

// metrics are those of links. "told" is what goes out, "heard" what comes in.
type metrics struct {
	up, heard                     prometheus.Gauge
	snapshotsTold, snapshotsHeard prometheus.Counter
	told, applied                 byKind
	unknown, bad, tooLarge        prometheus.Counter // facts left out
	failed, late                  prometheus.Counter
	cuts                          *prometheus.CounterVec
}

// byKind counts facts in one direction.
type byKind struct {
	all       *prometheus.CounterVec
	direction string
}

func (b byKind) of(k Kind) prometheus.Counter { return b.all.WithLabelValues(b.direction, k.String()) }

func newMetrics(reg prometheus.Registerer, kinds []Kind, queued func() int) *metrics {
	vector := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "parley_links_" + name, Help: help}, labels)
		reg.MustRegister(c)
		return c
	}
	up := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "parley_links_up", Help: "Links between nodes that live: those that tell and those that are heard.",
	}, []string{"direction"})
	queue := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "parley_links_queue_bytes", Help: "Bytes that wait to be told to other nodes.",
	}, func() float64 { return float64(queued()) })
	failed := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "parley_links_failed_total", Help: "Tries to begin a link that failed, or that the other node refused.",
	})
	late := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "parley_links_late_total", Help: "Answers that waited no longer for all other nodes to have applied what they say.",
	})
	reg.MustRegister(up, queue, failed, late)
	snapshots := vector("snapshots_total", "Snapshots told and heard to their end.", "direction")
	facts := vector("facts_total", "Facts told and heard.", "direction", "kind")
	dropped := vector("dropped_total", "Facts left out, by reason.", "reason")
	m := &metrics{
		up: up.WithLabelValues("told"), heard: up.WithLabelValues("heard"), failed: failed, late: late,
		snapshotsTold: snapshots.WithLabelValues("told"), snapshotsHeard: snapshots.WithLabelValues("heard"),
		told: byKind{facts, "told"}, applied: byKind{facts, "heard"},
		unknown: dropped.WithLabelValues("unknown_kind"), bad: dropped.WithLabelValues("unreadable"), tooLarge: dropped.WithLabelValues("too_large"),
		cuts: vector("cuts_total", "Links that were up and ended, by reason.", "direction", "reason"),
	}
	for _, k := range kinds {
		m.told.of(k) // 0, not absent, before the first
		m.applied.of(k)
	}
	return m
}

func (m *metrics) cut(direction, reason string) { m.cuts.WithLabelValues(direction, reason).Inc() }
