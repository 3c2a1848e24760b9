package reactor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"parley/domain"
	"parley/domain/fence"
	"parley/projections/feed"
)

// Runner runs reactors for the partitions that this process runs. Safe for concurrent use.
type Runner struct {
	store    Store
	owners   Owners
	reactors []Reactor
	settings Settings
	metrics  *Metrics
	log      *slog.Logger
}

// New returns a runner of the reactors, in the order of All.
func New(st Store, owners Owners, reactors []Reactor, s Settings, m *Metrics, log *slog.Logger) *Runner {
	return &Runner{store: st, owners: owners, reactors: reactors, settings: s, metrics: m, log: log}
}

// Run reacts to the commits of the feed's partition until ctx ends (nil) or the partition halts. It goes on where the checkpoint stands, a
// partition without one at the log's start.
func (r *Runner) Run(ctx context.Context, f *feed.Feed) error {
	err := r.run(ctx, f)
	if err == nil || ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	r.metrics.halted.Inc()
	return fmt.Errorf("reactors of partition %d: %w", f.Partition(), err)
}

func (r *Runner) run(ctx context.Context, f *feed.Feed) error {
	at, err := r.load(ctx, f.Partition())
	if err != nil {
		return err
	}
	if err := f.Check(ctx, at); err != nil {
		return err
	}
	p := newProgress(at)
	ctx, stop := context.WithCancel(ctx)
	var saving sync.WaitGroup
	saving.Go(func() { r.keep(ctx, f.Partition(), p, at) })
	defer saving.Wait()
	defer stop()
	return r.pass(ctx, f, f.Reader(at), p)
}

// lag is where one partition shows how late its reactors are.
type lag struct{ commits, seconds prometheus.Gauge }

func (r *Runner) lag(p domain.Partition) lag {
	name := strconv.Itoa(int(p))
	return lag{r.metrics.lagCommits.WithLabelValues(name), r.metrics.lagSeconds.WithLabelValues(name)}
}

// pass reacts to one batch of commits after the other.
func (r *Runner) pass(ctx context.Context, f *feed.Feed, reader *feed.Reader, p *progress) error {
	var commands []Command
	lag := r.lag(f.Partition())
	for {
		commits, err := reader.Next(ctx, r.settings.Batch)
		if err != nil {
			return err
		}
		if commands, err = r.react(commands[:0], commits); err != nil {
			return err
		}
		if err := r.issue(ctx, commands); err != nil {
			return err
		}
		clear(commands)
		last := &commits[len(commits)-1]
		p.move(fence.Reader{Next: last.Offset + 1, Term: last.Term, Index: last.Index, Prev: last.Prev})
		lag.set(f, last)
		if len(commits) < r.settings.Batch {
			if err := pause(ctx, r.settings.Linger); err != nil {
				return err
			}
		}
	}
}

// load reads the checkpoint, again and again while the store does not answer.
func (r *Runner) load(ctx context.Context, partition domain.Partition) (at fence.Reader, err error) {
	for d := r.settings.FirstPause; ; d = min(2*d, r.settings.LastPause) {
		at, err := r.read(ctx, partition)
		if err == nil {
			return at, nil
		}
		r.metrics.failures.WithLabelValues("read").Inc()
		r.log.Warn("the store failed the reactors and is tried again", "partition", partition, "error", err)
		if err := pause(ctx, d); err != nil {
			return at, err
		}
	}
}

// react collects what follows from the commits.
func (r *Runner) react(dst []Command, commits []domain.Accepted) (out []Command, err error) {
	for i := range commits {
		a := &commits[i]
		causes := Causes{domain.Cause{Partition: a.Partition, Offset: a.Offset}}
		for _, reactor := range r.reactors {
			n := len(dst)
			if dst, err = reactor.React(dst, a, &causes); err != nil {
				return nil, fmt.Errorf("%s: %w", reactor.Name(), err)
			}
			for j := range dst[n:] {
				dst[n+j].reactor = reactor.Name()
			}
		}
	}
	return dst, nil
}

func (l lag) set(f *feed.Feed, last *domain.Accepted) {
	behind := max(0, int64(f.HeadIndex())-int64(last.Index))
	l.commits.Set(float64(behind))
	seconds := 0.0
	if behind > 0 {
		seconds = max(0, time.Since(last.Commit.LastT().Time()).Seconds())
	}
	l.seconds.Set(seconds)
}
