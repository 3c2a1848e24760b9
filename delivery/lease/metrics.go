package lease

import "github.com/prometheus/client_golang/prometheus"

// leaveReason says how a lease ended.
type leaveReason int

const (
	left leaveReason = iota
	removed
	expired
	forgotten // the account is deleted, or registered anew
	ended     // with the room
	elsewhere // another node said so
	leaveReasons
)

func (r leaveReason) String() string {
	return [...]string{"left", "removed", "expired", "deleted", "room_ended", "elsewhere"}[r]
}

// metrics are those of leases. Expired leases are joins' ends with the reason "expired".
type metrics struct {
	viewers, rooms, waiting prometheus.Gauge
	joins                   prometheus.Counter
	leaves                  [leaveReasons]prometheus.Counter

	full, tooMany, gone, stale prometheus.Counter // refused

	written, failed         prometheus.Counter // rows
	notSynced, heartbeats   prometheus.Counter
	loaded, loadedAndClosed prometheus.Counter

	// Between nodes.
	told, applied, unknown, malformed prometheus.Counter
	takenOver, asked, forgottenAsks   prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	vector := func(name, help, label string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "parley_lease_" + name, Help: help}, []string{label})
		reg.MustRegister(c)
		return c
	}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: "parley_lease_" + name, Help: help})
		reg.MustRegister(c)
		return c
	}
	gauge := func(name, help string) prometheus.Gauge {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: "parley_lease_" + name, Help: help})
		reg.MustRegister(g)
		return g
	}
	m := &metrics{
		viewers: gauge("viewers", "Leases: users in rooms."),
		rooms:   gauge("rooms", "Rooms that somebody views."),
		waiting: gauge("rows_waiting", "Users whose leases have changed and are not written."),
		joins:   counter("joins_total", "Leases begun."),
	}
	leaves := vector("leaves_total", "Leases ended, by reason.", "reason")
	for r := range m.leaves {
		m.leaves[r] = leaves.WithLabelValues(leaveReason(r).String())
	}
	refused := vector("refused_total", "Joins refused, by reason.", "reason")
	m.full, m.tooMany = refused.WithLabelValues("room_full"), refused.WithLabelValues("too_many_rooms")
	m.gone, m.stale = refused.WithLabelValues("room_ended"), refused.WithLabelValues("account_deleted")
	rows := vector("rows_total", "Rows written, by outcome.", "outcome")
	m.written, m.failed = rows.WithLabelValues("written"), rows.WithLabelValues("failed")
	m.notSynced = counter("not_synced_total", "Syncs of the store that failed.")
	m.heartbeats = counter("heartbeats_total", "Heartbeats written and synced.")
	loads := vector("loaded_total", "Leases found at the start, by whether they go on.", "outcome")
	m.loaded, m.loadedAndClosed = loads.WithLabelValues("resumed"), loads.WithLabelValues("expired")
	facts := vector("facts_total", "What nodes tell one another of leases, by what became of it.", "outcome")
	m.told, m.applied = facts.WithLabelValues("told"), facts.WithLabelValues("applied")
	m.unknown, m.malformed = facts.WithLabelValues("unknown"), facts.WithLabelValues("malformed")
	m.takenOver = counter("taken_over_total", "Leases taken over from nodes that are dead.")
	m.asked = counter("asked_total", "Ends of leases that other nodes were asked for.")
	m.forgottenAsks = counter("asks_forgotten_total", "Such that were forgotten early because there were too many: a node that does not hear of one goes on.")
	return m
}
