package runner

import (
	"encoding/binary"
	"fmt"

	"parley/domain"
	"parley/domain/fence"
	"parley/schemas/table"
)

var (
	checkpoints = &table.Table{
		ID: 28, Name: "projections",
		Partition: []table.Field{{Name: "name", Type: table.String}},
		Cluster:   []table.Field{{Name: "version", Type: table.Uint64}, {Name: "log", Type: table.Uint64}},
		Cells: []table.Field{
			{Name: "next", Type: table.Bytes},
			{Name: "term", Type: table.Bytes},
			{Name: "idx", Type: table.Bytes},
			{Name: "prev", Type: table.Bytes},
			{Name: "t", Type: table.Bytes},
		},
	}
	// versions says which version of a read model is read (active), and which one is being built (next; 0: none).
	versions = &table.Table{
		ID: 29, Name: "projection_versions",
		Partition: []table.Field{{Name: "name", Type: table.String}},
		Cells:     []table.Field{{Name: "active", Type: table.Bytes}, {Name: "next", Type: table.Bytes}},
	}
	// quarantine has a row for each stream that could not be applied.
	quarantine = &table.Table{
		ID: 38, Name: "quarantine",
		Partition: []table.Field{{Name: "name", Type: table.String}, {Name: "version", Type: table.Uint64}, {Name: "log", Type: table.Uint64}},
		Cluster:   []table.Field{{Name: "stream", Type: table.String}},
		Cells:     []table.Field{{Name: "held", Type: table.Bytes}, {Name: "first", Type: table.Bytes}, {Name: "reason", Type: table.Bytes}},
	}
	// quarantined has the positions of such a stream's commits, from the first that failed.
	quarantined = &table.Table{
		ID: 39, Name: "quarantined",
		Partition: []table.Field{
			{Name: "name", Type: table.String},
			{Name: "version", Type: table.Uint64},
			{Name: "log", Type: table.Uint64},
			{Name: "stream", Type: table.String},
		},
		Cluster: []table.Field{{Name: "idx", Type: table.Uint64}},
		Cells:   []table.Field{{Name: "record", Type: table.Bytes}, {Name: "term", Type: table.Bytes}},
	}
)

// Place is how far a projection has come in a partition: the place of the reader rule behind the last commit applied, and that commit's T.
type Place struct {
	fence.Reader
	T domain.T
}

func after(a *domain.Accepted) Place {
	return Place{fence.Reader{Next: a.Offset + 1, Term: a.Term, Index: a.Index, Prev: a.Prev}, a.Commit.LastT()}
}

func checkpointCluster(version int, p domain.Partition) table.Key {
	return table.Key(nil).Uint64(uint64(version)).Uint64(uint64(p))
}

// checkpointWrite stores a place; its write timestamp is the offset, so that a late write cannot move it back.
func checkpointWrite(name string, version int, p domain.Partition, at Place) table.Write {
	return table.Write{
		Table: checkpoints, Partition: table.Key(nil).Text(name), Cluster: checkpointCluster(version, p), T: uint64(at.Next),
		Cells: numbers(uint64(at.Next), uint64(at.Term), uint64(at.Index), at.Prev, uint64(at.T)),
	}
}

func checkpointKey(name string, version int, p domain.Partition) table.RowKey {
	return table.RowKey{Partition: table.Key(nil).Text(name), Cluster: checkpointCluster(version, p)}
}

// place reads a checkpoint; no row is the log's start.
func place(row table.Row) (Place, error) {
	if !row.Found() {
		return Place{}, nil
	}
	v, err := values(row, len(checkpoints.Cells))
	if err != nil {
		return Place{}, fmt.Errorf("read checkpoint: %w", err)
	}
	return Place{
		fence.Reader{Next: domain.Offset(v[0]), Term: domain.Term(v[1]), Index: domain.Index(v[2]), Prev: v[3]}, domain.T(v[4]),
	}, nil
}

// numbers makes cells 0, 1, … of 8 bytes, big-endian.
func numbers(values ...uint64) []table.Cell {
	out := make([]table.Cell, len(values))
	buf := make([]byte, 0, 8*len(values))
	for i, v := range values {
		buf = binary.BigEndian.AppendUint64(buf, v)
		out[i] = table.Cell{Column: uint8(i), Value: buf[8*i : 8*i+8 : 8*i+8]}
	}
	return out
}

// values reads the first n cells as numbers.
func values(row table.Row, n int) ([]uint64, error) {
	out := make([]uint64, n)
	for i := range out {
		if v := row.Cells[i].Value; len(v) == 8 {
			out[i] = binary.BigEndian.Uint64(v)
			continue
		}
		return nil, fmt.Errorf("cell %d has %d bytes, want 8", i, len(row.Cells[i].Value))
	}
	return out, nil
}
