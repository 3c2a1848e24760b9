package runner

import (
	"context"
	"fmt"

	"parley/domain"
)

// Replay applies what a stream has in quarantine, in order, and lets it go on. When an event still cannot be applied, the stream stays in
// quarantine and the cause is returned.
func (r *Runner) Replay(ctx context.Context, p domain.Partition, name string, stream domain.StreamID) error {
	pt := r.part(p)
	if pt == nil {
		return ErrNotHere
	}
	m := pt.member(name, r.Active(name))
	if m == nil {
		return fmt.Errorf("replay %s: no such read model", name)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.held[stream] {
		return nil
	}
	last := domain.Index(0)
	for {
		positions, err := m.positions(ctx, r.store, stream, last)
		if err != nil {
			return fmt.Errorf("replay %s: %w", name, err)
		}
		if len(positions) == 0 {
			break
		}
		if err := r.reapply(ctx, pt, m, positions); err != nil {
			return fmt.Errorf("replay %s: %w", name, err)
		}
		last = positions[len(positions)-1].Index
	}
	w := m.release(stream, last)
	b := newBatch()
	b.writes = append(b.writes, w)
	if err := r.store.Write(ctx, b.writes); err != nil {
		return fmt.Errorf("replay %s: %w", name, err)
	}
	delete(m.held, stream)
	m.quarantined.Set(float64(len(m.held)))
	return nil
}

// reapply reads commits from the log and stores their rows.
func (r *Runner) reapply(ctx context.Context, p *part, m *member, positions []domain.Position) error {
	b := newBatch()
	for _, at := range positions {
		commit, err := p.feed.Commit(ctx, at)
		if err != nil {
			return err
		}
		if b.writes, err = m.apply(b.writes, &domain.Accepted{Position: at, Commit: commit}); err != nil {
			return fmt.Errorf("index %d: %w", at.Index, err)
		}
	}
	return r.store.Write(ctx, b.writes)
}
