package runner_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"parley/domain"
	"parley/domain/fence"
	"parley/projections/feed"
	"parley/projections/logtest"
	"parley/projections/runner"
	"parley/schemas/table"
	"parley/storage/pebble"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// house is a log and a store on disk, with the projections of one process.
type house struct {
	t     *testing.T
	log   *pebble.Log
	store *faulty
}

// faulty is the real store, failing when told to.
type faulty struct {
	*pebble.Store
	failing atomic.Bool
	failed  atomic.Int64
	refused atomic.Pointer[table.Table] // writes to it fail
}

var errDown = errors.New("store is down")

func (f *faulty) Write(ctx context.Context, writes []table.Write) error {
	if f.failing.Load() || slices.ContainsFunc(writes, func(w table.Write) bool { return w.Table == f.refused.Load() }) {
		f.failed.Add(1)
		return errDown
	}
	return f.Store.Write(ctx, writes)
}

func open(t *testing.T) *house {
	t.Helper()
	log, err := pebble.OpenLog(t.TempDir(), pebble.Options{})
	if err != nil {
		t.Fatal(err)
	}
	store, err := pebble.OpenStore(t.TempDir(), pebble.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(log.Close(), store.Close()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return &house{t: t, log: log, store: &faulty{Store: store}}
}

// process is one life of a process.
type process struct {
	*runner.Runner
	feeds map[domain.Partition]*feed.Feed
	stop  context.CancelFunc
	ends  map[domain.Partition]chan error
	wg    sync.WaitGroup
	shows *prometheus.Registry
}

func (h *house) start(kinds []runner.Kind, s runner.Settings, worlds ...*logtest.World) *process {
	h.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	shows := prometheus.NewRegistry()
	r, err := runner.New(ctx, h.store, kinds, s, runner.NewMetrics(shows), slog.New(slog.DiscardHandler))
	if err != nil {
		stop()
		h.t.Fatal(err)
	}
	p := &process{Runner: r, shows: shows, feeds: make(map[domain.Partition]*feed.Feed), stop: stop, ends: make(map[domain.Partition]chan error)}
	for _, w := range worlds {
		f := feed.New(w.Partition, h.log, feed.DefaultSettings(), feed.NewMetrics(prometheus.NewRegistry()))
		end := make(chan error, 1)
		p.feeds[w.Partition], p.ends[w.Partition] = f, end
		p.wg.Go(func() { end <- r.Run(ctx, f) })
		p.wg.Go(func() { _ = f.Follow(ctx, fence.Reader{}) })
	}
	h.t.Cleanup(p.kill)
	return p
}

func (p *process) kill() { p.stop(); p.wg.Wait() }

// gauge adds up a gauge of all partitions and projections.
func (p *process) gauge(t *testing.T, name string) (sum float64) {
	t.Helper()
	families, err := p.shows.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name {
				sum += m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

// settle waits until the projections have passed the world's end.
func (p *process) settle(t *testing.T, w *logtest.World) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		err := p.Wait(t.Context(), w.Partition, w.At().Index)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the projections did not pass index %d: %v", w.At().Index, err)
		}
		time.Sleep(time.Millisecond)
	}
}

// notes is a read model of the test: one row for each entry, that may be told to fail.
var notes = runner.NewPair(table.Table{
	ID: 200, Name: "notes",
	Partition: []table.Field{{Name: "stream", Type: table.String}},
	Cluster:   []table.Field{{Name: "idx", Type: table.Uint64}},
	Cells:     []table.Field{{Name: "text", Type: table.Bytes}},
})

type noter struct {
	version int
	refuse  func(*domain.Accepted) error
	applied *atomic.Int64
}

func (n *noter) Name() string { return "notes" }
func (n *noter) Version() int { return n.version }
func (n *noter) Apply(dst []table.Write, a *domain.Accepted) ([]table.Write, error) {
	n.applied.Add(1)
	dst = append(dst, table.Write{
		Table: notes.Of(n.version), Partition: table.Key(nil).Text(string(a.Commit.Stream)), Cluster: table.Key(nil).Uint64(uint64(a.Index)),
		T: uint64(a.Commit.LastT()), Cells: []table.Cell{{Column: 0, Value: fmt.Append(nil, n.version, " ", a.Index)}},
	})
	if n.refuse != nil {
		return dst, n.refuse(a)
	}
	return dst, nil
}

// kind makes the read model; refuse may be nil. The counter counts applied commits.
func kind(refuse func(*domain.Accepted) error) (runner.Kind, *atomic.Int64) {
	applied := new(atomic.Int64)
	return runner.Kind{
		Name: "notes", Tables: []runner.Pair{notes},
		New: func(v int) runner.Projection { return &noter{version: v, refuse: refuse, applied: applied} },
	}, applied
}

// notesOf returns the indexes of a stream's rows.
func (h *house) notesOf(version int, stream domain.StreamID) string {
	h.t.Helper()
	rows, err := h.store.Scan(h.t.Context(), table.Query{
		Table: notes.Of(version), Partition: table.Key(nil).Text(string(stream)), Limit: 10000,
	})
	if err != nil {
		h.t.Fatal(err)
	}
	var out []string
	for _, row := range rows {
		out = append(out, string(row.Cells[0].Value))
	}
	return strings.Join(out, ",")
}

// want is what notesOf must say.
func want(w *logtest.World, version int, stream domain.StreamID) string {
	var out []string
	for _, a := range w.Accepted {
		if a.Commit.Stream == stream {
			out = append(out, fmt.Sprint(version, " ", a.Index))
		}
	}
	return strings.Join(out, ",")
}

func (h *house) world(p domain.Partition) *logtest.World {
	w := logtest.NewWorld(h.t, h.log, p)
	for _, u := range logtest.Users {
		w.Register(u)
	}
	return w
}

var (
	annBob = domain.DirectStream(logtest.App, "ann", "bob")
	cydDan = domain.DirectStream(logtest.App, "cyd", "dan")
)

func TestCheckpointsSurviveARestart(t *testing.T) {
	for _, lag := range []time.Duration{0, 50 * time.Millisecond} {
		t.Run(lag.String(), func(t *testing.T) {
			h := open(t)
			w := h.world(0)
			k, applied := kind(nil)
			s := runner.DefaultSettings()
			s.CheckpointLag = lag
			p := h.start([]runner.Kind{k}, s, w)
			for i := range 100 {
				w.Send("ann", "bob", fmt.Sprint(i))
			}
			p.settle(t, w)
			time.Sleep(2 * lag)
			w.Send("ann", "bob", "one more, which makes the checkpoint of what was before due")
			p.settle(t, w)
			p.kill()
			before := applied.Load()
			w.Send("bob", "ann", "while away")
			p = h.start([]runner.Kind{k}, s, w)
			p.settle(t, w)
			if again := applied.Load() - before; again < 1 || again > 10 || (lag == 0 && again != 1) {
				t.Errorf("%d commits were applied after the restart", again)
			}
			if got, want := h.notesOf(1, annBob), want(w, 1, annBob); got != want {
				t.Errorf("got %s\nwant %s", got, want)
			}
		})
	}
}

func TestAStoreThatIsDownDelaysAndLosesNothing(t *testing.T) {
	h := open(t)
	w := h.world(0)
	k, _ := kind(nil)
	p := h.start([]runner.Kind{k}, runner.DefaultSettings(), w)
	p.settle(t, w)
	h.store.failing.Store(true)
	for i := range 50 {
		w.Send("ann", "bob", fmt.Sprint(i))
	}
	if err := p.Wait(t.Context(), 0, w.At().Index); !errors.Is(err, runner.ErrLate) {
		t.Fatalf("Wait while the store is down: %v", err)
	}
	for h.store.failed.Load() < 2 {
		time.Sleep(5 * time.Millisecond)
	}
	if lag := p.gauge(t, "parley_runner_lag_commits"); lag == 0 {
		t.Error("no lag is shown")
	}
	p.kill()
	if lag := p.gauge(t, "parley_runner_lag_commits") + p.gauge(t, "parley_runner_lag_seconds"); lag != 0 {
		t.Error("the lag of a partition is shown that does not run here any more")
	}
	h.store.failing.Store(false)
	p = h.start([]runner.Kind{k}, runner.DefaultSettings(), w)
	p.settle(t, w)
	if got, want := h.notesOf(1, annBob), want(w, 1, annBob); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestQuarantine(t *testing.T) {
	h := open(t)
	w := h.world(0)
	var broken atomic.Bool
	broken.Store(true)
	k, _ := kind(func(a *domain.Accepted) error {
		if !broken.Load() || a.Commit.Stream != annBob {
			return nil
		}
		if a.Index%2 == 0 {
			panic("cannot apply")
		}
		return errors.New("cannot apply")
	})
	p := h.start([]runner.Kind{k}, runner.DefaultSettings(), w)
	annCyd := domain.DirectStream(logtest.App, "ann", "cyd")
	for i := range 20 {
		w.Send("ann", "bob", fmt.Sprint(i))
		w.Send("ann", "cyd", fmt.Sprint(i))
	}
	p.settle(t, w)
	if got, want := h.notesOf(1, annCyd), want(w, 1, annCyd); got != want {
		t.Errorf("another stream: got %s\nwant %s", got, want)
	}
	if got := h.notesOf(1, annBob); got != "" {
		t.Errorf("rows of a stream in quarantine: %s", got)
	}
	if err := p.Replay(t.Context(), 0, "notes", annBob); err == nil {
		t.Error("a replay of what is still broken succeeded")
	}

	p.kill()
	broken.Store(false)
	p = h.start([]runner.Kind{k}, runner.DefaultSettings(), w)
	w.Send("bob", "ann", "after the fix, still behind the quarantine")
	p.settle(t, w)
	if got := h.notesOf(1, annBob); got != "" {
		t.Errorf("a restart forgot the quarantine: %s", got)
	}
	if err := p.Replay(t.Context(), 0, "notes", annBob); err != nil {
		t.Fatalf("replay: %v", err)
	}
	w.Send("bob", "ann", "free")
	p.settle(t, w)
	if got, want := h.notesOf(1, annBob), want(w, 1, annBob); got != want {
		t.Errorf("after the replay: got %s\nwant %s", got, want)
	}
	p.kill()
	p = h.start([]runner.Kind{k}, runner.DefaultSettings(), w)
	w.Send("bob", "ann", "still free")
	p.settle(t, w)
	if got, want := h.notesOf(1, annBob), want(w, 1, annBob); got != want {
		t.Errorf("after a restart: got %s\nwant %s", got, want)
	}
}

func TestTooManyQuarantinedStreamsHalt(t *testing.T) {
	h := open(t)
	w := logtest.NewWorld(t, h.log, 0)
	k, _ := kind(func(*domain.Accepted) error { return errors.New("nothing can be applied") })
	for i := range runner.MaxQuarantined {
		w.Register(domain.UserID(fmt.Sprintf("user%03d", i)))
	}
	p := h.start([]runner.Kind{k}, runner.DefaultSettings(), w)
	p.settle(t, w)
	w.Register("one-too-many")
	select {
	case err := <-p.ends[0]:
		if err == nil || !strings.Contains(err.Error(), "streams in quarantine") {
			t.Errorf("ended with %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the partition did not halt")
	}
}

func TestRebuildSwitchesWhenCaughtUp(t *testing.T) {
	h := open(t)
	w0, w1 := h.world(0), h.world(1)
	k, _ := kind(nil)
	p := h.start([]runner.Kind{k}, runner.DefaultSettings(), w0, w1)
	for round := 2; round <= 4; round++ {
		for i := range 200 {
			w0.Send("ann", "bob", fmt.Sprint(i))
			w1.Send("cyd", "dan", fmt.Sprint(i))
		}
		p.settle(t, w0)
		before := want(w0, round, annBob)
		done := make(chan error, 1)
		h.store.refused.Store(notes.Of(round))
		time.AfterFunc(20*time.Millisecond, func() { h.store.refused.Store(nil) })
		go func() { done <- p.Rebuild(t.Context(), "notes", []domain.Partition{0, 1}) }()
		for i := range 50 {
			w0.Send("bob", "ann", fmt.Sprint(i))
		}
		if err := <-done; err != nil {
			t.Fatalf("rebuild: %v", err)
		}
		if got := h.notesOf(round, annBob); !strings.HasPrefix(got, before) {
			t.Fatalf("version %d was switched to before it had caught up", round)
		}
		if got := p.Active("notes"); got != round {
			t.Fatalf("active version is %d, want %d", got, round)
		}
		w0.Send("ann", "bob", "after the switch")
		p.settle(t, w0)
		p.settle(t, w1)
		for stream, w := range map[domain.StreamID]*logtest.World{annBob: w0, cydDan: w1} {
			if got, want := h.notesOf(round, stream), want(w, round, stream); got != want {
				t.Fatalf("version %d of %s: got %s\nwant %s", round, stream, got, want)
			}
		}
		if round == 3 {
			p.kill()
			p = h.start([]runner.Kind{k}, runner.DefaultSettings(), w0, w1)
			if got := p.Active("notes"); got != round {
				t.Fatalf("after a restart the active version is %d, want %d", got, round)
			}
		}
	}
}

func TestARebuildGoesOnAfterARestart(t *testing.T) {
	h := open(t)
	w0 := h.world(0)
	w0.Send("ann", "bob", "hello")
	k, _ := kind(nil)
	p := h.start([]runner.Kind{k}, runner.DefaultSettings(), w0)
	p.settle(t, w0)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := p.Rebuild(ctx, "notes", []domain.Partition{0, 1}); err == nil { // partition 1 does not run
		t.Fatal("a rebuild without its partition ended")
	}
	p.kill()
	w1 := h.world(1)
	w1.Send("cyd", "dan", "hello")
	p = h.start([]runner.Kind{k}, runner.DefaultSettings(), w0, w1)
	if got := p.Rebuilding(); len(got) != 1 || got[0] != "notes" || p.Active("notes") != 1 {
		t.Fatalf("rebuilding %v, active %d", got, p.Active("notes"))
	}
	if err := p.Rebuild(t.Context(), "notes", []domain.Partition{0, 1}); err != nil {
		t.Fatal(err)
	}
	p.settle(t, w1)
	for stream, w := range map[domain.StreamID]*logtest.World{annBob: w0, cydDan: w1} {
		if got, want := h.notesOf(2, stream), want(w, 2, stream); got != want || got == "" {
			t.Errorf("rows of version 2 of %s: got %s, want %s", stream, got, want)
		}
	}
}

func TestWait(t *testing.T) {
	h := open(t)
	w := h.world(0)
	k, _ := kind(nil)
	s := runner.DefaultSettings()
	s.Linger, s.WaitAtMost = time.Second, 200*time.Millisecond
	p := h.start([]runner.Kind{k}, s, w)
	p.settle(t, w)
	for i := range 20 { // with a linger of a second this would take 20 s if nobody cut it short
		w.Send("ann", "bob", fmt.Sprint(i))
		if err := p.Wait(t.Context(), 0, w.At().Index, "notes"); err != nil {
			t.Fatalf("wait %d: %v", i, err)
		}
	}
	if got := p.Positions("notes")[0]; got != w.At().Index {
		t.Errorf("position %d, want %d", got, w.At().Index)
	}
	if err := p.Wait(t.Context(), 0, w.At().Index+1); !errors.Is(err, runner.ErrLate) {
		t.Errorf("wait for what does not come: %v", err)
	}
	if err := p.Wait(t.Context(), 9, 1); !errors.Is(err, runner.ErrNotHere) {
		t.Errorf("wait in a partition that does not run: %v", err)
	}
}

func TestSettingsValidate(t *testing.T) {
	if err := runner.DefaultSettings().Validate(); err != nil {
		t.Errorf("defaults: %v", err)
	}
	bad := runner.Settings{Batch: -1, Linger: -1, CheckpointLag: -1}
	for _, name := range []string{"batch", "linger", "checkpoint_lag", "wait_at_most", "write_timeout"} {
		if err := bad.Validate(); err == nil || !strings.Contains(err.Error(), "projections."+name) {
			t.Errorf("%s is not reported: %v", name, err)
		}
	}
}
