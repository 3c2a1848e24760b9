package msync

import (
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// Sync is a decoded CommSyncUL. Its slices alias the frame.
type Sync struct {
	HasMeta  bool
	Meta     MetaView
	Key      uint64 // 0: no key. A client that was given none sends 0
	HasQueue bool
	Queue    JIDView
}

// MetaView is a decoded Meta. Its slices alias the frame.
type MetaView struct {
	ID        uint64
	From      JIDView
	To        JIDView
	Timestamp uint64 // ms
	NS        Meta_NameSpace
	Payload   []byte // as the client wrote it
	RouteType Meta_RouteType
	Ext       []byte   // the fields ext, encoded, to relay as they are
	Meta      []byte   // JSON
	Directed  [][]byte // nil unless the message names its readers
}

var (
	syncOnce = once(1, 2, 3, 4, 5)
	metaOnce = once(1, 2, 3, 4, 5, 6, 7, 9)
)

// DecodeSync decodes the payload of a SYNC that goes up. It allocates only for directed messages and errors.
func DecodeSync(payload []byte) (Sync, error) {
	var s Sync
	f := walk("CommSyncUL", payload, syncOnce)
	for f.next() {
		switch f.num {
		case 1:
			s.HasMeta = true
			b := f.bytes(0)
			if f.err == nil {
				f.sub(decodeMeta(b, &s.Meta))
			}
		case 2:
			s.Key = f.varint()
		case 3:
			s.HasQueue = true
			s.Queue = f.jid()
		case 4, 5:
			f.varint()
		}
	}
	return s, f.err
}

// DecodeMeta decodes one entry of a queue.
func DecodeMeta(b []byte) (MetaView, error) {
	var m MetaView
	err := decodeMeta(b, &m)
	return m, err
}

func decodeMeta(b []byte, m *MetaView) error {
	f := walk("Meta", b, metaOnce)
	n := 0
	for {
		at := f.b
		if !f.next() {
			return f.err
		}
		switch f.num {
		case 1:
			m.ID = f.varint()
		case 2:
			m.From = f.jid()
		case 3:
			m.To = f.jid()
		case 4:
			m.Timestamp = f.varint()
		case 5:
			m.NS = Meta_NameSpace(f.varint())
		case 6:
			m.Payload = f.bytes(0)
		case 7:
			m.RouteType = Meta_RouteType(f.varint())
		case 8:
			n++
			f.ext(m, at[:len(at)-len(f.b)], n)
		case 9:
			m.Meta = f.bytes(MaxJSONBytes)
		case 10:
			f.directed(m)
		}
	}
}

// ext checks one KeyValue and adds its encoding to those before: without copying while they stand side by side, as clients write them.
func (f *fields) ext(m *MetaView, field []byte, n int) {
	b := f.bytes(0)
	if f.err != nil {
		return
	}
	if n > MaxExtEntries {
		f.fail(ErrTooLarge)
		return
	}
	f.sub(checkKeyValue(b))
	switch {
	case m.Ext == nil:
		m.Ext = field
	case cap(m.Ext) > len(m.Ext) && &m.Ext[:len(m.Ext)+1][len(m.Ext)] == &field[0]:
		m.Ext = m.Ext[:len(m.Ext)+len(field)]
	default:
		m.Ext = append(slices.Clip(m.Ext), field...)
	}
}

func (f *fields) directed(m *MetaView) {
	u := f.text()
	if f.err != nil {
		return
	}
	if len(m.Directed) == MaxDirectedUsers {
		f.fail(ErrTooLarge)
		return
	}
	m.Directed = append(m.Directed, u)
}

// fieldBytes returns the size of a field with a one-byte tag that holds n bytes.
func fieldBytes(n int) int { return 1 + protowire.SizeBytes(n) }
