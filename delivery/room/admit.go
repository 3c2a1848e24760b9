package room

import (
	"time"

	"parley/domain"
	"parley/domain/conversation"
)

var errShed = domain.Refuse(domain.RateLimited, "the room is over its rate")

// bucket is what a room may still take: a burst of one second.
type bucket struct {
	tokens float64
	at     time.Time
}

// refill adds what has come since.
func (b *bucket) refill(now time.Time, rate int) {
	b.tokens = min(float64(rate), b.tokens+max(0, now.Sub(b.at).Seconds())*float64(rate))
	b.at = now
}

func (b *bucket) full(now time.Time, rate int) bool {
	b.refill(now, rate)
	return b.tokens >= float64(rate)
}

// Admit takes a message into a room's rate, before the log, or refuses it with RateLimited: low priority while no more than half of a
// second's worth is left, normal while none is, high never.
func (r *Rooms) Admit(id domain.StreamID, p conversation.Priority) error {
	rate := r.cfg.Settings.Rate
	now := r.cfg.Now()
	sh := r.shard(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	b := sh.buckets[id]
	if b == nil {
		b = &bucket{tokens: float64(rate), at: now}
		sh.buckets[id] = b
	}
	b.refill(now, rate)
	switch {
	case p == conversation.PriorityHigh:
	case p == conversation.PriorityNormal && b.tokens >= 1:
	case p != conversation.PriorityNormal && b.tokens >= 1 && b.tokens > float64(rate)/2:
	default:
		r.metrics.shedBy(p)
		return errShed
	}
	b.tokens = max(0, b.tokens-1)
	return nil
}
