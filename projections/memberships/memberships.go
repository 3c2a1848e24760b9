// Package memberships is the read model of a user's conversations: which entries of each the user may see, and what has been read.
//
// A row is a conversation of one name; each cell is an absolute value of the incarnation whose MemberAdded came last. A new incarnation's
// MemberAdded writes every cell, so nothing of the one before shows through, and readers take only rows of the incarnation they ask for.
package memberships

import (
	"encoding/binary"
	"fmt"

	"parley/domain"
	"parley/domain/conversation"
	"parley/projections/runner"
	"parley/schemas/table"
)

// Name of the projection.
const Name = "memberships"

// Kind is the projection for a runner.
var Kind = runner.Kind{
	Name: Name, New: func(version int) runner.Projection { return New(version) }, Tables: []runner.Pair{Table},
}

// Cells of Table. All are numbers: 8 bytes, big-endian.
const (
	cellIncarnation = iota
	cellFrom        // first entry that the user may see
	cellUntil       // 0: still a member; else the last
	cellFromN       // countable messages before from
	cellReadN       // countable messages read
	cellOwn         // countable messages sent
	cellReadOwn     // how many of those read are the user's own
	cells
)

// Table holds the memberships.
var Table = runner.NewPair(table.Table{
	ID:   22,
	Name: "memberships",
	Partition: []table.Field{
		{Name: "app", Type: table.String},
		{Name: "user", Type: table.String},
	},
	Cluster: []table.Field{{Name: "stream", Type: table.String}},
	Cells: []table.Field{
		{Name: "incarnation", Type: table.Bytes},
		{Name: "from_seq", Type: table.Bytes},
		{Name: "until_seq", Type: table.Bytes},
		{Name: "from_n", Type: table.Bytes},
		{Name: "read_n", Type: table.Bytes},
		{Name: "own", Type: table.Bytes},
		{Name: "read_own", Type: table.Bytes},
	},
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

// Coalesce implements runner.Coalescer: a busy sender's own count changes with every message, and only the last matters.
func (p *Projection) Coalesce() bool { return true }

// Apply implements runner.Projection.
func (p *Projection) Apply(dst []table.Write, a *domain.Accepted) ([]table.Write, error) {
	for i := range a.Commit.Events {
		ev := &a.Commit.Events[i]
		u, cs := change(ev.Body)
		if cs == nil {
			continue
		}
		st, ok := a.Commit.Stream.Parse()
		if !ok {
			return dst, fmt.Errorf("memberships: %s of a stream whose id cannot be read", ev.Body.EventName())
		}
		key := p.Key(st.App, u, a.Commit.Stream)
		dst = append(dst, table.Write{Table: p.table, Partition: key.Partition, Cluster: key.Cluster, T: uint64(ev.T), Cells: cs})
	}
	return dst, nil
}

// change says whose row an event changes, and how. No cells: none.
func change(body domain.Body) (domain.UserID, []table.Cell) {
	switch b := body.(type) {
	case conversation.MemberAdded:
		return b.User, numbers(
			cellIncarnation, uint64(b.Incarnation), cellFrom, uint64(b.From), cellUntil, 0,
			cellFromN, b.N, cellReadN, b.N, cellOwn, 0, cellReadOwn, 0)
	case conversation.MessageSent:
		if b.Counted && b.Own > 0 {
			return b.From, numbers(cellOwn, b.Own)
		}
	case conversation.ConversationRead:
		return b.By, numbers(cellReadN, b.ReadN, cellReadOwn, b.ReadOwn)
	}
	return "", nil
}

// numbers makes cells of pairs of column and value.
func numbers(pairs ...uint64) []table.Cell {
	out := make([]table.Cell, 0, len(pairs)/2)
	buf := make([]byte, 0, 4*len(pairs))
	for i := 0; i < len(pairs); i += 2 {
		n := len(buf)
		buf = binary.BigEndian.AppendUint64(buf, pairs[i+1])
		out = append(out, table.Cell{Column: uint8(pairs[i]), Value: buf[n:len(buf):len(buf)]})
	}
	return out
}

// Partition names the partition of a user's memberships.
func (p *Projection) Partition(app domain.AppID, u domain.UserID) table.Key {
	key := make(table.Key, 0, len(app)+len(u)+3)
	return key.Text(string(app)).Text(string(u))
}

// Key names the row of one membership.
func (p *Projection) Key(app domain.AppID, u domain.UserID, stream domain.StreamID) table.RowKey {
	// One allocation for both.
	key := make(table.Key, 0, len(app)+len(u)+len(stream)+3)
	key = key.Text(string(app)).Text(string(u))
	n := len(key)
	key = key.Text(string(stream))
	return table.RowKey{Partition: key[:n:n], Cluster: key[n:]}
}

// Membership reads a row. ok is false when it is not of the incarnation, or not whole yet: the MemberAdded comes first in the log, but
// stores may show a later cell before it.
func (p *Projection) Membership(row table.Row, inc domain.Incarnation) (m conversation.Membership, ok bool, err error) {
	if !row.Found() {
		return m, false, nil
	}
	var v [cells]uint64
	for i := range v {
		cell := row.Cells[i]
		if cell.T == 0 {
			continue
		}
		if len(cell.Value) != 8 {
			return m, false, fmt.Errorf("memberships: cell %s of %d bytes", p.table.Cells[i].Name, len(cell.Value))
		}
		v[i] = binary.BigEndian.Uint64(cell.Value)
		m.T = max(m.T, domain.T(cell.T))
	}
	if v[cellIncarnation] != uint64(inc) || inc == 0 {
		return m, false, nil
	}
	stream, _, err := row.Cluster.CutString()
	if err != nil {
		return m, false, fmt.Errorf("memberships: read row: %w", err)
	}
	m.Stream, m.From, m.Until = domain.StreamID(stream), domain.Seq(v[cellFrom]), domain.Seq(v[cellUntil])
	m.FromN, m.ReadN, m.Own, m.ReadOwn = v[cellFromN], v[cellReadN], v[cellOwn], v[cellReadOwn]
	return m, true, nil
}
