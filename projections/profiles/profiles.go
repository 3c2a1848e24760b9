// Package profiles is the read model of an app's users in the order in which they were registered. One user is asked of its owner instead.
//
// Users lie in buckets of a day, and a table of its own names an app's days, so that paging meets no empty buckets.
package profiles

import (
	"encoding/binary"
	"fmt"

	"parley/domain"
	"parley/domain/user"
	"parley/projections/runner"
	"parley/schemas/table"
)

// Name of the projection.
const Name = "profiles"

// Kind is the projection for a runner.
var Kind = runner.Kind{
	Name: Name, New: func(version int) runner.Projection { return New(version) }, Tables: []runner.Pair{Table, Days},
}

// dayT is how much T grows in a day.
const dayT = 24 * 3600 * 1_000_000 << 12

// Cells of Table.
const (
	cellUUID        = iota
	cellNickname    //
	cellIncarnation // 8 bytes, big-endian, as are the next two
	cellModified    // the T of the last change
	cellDeleted     // 1: the account ended
)

// Table holds the users.
var Table = runner.NewPair(table.Table{
	ID:   23,
	Name: "profiles",
	Partition: []table.Field{
		{Name: "app", Type: table.String},
		{Name: "day", Type: table.Uint64},
	},
	Cluster: []table.Field{{Name: "registered", Type: table.Uint64}, {Name: "user", Type: table.String}},
	Cells: []table.Field{
		{Name: "uuid", Type: table.Bytes},
		{Name: "nickname", Type: table.Bytes},
		{Name: "incarnation", Type: table.Bytes},
		{Name: "modified", Type: table.Bytes},
		{Name: "deleted", Type: table.Bytes},
	},
})

// Days names the days of an app on which somebody registered.
var Days = runner.NewPair(table.Table{
	ID:        24,
	Name:      "profile_days",
	Partition: []table.Field{{Name: "app", Type: table.String}},
	Cluster:   []table.Field{{Name: "day", Type: table.Uint64}},
	Cells:     []table.Field{{Name: "used", Type: table.Bytes}},
})

// Profile is a row as read.
type Profile struct {
	App         domain.AppID
	User        domain.UserID
	Incarnation domain.Incarnation
	UUID        string
	Nickname    string
	Registered  domain.T
	Modified    domain.T
	Deleted     bool
}

// Projection writes Table and Days.
type Projection struct {
	version int
	table   *table.Table
	days    *table.Table
}

// New returns the projection for one version of its rows.
func New(version int) *Projection {
	return &Projection{version: version, table: Table.Of(version), days: Days.Of(version)}
}

// Name implements runner.Projection.
func (p *Projection) Name() string { return Name }

// Version implements runner.Projection.
func (p *Projection) Version() int { return p.version }

// Coalesce implements runner.Coalescer: a day is written by each of its users.
func (p *Projection) Coalesce() bool { return true }

// Apply implements runner.Projection.
func (p *Projection) Apply(dst []table.Write, a *domain.Accepted) ([]table.Write, error) {
	for i := range a.Commit.Events {
		ev := &a.Commit.Events[i]
		registered, cells := change(ev)
		if cells == nil {
			continue
		}
		st, ok := a.Commit.Stream.Parse()
		if !ok || st.Kind != domain.KindUser {
			return dst, fmt.Errorf("profiles: %s outside a user's stream", ev.Body.EventName())
		}
		dst = append(dst, table.Write{
			Table: p.table, Partition: p.Partition(st.App, Day(registered)), Cluster: Cluster(registered, domain.UserID(st.A)),
			T: uint64(ev.T), Cells: cells,
		})
		if registered == ev.T {
			dst = append(dst, table.Write{
				Table: p.days, Partition: p.DaysPartition(st.App), Cluster: table.Key(nil).Uint64(Day(registered)),
				T: uint64(ev.T), Cells: []table.Cell{{Column: 0, Value: []byte{1}}},
			})
		}
	}
	return dst, nil
}

// change says which user's row an event changes, and how. No cells: none.
func change(ev *domain.Event) (registered domain.T, cells []table.Cell) {
	switch b := ev.Body.(type) {
	case user.Registered:
		return ev.T, []table.Cell{
			{Column: cellUUID, Value: []byte(b.UUID)},
			{Column: cellNickname, Value: []byte(b.Nickname)},
			{Column: cellIncarnation, Value: number(uint64(b.Incarnation))},
			{Column: cellModified, Value: number(uint64(ev.T))},
			{Column: cellDeleted, Value: number(0)},
		}
	case user.Deleted:
		return b.Registered, []table.Cell{
			{Column: cellModified, Value: number(uint64(ev.T))},
			{Column: cellDeleted, Value: number(1)},
		}
	case user.PasswordSet:
		return b.Registered, []table.Cell{{Column: cellModified, Value: number(uint64(ev.T))}}
	}
	return 0, nil
}

func number(v uint64) []byte { return binary.BigEndian.AppendUint64(nil, v) }

// Day returns the bucket of a user by when it was registered: days since 2025-01-01. It is part of the stored format.
func Day(registered domain.T) uint64 { return uint64(registered) / dayT }

// Partition names the partition of a day of an app.
func (p *Projection) Partition(app domain.AppID, day uint64) table.Key {
	return p.DaysPartition(app).Uint64(day)
}

// DaysPartition names the partition of Days.
func (p *Projection) DaysPartition(app domain.AppID) table.Key {
	return make(table.Key, 0, len(app)+10).Text(string(app))
}

// Cluster returns the place of a user in its day.
func Cluster(registered domain.T, u domain.UserID) table.Key {
	return table.Key(nil).Uint64(uint64(registered)).Text(string(u))
}

// Profile reads a row. ok is false for one whose registration is not written yet.
func (p *Projection) Profile(app domain.AppID, row table.Row) (out Profile, ok bool, err error) {
	if !row.Found() || row.Cells[cellUUID].T == 0 {
		return out, false, nil
	}
	registered, rest, err := row.Cluster.CutUint64()
	if err != nil {
		return out, false, fmt.Errorf("profiles: read row: %w", err)
	}
	name, _, err := rest.CutString()
	if err != nil {
		return out, false, fmt.Errorf("profiles: read row: %w", err)
	}
	var v [3]uint64
	for i := range v {
		c := row.Cells[cellIncarnation+i]
		if len(c.Value) != 8 {
			return out, false, fmt.Errorf("profiles: cell %s of %d bytes", p.table.Cells[cellIncarnation+i].Name, len(c.Value))
		}
		v[i] = binary.BigEndian.Uint64(c.Value)
	}
	return Profile{
		App: app, User: domain.UserID(name), Incarnation: domain.Incarnation(v[0]),
		UUID: string(row.Cells[cellUUID].Value), Nickname: string(row.Cells[cellNickname].Value),
		Registered: domain.T(registered), Modified: domain.T(v[1]), Deleted: v[2] != 0,
	}, true, nil
}

// DayStart returns the least T of a day.
func DayStart(day uint64) uint64 { return day * dayT }
