package shard_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/fence"
	"parley/ingest/shard"
	"parley/schemas/event"
	"parley/schemas/state"
	"parley/schemas/table"
)

// auditor looks at the store after every checkpoint: each row that a commit before it changed must be there, as new as that.
type auditor struct {
	shard.Store
	d     *disk
	mu    sync.Mutex
	seen  int
	wrong error
}

func (a *auditor) Write(ctx context.Context, writes []table.Write) error {
	if err := a.Store.Write(ctx, writes); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, w := range writes {
		if w.Table == shard.Checkpoints && a.wrong == nil {
			a.seen++
			a.wrong = a.audit(ctx, domain.Offset(binary.BigEndian.Uint64(w.Cells[0].Value)))
		}
	}
	return nil
}

type name struct {
	stream domain.StreamID
	part   domain.PartID
}

func (a *auditor) audit(ctx context.Context, upto domain.Offset) error {
	var r fence.Reader
	records, err := a.d.log.Read(ctx, partition, 0, 1<<30, 0)
	if err != nil {
		return err
	}
	newest := make(map[name]domain.T)
	for _, rec := range records {
		if v, err := r.Read(rec.Offset, rec.Value); err != nil || rec.Offset >= upto {
			break
		} else if v == fence.Accepted {
			dec, err := event.DecodeRecord(rec.Value)
			if err != nil {
				return err
			}
			st, _ := dec.Commit.Stream.Parse()
			for i := range dec.Commit.Events {
				ev := &dec.Commit.Events[i]
				for _, id := range rules(st.Kind).Touches(nil, st, ev) {
					newest[name{dec.Commit.Stream, id}] = ev.T
				}
			}
		}
	}
	for n, t := range newest {
		if err := a.hasAtLeast(ctx, n, t); err != nil {
			return fmt.Errorf("checkpoint at %d: %w", upto, err)
		}
	}
	return nil
}

func (a *auditor) hasAtLeast(ctx context.Context, n name, t domain.T) error {
	tab, key := shard.Parts, table.RowKey{Partition: table.Key(nil).Text(string(n.stream)), Cluster: table.Key(nil).Text(string(n.part))}
	if n.part == domain.PartHead {
		tab = shard.Heads
		key = table.RowKey{Partition: table.Key(nil).Uint64(uint64(n.stream.Slot())), Cluster: table.Key(nil).Text(string(n.stream))}
	}
	rows, err := a.Store.Get(ctx, tab, []table.RowKey{key})
	switch {
	case err != nil:
		return err
	case !rows[0].Found():
		return fmt.Errorf("%v is not there", n)
	case domain.T(rows[0].Cells[0].T) < t:
		return fmt.Errorf("%v is as of %d, a commit changed it at %d", n, rows[0].Cells[0].T, t)
	default:
		return nil
	}
}

// TestCheckpointNeverPassesRows also covers the tail that is inherited at a take-over, which is loaded before it can be flushed.
func TestCheckpointNeverPassesRows(t *testing.T) {
	for _, lag := range []time.Duration{0, 30 * time.Millisecond} {
		t.Run(lag.String(), func(t *testing.T) {
			d := newDisk(t)
			unflushed := start(t, d, func(c *shard.Config) {
				c.Settings.FlushEvery = time.Hour
				c.Settings.StopTimeout = time.Nanosecond
			})
			for i := range 60 {
				unflushed.ok(direct("ann", pal(i)), send("ann", pal(i), uint64(i+1)))
			}
			unflushed.store.broken.Store(true)
			unflushed.stop()

			audit := &auditor{Store: d.store, d: d}
			r := start(t, d, func(c *shard.Config) {
				c.Store = audit
				c.Settings.FlushEvery = time.Millisecond
				c.Settings.FlushRows = 5
				c.Settings.LoadRows = 7
				c.Settings.CacheRows = 12
				c.Settings.CheckpointLag = lag
			})
			for i := range 300 {
				r.ok(direct("ann", pal(i%90)), send("ann", pal(i%90), uint64(1000+i)))
			}
			r.stop()
			require.NoError(t, audit.wrong)
			require.Greater(t, audit.seen, 3)

			r = start(t, d, nil)
			defer r.stop()
			require.Len(t, requireFold(t, d, r).commits, 360)
		})
	}
}

func pal(i int) domain.UserID { return domain.UserID(fmt.Sprintf("pal%d", i)) }

func TestBrokenRowStopsItsStreamOnly(t *testing.T) {
	t.Parallel()
	d := newDisk(t)
	r := start(t, d, nil)
	ab, cd := direct("ann", "ben"), direct("cat", "dan")
	first := r.ok(ab, send("ann", "ben", 1))
	r.stop()
	overwrite := func(value []byte, at domain.T) {
		require.NoError(t, d.store.Write(t.Context(), []table.Write{{
			Table: shard.Heads, Partition: table.Key(nil).Uint64(uint64(ab.Slot())), Cluster: table.Key(nil).Text(string(ab)),
			T: uint64(at), Cells: []table.Cell{{Column: 0, Value: value}},
		}}))
	}
	overwrite([]byte{0}, first.T+1)
	r = start(t, d, nil)
	defer r.stop()
	require.Equal(t, domain.Internal, domain.CodeOf(r.do(ab, send("ann", "ben", 2)).Err))
	_, err := r.Heads(t.Context(), []domain.StreamID{ab})
	require.Equal(t, domain.Internal, domain.CodeOf(err))
	r.ok(cd, send("cat", "dan", 1))
	require.Eventually(t, func() bool { return r.Ready() != nil }, 5*time.Second, time.Millisecond)
	require.ErrorContains(t, r.Ready(), "1 rows cannot be read")

	// An operator mends it.
	good := &conversation.Head{Kind: domain.KindDirect, Seq: 1, N: 1, T: first.T}
	overwrite(state.EncodeRow(nil, good), first.T+2)
	res := r.ok(ab, send("ann", "ben", 2))
	require.Equal(t, domain.Seq(2), res.Seq)
	require.Greater(t, res.T, first.T+2, "ids stay above the asof of every row that they touch")
	r.ready()
}

func TestUndecodableRecordHalts(t *testing.T) {
	t.Parallel()
	d := newDisk(t)
	r := start(t, d, nil)
	r.ok(direct("ann", "ben"), send("ann", "ben", 1))
	at := r.Place()
	r.stop()
	value := fence.AppendHeader(nil, fence.Header{Term: at.Term, Index: at.Index + 1, Prev: at.Prev})
	value = append(value, 0xff, 0xff)
	_, err := d.log.Append(t.Context(), partition, domain.Batch{Keys: [][]byte{{1}}, Values: [][]byte{value}, Plain: true})
	require.NoError(t, err)

	r = start(t, d, nil)
	defer r.stop()
	res := r.do(direct("ann", "ben"), send("ann", "ben", 2))
	require.Equal(t, domain.Busy, domain.CodeOf(res.Err))
	require.ErrorContains(t, r.Ready(), "halted")
	_, err = r.Heads(t.Context(), []domain.StreamID{direct("ann", "ben")})
	require.Equal(t, domain.Busy, domain.CodeOf(err))
}
