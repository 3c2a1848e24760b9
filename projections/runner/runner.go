package runner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"parley/domain"
	"parley/projections/feed"
)

// Errors of Wait.
var (
	ErrNotHere = errors.New("the partition's projections do not run here")
	ErrLate    = errors.New("the projections are late")
)

// Runner keeps a set of read models for the partitions that this process runs. Safe for concurrent use.
type Runner struct {
	store    Store
	kinds    []Kind
	settings Settings
	metrics  *Metrics
	log      *slog.Logger

	mu       sync.Mutex
	versions map[string]version
	parts    map[domain.Partition]*part
	paces    map[string]*rate.Limiter // of rebuilds that are not to go as fast as they can
	opened   chan struct{}            // closed and replaced when a partition starts
}

// New returns a runner of the kinds; it reads from the store which version of each is active.
func New(ctx context.Context, st Store, kinds []Kind, s Settings, m *Metrics, log *slog.Logger) (*Runner, error) {
	r := &Runner{
		store: st, kinds: kinds, settings: s, metrics: m, log: log,
		versions: make(map[string]version), parts: make(map[domain.Partition]*part), opened: make(chan struct{}),
		paces: make(map[string]*rate.Limiter),
	}
	for _, k := range kinds {
		v, err := r.loadVersion(ctx, k.Name)
		if err != nil {
			return nil, fmt.Errorf("start projections: %w", err)
		}
		r.versions[k.Name] = v
	}
	return r, nil
}

// part is a partition while it runs.
type part struct {
	feed   *feed.Feed
	groups [][]*member   // that Run starts with
	start  chan *member  // new members, for Run
	hurry  chan struct{} // somebody waits: no lingering
	done   chan struct{} // closed when the partition no longer runs

	mu      sync.Mutex
	members []*member     // active ones and those being built
	changed chan struct{} // closed and replaced when a member moved on, if somebody waits
	waiting bool
}

// Run keeps the read models of the feed's partition until ctx ends (nil) or the partition halts. A partition is run once at a time.
func (r *Runner) Run(ctx context.Context, f *feed.Feed) error {
	p, err := r.open(ctx, f)
	if err != nil {
		return endOf(ctx, err)
	}
	defer r.close(p)
	g, ctx2 := errgroup.WithContext(ctx)
	for _, group := range p.groups {
		g.Go(func() error { return r.pass(ctx2, p, group) })
	}
	g.Go(func() error {
		for {
			select {
			case <-ctx2.Done():
				return ctx2.Err()
			case m := <-p.start:
				g.Go(func() error { return r.pass(ctx2, p, []*member{m}) })
			}
		}
	})
	err = g.Wait()
	if end := endOf(ctx, err); end != nil {
		r.metrics.halted.Inc()
		return fmt.Errorf("projections of partition %d: %w", f.Partition(), end)
	}
	p.unshow()
	return nil
}

// endOf returns nil for an error that only says that ctx has ended.
func endOf(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

// open loads the members of a partition and makes it known. When a rebuild takes a step meanwhile it starts again.
func (r *Runner) open(ctx context.Context, f *feed.Feed) (*part, error) {
	for {
		p, err := r.tryOpen(ctx, f)
		if p != nil || err != nil {
			return p, err
		}
	}
}

func (r *Runner) tryOpen(ctx context.Context, f *feed.Feed) (*part, error) {
	p := &part{
		feed: f, start: make(chan *member), hurry: make(chan struct{}, 1), done: make(chan struct{}), changed: make(chan struct{}),
	}
	r.mu.Lock()
	seen := maps.Clone(r.versions)
	r.mu.Unlock()
	for _, k := range r.kinds {
		v := seen[k.Name]
		p.members = append(p.members, r.newMember(f.Partition(), k.New(v.active)))
		if v.next != 0 {
			p.members = append(p.members, r.newMember(f.Partition(), k.New(v.next)))
		}
	}
	for _, m := range p.members {
		if err := r.retry(ctx, "load", func(ctx context.Context) error { return m.load(ctx, r.store) }); err != nil {
			return nil, err
		}
		if err := f.Check(ctx, m.at.Reader); err != nil {
			return nil, err
		}
	}
	p.groups = groups(p.members)
	r.mu.Lock()
	defer r.mu.Unlock()
	if !maps.Equal(seen, r.versions) {
		return nil, nil
	}
	if r.parts[f.Partition()] != nil {
		return nil, fmt.Errorf("partition %d runs already", f.Partition())
	}
	r.parts[f.Partition()] = p
	close(r.opened)
	r.opened = make(chan struct{})
	return p, nil
}

func (r *Runner) close(p *part) {
	r.mu.Lock()
	delete(r.parts, p.feed.Partition())
	r.mu.Unlock()
	close(p.done)
	p.moved()
}

// unshow takes the gauges back: the partition may run on another node now, which has its own.
func (p *part) unshow() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.members {
		for _, g := range []prometheus.Gauge{m.lagCommits, m.lagSeconds, m.quarantined} {
			g.Set(0)
		}
	}
}

func (r *Runner) part(p domain.Partition) *part {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.parts[p]
}

// joinWithin is how many commits apart members may be and yet share a pass: those ahead skip what they have had.
const joinWithin = 50_000

// groups sorts members into those that go on together.
func groups(members []*member) [][]*member {
	sorted := slices.SortedFunc(slices.Values(members), func(a, b *member) int { return int(int64(a.at.Index) - int64(b.at.Index)) })
	var out [][]*member
	for i, m := range sorted {
		if i == 0 || m.at.Index-sorted[i-1].at.Index > joinWithin {
			out = append(out, nil)
		}
		out[len(out)-1] = append(out[len(out)-1], m)
	}
	return out
}

// Pauses before a call to the store is tried again.
const (
	firstPause = 50 * time.Millisecond
	lastPause  = 2 * time.Second
)

// retry calls until it succeeds or ctx ends. A call in hand may finish after ctx has ended, within WriteTimeout.
func (r *Runner) retry(ctx context.Context, operation string, call func(context.Context) error) error {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		try, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.settings.WriteTimeout)
		err := call(try)
		cancel()
		if err == nil {
			return nil
		}
		r.metrics.failures.WithLabelValues(operation).Inc()
		r.log.Warn("the store failed a projection and is tried again", "operation", operation, "error", err)
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}
