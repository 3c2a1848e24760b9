// Package table describes tables of state and read models, and the rows that stores take and give.
//
// A table is rows in partitions. A row is named by its partition key and its cluster key, and is a set of cells; each cell has a value and
// a write timestamp t. The write with the higher t wins, cell by cell; ties go to the larger bytes. So writes may come twice and in any
// order and end in the same row. A deleted cell is a cell with an empty value: nothing is ever removed by a write.
//
// Keys are encoded so that bytes order as the fields do (Key); every store keeps rows of a partition in that order.
package table

import (
	"encoding/binary"
	"fmt"
)

// Type is the type of a key field or cell, for stores with typed columns.
type Type byte

// Types.
const (
	String Type = iota + 1 // any bytes but 0; ordered bytewise
	Uint64                 // ordered as numbers
	Bytes                  // cells only
)

// Field is a named field of a key, or a cell.
type Field struct {
	Name string
	Type Type
}

// Table describes one table. Its ID and the meaning of its fields are part of the stored format.
type Table struct {
	ID        byte
	Name      string
	Partition []Field
	Cluster   []Field
	Cells     []Field // at most 32; a cell's number is its index here
}

// Cell is a cell to write.
type Cell struct {
	Column uint8
	Value  []byte
}

// Write changes cells of one row, all with write timestamp T.
type Write struct {
	Table     *Table
	Partition Key
	Cluster   Key
	T         uint64
	Cells     []Cell
}

// RowKey names a row.
type RowKey struct {
	Partition Key
	Cluster   Key
}

// Value is a cell as read. T 0 means that the cell is not there.
type Value struct {
	Value []byte
	T     uint64
}

// Row is a row as read: Cells is indexed by column and as long as the table's Cells. A row that is not there has Cells nil.
type Row struct {
	Cluster Key
	Cells   []Value
}

// Found tells whether the row is there.
func (r Row) Found() bool { return r.Cells != nil }

// Query asks for rows of one partition with From <= cluster key < To, in order, or from the end when Reverse. An empty From or To is open.
type Query struct {
	Table     *Table
	Partition Key
	From      Key
	To        Key
	Limit     int // at least 1
	Reverse   bool
}

// Key is an encoded key: its fields one after the other, each so that bytes order as values do.
type Key []byte

// Text appends a string field: the bytes, then 0. Strings with a zero byte are a programming error.
func (k Key) Text(s string) Key { return append(append(k, s...), 0) }

// Uint64 appends a number field: 8 bytes, big-endian.
func (k Key) Uint64(v uint64) Key { return binary.BigEndian.AppendUint64(k, v) }

// After returns the least key above every key that starts with k.
func (k Key) After() Key {
	out := append(Key(nil), k...)
	for i := len(out) - 1; i >= 0; i-- {
		if out[i] != 0xff {
			out[i]++
			return out[:i+1]
		}
	}
	return nil
}

// CutString takes a string field off the front.
func (k Key) CutString() (string, Key, error) {
	for i, b := range k {
		if b == 0 {
			return string(k[:i]), k[i+1:], nil
		}
	}
	return "", nil, fmt.Errorf("key of %d bytes has no string field", len(k))
}

// CutUint64 takes a number field off the front.
func (k Key) CutUint64() (uint64, Key, error) {
	if len(k) < 8 {
		return 0, nil, fmt.Errorf("key of %d bytes has no number field", len(k))
	}
	return binary.BigEndian.Uint64(k), k[8:], nil
}
