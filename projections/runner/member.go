package runner

import (
	"context"
	"fmt"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"parley/domain"
	"parley/schemas/table"
)

// member is one version of a projection in one partition. What is not atomic is used under mu: by its pass for the length of a step, and by
// Replay.
type member struct {
	projection Projection
	partition  domain.Partition
	coalesce   bool

	mu      sync.Mutex
	at      Place                    // behind the last commit whose rows are in the store
	held    map[domain.StreamID]bool // streams in quarantine
	trail   []trailing               // places that wait to become the checkpoint, oldest first
	applied atomic.Uint64            // at.Index, for others
	shown   atomic.Pointer[Place]    // at, for others
	holds   atomic.Int64             // len(held), for others
	ended   atomic.Bool              // a newer version is read: stop

	lagSeconds, lagCommits, quarantined prometheus.Gauge
}

// trailing is a place and when its rows were stored.
type trailing struct {
	stored time.Time
	at     Place
}

func (r *Runner) newMember(p domain.Partition, pr Projection) *member {
	labels := []string{strconv.Itoa(int(p)), pr.Name()}
	m := &member{
		projection: pr, partition: p, held: make(map[domain.StreamID]bool),
		lagSeconds:  r.metrics.lagSeconds.WithLabelValues(labels...),
		lagCommits:  r.metrics.lagCommits.WithLabelValues(labels...),
		quarantined: r.metrics.quarantined.WithLabelValues(labels...),
	}
	if c, ok := pr.(Coalescer); ok {
		m.coalesce = c.Coalesce()
	}
	return m
}

// load reads the member's checkpoint and quarantine.
func (m *member) load(ctx context.Context, st Store) error {
	rows, err := st.Get(ctx, checkpoints, []table.RowKey{checkpointKey(m.projection.Name(), m.projection.Version(), m.partition)})
	if err != nil {
		return fmt.Errorf("load checkpoint of %s: %w", m.projection.Name(), err)
	}
	if m.at, err = place(rows[0]); err != nil {
		return fmt.Errorf("%s in partition %d: %w", m.projection.Name(), m.partition, err)
	}
	m.show()
	return m.loadHeld(ctx, st)
}

// collect adds the member's writes for the commits after its place to b.
func (m *member) collect(b *batch, commits []domain.Accepted, held prometheus.Counter) error {
	for i := range commits {
		a := &commits[i]
		if a.Index <= m.at.Index {
			continue
		}
		if m.held[a.Commit.Stream] {
			b.writes = append(b.writes, m.positionWrite(a))
			held.Inc()
			continue
		}
		n := len(b.writes)
		writes, err := m.apply(b.writes, a)
		if err != nil {
			b.writes = b.writes[:n]
			held.Inc()
			if err := m.hold(b, a, err); err != nil {
				return err
			}
			continue
		}
		b.writes = writes
		if m.coalesce && len(b.writes) > n {
			b.coalesce(n)
		}
	}
	return nil
}

// apply turns a panic of the projection into an error: a stream goes into quarantine, not the process down again and again.
func (m *member) apply(dst []table.Write, a *domain.Accepted) (out []table.Write, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return m.projection.Apply(dst, a)
}

// checkpoint adds the write of the newest place that may become the checkpoint when the batch that ends at `to` is stored.
func (m *member) checkpoint(b *batch, to Place, lag time.Duration, now time.Time) {
	at, ok := to, true
	if lag > 0 {
		at, ok = m.due(now.Add(-lag))
	}
	if ok {
		b.writes = append(b.writes, checkpointWrite(m.projection.Name(), m.projection.Version(), m.partition, at))
	}
}

// due takes the newest place that was stored before an instant.
func (m *member) due(before time.Time) (at Place, ok bool) {
	for len(m.trail) > 0 && m.trail[0].stored.Before(before) {
		at, ok = m.trail[0].at, true
		m.trail = m.trail[1:]
	}
	return at, ok
}

// trailSteps is how many places wait at most: between them the checkpoint moves in steps of CheckpointLag / trailSteps.
const trailSteps = 64

// stored notes that the rows up to a place are in the store.
func (m *member) stored(to Place, lag time.Duration, now time.Time) {
	m.at = to
	m.show()
	if n := len(m.trail); lag > 0 && (n == 0 || now.Sub(m.trail[n-1].stored) >= lag/trailSteps) {
		m.trail = append(m.trail, trailing{now, to})
	}
}

// show lets others see how far the member is.
func (m *member) show() {
	at := m.at
	m.shown.Store(&at)
	m.applied.Store(uint64(at.Index))
}

// countHeld tells how many streams are in quarantine.
func (m *member) countHeld() {
	m.holds.Store(int64(len(m.held)))
	m.quarantined.Set(float64(len(m.held)))
}

// lag updates the gauges; head is the index of the feed's last commit.
func (m *member) lag(head domain.Index, now time.Time) {
	behind := max(0, int64(head)-int64(m.at.Index))
	m.lagCommits.Set(float64(behind))
	if behind == 0 {
		m.lagSeconds.Set(0)
		return
	}
	m.lagSeconds.Set(max(0, now.Sub(m.at.T.Time()).Seconds()))
}
