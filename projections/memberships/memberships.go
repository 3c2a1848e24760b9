// Package memberships is the read model of a user's conversations: which entries of each the user may see, and what has been read.
//
// A row is a conversation of one name; each cell is an absolute value of the span that began last. The event that begins a span writes every
// cell (in groups it carries the spans before it), so nothing of the one before shows through, and readers take only rows of the incarnation
// they ask for.
//
// That a group has ended is no event of each member, and not here: its head says so, and the read model groups.
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

// Cells of Table. All are numbers of 8 bytes, big-endian, but the last: pairs of them.
const (
	cellIncarnation = iota
	cellFrom        // first entry that reaches the user's devices
	cellUntil       // 0: still a member; else the last
	cellFromN       // countable messages before from
	cellReadN       // countable messages read
	cellOwn         // countable messages sent
	cellReadOwn     // how many of those read are the user's own
	cellHistoryFrom // first entry that the user's history shows; 0: from
	cellJoined      // T of the event that began the span; 0 in direct conversations
	cellShield      // 1: the user wants the messages on no device
	cellEarlier     // the spans before, oldest first: from and until of each
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
		{Name: "history_from", Type: table.Bytes},
		{Name: "joined", Type: table.Bytes},
		{Name: "shield", Type: table.Bytes},
		{Name: "earlier", Type: table.Bytes},
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
	w := writer{p: p, stream: a.Commit.Stream, dst: dst}
	for i := range a.Commit.Events {
		ev := &a.Commit.Events[i]
		w.t = uint64(ev.T)
		if err := w.apply(ev); err != nil {
			return w.dst, fmt.Errorf("memberships: %s: %w", ev.Body.EventName(), err)
		}
	}
	return w.dst, nil
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

// Key names the row of one membership. It makes one allocation.
func (p *Projection) Key(app domain.AppID, u domain.UserID, stream domain.StreamID) table.RowKey {
	key := make(table.Key, 0, len(app)+len(u)+len(stream)+3).Text(string(app)).Text(string(u))
	n := len(key)
	key = key.Text(string(stream))
	return table.RowKey{Partition: key[:n:n], Cluster: key[n:]}
}

// Membership reads a row. ok is false when it is not of the incarnation, or not whole yet: what begins a span comes first in the log, but
// stores may show a later cell before it.
func (p *Projection) Membership(row table.Row, inc domain.Incarnation) (m conversation.Membership, ok bool, err error) {
	if !row.Found() {
		return m, false, nil
	}
	var v [cellEarlier]uint64
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
	if v[cellJoined] != 0 {
		m.Incarnation, m.HistoryFrom, m.Joined = inc, domain.Seq(v[cellHistoryFrom]), domain.T(v[cellJoined])
		m.Shield = v[cellShield] != 0
		m.Earlier, err = decodeSpans(row.Cells[cellEarlier].Value)
	}
	return m, err == nil, err
}

// encodeSpans returns the value of cellEarlier.
func encodeSpans(spans []conversation.Span) []byte {
	out := make([]byte, 0, 16*len(spans))
	for _, s := range spans {
		out = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(out, uint64(s.From)), uint64(s.Until))
	}
	return out
}

func decodeSpans(b []byte) (out []conversation.Span, err error) {
	if len(b)%16 != 0 {
		return nil, fmt.Errorf("memberships: spans of %d bytes", len(b))
	}
	for ; len(b) > 0; b = b[16:] {
		out = append(out, conversation.Span{
			From: domain.Seq(binary.BigEndian.Uint64(b)), Until: domain.Seq(binary.BigEndian.Uint64(b[8:])),
		})
	}
	return out, nil
}
