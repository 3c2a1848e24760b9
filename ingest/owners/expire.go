package owners

import (
	"context"
	"slices"
	"time"

	"parley/domain"
)

// expireEvery is how late a command that waits may be refused.
const expireEvery = 100 * time.Millisecond

// expire refuses commands that wait for a partition at their deadlines, until ctx ends. Shards look after what they have taken themselves.
func (o *Owners) expire(ctx context.Context) {
	tick := time.NewTicker(expireEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			waiting := 0
			for _, p := range o.order {
				waiting += o.tenures[p].expire(now)
			}
			o.metrics.waiting.Set(float64(waiting))
		}
	}
}

// expire refuses what has waited too long, and returns how many still wait.
func (t *tenure) expire(now time.Time) int {
	gone, left := t.takeExpired(now)
	for _, req := range gone {
		t.o.refuse(req, errExpired)
	}
	return left
}

func (t *tenure) takeExpired(now time.Time) (gone []domain.Request, left int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	expired := func(req domain.Request) bool {
		if now.Before(req.Deadline) {
			return false
		}
		gone = append(gone, req)
		return true
	}
	t.left, t.late = slices.DeleteFunc(t.left, expired), slices.DeleteFunc(t.late, expired)
	return gone, len(t.left) + len(t.late)
}

// refuse answers a command that no shard has.
func (o *Owners) refuse(req domain.Request, err *domain.Error) {
	o.metrics.refused.WithLabelValues(reasons[err]).Inc()
	req.Done(domain.Result{Err: err})
}
