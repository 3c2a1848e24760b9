package room

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"parley/domain/conversation"
)

// metrics are the rooms'. What is counted for every frame is a child that was looked up once.
type metrics struct {
	rooms, viewers, window                          prometheus.Gauge
	frames, deliveries, bytes                       prometheus.Counter
	missed, missedOverload, readFailed, noticesLeft prometheus.Counter

	shed map[conversation.Priority]prometheus.Counter
	fan  prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) *metrics {
	gauge := func(name, help string) prometheus.Gauge {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: "parley_room_" + name, Help: help})
		reg.MustRegister(g)
		return g
	}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: "parley_room_" + name, Help: help})
		reg.MustRegister(c)
		return c
	}
	missed := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "parley_room_missed_total",
		Help: "Entries that a viewer was not shown: older than what is kept for those who come back, or, counted once for all viewers, more than the node can show.",
	}, []string{"reason"})
	shed := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "parley_room_shed_total", Help: "Messages refused before the log, by priority and reason.",
	}, []string{"priority", "reason"})
	m := &metrics{
		rooms:       gauge("rooms", "Rooms that are viewed here, or were of late."),
		viewers:     gauge("viewers", "Viewers of rooms on this node; of several rooms, several times."),
		window:      gauge("window_seconds", "How long a frame waits for more at present."),
		frames:      counter("frames_total", "Frames handed to viewers."),
		deliveries:  counter("deliveries_total", "Entries and notices handed to viewers."),
		bytes:       counter("bytes_total", "Bytes of frames handed to viewers."),
		readFailed:  counter("reads_failed_total", "Reads of a room's newest entries that failed: who came was shown what was there."),
		noticesLeft: counter("notices_left_out_total", "Comings and goings that nobody was told of: the room has too many viewers."),
		missed:      missed.WithLabelValues("late"), missedOverload: missed.WithLabelValues("overload"),
		shed: make(map[conversation.Priority]prometheus.Counter),
		fan: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "parley_room_fan_out_seconds", Help: "Time to hand a frame to all viewers.", Buckets: prometheus.ExponentialBuckets(0.0001, 2, 14),
		}),
	}
	for p, name := range map[conversation.Priority]string{
		conversation.PriorityHigh: "high", conversation.PriorityNormal: "normal", conversation.PriorityLow: "low",
	} {
		m.shed[p] = shed.WithLabelValues(name, "rate")
	}
	reg.MustRegister(missed, shed, m.fan)
	return m
}

// shedBy counts a refused message. Unknown priorities count as low.
func (m *metrics) shedBy(p conversation.Priority) {
	c, ok := m.shed[p]
	if !ok {
		c = m.shed[conversation.PriorityLow]
	}
	c.Inc()
}

// handed is what was handed to viewers.
type handed struct{ frames, metas, bytes int64 }

func (h *handed) note(f *Frame) {
	h.frames++
	h.metas += int64(f.metas)
	h.bytes += int64(len(f.wire))
}

// tally adds up what several workers have handed out.
type tally struct{ frames, metas, bytes atomic.Int64 }

func (t *tally) add(h *handed) {
	t.frames.Add(h.frames)
	t.metas.Add(h.metas)
	t.bytes.Add(h.bytes)
}

func (t *tally) sum() handed {
	return handed{t.frames.Load(), t.metas.Load(), t.bytes.Load()}
}

func (m *metrics) handed(h handed) {
	m.frames.Add(float64(h.frames))
	m.deliveries.Add(float64(h.metas))
	m.bytes.Add(float64(h.bytes))
}
