package pebble

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"parley/schemas/table"
)

// A stored row is its cells in the order of their columns, each column at most once: column (1 byte), t (8 bytes, big-endian), length (uvarint),
// value. Part of the stored format.

// cell is a stored cell. The value may lie in foreign memory.
type cell struct {
	column uint8
	t      uint64
	value  []byte
}

const cellHead = 1 + 8

var errBadRow = errors.New("the store holds a malformed row")

// compareCells orders by column, the winner of each column first: the higher t, then the larger bytes.
func compareCells(a, b cell) int {
	return cmp.Or(cmp.Compare(a.column, b.column), cmp.Compare(b.t, a.t), bytes.Compare(b.value, a.value))
}

func appendCell(b []byte, c cell) []byte {
	b = append(b, c.column)
	b = binary.BigEndian.AppendUint64(b, c.t)
	b = binary.AppendUvarint(b, uint64(len(c.value)))
	return append(b, c.value...)
}

// cutCell takes a cell off the front of a stored row.
func cutCell(b []byte) (c cell, rest []byte, err error) {
	if len(b) < cellHead {
		return c, nil, errBadRow
	}
	c.column, c.t = b[0], binary.BigEndian.Uint64(b[1:cellHead])
	size, n := binary.Uvarint(b[cellHead:])
	rest = b[cellHead:]
	if n <= 0 || size > uint64(len(rest)-n) {
		return c, nil, errBadRow
	}
	end := n + int(size)
	c.value = rest[n:end:end]
	return c, rest[end:], nil
}

// appendCells appends the cells of b to cells. They must be in order.
func appendCells(cells []cell, b []byte) ([]cell, error) {
	last := -1
	for len(b) > 0 {
		c, rest, err := cutCell(b)
		if err != nil {
			return nil, err
		}
		if int(c.column) <= last {
			return nil, errBadRow
		}
		cells, b, last = append(cells, c), rest, int(c.column)
	}
	return cells, nil
}

// settle orders the cells and keeps the winner of each column, in place.
func settle(cells []cell) []cell {
	slices.SortFunc(cells, compareCells)
	return slices.CompactFunc(cells, func(a, b cell) bool { return a.column == b.column })
}

// appendWrite appends the stored form of a write's cells to b. scratch is reused.
func appendWrite(b []byte, w table.Write, scratch []cell) ([]byte, []cell) {
	scratch = scratch[:0]
	for _, c := range w.Cells {
		scratch = append(scratch, cell{column: c.Column, t: w.T, value: c.Value})
	}
	if !slices.IsSortedFunc(scratch, func(a, b cell) int {
		return cmp.Or(cmp.Compare(a.column, b.column), -1) // equal columns are not in order either
	}) {
		scratch = settle(scratch)
	}
	for _, c := range scratch {
		b = appendCell(b, c)
	}
	return b, scratch
}

// decodeRow returns the cells of a stored row, copied, as many as the table has. Columns that the table does not have are left out.
func decodeRow(t *table.Table, stored []byte) ([]table.Value, error) {
	b := bytes.Clone(stored)
	out := make([]table.Value, len(t.Cells))
	for len(b) > 0 {
		c, rest, err := cutCell(b)
		if err != nil {
			return nil, err
		}
		if int(c.column) < len(out) {
			out[c.column] = table.Value{Value: c.value, T: c.t}
		}
		b = rest
	}
	return out, nil
}

// lastWriteWins merges writes of a row cell by cell: the higher t wins, ties go to the larger bytes. The order of writes, their repeats and how
// Pebble groups them do not matter. The name is part of the stored format.
var lastWriteWins = &pebble.Merger{
	Name: "parley.last_write_wins.1",
	Merge: func(_, value []byte) (pebble.ValueMerger, error) {
		m := mergers.Get().(*rowMerger) //nolint:forcetypeassert // the pool holds nothing else
		m.operands = append(m.operands, value...)
		return m, nil
	},
}

// mergers holds the memory of mergers: every row passes one in each flush and compaction.
var mergers = sync.Pool{New: func() any { return new(rowMerger) }}

// rowMerger gathers the operands and settles them at the end. A single operand is not taken apart.
type rowMerger struct {
	operands []byte // copies, one after the other
	cells    []cell // of the operands, when there are several
	settled  []byte
}

// MergeNewer implements pebble.ValueMerger.
func (m *rowMerger) MergeNewer(value []byte) (err error) {
	if len(m.cells) == 0 {
		if m.cells, err = appendCells(m.cells, m.operands); err != nil {
			return err
		}
	}
	n := len(m.operands)
	m.operands = append(m.operands, value...)
	if m.cells, err = appendCells(m.cells, m.operands[n:]); err != nil {
		return err
	}
	if len(m.cells) > 64 {
		m.cells = settle(m.cells)
	}
	return nil
}

// MergeOlder implements pebble.ValueMerger.
func (m *rowMerger) MergeOlder(value []byte) error { return m.MergeNewer(value) }

// Finish implements pebble.ValueMerger. The value is good until the merger is closed.
func (m *rowMerger) Finish(bool) ([]byte, io.Closer, error) {
	if len(m.cells) == 0 {
		return m.operands, m, nil
	}
	for _, c := range settle(m.cells) {
		m.settled = appendCell(m.settled, c)
	}
	return m.settled, m, nil
}

// keepMerger bounds the memory that a merger keeps for the next row.
const keepMerger = 64 << 10

// Close implements io.Closer.
func (m *rowMerger) Close() error {
	if cap(m.operands)+cap(m.settled) > keepMerger {
		return nil
	}
	clear(m.cells[:cap(m.cells)])
	m.operands, m.cells, m.settled = m.operands[:0], m.cells[:0], m.settled[:0]
	mergers.Put(m)
	return nil
}
