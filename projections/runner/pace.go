package runner

import (
	"context"

	"golang.org/x/time/rate"
)

// setPace bounds the commits a second of a read model's rebuild, 0 lifts the bound. Whoever waits for its turn already waits it out.
func (r *Runner) setPace(name string, perSecond int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.paces, name)
	if perSecond > 0 {
		r.paces[name] = rate.NewLimiter(rate.Limit(perSecond), r.settings.Batch)
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

// hold waits for the turn of n commits when every member of a pass is being built at a bounded rate and is far behind. Nobody waits who has
// caught up, and no read model that is read.
func (r *Runner) hold(ctx context.Context, p *part, members []*member, n int) error {
	head := uint64(p.head())
	var bound *rate.Limiter
	for _, m := range members {
		l := r.pace(m)
		if l == nil || m.applied.Load()+uint64(r.settings.Batch) >= head {
			return nil
		}
		bound = l
	}
	if bound == nil {
		return nil
	}
	return bound.WaitN(ctx, n)
}
