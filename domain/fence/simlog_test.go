package fence

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"parley/domain"
)

// simLog is the partition of a simulated world: what lands is there for ever, unless the world truncates it. It keeps the truth beside it: what
// the reader rule, with every rule in force, makes of the log.
type simLog struct {
	records []domain.LogRecord
	end     domain.Offset

	read     Reader
	broken   bool // the truth itself cannot go on: after a truncation only
	accepted []Record
	rows     map[uint8][]*simRow // after each commit, by stream
	lastT    uint64
	content  map[[2]uint64][]byte // (term, index) to the one content that it names
	voided   map[[2]uint64]bool   // an owner said that these never will be accepted
	claims   map[string]bool      // nonces used
	owners   map[domain.Term]bool // terms that a node said it owns
}

func newSimLog() *simLog {
	return &simLog{
		rows: map[uint8][]*simRow{}, content: map[[2]uint64][]byte{}, voided: map[[2]uint64]bool{}, claims: map[string]bool{},
		owners: map[domain.Term]bool{},
	}
}

// land appends a batch, whole, and returns its base offset.
func (l *simLog) land(values [][]byte) (domain.Offset, error) {
	base := l.end
	var failure error
	for _, v := range values {
		l.records = append(l.records, domain.LogRecord{Offset: l.end, Value: v})
		failure = errors.Join(failure, l.judge(l.end, v))
		l.end++
	}
	return base, failure
}

// judge extends the truth and checks what must hold of it: nothing twice, nothing out of order, nothing that was called void.
func (l *simLog) judge(at domain.Offset, value []byte) error {
	if l.broken {
		return nil
	}
	v, err := l.read.Read(at, value)
	if err != nil {
		l.broken = true
		return fmt.Errorf("the log itself is broken: %w", err)
	}
	if v != Accepted {
		return nil
	}
	return l.accept(at, value)
}

func (l *simLog) accept(at domain.Offset, value []byte) error {
	h, _ := ParseHeader(value)
	ev := parseSimEvent(value)
	l.accepted = append(l.accepted, Record{Offset: at, Value: value, Header: h, After: l.read})
	row := l.row(ev.stream)
	switch {
	case l.voided[[2]uint64{uint64(h.Term), uint64(h.Index)}]:
		return fmt.Errorf("index %d of term %d was accepted after its owner had called it void", h.Index, h.Term)
	case row.has(ev.id) != 0:
		return fmt.Errorf("command %d is in the log twice", ev.id)
	case ev.seq != row.seq+1:
		return fmt.Errorf("stream %d goes from seq %d to %d", ev.stream, row.seq, ev.seq)
	case ev.t <= l.lastT:
		return fmt.Errorf("t goes from %d to %d", l.lastT, ev.t)
	}
	l.lastT = ev.t
	l.rows[ev.stream] = append(l.rows[ev.stream], row.evolve(ev, 0))
	return nil
}

// row is the fold of the accepted commits of a stream.
func (l *simLog) row(stream uint8) *simRow {
	if rows := l.rows[stream]; len(rows) > 0 {
		return rows[len(rows)-1]
	}
	return &simRow{}
}

// rowAt is the fold up to the commit with that t.
func (l *simLog) rowAt(stream uint8, t uint64) *simRow {
	for _, r := range l.rows[stream] {
		if r.asof == t {
			return r
		}
	}
	return nil
}

// truncate loses the last records, as an unclean election does, and tells the truth anew.
func (l *simLog) truncate(lost int) {
	kept := slices.Clone(l.records[:len(l.records)-lost])
	*l = simLog{records: kept, rows: map[uint8][]*simRow{}, content: l.content, voided: l.voided, claims: l.claims, owners: l.owners}
	for _, r := range kept {
		_ = l.judge(r.Offset, r.Value)
		l.end = r.Offset + 1
	}
}

func (l *simLog) from(at domain.Offset, limit int) []domain.LogRecord {
	i := min(max(0, int(at)), len(l.records))
	return l.records[i:min(len(l.records), i+limit)]
}

// sent checks a commit on its way to the log: (term, index) names one content for ever.
func (l *simLog) sent(value []byte) error {
	h, err := ParseHeader(value)
	if err != nil {
		return err
	}
	if h.IsClaim() {
		if l.claims[string(value[HeaderSize:])] {
			return errors.New("a nonce was used twice")
		}
		l.claims[string(value[HeaderSize:])] = true
		return nil
	}
	key := [2]uint64{uint64(h.Term), uint64(h.Index)}
	if old, ok := l.content[key]; ok && !bytes.Equal(old, value) {
		return fmt.Errorf("index %d of term %d has two contents", h.Index, h.Term)
	}
	l.content[key] = value
	return nil
}

// known checks that a node's accepted commit is the truth's, with all that came before it.
func (l *simLog) known(r Record) error {
	i := int(r.Header.Index) - 1
	if i < 0 || i >= len(l.accepted) {
		return fmt.Errorf("index %d is not in the log", r.Header.Index)
	}
	truth := l.accepted[i]
	if truth.Offset != r.Offset || truth.After != plain(r.After) || !bytes.Equal(truth.Value, r.Value) {
		return fmt.Errorf("index %d is %+v, the truth is %+v", r.Header.Index, r.After, truth.After)
	}
	return nil
}

func plain(r Reader) Reader { r.omit = 0; return r }

// simEvent is the one kind of event: command id was carried out on a stream. Its values are absolute.
type simEvent struct {
	stream uint8
	id     uint16
	seq    uint64
	t      uint64
}

func (e simEvent) value() []byte {
	v := make([]byte, HeaderSize, HeaderSize+19)
	v = append(v, e.stream)
	v = binary.LittleEndian.AppendUint16(v, e.id)
	v = binary.LittleEndian.AppendUint64(v, e.seq)
	return binary.LittleEndian.AppendUint64(v, e.t)
}

func parseSimEvent(value []byte) simEvent {
	b := value[HeaderSize:]
	if len(b) < 19 {
		return simEvent{}
	}
	return simEvent{b[0], binary.LittleEndian.Uint16(b[1:]), binary.LittleEndian.Uint64(b[3:]), binary.LittleEndian.Uint64(b[11:])}
}

// simRow is a stream's row of state. Immutable.
type simRow struct {
	asof, seq uint64
	ids       []uint16 // in order of seq
}

// has returns the seq that the command took, or 0.
func (r *simRow) has(id uint16) uint64 {
	for i, x := range r.ids {
		if x == id {
			return uint64(i + 1)
		}
	}
	return 0
}

func (r *simRow) evolve(e simEvent, omit shellRule) *simRow {
	if e.t <= r.asof && !omit.has(oldEventsSkipped) {
		return r
	}
	return &simRow{asof: e.t, seq: e.seq, ids: append(slices.Clip(r.ids), e.id)}
}

func (r *simRow) equal(o *simRow) bool {
	if o == nil || r.asof != o.asof || r.seq != o.seq || len(r.ids) != len(o.ids) {
		return false
	}
	for i := range r.ids {
		if r.ids[i] != o.ids[i] {
			return false
		}
	}
	return true
}

// simStore is the read store: rows with a write timestamp each, and the checkpoint.
type simStore struct {
	rows  map[uint8]*simRow
	place Reader
	t     uint64
}

func (s *simStore) row(stream uint8) *simRow {
	if r := s.rows[stream]; r != nil {
		return r
	}
	return &simRow{}
}

// write lands a row, perhaps long after it was sent. The higher timestamp wins.
func (s *simStore) write(stream uint8, r *simRow, omit shellRule) {
	if r.asof >= s.row(stream).asof || omit.has(asofWins) {
		s.rows[stream] = r
	}
}

// pass lands a checkpoint; its timestamp is its offset.
func (s *simStore) pass(place Reader, t uint64) {
	if place.Next > s.place.Next {
		s.place, s.t = plain(place), t
	}
}
