package rest

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"parley/domain"
)

// limits are the rates of each app and API on this node. Only apps that exist get here and buckets are a fixed set, so there are few.
type limits struct {
	settings *Settings
	mu       sync.Mutex
	buckets  map[bucketKey]*rate.Limiter
}

type bucketKey struct {
	app    domain.AppID
	bucket string
}

// Buckets that count messages, not calls.
const (
	bucketMessages      = "messages_per_minute"
	bucketGroupMessages = "group_messages_per_minute"
	bucketRoomMessages  = "room_messages_per_second"
)

func newLimits(s *Settings) *limits {
	return &limits{settings: s, buckets: make(map[bucketKey]*rate.Limiter)}
}

// allow takes n from a bucket, or nothing when there is not enough.
func (l *limits) allow(app domain.AppID, bucket string, now time.Time, n int) bool {
	l.mu.Lock()
	k := bucketKey{app, bucket}
	b := l.buckets[k]
	if b == nil {
		b = l.bucketOf(bucket)
		l.buckets[k] = b
	}
	l.mu.Unlock()
	return b.AllowN(now, n)
}

func (l *limits) bucketOf(bucket string) *rate.Limiter {
	switch bucket {
	case bucketMessages:
		return perMinute(l.settings.MessagesPerMinute)
	case bucketGroupMessages:
		return perMinute(l.settings.GroupMessagesPerMinute)
	case bucketRoomMessages:
		return rate.NewLimiter(rate.Limit(l.settings.RoomMessagesPerSecond), l.settings.RoomMessagesPerSecond)
	}
	r := l.settings.Rate
	if own, ok := l.settings.Rates[bucket]; ok {
		r = own
	}
	return rate.NewLimiter(rate.Limit(r), l.settings.Burst)
}

func perMinute(n int) *rate.Limiter { return rate.NewLimiter(rate.Limit(float64(n)/60), n) }
