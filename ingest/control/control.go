package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"parley/domain"
)

// Log is the control partition's log.
type Log interface {
	// Append writes the batch and returns the offset of its first record. Every error means: it may have happened.
	Append(ctx context.Context, p domain.Partition, b domain.Batch) (domain.Offset, error)
	// Read returns records from an offset on, waiting up to wait for the first.
	Read(ctx context.Context, p domain.Partition, from domain.Offset, maxBytes int, wait time.Duration) ([]domain.LogRecord, error)
	// Bounds returns the first offset that is there and the next that will be written.
	Bounds(ctx context.Context, p domain.Partition) (start, end domain.Offset, err error)
}

const (
	readBytes  = 1 << 20
	followWait = 5 * time.Second
	retryWait  = time.Second
)

// snapshot is all of control at one offset. It is immutable.
type snapshot struct {
	slots   *SlotMap
	apps    map[domain.AppID]*App
	anchors map[domain.Partition]Anchor
	nodes   map[domain.NodeName]domain.Partition
	resets  map[string]Reset // by key
}

// Control is the cluster's shared knowledge. Load it before anything else is asked of it, then let Run follow what other nodes write.
type Control struct {
	log    Log
	logger *slog.Logger
	now    func() time.Time

	current atomic.Pointer[snapshot]

	mu   sync.Mutex    // serialises reading forward
	next domain.Offset // the next to read
	edit sync.Mutex    // serialises read-check-write of this node
}

// New returns a Control that knows nothing yet.
func New(log Log, logger *slog.Logger, now func() time.Time) *Control {
	c := &Control{log: log, logger: logger, now: now}
	c.current.Store(&snapshot{
		apps: map[domain.AppID]*App{}, anchors: map[domain.Partition]Anchor{}, nodes: map[domain.NodeName]domain.Partition{},
		resets: map[string]Reset{},
	})
	return c
}

// Load reads the control partition to its end. A log that can be trimmed is compacted when most of it is history.
func (c *Control) Load(ctx context.Context) error {
	start, end, err := c.log.Bounds(ctx, domain.Control)
	if err != nil {
		return fmt.Errorf("control: bounds: %w", err)
	}
	c.mu.Lock()
	c.next = max(c.next, start)
	c.mu.Unlock()
	if err := c.readTo(ctx, end); err != nil {
		return err
	}
	return c.compact(ctx, int(end-start))
}

// Run follows the control partition until ctx ends. A failing log is tried again: what is known stays in force meanwhile.
func (c *Control) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		err := c.follow(ctx)
		if err == nil || ctx.Err() != nil {
			continue
		}
		if errors.Is(err, errUndecodable) || errors.Is(err, domain.ErrTruncated) {
			return err
		}
		c.logger.WarnContext(ctx, "control log does not answer", "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(retryWait):
		}
	}
	return nil
}

// follow waits for the next records without the lock, so that a change by this node need not wait for it.
func (c *Control) follow(ctx context.Context) error {
	c.mu.Lock()
	from := c.next
	c.mu.Unlock()
	records, err := c.log.Read(ctx, domain.Control, from, readBytes, followWait)
	if err != nil {
		return fmt.Errorf("control: read: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.apply(records)
}

// readTo reads until offset end is behind us. Compaction leaves holes: no record below end means that there is none.
func (c *Control) readTo(ctx context.Context, end domain.Offset) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.next < end {
		records, err := c.log.Read(ctx, domain.Control, c.next, readBytes, 0)
		if err != nil {
			return fmt.Errorf("control: read: %w", err)
		}
		if len(records) == 0 {
			c.next = end
		}
		if err := c.apply(records); err != nil {
			return err
		}
	}
	return nil
}

// apply folds records into a new snapshot. Records that were read already are skipped. Call with mu held.
func (c *Control) apply(records []domain.LogRecord) error {
	if len(records) == 0 || records[len(records)-1].Offset < c.next {
		return nil
	}
	old := c.current.Load()
	s := &snapshot{
		slots: old.slots, apps: maps.Clone(old.apps), anchors: maps.Clone(old.anchors), nodes: maps.Clone(old.nodes), resets: maps.Clone(old.resets),
	}
	for _, r := range records {
		if r.Offset < c.next {
			continue
		}
		if err := s.fold(r); err != nil {
			return err
		}
		c.next = r.Offset + 1
	}
	c.current.Store(s)
	return nil
}

// put appends one record and reads up to it.
func (c *Control) put(ctx context.Context, key string, value []byte) error {
	at, err := c.log.Append(ctx, domain.Control, domain.Batch{Keys: [][]byte{[]byte(key)}, Values: [][]byte{value}, Plain: true})
	if err != nil {
		return domain.Fail(domain.Unknown, fmt.Errorf("control: append: %w", err))
	}
	return c.readTo(ctx, at+1)
}
