package runner

import (
	"context"
	"runtime/pprof"
	"slices"
	"time"

	"parley/domain"
)

// pass moves members on together: one read of the feed, one write to the store. It ends with an error, or with nil when every member
// has been replaced by a newer version.
func (r *Runner) pass(ctx context.Context, p *part, members []*member) error {
	start := slices.MinFunc(members, func(a, b *member) int { return int(int64(a.at.Index) - int64(b.at.Index)) })
	reader := p.feed.Reader(start.at.Reader)
	b := newBatch()
	roles := rolesOf(ctx, members)
	for {
		members = slices.DeleteFunc(members, func(m *member) bool { return m.ended.Load() })
		if len(members) == 0 {
			return nil
		}
		commits, err := r.next(ctx, p, members, reader)
		if err != nil {
			return err
		}
		if err := r.step(ctx, p, members, roles, b, commits); err != nil {
			return err
		}
		if len(commits) < r.settings.Batch {
			if err := p.linger(ctx, r.settings.Linger); err != nil {
				return err
			}
		}
	}
}

// step applies one batch of commits and stores its rows and checkpoints.
func (r *Runner) step(ctx context.Context, p *part, members []*member, roles roles, b *batch, commits []domain.Accepted) error {
	for _, m := range members {
		m.mu.Lock()
	}
	defer func() {
		for _, m := range members {
			m.mu.Unlock()
		}
	}()
	begin := time.Now()
	b.reset()
	to := after(&commits[len(commits)-1])
	if err := r.collect(ctx, members, roles, b, commits); err != nil {
		return err
	}
	for _, m := range members {
		if to.Index > m.at.Index {
			m.checkpoint(b, to, r.settings.CheckpointLag, begin)
		}
	}
	if len(b.writes) > 0 {
		err := r.retry(ctx, "write", func(ctx context.Context) error {
			err := r.store.Write(ctx, b.writes)
			if err != nil {
				r.lags(p, members)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	now := time.Now()
	for _, m := range members {
		if to.Index > m.at.Index {
			m.stored(to, r.settings.CheckpointLag, now)
		}
	}
	p.moved()
	r.lags(p, members)
	r.metrics.commits.Add(float64(len(commits)))
	r.metrics.writes.Add(float64(len(b.writes)))
	r.metrics.batches.Observe(now.Sub(begin).Seconds())
	return nil
}

// roles are the labels under which members apply commits: CPU profiles tell projections apart.
type roles map[*member]context.Context

func rolesOf(ctx context.Context, members []*member) roles {
	out := make(roles, len(members))
	for _, m := range members {
		out[m] = pprof.WithLabels(ctx, pprof.Labels("projection", m.projection.Name())) //nolint:fatcontext // none contains another
	}
	return out
}

// collect lets each member apply a batch of commits.
func (r *Runner) collect(ctx context.Context, members []*member, roles roles, b *batch, commits []domain.Accepted) error {
	defer pprof.SetGoroutineLabels(ctx)
	for _, m := range members {
		pprof.SetGoroutineLabels(roles[m])
		if err := m.collect(b, commits, r.metrics.held); err != nil {
			return err
		}
	}
	return nil
}

// lags tells how far the versions that are read are behind: one that is being built is, and alarms nobody.
func (r *Runner) lags(p *part, members []*member) {
	head, now := p.feed.HeadIndex(), time.Now()
	for _, m := range members {
		if m.projection.Version() == r.Active(m.projection.Name()) {
			m.lag(head, now)
		}
	}
}

// linger rests unless somebody waits.
func (p *part) linger(ctx context.Context, d time.Duration) error {
	if d == 0 || p.isWaiting() {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-p.hurry:
	case <-timer.C:
	}
	return nil
}

// moved tells those who wait.
func (p *part) moved() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting {
		close(p.changed)
		p.changed, p.waiting = make(chan struct{}), false
	}
}

func (p *part) isWaiting() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.waiting
}
