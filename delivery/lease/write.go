package lease

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"parley/schemas/table"
)

// WriteEvery is how long a change waits at most before it is being written.
const WriteEvery = 100 * time.Millisecond

const (
	writeRows    = 4096 // at once
	writeTimeout = 2 * time.Second
)

// writer is the state of the goroutine that writes.
type writer struct {
	t        uint64    // the last write timestamp
	beat     time.Time // the last heartbeat
	unsynced bool      // written, but may not last
	failing  bool      // the last try failed; said in the log once
}

// inFlight is a user whose row is being written.
type inFlight struct {
	b *bucket
	u *user
}

// runWriter writes rows and heartbeats until ctx ends, and then what is left.
func (l *Leases) runWriter(ctx context.Context) {
	tick := time.NewTicker(WriteEvery)
	defer tick.Stop()
	for {
		l.save(ctx, false)
		select {
		case <-tick.C:
		case <-ctx.Done():
			l.save(context.WithoutCancel(ctx), true)
			return
		}
	}
}

// save writes what has changed, a heartbeat when it is due or last, and makes sure that it lasts: nobody could make it again. What fails
// is tried again at the next call.
func (l *Leases) save(ctx context.Context, last bool) {
	err := l.write(ctx, last)
	l.metrics.waiting.Set(float64(l.waiting.Load()))
	if failing := err != nil; failing != l.writer.failing {
		l.writer.failing = failing
		if failing {
			l.logger.Warn("leases are not written", "error", err, "waiting", l.waiting.Load())
		} else {
			l.logger.Info("leases are written again")
		}
	}
}

// write writes rows before the heartbeat: it vouches for all that is in the rows. What was taken over is void when it is in this node's.
func (l *Leases) write(ctx context.Context, last bool) error {
	now := l.now()
	beat := last || now.Sub(l.writer.beat).Abs() >= l.settings.Heartbeat
	if beat && l.tellFact != nil {
		if err := l.readVoids(ctx); err != nil {
			return fmt.Errorf("read which rows are void: %w", err)
		}
	}
	voids := l.voids.take()
	if err := l.writeRows(ctx); err != nil {
		l.voids.putBack(voids)
		return err
	}
	if err := l.writeVoids(ctx, voids); err != nil {
		l.voids.putBack(voids)
		return err
	}
	if beat {
		if err := l.put(ctx, []table.Write{l.heartbeat(now)}); err != nil {
			return fmt.Errorf("write heartbeat: %w", err)
		}
	}
	if l.writer.unsynced {
		if err := l.sync(ctx); err != nil {
			l.metrics.notSynced.Inc()
			return fmt.Errorf("sync leases: %w", err)
		}
		l.writer.unsynced = false
	}
	if beat {
		l.writer.beat = now
		l.metrics.heartbeats.Inc()
	}
	return nil
}

func (l *Leases) put(ctx context.Context, writes []table.Write) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	if err := l.store.Write(ctx, writes); err != nil {
		return err
	}
	l.writer.unsynced = true
	return nil
}

func (l *Leases) sync(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	return l.store.Sync(ctx)
}

// writeRows writes the rows that have changed, some at a time.
func (l *Leases) writeRows(ctx context.Context) error {
	var writes []table.Write
	var flying []inFlight
	for i := range l.buckets {
		for more := true; more; {
			writes, flying, more = l.take(i, writes, flying)
			if len(writes) < writeRows && i < Buckets-1 {
				continue
			}
			if err := l.fly(ctx, writes, flying); err != nil {
				return err
			}
			writes, flying = nil, nil
		}
	}
	return nil
}

// take takes changed users of a bucket as writes, until there are writeRows. more tells that the bucket has others.
func (l *Leases) take(i int, writes []table.Write, flying []inFlight) (_ []table.Write, _ []inFlight, more bool) {
	b := &l.buckets[i]
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.dirty) > 0 && len(writes) < writeRows {
		u := b.dirty[len(b.dirty)-1]
		l.clean(b, u)
		held := l.held(u)
		if u.row == 0 {
			if !held {
				continue
			}
			u.row = b.number() + 1
		}
		var cell []byte
		if held {
			cell = encodeUser(u, l.node)
		}
		writes = append(writes, table.Write{
			Table: Rows, Partition: bucketPartition(i), Cluster: l.rowNumber(u.row - 1), T: l.nextT(),
			Cells: []table.Cell{{Column: 0, Value: cell}},
		})
		flying = append(flying, inFlight{b, u})
	}
	return writes, flying, len(b.dirty) > 0
}

// held tells whether a user needs a row.
func (l *Leases) held(u *user) bool {
	if l.tellFact == nil {
		return len(u.leases) > 0
	}
	return u.held()
}

// rowNumber returns the name of a row of this node: its own number is above the row's, so that no node writes another's.
func (l *Leases) rowNumber(n uint32) table.Key {
	return table.Key(nil).Uint64(uint64(l.number)<<32 | uint64(n))
}

// number returns the number of a free row.
func (b *bucket) number() uint32 {
	if last := len(b.free) - 1; last >= 0 {
		n := b.free[last]
		b.free = b.free[:last]
		return n
	}
	b.numbers++
	return b.numbers - 1
}

// nextT returns the next write timestamp, above all before it whatever the clock says.
func (l *Leases) nextT() uint64 {
	l.writer.t = max(l.writer.t+1, uint64(max(l.micro(), 0)), uint64(l.rowsFrom.Load()+1))
	return l.writer.t
}

// fly writes the rows of some users. When that fails its outcome is not known: their rows are theirs still, and are to be written again.
func (l *Leases) fly(ctx context.Context, writes []table.Write, flying []inFlight) error {
	if len(writes) == 0 {
		return nil
	}
	err := l.put(ctx, writes)
	for _, f := range flying {
		f.b.mu.Lock()
		switch {
		case err != nil:
			l.soil(f.b, f.u)
		case f.u.row != 0 && f.u.waits == 0 && !l.held(f.u):
			f.b.free = append(f.b.free, f.u.row-1)
			f.u.row = 0
			l.leaveEmpty(f.b, f.u)
		}
		f.b.mu.Unlock()
	}
	if err != nil {
		l.metrics.failed.Add(float64(len(writes)))
		return fmt.Errorf("write leases: %w", err)
	}
	l.metrics.written.Add(float64(len(writes)))
	return nil
}

// heartbeat returns the row that says that the node lives.
func (l *Leases) heartbeat(now time.Time) table.Write {
	return table.Write{
		Table: Nodes, Partition: nodesPartition(), Cluster: table.Key(nil).Text(l.node), T: l.nextT(),
		Cells: []table.Cell{{Column: 0, Value: binary.BigEndian.AppendUint64(nil, uint64(max(now.UnixMicro(), 0)))}},
	}
}
