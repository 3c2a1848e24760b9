package runner

import (
	"context"
	"errors"
	"fmt"

	"parley/domain"
	"parley/schemas/table"
)

// Replay applies what a stream has in quarantine, in order, and lets it go on. When an event still cannot be applied, the stream stays in
// quarantine and the cause is returned.
func (r *Runner) Replay(ctx context.Context, p domain.Partition, name string, stream domain.StreamID) error {
	if _, err := r.resume(ctx, p, name, stream, false); err != nil {
		return fmt.Errorf("replay %s: %w", name, err)
	}
	return nil
}

// ErrNotYet is in the chain of Skip's refusal while the checkpoint has not passed the commit.
var ErrNotYet = errors.New("the checkpoint has not passed the commit yet: try again in some seconds")

// Skip lets a stream go on without the commit that cannot be applied: its rows will be missing in this version of the read model. What
// waits behind it is applied. When another commit cannot be applied, the stream stays in quarantine at that one and the cause is returned. The
// row of the quarantine keeps what was left out. skipped is the commit's index, 0 when nothing had to be left out.
func (r *Runner) Skip(ctx context.Context, p domain.Partition, name string, stream domain.StreamID) (skipped domain.Index, err error) {
	skipped, err = r.resume(ctx, p, name, stream, true)
	if err != nil {
		return skipped, fmt.Errorf("skip in %s: %w", name, err)
	}
	return skipped, nil
}

func (r *Runner) resume(ctx context.Context, p domain.Partition, name string, stream domain.StreamID, skip bool) (domain.Index, error) {
	pt := r.part(p)
	if pt == nil {
		return 0, ErrNotHere
	}
	m := pt.member(name, r.Active(name))
	if m == nil {
		return 0, errors.New("no such read model")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.held[stream] {
		return 0, nil
	}
	return r.replay(ctx, pt, m, stream, skip)
}

// replay applies what waits from the commit on that could not be applied; with skip at most one is left out. The caller holds m.mu.
func (r *Runner) replay(ctx context.Context, p *part, m *member, stream domain.StreamID, skip bool) (skipped domain.Index, err error) {
	first, reason, err := m.cause(ctx, r.store, stream)
	if err != nil {
		return 0, err
	}
	last := first - min(first, 1) // what was let go before is not tried again
	for {
		positions, err := m.positions(ctx, r.store, stream, last)
		if err != nil {
			return skipped, err
		}
		if len(positions) == 0 {
			break
		}
		if err := r.reapply(ctx, p, m, positions); err != nil {
			if skipped, err = r.without(ctx, p, m, stream, positions, skip, skipped); err != nil {
				return skipped, err
			}
		}
		last = positions[len(positions)-1].Index
	}
	if skipped != 0 {
		reason = fmt.Sprintf("left out by an operator: index %d: %s", skipped, reason)
	}
	if err := r.store.Write(ctx, []table.Write{m.release(stream, last, reason)}); err != nil {
		return skipped, err
	}
	delete(m.held, stream)
	m.countHeld()
	return skipped, nil
}

// without applies a page of which something cannot be applied, one by one, leaving out the first such commit of all if it may. The next one
// keeps the stream in quarantine.
func (r *Runner) without(
	ctx context.Context, p *part, m *member, stream domain.StreamID, positions []domain.Position, may bool, skipped domain.Index,
) (domain.Index, error) {
	for i, at := range positions {
		err := r.reapply(ctx, p, m, positions[i:i+1])
		var refused *applyError
		switch {
		case err == nil:
			continue
		case !errors.As(err, &refused) || !may:
			return skipped, err // the log or the store does not answer, or there is still something that cannot be applied
		case skipped != 0:
			return skipped, errors.Join(err, r.store.Write(ctx, []table.Write{m.holdWrite(stream, at.Index, refused.err)}))
		}
		if err := m.passed(ctx, r.store, at); err != nil {
			return skipped, err
		}
		r.log.Warn("a commit is left out of a read model", "projection", m.projection.Name(), "version", m.projection.Version(),
			"partition", m.partition, "index", at.Index, "stream", stream)
		skipped = at.Index
	}
	return skipped, nil
}

// passed tells whether the stored checkpoint has passed a commit: one that has not would be applied again after a crash, and held again.
func (m *member) passed(ctx context.Context, st Store, at domain.Position) error {
	rows, err := st.Get(ctx, checkpoints, []table.RowKey{checkpointKey(m.projection.Name(), m.projection.Version(), m.partition)})
	if err != nil {
		return err
	}
	saved, err := place(rows[0])
	if err == nil && saved.Index < at.Index {
		err = ErrNotYet
	}
	return err
}

// applyError says that a projection refused a commit.
type applyError struct {
	index domain.Index
	err   error
}

// Error implements error.
func (e *applyError) Error() string { return fmt.Sprintf("index %d: %v", e.index, e.err) }

// Unwrap returns the cause.
func (e *applyError) Unwrap() error { return e.err }

// reapply reads commits from the log and stores their rows.
func (r *Runner) reapply(ctx context.Context, p *part, m *member, positions []domain.Position) error {
	b := newBatch()
	for _, at := range positions {
		commit, err := p.feed.Commit(ctx, at)
		if err != nil {
			return err
		}
		if b.writes, err = m.apply(b.writes, &domain.Accepted{Position: at, Commit: commit}); err != nil {
			return &applyError{at.Index, err}
		}
	}
	return r.store.Write(ctx, b.writes)
}
