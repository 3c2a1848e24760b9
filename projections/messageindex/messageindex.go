// Package messageindex is the read model that finds a message by its id.
package messageindex

import (
	"encoding/binary"
	"fmt"

	"parley/domain"
	"parley/domain/conversation"
	"parley/projections/runner"
	"parley/schemas/table"
)

// Name of the projection.
const Name = "messageindex"

// Kind is the projection for a runner.
var Kind = runner.Kind{
	Name: Name, New: func(version int) runner.Projection { return New(version) }, Tables: []runner.Pair{Table},
}

// Cells of Table.
const (
	cellStream = iota
	cellSeq    // 8 bytes, big-endian
)

// Table holds where each message is.
var Table = runner.NewPair(table.Table{
	ID:        21,
	Name:      "messageindex",
	Partition: []table.Field{{Name: "id", Type: table.Uint64}},
	Cells:     []table.Field{{Name: "stream", Type: table.Bytes}, {Name: "seq", Type: table.Bytes}},
})

// Projection writes Table.
type Projection struct {
	version int
	table   *table.Table
}

// New returns the projection for one version of its rows.
func New(version int) *Projection { return &Projection{version: version, table: Table.Of(version)} }

// Name implements runner.Projection.
func (p *Projection) Name() string { return Name }

// Version implements runner.Projection.
func (p *Projection) Version() int { return p.version }

// Apply implements runner.Projection: one row for each message.
func (p *Projection) Apply(dst []table.Write, a *domain.Accepted) ([]table.Write, error) {
	for i := range a.Commit.Events {
		ev := &a.Commit.Events[i]
		if _, ok := ev.Body.(conversation.MessageSent); !ok {
			continue
		}
		dst = append(dst, p.write(a.Commit.Stream, ev))
	}
	return dst, nil
}

func (p *Projection) write(stream domain.StreamID, ev *domain.Event) table.Write {
	// One allocation for the key and both values.
	buf := make([]byte, 0, 16+len(stream))
	buf = binary.BigEndian.AppendUint64(buf, uint64(ev.T))
	buf = binary.BigEndian.AppendUint64(buf, uint64(ev.Seq))
	buf = append(buf, stream...)
	return table.Write{
		Table: p.table, Partition: table.Key(buf[:8:8]), T: uint64(ev.T),
		Cells: []table.Cell{{Column: cellStream, Value: buf[16:]}, {Column: cellSeq, Value: buf[8:16:16]}},
	}
}

// Key names the row of a message.
func (p *Projection) Key(id domain.MessageID) table.RowKey {
	key := make(table.Key, 0, 9)
	return table.RowKey{Partition: key.Uint64(uint64(id))}
}

// Place reads a row. ok is false when there is none.
func (p *Projection) Place(row table.Row) (stream domain.StreamID, seq domain.Seq, ok bool, err error) {
	if !row.Found() || row.Cells[cellStream].T == 0 || row.Cells[cellSeq].T == 0 {
		return "", 0, false, nil
	}
	v := row.Cells[cellSeq].Value
	if len(v) != 8 {
		return "", 0, false, fmt.Errorf("messageindex: a seq of %d bytes", len(v))
	}
	return domain.StreamID(row.Cells[cellStream].Value), domain.Seq(binary.BigEndian.Uint64(v)), true, nil
}
