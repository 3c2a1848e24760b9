package reactor

import (
	"context"
	"sync"

	"parley/domain"
	"parley/domain/fence"
)

// progress is how far a partition's reactors have come: behind the last commit all of whose commands are answered.
type progress struct {
	moved chan struct{} // has room for one: at has changed

	mu sync.Mutex
	at fence.Reader
}

func newProgress(at fence.Reader) *progress { return &progress{moved: make(chan struct{}, 1), at: at} }

func (p *progress) move(at fence.Reader) {
	p.mu.Lock()
	p.at = at
	p.mu.Unlock()
	p.again()
}

// again has the place stored, if it is not.
func (p *progress) again() {
	select {
	case p.moved <- struct{}{}:
	default:
	}
}

func (p *progress) place() fence.Reader {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.at
}

// keep stores the progress as the checkpoint (stored is what that is now), soon after it was made and when ctx ends. A store that fails is tried again: an old checkpoint
// costs repeats, which are harmless.
func (r *Runner) keep(ctx context.Context, partition domain.Partition, p *progress, stored fence.Reader) {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-p.moved:
			_ = pause(ctx, r.settings.CheckpointEvery) // at the end it is stored at once
		}
		at := p.place()
		if at == stored {
			continue
		}
		if err := r.write(ctx, partition, at); err != nil {
			r.metrics.failures.WithLabelValues("write").Inc()
			r.log.Warn("the reactors' checkpoint was not stored", "partition", partition, "error", err)
			p.again()
			continue
		}
		stored = at
	}
}
