package owners_test

import (
	"context"
	"errors"
	"sync"
	"time"

	"parley/domain"
	"parley/ingest/shard"
	"parley/schemas/table"
)

var errDead = errors.New("the node is dead")

// kill ends a member as kill -9 does: nothing of it reaches the log, the store or another node any more, and links to it break. What it had given to
// the log before may still land.
func (m *member) kill() {
	close(m.died)
	m.breakOff()
}

func (m *member) dead() bool {
	select {
	case <-m.died:
		return true
	default:
		return false
	}
}

// owes counts a request in that another node has sent here: when the link breaks its answer is that nobody knows.
func (m *member) owes(req domain.Request) domain.Request {
	var once sync.Once
	done := req.Done
	key := new(int)
	answer := func(r domain.Result) {
		once.Do(func() {
			m.pending.Delete(key)
			done(r)
		})
	}
	m.pending.Store(key, answer)
	req.Done = func(r domain.Result) {
		if !m.dead() { // the answers of the dead reach nobody
			answer(r)
		}
	}
	return req
}

// breakOff answers what a dead member owes. What members that live owe a dead one has nobody to reach.
func (m *member) breakOff() {
	if !m.dead() {
		return
	}
	m.pending.Range(func(_, answer any) bool {
		answer.(func(domain.Result))(domain.Result{Err: domain.Refuse(domain.Unknown, "the link broke")})
		return true
	})
}

// mortalLog is the log as a member reaches it.
type mortalLog struct {
	shard.Log
	m *member
}

// Append implements shard.Log.
func (l mortalLog) Append(ctx context.Context, p domain.Partition, b domain.Batch) (domain.Offset, error) {
	if wait := l.m.slow.Load(); wait != nil {
		select {
		case <-*wait:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	if l.m.dead() {
		return 0, errDead
	}
	base, err := l.Log.Append(ctx, p, b)
	if l.m.dead() {
		return 0, errDead
	}
	return base, err
}

// Read implements shard.Log.
func (l mortalLog) Read(ctx context.Context, p domain.Partition, from domain.Offset, most int, wait time.Duration) ([]domain.LogRecord, error) {
	if l.m.dead() {
		return nil, errDead
	}
	return l.Log.Read(ctx, p, from, most, wait)
}

// Bounds implements shard.Log.
func (l mortalLog) Bounds(ctx context.Context, p domain.Partition) (start, end domain.Offset, err error) {
	if l.m.dead() {
		return 0, 0, errDead
	}
	return l.Log.Bounds(ctx, p)
}

// mortalStore is the store as a member reaches it.
type mortalStore struct {
	shard.Store
	m *member
}

// Write implements shard.Store.
func (s mortalStore) Write(ctx context.Context, writes []table.Write) error {
	if s.m.dead() {
		return errDead
	}
	return s.Store.Write(ctx, writes)
}

// Get implements shard.Store.
func (s mortalStore) Get(ctx context.Context, t *table.Table, keys []table.RowKey) ([]table.Row, error) {
	if s.m.dead() {
		return nil, errDead
	}
	return s.Store.Get(ctx, t, keys)
}
