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
		shown := r.lag(f.Partition()) // the partition may run on another node now, which has its own
		shown.commits.Set(0)
		shown.seconds.Set(0)
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
	lag := r.lag(f.Partition())
	for {
		commits, err := reader.Next(ctx, r.settings.Batch)
		if err != nil {
			return err
		}
		full := len(commits) == r.settings.Batch
		for len(commits) > 0 {
			commands, n, err := r.react(ctx, commits)
			if err != nil {
				return err
			}
			if err := r.issue(ctx, commands); err != nil {
				return err
			}
			last := &commits[n-1]
			p.move(fence.Reader{Next: last.Offset + 1, Term: last.Term, Index: last.Index, Prev: last.Prev})
			lag.set(f, last)
			commits = commits[n:]
		}
		if !full {
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

// maxCommands is how many commands are collected before they are issued, those of the last commit apart.
const maxCommands = 5000

// react collects what follows from the first n commits.
func (r *Runner) react(ctx context.Context, commits []domain.Accepted) (commands []Command, n int, err error) {
	for n < len(commits) && len(commands) < maxCommands {
		causes := Causes{domain.Cause{Partition: commits[n].Partition, Offset: commits[n].Offset}}
		for _, reactor := range r.reactors {
			if commands, err = r.consult(ctx, reactor, commands, &commits[n], &causes); err != nil {
				return nil, 0, fmt.Errorf("%s: %w", reactor.Name(), err)
			}
		}
		n++
	}
	return commands, n, nil
}

// consult lets one reactor look at a commit, again and again while it cannot read what it needs.
func (r *Runner) consult(ctx context.Context, reactor Reactor, dst []Command, a *domain.Accepted, causes *Causes) ([]Command, error) {
	n := len(dst)
	for d := r.settings.FirstPause; ; d = min(2*d, r.settings.LastPause) {
		before := *causes
		out, err := reactor.React(ctx, dst, a, causes)
		if err == nil {
			for i := range out[n:] {
				out[n+i].reactor = reactor.Name()
			}
			return out, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if !errors.Is(err, errLater) {
			return nil, err
		}
		*causes = before
		r.metrics.failures.WithLabelValues("look").Inc()
		r.log.Warn("a reactor cannot read what it needs and tries again", "reactor", reactor.Name(), "partition", a.Partition, "error", err)
		if err := pause(ctx, d); err != nil {
			return nil, err
		}
	}
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
