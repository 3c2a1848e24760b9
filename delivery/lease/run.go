package lease

import (
	"context"
	"slices"
	"sync"
	"time"
)

// How often leases that have run out are looked for, and how long joins to a room that has ended are refused by its name.
const (
	sweepEvery = time.Second
	endedKept  = time.Minute
)

// Run ends leases that run out, writes rows and heartbeats, until ctx ends; then it writes what is left.
func (l *Leases) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { l.runWriter(ctx) })
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			l.sweep()
		case <-ctx.Done():
			wg.Wait()
			return nil
		}
	}
}

// sweep ends the leases that have run out.
func (l *Leases) sweep() {
	now := l.micro()
	for i := range l.buckets {
		l.tellAll(l.sweepBucket(&l.buckets[i], now))
		l.tellAll(l.sweepYielding(&l.buckets[i], now))
	}
	if l.tellFact != nil {
		l.sweepPeers(now)
	}
	l.sweepEnded(now)
}

// sweepMost is how many leases end under one lock of a bucket.
const sweepMost = 256

func (l *Leases) sweepBucket(b *bucket, now int64) (news []*room) {
	for {
		b.mu.Lock()
		n := 0
		for ; n < sweepMost && len(b.idle) > 0 && l.over(b.idle[0], now); n++ {
			le := b.idle[0]
			if r := l.expire(b, le); r != nil && !slices.Contains(news, r) {
				news = append(news, r)
			}
			l.leaveEmpty(b, le.user)
		}
		b.mu.Unlock()
		if n < sweepMost {
			return news
		}
	}
}

// sweepEnded forgets rooms that ended long enough ago.
func (l *Leases) sweepEnded(now int64) {
	l.endedMu.Lock()
	defer l.endedMu.Unlock()
	for len(l.ended) > 0 {
		r := l.ended[0]
		r.mu.Lock()
		over := r.ended+endedKept.Microseconds() <= now
		if over && !r.gone {
			l.drop(r)
		}
		r.mu.Unlock()
		if !over {
			return
		}
		l.ended = l.ended[1:]
	}
}

func micros(us int64) time.Time { return time.UnixMicro(us) }
