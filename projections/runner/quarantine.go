package runner

import (
	"context"
	"encoding/binary"
	"fmt"

	"parley/domain"
	"parley/schemas/table"
)

// maxReason bounds the stored reason of a quarantine.
const maxReason = 2000

// Values of the cell held.
const (
	isReleased = 0
	isHeld     = 1
)

func (m *member) quarantinePartition() table.Key {
	return table.Key(nil).Text(m.projection.Name()).Uint64(uint64(m.projection.Version())).Uint64(uint64(m.partition))
}

// hold puts a commit's stream into quarantine. One stream too many is an error that ends the pass.
func (m *member) hold(b *batch, a *domain.Accepted, cause error) error {
	if len(m.held) >= MaxQuarantined {
		return fmt.Errorf("%s in partition %d: more than %d streams in quarantine, the last at index %d: %w",
			m.projection.Name(), m.partition, MaxQuarantined, a.Index, cause)
	}
	m.held[a.Commit.Stream] = true
	m.countHeld()
	b.writes = append(b.writes, m.holdWrite(a.Commit.Stream, a.Index, cause), m.positionWrite(a))
	return nil
}

// holdWrite is the row of a stream in quarantine.
func (m *member) holdWrite(stream domain.StreamID, index domain.Index, cause error) table.Write {
	return table.Write{
		Table: quarantine, Partition: m.quarantinePartition(), Cluster: table.Key(nil).Text(string(stream)), T: 2 * uint64(index),
		Cells: []table.Cell{
			{Column: 0, Value: []byte{isHeld}},
			{Column: 1, Value: binary.BigEndian.AppendUint64(nil, uint64(index))},
			{Column: 2, Value: reasonCell(cause.Error())},
		},
	}
}

func reasonCell(reason string) []byte { return []byte(reason[:min(len(reason), maxReason)]) }

// release ends a stream's quarantine up to an index. A later hold has a higher T, a repeated earlier one a lower.
func (m *member) release(stream domain.StreamID, last domain.Index, reason string) table.Write {
	return table.Write{
		Table: quarantine, Partition: m.quarantinePartition(), Cluster: table.Key(nil).Text(string(stream)), T: 2*uint64(last) + 1,
		Cells: []table.Cell{{Column: 0, Value: []byte{isReleased}}, {Column: 2, Value: reasonCell(reason)}},
	}
}

// positionWrite notes a commit of a stream in quarantine.
func (m *member) positionWrite(a *domain.Accepted) table.Write {
	return table.Write{
		Table: quarantined, Partition: m.quarantinePartition().Text(string(a.Commit.Stream)), Cluster: table.Key(nil).Uint64(uint64(a.Index)),
		T: uint64(a.Index), Cells: numbers(uint64(a.Offset), uint64(a.Term)),
	}
}

// loadHeld reads which streams are in quarantine.
func (m *member) loadHeld(ctx context.Context, st Store) error {
	q := table.Query{Table: quarantine, Partition: m.quarantinePartition(), Limit: 1000}
	for {
		rows, err := st.Scan(ctx, q)
		if err != nil {
			return fmt.Errorf("load quarantine of %s: %w", m.projection.Name(), err)
		}
		for _, row := range rows {
			stream, _, err := row.Cluster.CutString()
			if err != nil {
				return fmt.Errorf("load quarantine of %s: %w", m.projection.Name(), err)
			}
			if v := row.Cells[0].Value; len(v) == 1 && v[0] == isHeld {
				m.held[domain.StreamID(stream)] = true
			}
		}
		if len(rows) < q.Limit {
			m.countHeld()
			return nil
		}
		q.From = rows[len(rows)-1].Cluster.After()
	}
}

// positions reads the next noted commits of a stream in quarantine, after an index.
func (m *member) positions(ctx context.Context, st Store, stream domain.StreamID, after domain.Index) ([]domain.Position, error) {
	rows, err := st.Scan(ctx, table.Query{
		Table: quarantined, Partition: m.quarantinePartition().Text(string(stream)), From: table.Key(nil).Uint64(uint64(after) + 1), Limit: 200,
	})
	if err != nil {
		return nil, fmt.Errorf("read quarantine: %w", err)
	}
	out := make([]domain.Position, len(rows))
	for i, row := range rows {
		index, _, err := row.Cluster.CutUint64()
		if err != nil {
			return nil, fmt.Errorf("read quarantine: %w", err)
		}
		v, err := values(row, 2)
		if err != nil {
			return nil, fmt.Errorf("read quarantine: %w", err)
		}
		out[i] = domain.Position{
			Partition: m.partition, Offset: domain.Offset(v[0]), Term: domain.Term(v[1]), Index: domain.Index(index),
		}
	}
	return out, nil
}
