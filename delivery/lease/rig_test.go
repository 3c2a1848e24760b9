package lease

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"parley/domain"
	"parley/schemas/table"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const app = domain.AppID("org#app")

// clock is a clock that tests move.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// fault is what a memory store does wrong.
type fault int

const (
	none      fault = iota
	refuses         // writes fail and have no effect
	unknown         // writes fail and have their effect
	notSynced       // syncs fail
	faults
)

var errStore = errors.New("the store fails")

// memory is a store that loses what was not synced. It stands for what the real one does only when the machine fails.
type memory struct {
	mu      sync.Mutex
	batches [][]table.Write
	synced  int // batches
	fault   fault
	wrote   func(writes []table.Write) // after a batch took effect
}

func (m *memory) Write(_ context.Context, writes []table.Write) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fault == refuses {
		return errStore
	}
	m.batches = append(m.batches, slices.Clone(writes))
	if m.wrote != nil {
		m.wrote(writes)
	}
	if m.fault == unknown {
		return errStore
	}
	return nil
}

func (m *memory) Sync(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fault == notSynced {
		return errStore
	}
	m.synced = len(m.batches)
	return nil
}

// kill loses some of the batches that were not synced, the last ones.
func (m *memory) kill(kept int) {
	m.batches = m.batches[:m.synced+kept]
	m.fault = none
}

func (m *memory) Scan(_ context.Context, q table.Query) ([]table.Row, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	rows := map[string]table.Value{}
	for _, batch := range m.batches {
		for _, w := range batch {
			if w.Table != q.Table || !bytes.Equal(w.Partition, q.Partition) || bytes.Compare(w.Cluster, q.From) < 0 {
				continue
			}
			old, c := rows[string(w.Cluster)], w.Cells[0]
			if w.T > old.T || w.T == old.T && bytes.Compare(c.Value, old.Value) > 0 {
				rows[string(w.Cluster)] = table.Value{Value: c.Value, T: w.T}
			}
		}
	}
	var out []table.Row
	for k, v := range rows {
		out = append(out, table.Row{Cluster: table.Key(k), Cells: []table.Value{v}})
	}
	slices.SortFunc(out, func(a, b table.Row) int { return bytes.Compare(a.Cluster, b.Cluster) })
	return out[:min(len(out), q.Limit)], nil
}

// heard is a Sink that writes down what it hears, by room.
type heard struct {
	mu   sync.Mutex
	told map[Room][]string
}

func (h *heard) add(room Room, text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.told == nil {
		h.told = make(map[Room][]string)
	}
	h.told[room] = append(h.told[room], text)
}

func (h *heard) Came(room Room, who domain.UserID, ext string, count int) {
	h.add(room, fmt.Sprintf("+%s%s %d", who, ext, count))
}

func (h *heard) Went(room Room, who domain.UserID, count int) {
	h.add(room, fmt.Sprintf("-%s %d", who, count))
}

// take returns what was heard of a room since the last call.
func (h *heard) take(room Room) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	defer delete(h.told, room)
	return strings.Join(h.told[room], ", ")
}

// rig is Leases with a clock, a store and a Sink.
type rig struct {
	*Leases
	t     testing.TB
	clock *clock
	store *memory
	heard *heard
	set   Settings
	reg   *prometheus.Registry
}

func newRig(t testing.TB) *rig {
	r := &rig{t: t, clock: newClock(), store: &memory{}, set: DefaultSettings()}
	r.start()
	return r
}

// start begins anew with what the store has.
func (r *rig) start() {
	r.t.Helper()
	r.heard, r.reg = &heard{}, prometheus.NewPedanticRegistry()
	r.Leases = New(Config{Store: r.store, Settings: r.set, Sink: r.heard, Now: r.clock.now, Registerer: r.reg})
	if err := r.Load(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
}

// kill begins anew with what was synced.
func (r *rig) kill() { r.store.kill(0); r.start() }

// pass lets time pass, with sweeps.
func (r *rig) pass(d time.Duration) { r.clock.pass(d); r.sweep() }

// joins lets a user's device join a room of alice's.
func (r *rig) joins(who domain.UserID, d domain.Resource, room string, change ...func(*Join)) (count int, first bool, err error) {
	j := Join{App: app, User: who, Incarnation: 1, Device: d, Room: domain.RoomStream(app, room), Owner: "alice", MaxUsers: 3}
	for _, f := range change {
		f(&j)
	}
	return r.Join(j)
}

func stays(j *Join) { j.Stays = true }

// metric returns the value of a counter or gauge; label "" stands for none.
func (r *rig) metric(name, label string) float64 {
	r.t.Helper()
	families, err := r.reg.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && (label == "" || m.GetLabel()[0].GetValue() == label) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	r.t.Fatalf("no metric %s %s", name, label)
	return 0
}

// discard is a store that keeps nothing and costs nothing.
type discard struct{}

func (discard) Write(context.Context, []table.Write) error             { return nil }
func (discard) Sync(context.Context) error                             { return nil }
func (discard) Scan(context.Context, table.Query) ([]table.Row, error) { return nil, nil }

// silent is a Sink that hears nothing.
type silent struct{}

func (silent) Came(Room, domain.UserID, string, int) {}
func (silent) Went(Room, domain.UserID, int)         {}
