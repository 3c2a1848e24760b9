package owners

import (
	"context"
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
	late := t.late[:0]
	for _, req := range t.late {
		if now.Before(req.Deadline) {
			late = append(late, req)
		} else {
			gone = append(gone, req)
		}
	}
	clear(t.late[len(late):])
	t.late = late
	return gone, len(late)
}

// refuse answers a command that no shard has.
func (o *Owners) refuse(req domain.Request, err *domain.Error) {
	o.metrics.refused.WithLabelValues(reasons[err]).Inc()
	req.Done(domain.Result{Err: err})
}
