package pebble

import (
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"parley/domain"
)

// partition is what the log knows of a partition without asking the disk.
type partition struct {
	next domain.Offset // of the next record; belongs to the goroutine that forms groups

	mu         sync.Mutex
	start, end domain.Offset // what can be read: synced records
	moved      chan struct{} // closed, and replaced, when start or end moves
}

// bounds returns what can be read, and a channel that is closed when that changes.
func (p *partition) bounds() (start, end domain.Offset, moved <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.start, p.end, p.moved
}

func (p *partition) raiseEnd(end domain.Offset) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end = end
	p.wake()
}

// raiseStart moves the start to before, at most to the end, and returns the start it had and has.
func (p *partition) raiseStart(before domain.Offset) (from, to domain.Offset) {
	p.mu.Lock()
	defer p.mu.Unlock()
	from = p.start
	p.start = max(p.start, min(before, p.end))
	p.wake()
	return from, p.start
}

func (p *partition) wake() {
	close(p.moved)
	p.moved = make(chan struct{})
}

// partition returns p's entry, which is read from the disk when it is asked for first.
func (l *Log) partition(p domain.Partition) (*partition, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if part, ok := l.partitions[p]; ok {
		return part, nil
	}
	release, err := l.db.hold()
	if err != nil {
		return nil, err
	}
	defer release()
	start, end, err := l.db.storedBounds(p)
	if err != nil {
		return nil, fmt.Errorf("find the end: %w", err)
	}
	part := &partition{next: end, start: start, end: end, moved: make(chan struct{})}
	l.partitions[p] = part
	return part, nil
}

// storedBounds finds p's first offset, which only Trim raises above 0, and the offset after its last record. A partition that was
// trimmed to its end goes on there.
func (d *database) storedBounds(p domain.Partition) (start, end domain.Offset, err error) {
	v, closer, err := d.Get(startKey(p))
	switch {
	case err == nil:
		start = offsetOf(v)
		err = closer.Close()
	case errors.Is(err, pebble.ErrNotFound):
		err = nil
	}
	if err != nil {
		return 0, 0, err
	}
	it, err := d.NewIter(&pebble.IterOptions{LowerBound: recordKey(p, start), UpperBound: upperKey(p)})
	if err != nil {
		return 0, 0, err
	}
	end = start
	if it.Last() {
		end = offsetOf(it.Key()) + 1
	}
	return start, end, it.Close()
}

// upperKey is above every record of p.
func upperKey(p domain.Partition) []byte {
	k := recordKey(p, -1)
	return append(k, 0)
}
