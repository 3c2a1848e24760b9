// Package roles is the read model of what has to end with an account: the rooms that a user owns, and those on whose allow lists the user is.
// Of groups the memberships say so.
//
// Table has a row for each room in which a user ever had a role. That a room has ended is not in it: the room's own row says so
// (projections/groups). Gone has the last incarnation of each name whose account was deleted.
//
// The two can race: an account ends while a room is given to it. Who reacts to either event reads the other's row after its own is written,
// so that one of them sees both.
package roles

import (
	"encoding/binary"
	"errors"
	"fmt"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/user"
	"parley/projections/runner"
	"parley/schemas/table"
)

// Name of the projection.
const Name = "roles"

// Kind is the projection for a runner.
var Kind = runner.Kind{
	Name: Name, New: func(version int) runner.Projection { return New(version) }, Tables: []runner.Pair{Table, Gone},
}

// Cells of Table: the incarnation that has the role, 8 bytes, big-endian; 0: none has it any more.
const (
	cellOwner = iota
	cellAllowed
	cells
)

// Table holds the roles of users in rooms.
var Table = runner.NewPair(table.Table{
	ID:        63,
	Name:      "room_roles",
	Partition: []table.Field{{Name: "app", Type: table.String}, {Name: "user", Type: table.String}},
	Cluster:   []table.Field{{Name: "stream", Type: table.String}},
	Cells:     []table.Field{{Name: "owner", Type: table.Bytes}, {Name: "allowed", Type: table.Bytes}},
})

// Gone holds the deleted accounts.
var Gone = runner.NewPair(table.Table{
	ID:        64,
	Name:      "deleted_users",
	Partition: []table.Field{{Name: "app", Type: table.String}, {Name: "user", Type: table.String}},
	Cells:     []table.Field{{Name: "incarnation", Type: table.Bytes}},
})

// Role is a row as read.
type Role struct {
	Room    domain.StreamID
	Owner   domain.Incarnation // who of the name owns the room; 0: none
	Allowed domain.Incarnation // who of the name is on its allow list; 0: none
}

// Projection writes Table and Gone.
type Projection struct {
	version     int
	table, gone *table.Table
}

// New returns the projection for one version of its rows.
func New(version int) *Projection {
	return &Projection{version: version, table: Table.Of(version), gone: Gone.Of(version)}
}

// Name implements runner.Projection.
func (p *Projection) Name() string { return Name }

// Version implements runner.Projection.
func (p *Projection) Version() int { return p.version }

var errElsewhere = errors.New("roles: a room's event outside a room, or a user's outside a user's stream")

// Apply implements runner.Projection.
func (p *Projection) Apply(dst []table.Write, a *domain.Accepted) (out []table.Write, err error) {
	for i := range a.Commit.Events {
		w := writer{p: p, stream: a.Commit.Stream, t: a.Commit.Events[i].T, dst: dst}
		if err := w.apply(a.Commit.Events[i].Body); err != nil {
			return dst, err
		}
		dst = w.dst
	}
	return dst, nil
}

// writer makes the writes of one event.
type writer struct {
	p      *Projection
	stream domain.StreamID
	t      domain.T
	dst    []table.Write
}

func (w *writer) apply(body domain.Body) error {
	switch b := body.(type) {
	case user.Deleted:
		return w.leave(b.Incarnation)
	case conversation.RoomCreated:
		return w.set(cellOwner, b.Owner.User, b.Owner.Incarnation)
	case conversation.RoomTransferred:
		if b.Old.User != b.Owner.User { // not the same name, made anew
			if err := w.set(cellOwner, b.Old.User, 0); err != nil {
				return err
			}
		}
		return w.set(cellOwner, b.Owner.User, b.Owner.Incarnation)
	case conversation.UsersAllowed:
		for _, u := range b.Users {
			if err := w.set(cellAllowed, u.User, u.Incarnation); err != nil {
				return err
			}
		}
	case conversation.UsersDisallowed:
		for _, u := range b.Users {
			if err := w.set(cellAllowed, u.User, 0); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *writer) set(column uint8, u domain.UserID, inc domain.Incarnation) error {
	st, ok := w.stream.Parse()
	if !ok || st.Kind != domain.KindRoom {
		return errElsewhere
	}
	key := w.p.Key(st.App, u, w.stream)
	w.dst = append(w.dst, table.Write{
		Table: w.p.table, Partition: key.Partition, Cluster: key.Cluster, T: uint64(w.t), Cells: []table.Cell{incarnation(column, inc)},
	})
	return nil
}

func (w *writer) leave(inc domain.Incarnation) error {
	st, ok := w.stream.Parse()
	if !ok || st.Kind != domain.KindUser {
		return errElsewhere
	}
	w.dst = append(w.dst, table.Write{
		Table: w.p.gone, Partition: w.p.Partition(st.App, domain.UserID(st.A)), T: uint64(w.t), Cells: []table.Cell{incarnation(0, inc)},
	})
	return nil
}

func incarnation(column uint8, inc domain.Incarnation) table.Cell {
	return table.Cell{Column: column, Value: binary.BigEndian.AppendUint64(nil, uint64(inc))}
}

// Partition names the partition of a user, in both tables.
func (p *Projection) Partition(app domain.AppID, u domain.UserID) table.Key {
	return make(table.Key, 0, len(app)+len(u)+2).Text(string(app)).Text(string(u))
}

// Key names the row of a user in a room.
func (p *Projection) Key(app domain.AppID, u domain.UserID, room domain.StreamID) table.RowKey {
	return table.RowKey{Partition: p.Partition(app, u), Cluster: make(table.Key, 0, len(room)+1).Text(string(room))}
}

// Role reads a row of Table.
func (p *Projection) Role(row table.Row) (r Role, err error) {
	room, _, err := row.Cluster.CutString()
	if err != nil {
		return r, fmt.Errorf("roles: read row: %w", err)
	}
	var v [cells]domain.Incarnation
	for i := range v {
		if v[i], err = read(row.Cells[i]); err != nil {
			return r, err
		}
	}
	return Role{Room: domain.StreamID(room), Owner: v[cellOwner], Allowed: v[cellAllowed]}, nil
}

// Last reads a row of Gone: the last incarnation that was deleted, 0 when none was.
func (p *Projection) Last(row table.Row) (domain.Incarnation, error) {
	if !row.Found() {
		return 0, nil
	}
	return read(row.Cells[0])
}

func read(cell table.Value) (domain.Incarnation, error) {
	switch {
	case cell.T == 0:
		return 0, nil
	case len(cell.Value) != 8:
		return 0, fmt.Errorf("roles: a cell of %d bytes", len(cell.Value))
	default:
		return domain.Incarnation(binary.BigEndian.Uint64(cell.Value)), nil
	}
}
