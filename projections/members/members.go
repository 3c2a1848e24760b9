// Package members is the read model of a group's members: by name, for those who need all, and by when they joined, for lists.
//
// A user who is a member no more keeps the row, with the entry that ended it. The list by time is never corrected: a line of it counts
// only while it is that of the user's row (Member.Joined) and the user is still a member. What the members' roles are, and that a group
// has ended, the group's head says.
package members

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
const Name = "members"

// Kind is the projection for a runner.
var Kind = runner.Kind{
	Name: Name, New: func(version int) runner.Projection { return New(version) }, Tables: []runner.Pair{Table, Joins},
}

// Cells of Table. All are numbers: 8 bytes, big-endian.
const (
	cellIncarnation = iota
	cellJoined      // T of the event that made the user a member
	cellFrom        // the entry that did
	cellUntil       // 0: still a member; else the entry that ended it
	cells
)

// Table holds the members by name.
var Table = runner.NewPair(table.Table{
	ID:        25,
	Name:      "members",
	Partition: []table.Field{{Name: "stream", Type: table.String}},
	Cluster:   []table.Field{{Name: "user", Type: table.String}},
	Cells: []table.Field{
		{Name: "incarnation", Type: table.Bytes},
		{Name: "joined", Type: table.Bytes},
		{Name: "from_seq", Type: table.Bytes},
		{Name: "until_seq", Type: table.Bytes},
	},
})

// Joins holds who joined when.
var Joins = runner.NewPair(table.Table{
	ID:        26,
	Name:      "member_joins",
	Partition: []table.Field{{Name: "stream", Type: table.String}},
	Cluster:   []table.Field{{Name: "joined", Type: table.Uint64}, {Name: "user", Type: table.String}},
	Cells:     []table.Field{{Name: "used", Type: table.Bytes}},
})

// Member is a row as read.
type Member struct {
	User        domain.UserID
	Incarnation domain.Incarnation // whom it was that joined; the name may have been registered anew since
	Joined      domain.T
	From        domain.Seq
	Until       domain.Seq // 0: still a member
}

// Projection writes Table and Joins.
type Projection struct {
	version int
	table   *table.Table
	joins   *table.Table
}

// New returns the projection for one version of its rows.
func New(version int) *Projection {
	return &Projection{version: version, table: Table.Of(version), joins: Joins.Of(version)}
}

// Name implements runner.Projection.
func (p *Projection) Name() string { return Name }

// Version implements runner.Projection.
func (p *Projection) Version() int { return p.version }

var errNoGroup = errors.New("members: a group's event outside a group")

// Apply implements runner.Projection.
func (p *Projection) Apply(dst []table.Write, a *domain.Accepted) ([]table.Write, error) {
	for i := range a.Commit.Events {
		ev := &a.Commit.Events[i]
		var joined []conversation.Joiner
		from := ev.Seq
		switch b := ev.Body.(type) {
		case conversation.GroupCreated:
			joined = []conversation.Joiner{{User: b.Owner.User, Incarnation: b.Owner.Incarnation}}
		case conversation.MembersAdded:
			joined, from = b.Members, b.From
		case conversation.MembersRemoved:
			for _, u := range b.Users {
				dst = append(dst, p.write(a.Commit.Stream, u, ev.T, cellUntil, uint64(ev.Seq)))
			}
		}
		if len(joined) > 0 {
			if st, ok := a.Commit.Stream.Parse(); !ok || st.Kind != domain.KindGroup {
				return dst, errNoGroup
			}
		}
		for _, m := range joined {
			dst = append(dst, p.write(a.Commit.Stream, m.User, ev.T,
				cellIncarnation, uint64(m.Incarnation), cellJoined, uint64(ev.T), cellFrom, uint64(from), cellUntil, 0),
				table.Write{
					Table: p.joins, Partition: p.Partition(a.Commit.Stream), Cluster: joinCluster(ev.T, m.User), T: uint64(ev.T),
					Cells: []table.Cell{{Column: 0, Value: []byte{1}}},
				})
		}
	}
	return dst, nil
}

// write sets cells of a member's row, given as pairs of column and value.
func (p *Projection) write(stream domain.StreamID, u domain.UserID, t domain.T, pairs ...uint64) table.Write {
	cs := make([]table.Cell, 0, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		cs = append(cs, table.Cell{Column: uint8(pairs[i]), Value: binary.BigEndian.AppendUint64(nil, pairs[i+1])})
	}
	key := p.Key(stream, u)
	return table.Write{Table: p.table, Partition: key.Partition, Cluster: key.Cluster, T: uint64(t), Cells: cs}
}

// Partition names the partition of a group's members, in both tables.
func (p *Projection) Partition(stream domain.StreamID) table.Key {
	return make(table.Key, 0, len(stream)+1).Text(string(stream))
}

// Key names the row of a member.
func (p *Projection) Key(stream domain.StreamID, u domain.UserID) table.RowKey {
	return table.RowKey{Partition: p.Partition(stream), Cluster: make(table.Key, 0, len(u)+1).Text(string(u))}
}

func joinCluster(joined domain.T, u domain.UserID) table.Key {
	return make(table.Key, 0, len(u)+9).Uint64(uint64(joined)).Text(string(u))
}

// Join reads a row of Joins: who joined, and when.
func (p *Projection) Join(row table.Row) (joined domain.T, u domain.UserID, err error) {
	t, rest, err := row.Cluster.CutUint64()
	if err != nil {
		return 0, "", fmt.Errorf("members: read join: %w", err)
	}
	name, _, err := rest.CutString()
	if err != nil {
		return 0, "", fmt.Errorf("members: read join: %w", err)
	}
	return domain.T(t), domain.UserID(name), nil
}

// Member reads a row of Table. ok is false when there is none, or not whole yet.
func (p *Projection) Member(row table.Row) (m Member, ok bool, err error) {
	if !row.Found() || row.Cells[cellIncarnation].T == 0 {
		return m, false, nil
	}
	name, _, err := row.Cluster.CutString()
	if err != nil {
		return m, false, fmt.Errorf("members: read row: %w", err)
	}
	var v [cells]uint64
	for i := range v {
		if len(row.Cells[i].Value) != 8 {
			return m, false, fmt.Errorf("members: cell %s of %d bytes", p.table.Cells[i].Name, len(row.Cells[i].Value))
		}
		v[i] = binary.BigEndian.Uint64(row.Cells[i].Value)
	}
	return Member{
		User: domain.UserID(name), Incarnation: domain.Incarnation(v[cellIncarnation]), Joined: domain.T(v[cellJoined]),
		From: domain.Seq(v[cellFrom]), Until: domain.Seq(v[cellUntil]),
	}, true, nil
}
