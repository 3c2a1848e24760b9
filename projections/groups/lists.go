package groups

import (
	"fmt"

	"parley/domain"
	"parley/projections/runner"
	"parley/schemas/table"
)

// dayT is how much T grows in a day.
const dayT = 24 * 3600 * 1_000_000 << 12

// List is one of the lists of an app.
type List uint64

// Lists of an app. The numbers are stored.
const (
	All    List = iota + 1 // all groups, by when they were made
	Public                 // those that anybody may find, by when that became so
	Rooms                  // all rooms, by when they were made
)

// Stream returns the stream of an id on the list.
func (l List) Stream(app domain.AppID, id string) domain.StreamID {
	if l == Rooms {
		return domain.RoomStream(app, id)
	}
	return domain.GroupStream(app, id)
}

// Lists holds the groups and rooms by time.
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

// Listed tells whether a line of a list is the group's: it goes on, and has been there since that event.
func (g *Group) Listed(l List, since domain.T) bool {
	if l == Public {
		return g.Ended == 0 && g.Public && g.PublicSince == since
	}
	return g.Ended == 0 && g.Created == since
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
