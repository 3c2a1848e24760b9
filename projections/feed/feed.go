package feed

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"parley/domain"
)

// Log is what a feed needs of the log.
type Log interface {
	// Read returns records from an offset on, up to about maxBytes (at least one when there is one). It waits up to wait for the first, and
	// returns none when there is none by then. Below the log's start it fails with domain.ErrTruncated.
	Read(ctx context.Context, p domain.Partition, from domain.Offset, maxBytes int, wait time.Duration) ([]domain.LogRecord, error)
	// Bounds returns the offsets of the first record and of the next to come.
	Bounds(ctx context.Context, p domain.Partition) (start, end domain.Offset, err error)
}

// Settings bound a feed.
type Settings struct {
	Commits int // of the ring; at least 64
	Bytes   int // of the ring's commits, about
	Fetch   int // bytes of one read of the log
}

// DefaultSettings hold some seconds of a busy partition.
func DefaultSettings() Settings { return Settings{Commits: 8192, Bytes: 16 << 20, Fetch: 1 << 20} }

// Validate reports every problem at once.
func (s Settings) Validate() error {
	var errs []error
	if s.Commits < firstSlots {
		errs = append(errs, fmt.Errorf("feed.commits is %d, must be at least %d", s.Commits, firstSlots))
	}
	if s.Bytes < 1<<20 {
		errs = append(errs, fmt.Errorf("feed.bytes is %d, must be at least 1 MiB", s.Bytes))
	}
	if s.Fetch < 1<<16 {
		errs = append(errs, fmt.Errorf("feed.fetch is %d, must be at least 64 KiB", s.Fetch))
	}
	return errors.Join(errs...)
}

// ErrHalted is in the chain of the errors of a halted partition's readers.
var ErrHalted = errors.New("the partition's feed has halted")

// Feed is the ring of one partition and its way to the log. Safe for concurrent use.
type Feed struct {
	partition domain.Partition
	log       Log
	settings  Settings
	metrics   *Metrics

	mu      sync.RWMutex
	ring    ring
	halted  error
	changed chan struct{} // closed and replaced when the ring or halted changes, if somebody waits
	waiting bool
}

// New returns the feed of a partition, with an empty ring.
func New(p domain.Partition, log Log, s Settings, m *Metrics) *Feed {
	return &Feed{
		partition: p, log: log, settings: s, metrics: m,
		ring: newRing(s.Commits, s.Bytes), changed: make(chan struct{}),
	}
}

// Partition returns whose feed it is.
func (f *Feed) Partition() domain.Partition { return f.partition }

// Publish adds acknowledged commits, in index order. Those that the ring has already had are dropped. It never blocks on readers.
// The slice is not kept, the commits are.
func (f *Feed) Publish(batch []domain.Accepted) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.halted != nil {
		return
	}
	added := 0
	for _, a := range batch {
		if err := f.repeated(a); err != nil {
			f.halt(err)
			return
		}
		if a.Index > f.ring.high {
			f.ring.push(a)
			added++
		}
	}
	if added > 0 {
		f.metrics.published.Add(float64(added))
		f.wake()
	}
}

// repeated reports a commit that differs from the one with its index.
func (f *Feed) repeated(a domain.Accepted) error {
	if f.ring.has(a.Index) && f.ring.at(a.Index).Prev != a.Prev {
		return fmt.Errorf("partition %d: index %d has two contents, at offsets %d and %d",
			f.partition, a.Index, f.ring.at(a.Index).Offset, a.Offset)
	}
	return nil
}

// Halt ends every reader of the partition with err, for good.
func (f *Feed) Halt(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.halt(err)
}

func (f *Feed) halt(err error) {
	if f.halted == nil {
		f.halted = fmt.Errorf("%w: %w", ErrHalted, err)
		f.metrics.halted.Inc()
		f.wake()
	}
}

// wake tells those who wait. The caller holds the lock.
func (f *Feed) wake() {
	if f.waiting {
		close(f.changed)
		f.changed, f.waiting = make(chan struct{}), false
	}
}

// Head returns the position of the last commit in the ring; ok is false when it has none.
func (f *Feed) Head() (p domain.Position, ok bool) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.ring.len() == 0 {
		return domain.Position{}, false
	}
	return f.ring.at(f.ring.high).Position, true
}

// Recent returns the stream's entries from..to that the ring has, starting with from and without a hole; nothing when it does not have from.
// The events are shared: they must not be changed.
func (f *Feed) Recent(stream domain.StreamID, from, to domain.Seq) []domain.Event {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.ring.recent(stream, from, to)
}

// Recalled returns which of the stream's entries from..to were recalled by what the ring has.
func (f *Feed) Recalled(stream domain.StreamID, from, to domain.Seq) []domain.Seq {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.ring.recalled(nil, stream, from, to)
}

// Find returns the stream's entry with an id, when the ring has it.
func (f *Feed) Find(stream domain.StreamID, id domain.T) (domain.Event, bool) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.ring.find(stream, id)
}
