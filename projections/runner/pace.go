package runner

import (
	"context"

	"golang.org/x/time/rate"

	"parley/domain"
	"parley/projections/feed"
)

// stepsPerSecond is how finely a bounded rebuild is spread over a second.
const stepsPerSecond = 10

// setPace bounds the commits a second of a read model's rebuild, 0 lifts the bound. Whoever waits for its turn already waits it out.
func (r *Runner) setPace(name string, perSecond int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.paces, name)
	if perSecond > 0 {
		r.paces[name] = rate.NewLimiter(rate.Limit(perSecond), max(1, min(perSecond/stepsPerSecond, r.settings.Batch)))
	}
}

// pace returns the bound of a member that is being built, nil when it has none.
func (r *Runner) pace(m *member) *rate.Limiter {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.versions[m.projection.Name()].next != m.projection.Version() {
		return nil
	}
	return r.paces[m.projection.Name()]
}

// bound returns the limit of a pass, nil when there is none: it has one when every member of it is being built at a bounded rate and is far
// behind. Nobody waits who has nearly caught up, and no read model that is read.
func (r *Runner) bound(p *part, members []*member) (bound *rate.Limiter) {
	head := uint64(p.head())
	for _, m := range members {
		if bound = r.pace(m); bound == nil || m.applied.Load()+uint64(r.settings.Batch) >= head {
			return nil
		}
	}
	return bound
}

// next returns the next commits for a pass, in its turn.
func (r *Runner) next(ctx context.Context, p *part, members []*member, reader *feed.Reader) ([]domain.Accepted, error) {
	bound := r.bound(p, members)
	if bound == nil {
		return reader.Next(ctx, r.settings.Batch)
	}
	commits, err := reader.Next(ctx, bound.Burst())
	if err != nil {
		return nil, err
	}
	return commits, bound.WaitN(ctx, len(commits))
}
