package runner

import (
	"context"
	"slices"
	"time"

	"parley/domain"
)

// Wait returns when the rows of the partition's commits up to an index can be read: of the named read models, of all when none is named.
// It waits at most Settings.WaitAtMost: then ErrLate, and the caller answers all the same. ErrNotHere: another process runs the partition.
func (r *Runner) Wait(ctx context.Context, p domain.Partition, index domain.Index, names ...string) error {
	pt := r.part(p)
	if pt == nil {
		return ErrNotHere
	}
	begin := time.Now()
	defer func() { r.metrics.waits.Observe(time.Since(begin).Seconds()) }()
	timer := time.NewTimer(r.settings.WaitAtMost)
	defer timer.Stop()
	for {
		changed, ok := r.passed(pt, index, names)
		if ok {
			return nil
		}
		pt.noLinger()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-pt.done:
			return ErrNotHere
		case <-timer.C:
			r.metrics.waitsOver.Inc()
			return ErrLate
		case <-changed:
		}
	}
}

// noLinger wakes a pass that rests.
func (p *part) noLinger() {
	select {
	case p.hurry <- struct{}{}:
	default:
	}
}

// passed tells whether the named read models have passed an index, else when to look again.
func (r *Runner) passed(p *part, index domain.Index, names []string) (<-chan struct{}, bool) {
	active := r.actives()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.members {
		name := m.projection.Name()
		if m.projection.Version() == active[name] && m.applied.Load() < uint64(index) && (len(names) == 0 || slices.Contains(names, name)) {
			p.waiting = true
			return p.changed, false
		}
	}
	return nil, true
}

// Position returns how far a read model has come in a partition that runs here; ok is false for others.
func (r *Runner) Position(name string, p domain.Partition) (index domain.Index, ok bool) {
	pt := r.part(p)
	if pt == nil {
		return 0, false
	}
	m := pt.member(name, r.Active(name))
	if m == nil {
		return 0, false
	}
	return domain.Index(m.applied.Load()), true
}

// Positions returns how far a read model has come in each partition that runs here.
func (r *Runner) Positions(name string) map[domain.Partition]domain.Index {
	r.mu.Lock()
	parts := make([]domain.Partition, 0, len(r.parts))
	for p := range r.parts {
		parts = append(parts, p)
	}
	r.mu.Unlock()
	out := make(map[domain.Partition]domain.Index, len(parts))
	for _, p := range parts {
		if index, ok := r.Position(name, p); ok {
			out[p] = index
		}
	}
	return out
}

// member returns the member of a version, or nil.
func (p *part) member(name string, version int) *member {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.members {
		if m.projection.Name() == name && m.projection.Version() == version {
			return m
		}
	}
	return nil
}
