package pebble

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"parley/domain"
)

// Log keeps partitions of records, each a dense run of offsets. Everything that it has acknowledged, and everything that it has let
// anybody read, is synced.
//
// One goroutine forms groups of the appends that wait, gives them their offsets and commits each group as one Pebble batch; another waits
// for the syncs, in order, and answers. While one group is synced the next is committed and one more is formed, so the disk is never idle while
// there is work.
type Log struct {
	db       *database
	requests chan *request
	groups   chan *group
	closing  chan struct{}
	idle     sync.WaitGroup
	closed   sync.Once
	metrics  *logMetrics

	mu         sync.Mutex
	partitions map[domain.Partition]*partition
}

// groupsOnTheirWay is how many committed groups may wait behind the one that is being synced. With 16 partitions on a busy disk 1 was faster than
// 0 in three of four runs; the figures were too noisy to tell more apart.
const groupsOnTheirWay = 1

// waitingAppends bounds the appends that wait for a group; more of them wait in Append.
const waitingAppends = 256

// OpenLog opens the log in dir, or makes a new one. The folder belongs to this process alone until Close (ErrLocked).
func OpenLog(dir string, o Options) (*Log, error) {
	o = o.withDefaults(16 << 20)
	db, err := openDatabase(dir, "log", logFormat, o, tuneLog)
	if err != nil {
		return nil, err
	}
	l := &Log{
		db:         db,
		requests:   make(chan *request, waitingAppends),
		groups:     make(chan *group, groupsOnTheirWay),
		closing:    make(chan struct{}),
		partitions: make(map[domain.Partition]*partition),
		metrics:    newLogMetrics(o.Metrics),
	}
	l.idle.Add(2)
	go l.commitGroups()
	go l.answerGroups()
	return l, nil
}

// tuneLog lets more flushed files gather before they are merged. Each of them has records of every partition, so that a merge writes all that is
// below anew, and no reader needs it: what a partition has in them does not overlap.
func tuneLog(o *pebble.Options) { o.L0CompactionThreshold, o.L0StopWritesThreshold = 16, 64 }

// Failed is closed when the disk has failed: nothing can be appended until the log is opened again.
func (l *Log) Failed() <-chan struct{} { return l.db.failure.done }

// Close ends all appends and reads and closes the log.
func (l *Log) Close() (err error) {
	l.closed.Do(func() {
		close(l.closing)
		l.db.disk.stopWaiting()
		l.idle.Wait()
		if err = l.db.close(); err != nil {
			err = fmt.Errorf("close log: %w", err)
		}
	})
	return err
}

// Bounds returns the first offset of p that can be read and the next to be written.
func (l *Log) Bounds(ctx context.Context, p domain.Partition) (start, end domain.Offset, err error) {
	if err := ctx.Err(); err != nil {
		return 0, 0, fmt.Errorf("bounds of partition %d: %w", p, err)
	}
	part, err := l.partition(p)
	if err != nil {
		return 0, 0, fmt.Errorf("bounds of partition %d: %w", p, err)
	}
	start, end, _ = part.bounds()
	return start, end, nil
}

// Trim cuts everything below before off p, at most up to its end. Offsets never start again.
func (l *Log) Trim(ctx context.Context, p domain.Partition, before domain.Offset) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("trim partition %d: %w", p, err)
	}
	part, err := l.partition(p)
	if err != nil {
		return fmt.Errorf("trim partition %d: %w", p, err)
	}
	release, err := l.db.hold()
	if err != nil {
		return fmt.Errorf("trim partition %d: %w", p, err)
	}
	defer release()
	if err := l.trim(p, part, before); err != nil {
		return fmt.Errorf("trim partition %d: %w", p, err)
	}
	return nil
}

// trim lets readers know before the records go, so that none of them takes the missing records for damage.
func (l *Log) trim(p domain.Partition, part *partition, before domain.Offset) error {
	if err := errors.Join(l.db.failure.get(), l.db.disk.room()); err != nil {
		return err
	}
	from, to := part.raiseStart(before)
	if from == to {
		return nil
	}
	b := l.db.NewBatch()
	if err := errors.Join(
		b.DeleteRange(recordKey(p, from), recordKey(p, to), nil),
		b.Set(startKey(p), recordKey(p, to), nil),
	); err != nil {
		return err
	}
	if err := l.db.apply(b); err != nil {
		return err
	}
	return l.db.sync(b)
}

// apply commits b without waiting for the sync. Whoever calls it must call sync when it has succeeded.
func (d *database) apply(b *pebble.Batch) error {
	return d.failure.run(context.Background(), func() error { return d.ApplyNoSyncWait(b, pebble.Sync) })
}

// sync waits until an applied batch is on the disk.
func (d *database) sync(b *pebble.Batch) error {
	return d.failure.run(context.Background(), func() error {
		if err := b.SyncWait(); err != nil {
			return d.failure.set(fmt.Errorf("sync: %w", err))
		}
		return b.Close()
	})
}
