package ring

import (
	"github.com/prometheus/client_golang/prometheus"

	"parley/domain"
	"parley/domain/fence"
)

// metrics are of one ring.
type metrics struct {
	members *prometheus.GaugeVec
	named   prometheus.Gauge

	changes, conflicts prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		members: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "parley_ring_members", Help: "Living nodes that this one sees, itself included, by state.",
		}, []string{"state"}),
		named: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "parley_ring_partitions_named", Help: "Partitions that this node is to own.",
		}),
		changes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "parley_ring_changes_total", Help: "Changes of members, states or standings.",
		}),
		conflicts: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "parley_ring_conflicts_total", Help: "Times that two processes with one name were noticed.",
		}),
	}
	if reg != nil {
		reg.MustRegister(m.all()...)
	}
	return m
}

func (m *metrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.members, m.named, m.changes, m.conflicts}
}

// unregister makes room for the ring of another life in the same process.
func (m *metrics) unregister(reg prometheus.Registerer) {
	if reg == nil {
		return
	}
	for _, c := range m.all() {
		reg.Unregister(c)
	}
}

// see counts a view. named are those of the given partitions, of all if none are given.
func (m *metrics) see(v *view, of []domain.Partition) {
	m.changes.Inc()
	var states [len(stateNames)]int
	for _, member := range v.members {
		states[member.State]++
	}
	for s, n := range states {
		m.members.WithLabelValues(State(s).String()).Set(float64(n))
	}
	named := 0
	for _, p := range of {
		if int(p) < partitions && v.standing[p] != fence.NotNamed {
			named++
		}
	}
	if of == nil {
		for _, s := range v.standing {
			if s != fence.NotNamed {
				named++
			}
		}
	}
	m.named.Set(float64(named))
}
