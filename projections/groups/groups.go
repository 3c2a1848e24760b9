// Package groups is the read model of an app's groups: what lists of groups show of each, and the groups in the order in which they were
// made, or became public.
//
// Table has one row for each group, of absolute values. Lists name groups by time, in buckets of a day, and are never corrected: a line
// counts only while the group's row bears it out (Group.Listed). Days names the days that a list has, so that paging meets no empty buckets.
package groups

import (
	"encoding/binary"
	"errors"
	"fmt"

	"parley/domain"
	"parley/domain/conversation"
	"parley/projections/runner"
	"parley/schemas/table"
)

// Name of the projection.
const Name = "groups"

// Kind is the projection for a runner.
var Kind = runner.Kind{
	Name: Name, New: func(version int) runner.Projection { return New(version) }, Tables: []runner.Pair{Table, Lists, Days},
}

// dayT is how much T grows in a day.
const dayT = 24 * 3600 * 1_000_000 << 12

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

// Table holds the groups.
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

// List is one of the lists of an app.
type List uint64

// Lists of an app. The numbers are stored.
const (
	All    List = iota + 1 // all groups, by when they were made
	Public                 // those that anybody may find, by when that became so
)

// Lists holds the groups by time.
var Lists = runner.NewPair(table.Table{
	ID:   60,
	Name: "group_lists",
	Partition: []table.Field{
		{Name: "app", Type: table.String},
		{Name: "list", Type: table.Uint64},
		{Name: "day", Type: table.Uint64},
	},
	Cluster: []table.Field{{Name: "since", Type: table.Uint64}, {Name: "id", Type: table.String}},
	Cells:   []table.Field{{Name: "used", Type: table.Bytes}},
})

// Days names the days of a list.
var Days = runner.NewPair(table.Table{
	ID:        61,
	Name:      "group_days",
	Partition: []table.Field{{Name: "app", Type: table.String}, {Name: "list", Type: table.Uint64}},
	Cluster:   []table.Field{{Name: "day", Type: table.Uint64}},
	Cells:     []table.Field{{Name: "used", Type: table.Bytes}},
})

// Group is a row as read.
type Group struct {
	ID          string
	Name        string
	Owner       domain.UserID
	Public      bool
	Created     domain.T
	Changed     domain.T
	Count       uint32
	Ended       domain.Seq // its last entry; 0: it goes on
	PublicSince domain.T
}

// Listed tells whether a line of a list is the group's: it goes on, and has been there since that event.
func (g *Group) Listed(l List, since domain.T) bool {
	if l == Public {
		return g.Ended == 0 && g.Public && g.PublicSince == since
	}
	return g.Ended == 0 && g.Created == since
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

var errNoGroup = errors.New("groups: a group's event outside a group")

// Apply implements runner.Projection.
func (p *Projection) Apply(dst []table.Write, a *domain.Accepted) ([]table.Write, error) {
	for i := range a.Commit.Events {
		ev := &a.Commit.Events[i]
		cs, created, public := change(ev)
		if cs == nil {
			continue
		}
		st, ok := a.Commit.Stream.Parse()
		if !ok || st.Kind != domain.KindGroup {
			return dst, errNoGroup
		}
		dst = append(dst, table.Write{Table: p.table, Partition: p.Key(a.Commit.Stream).Partition, T: uint64(ev.T), Cells: cs})
		if created {
			dst = p.list(dst, st, All, ev.T)
		}
		if public {
			dst = p.list(dst, st, Public, ev.T)
		}
	}
	return dst, nil
}

// change says which cells of a group's row an event changes (none: nil), and on which lists it puts the group.
func change(ev *domain.Event) (cs []table.Cell, created, public bool) {
	switch b := ev.Body.(type) {
	case conversation.GroupCreated:
		cs = append(visible(nil, b.Settings.Public, ev.T),
			text(cellName, b.Settings.Name), text(cellOwner, string(b.Owner.User)), number(cellCreated, uint64(ev.T)),
			number(cellChanged, uint64(ev.T)), number(cellCount, 1), number(cellEnded, 0))
		return cs, true, b.Settings.Public
	case conversation.MembersAdded:
		return []table.Cell{number(cellCount, uint64(b.Count))}, false, false
	case conversation.MembersRemoved:
		return []table.Cell{number(cellCount, uint64(b.Count))}, false, false
	case conversation.GroupChanged:
		cs = []table.Cell{number(cellChanged, uint64(ev.T))}
		if b.Change.Name != nil {
			cs = append(cs, text(cellName, *b.Change.Name))
		}
		if b.Change.Public != nil {
			return visible(cs, *b.Change.Public, ev.T), false, *b.Change.Public
		}
		return cs, false, false
	case conversation.OwnerChanged:
		return []table.Cell{text(cellOwner, string(b.Owner)), number(cellChanged, uint64(ev.T))}, false, false
	case conversation.GroupDestroyed:
		return []table.Cell{number(cellEnded, uint64(ev.Seq)), number(cellChanged, uint64(ev.T))}, false, false
	}
	return nil, false, false
}

func visible(cs []table.Cell, public bool, t domain.T) []table.Cell {
	if !public {
		return append(cs, number(cellPublic, 0))
	}
	return append(cs, number(cellPublic, 1), number(cellSince, uint64(t)))
}

func text(column uint8, s string) table.Cell { return table.Cell{Column: column, Value: []byte(s)} }

func number(column uint8, v uint64) table.Cell {
	return table.Cell{Column: column, Value: binary.BigEndian.AppendUint64(nil, v)}
}

// list puts a group on a list.
func (p *Projection) list(dst []table.Write, st domain.Stream, l List, t domain.T) []table.Write {
	used := []table.Cell{{Column: 0, Value: []byte{1}}}
	return append(dst,
		table.Write{
			Table: p.lists, Partition: p.ListPartition(st.App, l, Day(t)), Cluster: table.Key(nil).Uint64(uint64(t)).Text(st.A),
			T: uint64(t), Cells: used,
		},
		table.Write{
			Table: p.days, Partition: p.DaysPartition(st.App, l), Cluster: table.Key(nil).Uint64(Day(t)), T: uint64(t), Cells: used,
		})
}

// Day returns the bucket of an instant: days since 2025-01-01. It is part of the stored format.
func Day(t domain.T) uint64 { return uint64(t) / dayT }

// DayStart returns the least T of a day.
func DayStart(day uint64) uint64 { return day * dayT }

// Key names the row of a group.
func (p *Projection) Key(stream domain.StreamID) table.RowKey {
	return table.RowKey{Partition: make(table.Key, 0, len(stream)+1).Text(string(stream))}
}

// DaysPartition names the partition of a list in Days.
func (p *Projection) DaysPartition(app domain.AppID, l List) table.Key {
	return make(table.Key, 0, len(app)+17).Text(string(app)).Uint64(uint64(l))
}

// ListPartition names the partition of a day in Lists.
func (p *Projection) ListPartition(app domain.AppID, l List, day uint64) table.Key {
	return p.DaysPartition(app, l).Uint64(day)
}

// Line reads a row of Lists: which group, and since when.
func (p *Projection) Line(row table.Row) (since domain.T, id string, err error) {
	t, rest, err := row.Cluster.CutUint64()
	if err != nil {
		return 0, "", fmt.Errorf("groups: read line: %w", err)
	}
	id, _, err = rest.CutString()
	if err != nil {
		return 0, "", fmt.Errorf("groups: read line: %w", err)
	}
	return domain.T(t), id, nil
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
