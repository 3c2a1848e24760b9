package shard

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"

	"parley/domain"
	"parley/domain/fence"
	"parley/schemas/state"
	"parley/schemas/table"
)

// The tables of state. A row's write timestamp is its asof, the t of the last commit that changed it, so that a deposed owner's late write
// loses; asof is a cell too, for people and other tools. A checkpoint's write timestamp is its offset.
var (
	Heads = &table.Table{
		ID: 1, Name: "heads",
		Partition: []table.Field{{Name: "slot", Type: table.Uint64}},
		Cluster:   []table.Field{{Name: "stream", Type: table.String}},
		Cells:     []table.Field{{Name: "row", Type: table.Bytes}, {Name: "asof", Type: table.Uint64}},
	}
	Parts = &table.Table{
		ID: 2, Name: "parts",
		Partition: []table.Field{{Name: "stream", Type: table.String}},
		Cluster:   []table.Field{{Name: "part", Type: table.String}},
		Cells:     []table.Field{{Name: "row", Type: table.Bytes}, {Name: "asof", Type: table.Uint64}},
	}
	Checkpoints = &table.Table{
		ID: 3, Name: "checkpoints",
		Partition: []table.Field{{Name: "partition", Type: table.Uint64}},
		Cells: []table.Field{
			{Name: "offset", Type: table.Uint64},
			{Name: "term", Type: table.Uint64},
			{Name: "index", Type: table.Uint64},
			{Name: "prev", Type: table.Uint64},
			{Name: "t", Type: table.Uint64},
		},
	}
)

// Tables are all tables of this package.
func Tables() []*table.Table { return []*table.Table{Heads, Parts, Checkpoints} }

const (
	cellRow  = 0
	cellAsof = 1
)

// rowName names a row of the partition.
type rowName struct {
	stream domain.StreamID
	part   domain.PartID
}

func (n rowName) table() *table.Table {
	if n.part == domain.PartHead {
		return Heads
	}
	return Parts
}

func (n rowName) key() table.RowKey {
	if n.part == domain.PartHead {
		return table.RowKey{Partition: table.Key(nil).Uint64(uint64(n.stream.Slot())), Cluster: table.Key(nil).Text(string(n.stream))}
	}
	return table.RowKey{Partition: table.Key(nil).Text(string(n.stream)), Cluster: table.Key(nil).Text(string(n.part))}
}

// number is a Uint64 cell.
func number(v uint64) []byte { return binary.BigEndian.AppendUint64(nil, v) }

func rowWrite(n rowName, v *version) table.Write {
	key := n.key()
	var value []byte // empty: the row was removed
	if v.row != nil {
		value = state.EncodeRow(nil, v.row)
	}
	return table.Write{
		Table: n.table(), Partition: key.Partition, Cluster: key.Cluster, T: uint64(v.asof),
		Cells: []table.Cell{{Column: cellRow, Value: value}, {Column: cellAsof, Value: number(uint64(v.asof))}},
	}
}

// readRow turns a stored row into a version; a row that is not there is one without value and with asof 0.
func readRow(n rowName, r table.Row) (*version, error) {
	if !r.Found() || r.Cells[cellRow].T == 0 {
		return &version{}, nil
	}
	v := &version{asof: domain.T(r.Cells[cellRow].T)}
	if len(r.Cells[cellRow].Value) == 0 {
		return v, nil
	}
	st, ok := n.stream.Parse()
	if !ok {
		return nil, fmt.Errorf("row %s of %s: %w", n.part, n.stream, errStreamName)
	}
	var err error
	if v.row, err = state.DecodeRow(st.Kind, n.part, r.Cells[cellRow].Value); err != nil {
		return nil, fmt.Errorf("row %s of %s: %w", n.part, n.stream, err)
	}
	return v, nil
}

// checkpoint is the place in the log up to which all rows are in the store, and the last t before it.
type checkpoint struct {
	fence.Reader
	t domain.T
}

func checkpointKey(p domain.Partition) table.RowKey {
	return table.RowKey{Partition: table.Key(nil).Uint64(uint64(p))}
}

func (c checkpoint) write(p domain.Partition) table.Write {
	w := table.Write{Table: Checkpoints, Partition: checkpointKey(p).Partition, T: uint64(c.Next)}
	for i, v := range []uint64{uint64(c.Next), uint64(c.Term), uint64(c.Index), c.Prev, uint64(c.t)} {
		w.Cells = append(w.Cells, table.Cell{Column: uint8(i), Value: number(v)})
	}
	return w
}

// SavedPlace returns where a partition's checkpoint stands: all rows of what is before it are in the store. It is the zero place when there is
// no checkpoint.
func SavedPlace(ctx context.Context, store Store, p domain.Partition) (fence.Reader, error) {
	c, err := loadCheckpoint(ctx, store, p)
	return c.Reader, err
}

// SavedT returns the last t before a partition's checkpoint, 0 when there is none.
func SavedT(ctx context.Context, store Store, p domain.Partition) (domain.T, error) {
	c, err := loadCheckpoint(ctx, store, p)
	return c.t, err
}

// AsOf returns the t of the last commit that changed a row of Heads.
func AsOf(r table.Row) domain.T { return domain.T(r.Cells[cellAsof].T) }

// loadCheckpoint returns the partition's checkpoint, the zero one when there is none.
func loadCheckpoint(ctx context.Context, store Store, p domain.Partition) (checkpoint, error) {
	rows, err := store.Get(ctx, Checkpoints, []table.RowKey{checkpointKey(p)})
	if err != nil {
		return checkpoint{}, fmt.Errorf("load checkpoint: %w", err)
	}
	if len(rows) != 1 || !rows[0].Found() {
		return checkpoint{}, nil
	}
	var v [5]uint64
	for i := range v {
		cell := rows[0].Cells[i].Value
		if len(cell) != 8 {
			return checkpoint{}, fmt.Errorf("load checkpoint: cell %s has %d bytes", Checkpoints.Cells[i].Name, len(cell))
		}
		v[i] = binary.BigEndian.Uint64(cell)
	}
	if v[0] > math.MaxInt64 {
		return checkpoint{}, fmt.Errorf("load checkpoint: offset %d", v[0])
	}
	c := checkpoint{t: domain.T(v[4])}
	c.Next, c.Term, c.Index, c.Prev = domain.Offset(v[0]), domain.Term(v[1]), domain.Index(v[2]), v[3]
	return c, nil
}
