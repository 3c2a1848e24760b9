package shard_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"parley/domain"
	"parley/domain/fence"
	"parley/schemas/event"
)

// history is what the reader rule makes of a partition's log from offset 0.
type history struct {
	commits []domain.Accepted
	rows    map[domain.StreamID]map[domain.PartID]domain.Row
}

// replay reads the log as any consumer would, and folds it with the real rules.
func replay(t testing.TB, d *disk) history {
	t.Helper()
	h := history{rows: make(map[domain.StreamID]map[domain.PartID]domain.Row)}
	var r fence.Reader
	for {
		records, err := d.log.Read(t.Context(), partition, r.Next, 1<<20, time.Millisecond)
		require.NoError(t, err)
		if len(records) == 0 {
			return h
		}
		for _, rec := range records {
			v, err := r.Read(rec.Offset, rec.Value)
			require.NoError(t, err)
			if v != fence.Accepted {
				continue
			}
			dec, err := event.DecodeRecord(rec.Value)
			require.NoError(t, err)
			h.add(dec.Commit, domain.Position{Partition: partition, Offset: rec.Offset, Term: r.Term, Index: r.Index, Prev: r.Prev})
		}
	}
}

func (h *history) add(c *domain.Commit, at domain.Position) {
	h.commits = append(h.commits, domain.Accepted{Position: at, Commit: c})
	st, _ := c.Stream.Parse()
	rs := rules(st.Kind)
	rows := h.rows[c.Stream]
	if rows == nil {
		rows = make(map[domain.PartID]domain.Row)
		h.rows[c.Stream] = rows
	}
	for i := range c.Events {
		for _, id := range rs.Touches(nil, st, &c.Events[i]) {
			rows[id] = rs.Evolve(st, id, rows[id], &c.Events[i])
		}
	}
}

// requireFold checks that the shard shows exactly the fold of the log.
func requireFold(t testing.TB, d *disk, r *rig) history {
	t.Helper()
	h := replay(t, d)
	for stream, rows := range h.rows {
		var parts []domain.PartID
		var want []domain.Row
		for id, row := range rows {
			parts, want = append(parts, id), append(want, row)
		}
		got, err := r.Rows(t.Context(), stream, parts)
		require.NoError(t, err)
		require.Equal(t, want, got, stream)
	}
	var last domain.T
	for i, a := range h.commits {
		require.Equal(t, domain.Index(i+1), a.Index)
		for _, ev := range a.Commit.Events {
			require.Greater(t, ev.T, last)
			last = ev.T
		}
	}
	return h
}
