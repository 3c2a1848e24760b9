package runner

import (
	"context"
	"fmt"
	"slices"

	"parley/domain"
	"parley/schemas/table"
)

// version says which version of a read model is read, and which is being built (0: none).
type version struct{ active, next int }

func (r *Runner) loadVersion(ctx context.Context, name string) (version, error) {
	rows, err := r.store.Get(ctx, versions, []table.RowKey{{Partition: table.Key(nil).Text(name)}})
	if err != nil {
		return version{}, fmt.Errorf("load version of %s: %w", name, err)
	}
	if !rows[0].Found() {
		return version{active: 1}, nil
	}
	v, err := values(rows[0], 2)
	if err != nil {
		return version{}, fmt.Errorf("load version of %s: %w", name, err)
	}
	return version{active: int(v[0]), next: int(v[1])}, nil
}

// setVersion stores the versions of a read model and then lets them be seen. The write timestamp grows with each step of a rebuild.
func (r *Runner) setVersion(ctx context.Context, name string, v version) error {
	t := 2 * uint64(v.active)
	if v.next != 0 {
		t++
	}
	w := table.Write{
		Table: versions, Partition: table.Key(nil).Text(name), T: t, Cells: numbers(uint64(v.active), uint64(v.next)),
	}
	if err := r.store.Write(ctx, []table.Write{w}); err != nil {
		return fmt.Errorf("store version of %s: %w", name, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.versions[name] = v
	return nil
}

// Active returns the version of a read model that is to be read.
func (r *Runner) Active(name string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.versions[name].active
}

func (r *Runner) actives() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make(map[string]int, len(r.versions))
	for name, v := range r.versions {
		out[name] = v.active
	}
	return out
}

// Rebuilding returns the read models whose rebuild has begun and not ended, after a restart for instance: Rebuild goes on with it.
func (r *Runner) Rebuilding() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for name, v := range r.versions {
		if v.next != 0 {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// Rebuild replays the whole log of every partition named into a new version of a read model, beside the one that is read, switches to it
// when it has caught up everywhere, and ends the old one. The old rows stay until the next rebuild. One rebuild of a read model at a time.
func (r *Runner) Rebuild(ctx context.Context, name string, partitions []domain.Partition) error {
	return r.RebuildAt(ctx, name, partitions, 0)
}

// RebuildAt is Rebuild at no more than so many commits a second, over all partitions, while it catches up; 0: as fast as it can.
func (r *Runner) RebuildAt(ctx context.Context, name string, partitions []domain.Partition, perSecond int) error {
	r.setPace(name, perSecond)
	defer r.setPace(name, 0)
	i := slices.IndexFunc(r.kinds, func(k Kind) bool { return k.Name == name })
	if i < 0 {
		return fmt.Errorf("rebuild %s: no such read model", name)
	}
	kind := r.kinds[i]
	r.mu.Lock()
	v := r.versions[name]
	r.mu.Unlock()
	if v.next == 0 {
		v.next = v.active + 1
		for _, t := range kind.Tables {
			if err := r.store.Drop(ctx, t.Of(v.next)); err != nil {
				return fmt.Errorf("rebuild %s: %w", name, err)
			}
		}
		if err := r.setVersion(ctx, name, v); err != nil {
			return fmt.Errorf("rebuild %s: %w", name, err)
		}
	}
	for _, p := range partitions {
		if err := r.catchUp(ctx, kind, v, p); err != nil {
			return fmt.Errorf("rebuild %s: %w", name, err)
		}
	}
	if err := r.setVersion(ctx, name, version{active: v.next}); err != nil {
		return fmt.Errorf("rebuild %s: %w", name, err)
	}
	r.endVersion(name, v.active)
	return nil
}

// catchUp waits until the version being built stands where the active one stands, starting it when the partition ran already.
func (r *Runner) catchUp(ctx context.Context, kind Kind, v version, partition domain.Partition) error {
	for {
		p, err := r.running(ctx, partition)
		if err != nil {
			return err
		}
		err = r.catchUpIn(ctx, p, kind, v)
		if err == nil || ctx.Err() != nil {
			return err
		}
		select {
		case <-p.done: // stopped meanwhile: again when it runs
		default:
			return err
		}
	}
}

func (r *Runner) catchUpIn(ctx context.Context, p *part, kind Kind, v version) error {
	m := p.member(kind.Name, v.next)
	if m == nil {
		m = r.newMember(p.feed.Partition(), kind.New(v.next))
		if err := m.load(ctx, r.store); err != nil {
			return err
		}
		p.mu.Lock()
		p.members = append(p.members, m)
		p.mu.Unlock()
		select {
		case p.start <- m:
		case <-p.done:
			return ErrNotHere
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	old := p.member(kind.Name, v.active)
	for {
		p.mu.Lock()
		p.waiting = true
		changed := p.changed
		p.mu.Unlock()
		if old == nil || m.applied.Load() >= old.applied.Load() {
			return nil
		}
		select {
		case <-changed:
		case <-p.done:
			return ErrNotHere
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// running waits until a partition runs here.
func (r *Runner) running(ctx context.Context, partition domain.Partition) (*part, error) {
	for {
		r.mu.Lock()
		p, opened := r.parts[partition], r.opened
		r.mu.Unlock()
		if p != nil {
			return p, nil
		}
		select {
		case <-opened:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// endVersion stops the members of a version that is no longer read.
func (r *Runner) endVersion(name string, old int) {
	r.mu.Lock()
	parts := make([]*part, 0, len(r.parts))
	for _, p := range r.parts {
		parts = append(parts, p)
	}
	r.mu.Unlock()
	for _, p := range parts {
		p.mu.Lock()
		p.members = slices.DeleteFunc(p.members, func(m *member) bool {
			end := m.projection.Name() == name && m.projection.Version() == old
			if end {
				m.ended.Store(true)
			}
			return end
		})
		p.mu.Unlock()
	}
}
