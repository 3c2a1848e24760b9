// Package groups is the read model of an app's groups and rooms: what lists show of each, and groups and rooms in the order in which they were
// made, or became public.
//
// Table has one row for each group and room, of absolute values. Lists name them by time, in buckets of a day, and are never corrected: a line
// counts only while the row bears it out (Group.Listed). Days names the days that a list has, so that paging meets no empty buckets.
//
// How many view a room is not in the row: that is no event.
package groups

import (
	"encoding/binary"
	"fmt"

	"parley/domain"
	"parley/projections/runner"
	"parley/schemas/table"
)

// Name of the projection.
const Name = "groups"

// Kind is the projection for a runner.
var Kind = runner.Kind{
	Name: Name, New: func(version int) runner.Projection { return New(version) }, Tables: []runner.Pair{Table, Lists, Days},
}

// Cells of Table: texts, then numbers of 8 bytes, big-endian.
const (
	cellName = iota
	cellOwner
	cellPublic  // 1: anybody may find it
	cellCreated // T of its first event
	cellChanged // T of the last change of settings or of the owner
	cellCount   // members
	cellEnded   // the group's last entry; 0: it goes on
	cellSince   // T of the event that made it public last
	cells
)

// Table holds the groups and rooms.
var Table = runner.NewPair(table.Table{
	ID:        27,
	Name:      "groups",
	Partition: []table.Field{{Name: "stream", Type: table.String}},
	Cells: []table.Field{
		{Name: "name", Type: table.Bytes},
		{Name: "owner", Type: table.Bytes},
		{Name: "public", Type: table.Bytes},
		{Name: "created", Type: table.Bytes},
		{Name: "changed", Type: table.Bytes},
		{Name: "members", Type: table.Bytes},
		{Name: "ended", Type: table.Bytes},
		{Name: "public_since", Type: table.Bytes},
	},
})

// Group is a row as read: a group, or a room, which is never public and has no members.
type Group struct {
	ID          string
	Name        string
	Owner       domain.UserID
	Public      bool
	Created     domain.T
	Changed     domain.T
	Count       uint32     // members
	Ended       domain.Seq // its last entry; 0: it goes on
	PublicSince domain.T
}

// Projection writes Table, Lists and Days.
type Projection struct {
	version            int
	table, lists, days *table.Table
}

// New returns the projection for one version of its rows.
func New(version int) *Projection {
	return &Projection{version: version, table: Table.Of(version), lists: Lists.Of(version), days: Days.Of(version)}
}

// Name implements runner.Projection.
func (p *Projection) Name() string { return Name }

// Version implements runner.Projection.
func (p *Projection) Version() int { return p.version }

// Coalesce implements runner.Coalescer: a day is written by each of its groups.
func (p *Projection) Coalesce() bool { return true }

// Key names the row of a group or room.
func (p *Projection) Key(stream domain.StreamID) table.RowKey {
	return table.RowKey{Partition: make(table.Key, 0, len(stream)+1).Text(string(stream))}
}

// Group reads a row of Table. ok is false when there is none, or its first event is not written yet.
func (p *Projection) Group(id string, row table.Row) (g Group, ok bool, err error) {
	if !row.Found() || row.Cells[cellCreated].T == 0 {
		return g, false, nil
	}
	var v [cells]uint64
	for i := cellPublic; i < cells; i++ {
		c := row.Cells[i]
		if c.T == 0 && i == cellSince {
			continue // never public
		}
		if len(c.Value) != 8 {
			return g, false, fmt.Errorf("groups: cell %s of %d bytes", p.table.Cells[i].Name, len(c.Value))
		}
		v[i] = binary.BigEndian.Uint64(c.Value)
	}
	return Group{
		ID: id, Name: string(row.Cells[cellName].Value), Owner: domain.UserID(row.Cells[cellOwner].Value), Public: v[cellPublic] != 0,
		Created: domain.T(v[cellCreated]), Changed: domain.T(v[cellChanged]), Count: uint32(v[cellCount]),
		Ended: domain.Seq(v[cellEnded]), PublicSince: domain.T(v[cellSince]),
	}, true, nil
}
