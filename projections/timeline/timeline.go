// Package timeline is the read model that history and sync read: every entry of every stream, receipts too, in buckets of BucketSize.
//
// A row is the entry as it stands: an entry that changes later (a recall, an edit) is the same row with a higher t. The row's bytes are one
// event of the log's schema, so seq and id are inside.
//
// The row of a recalled message holds no content any more: the recall writes an event of its own over it, which says only who sent the
// message and who may see it, and marks the row. It does so whichever is applied first.
package timeline

import (
	"encoding/binary"
	"fmt"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/message"
	"parley/projections/runner"
	"parley/schemas/event"
	"parley/schemas/table"
)

// Name of the projection.
const Name = "timeline"

// Kind is the projection for a runner.
var Kind = runner.Kind{
	Name: Name, New: func(version int) runner.Projection { return New(version) }, Tables: []runner.Pair{Table},
}

// BucketSize is how many entries of a stream share a partition: 2,000 of 300 B make 0.7 MB. It is part of the stored format.
const BucketSize = 2000

// Cells of Table.
const (
	cellEvent    = iota // one event, as schemas/event encodes it
	cellFlags           // flags, then the kind of message
	cellRecalled        // the T of the recall, 8 bytes, big-endian
)

// Bits of the flags.
const flagHistory = 1

// Table holds the entries.
var Table = runner.NewPair(table.Table{
	ID:   20,
	Name: "timeline",
	Partition: []table.Field{
		{Name: "stream", Type: table.String},
		{Name: "bucket", Type: table.Uint64},
	},
	Cluster: []table.Field{{Name: "seq", Type: table.Uint64}},
	Cells:   []table.Field{{Name: "event", Type: table.Bytes}, {Name: "flags", Type: table.Bytes}, {Name: "recalled", Type: table.Bytes}},
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

// Apply implements runner.Projection: one row for each entry, and for a recall that of its message, too.
func (p *Projection) Apply(dst []table.Write, a *domain.Accepted) ([]table.Write, error) {
	for i := range a.Commit.Events {
		ev := &a.Commit.Events[i]
		if ev.Seq == 0 {
			continue
		}
		if ev.Body == nil {
			return dst, fmt.Errorf("timeline: entry %d of a commit has no body", ev.Seq)
		}
		dst = append(dst, p.write(a.Commit.Stream, ev))
		if b, ok := ev.Body.(conversation.MessageRecalled); ok {
			if b.MessageSeq == 0 || b.MessageSeq >= ev.Seq {
				return dst, fmt.Errorf("timeline: entry %d recalls entry %d", ev.Seq, b.MessageSeq)
			}
			dst = append(dst, p.recall(a.Commit.Stream, &b, ev.T))
		}
	}
	return dst, nil
}

// recall takes the content out of a message's row.
func (p *Projection) recall(stream domain.StreamID, b *conversation.MessageRecalled, t domain.T) table.Write {
	key := p.Key(stream, b.MessageSeq)
	left := domain.Event{T: b.Message, Seq: b.MessageSeq, Body: conversation.MessageSent{From: b.From, Audience: b.Audience}}
	return table.Write{
		Table: p.table, Partition: key.Partition, Cluster: key.Cluster, T: uint64(t),
		Cells: []table.Cell{
			{Column: cellEvent, Value: event.AppendEvent(nil, &left)},
			{Column: cellRecalled, Value: binary.BigEndian.AppendUint64(nil, uint64(t))},
		},
	}
}

func (p *Projection) write(stream domain.StreamID, ev *domain.Event) table.Write {
	// One allocation for both keys and both values.
	buf := make([]byte, 0, len(stream)+eventRoom(ev)+20)
	key := partition(buf, stream, ev.Seq)
	n := len(key)
	key = key.Uint64(uint64(ev.Seq))
	m := len(key)
	buf = append(key, flags(ev.Body)...)
	k := len(buf)
	buf = event.AppendEvent(buf, ev)
	return table.Write{
		Table: p.table, Partition: table.Key(buf[:n:n]), Cluster: table.Key(buf[n:m:m]), T: uint64(ev.T),
		Cells: []table.Cell{{Column: cellEvent, Value: buf[k:len(buf):len(buf)]}, {Column: cellFlags, Value: buf[m:k:k]}},
	}
}

// eventRoom is about how many bytes an event takes encoded.
func eventRoom(ev *domain.Event) int {
	switch b := ev.Body.(type) {
	case conversation.MessageSent:
		return 160 + len(b.Body) + len(b.Ext)
	case conversation.MessageRecalled:
		return 160 + len(b.Body) + len(b.Ext)
	default:
		return 160
	}
}

// flags returns the value of cellFlags.
func flags(body domain.Body) []byte {
	b, ok := body.(conversation.MessageSent)
	switch {
	case !ok:
		return []byte{0, 0}
	case b.History:
		return []byte{flagHistory, byte(b.Kind)}
	default:
		return []byte{0, byte(b.Kind)}
	}
}

func partition(dst table.Key, stream domain.StreamID, seq domain.Seq) table.Key {
	return dst.Text(string(stream)).Uint64(Bucket(seq))
}

// Bucket returns the bucket of an entry.
func Bucket(seq domain.Seq) uint64 { return uint64(seq) / BucketSize }

// Query asks for the entries from..to of one bucket, the one of from; of the one of to when reverse.
func (p *Projection) Query(stream domain.StreamID, from, to domain.Seq, limit int, reverse bool) table.Query {
	at := from
	if reverse {
		at = to
	}
	return table.Query{
		Table: p.table, Partition: partition(nil, stream, at),
		From: table.Key(nil).Uint64(uint64(from)), To: table.Key(nil).Uint64(uint64(to) + 1), Limit: limit, Reverse: reverse,
	}
}

// Key names the row of one entry.
func (p *Projection) Key(stream domain.StreamID, seq domain.Seq) table.RowKey {
	return table.RowKey{Partition: partition(nil, stream, seq), Cluster: table.Key(nil).Uint64(uint64(seq))}
}

// Entry is a row as read. The zero Entry is no row.
type Entry struct {
	Seq      domain.Seq
	History  bool
	Kind     message.Kind
	Recalled bool // the event says only who sent it, and to whom
	encoded  []byte
}

// Entry reads a row. ok is false for a row without its event: not written yet, or only half.
func (p *Projection) Entry(row table.Row) (e Entry, ok bool, err error) {
	if !row.Found() || len(row.Cells[cellEvent].Value) == 0 || len(row.Cells[cellFlags].Value) < 2 {
		return Entry{}, false, nil
	}
	seq, _, err := row.Cluster.CutUint64()
	if err != nil {
		return Entry{}, false, fmt.Errorf("timeline: read row: %w", err)
	}
	f := row.Cells[cellFlags].Value
	return Entry{
		Seq: domain.Seq(seq), History: f[0]&flagHistory != 0, Kind: message.Kind(f[1]), Recalled: row.Cells[cellRecalled].T != 0,
		encoded: row.Cells[cellEvent].Value,
	}, true, nil
}

// Size returns the bytes of the entry as stored.
func (e Entry) Size() int { return len(e.encoded) }

// Event decodes the entry.
func (e Entry) Event() (domain.Event, error) {
	ev, err := event.DecodeEvent(e.encoded)
	if err != nil {
		return domain.Event{}, fmt.Errorf("timeline: entry %d: %w", e.Seq, err)
	}
	if ev.Seq != e.Seq {
		return domain.Event{}, fmt.Errorf("timeline: row %d holds entry %d", e.Seq, ev.Seq)
	}
	return ev, nil
}
