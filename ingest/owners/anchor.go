package owners

import (
	"context"
	"time"

	"parley/domain"
	"parley/ingest/control"
)

// writeAnchors writes, from time to time, where consumers that may skip history can start. One that fails is written the next time.
func (o *Owners) writeAnchors(ctx context.Context) {
	ticker := time.NewTicker(o.cfg.AnchorEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for _, p := range o.order {
			if err := o.writeAnchor(ctx, p); err != nil && ctx.Err() == nil {
				o.cfg.Logger.WarnContext(ctx, "anchor not written", "partition", int(p), "error", err)
			}
		}
	}
}

// writeAnchor writes the place that an owned partition has reached, when there is news.
func (o *Owners) writeAnchor(ctx context.Context, p domain.Partition) error {
	s := o.tenures[p].at.Load()
	if s == nil {
		return nil
	}
	at := s.Place()
	old, _ := o.cfg.Control.Anchor(p)
	if ready := s.Ready() == nil; !ready || at.Index == 0 || at.Offset < old.Offset {
		return nil
	}
	return o.cfg.Control.PutAnchor(ctx, control.Anchor{
		Partition: p, Offset: at.Offset + 1, Term: at.Term, Index: at.Index, Prev: at.Prev, T: at.T,
	})
}
