package bench

import (
	"errors"

	"google.golang.org/protobuf/encoding/protowire"

	"parley/schemas/msync"
)

// glance is what a frame holds, without looking into it: enough to count what arrives on nine of ten connections.
type glance struct {
	answer  bool // to a send of one's own
	chats   int  // messages
	others  int  // news of the room and the like
	command msync.MSync_Command
}

// the numbers of the fields that are looked at
const (
	fieldCommand, fieldPayload = 8, 9 // of an MSync
	fieldMetaID, fieldMetas    = 2, 4 // of a CommSyncDL
	fieldNS                    = 5    // of a Meta
)

var errNoFrame = errors.New("not a frame")

// look counts the entries of a frame. It allocates nothing.
func look(frame []byte) (g glance, err error) {
	var payload []byte
	for len(frame) > 0 {
		f, n := field(frame)
		if n < 0 {
			return g, errNoFrame
		}
		switch f.num {
		case fieldCommand:
			g.command = msync.MSync_Command(f.number)
		case fieldPayload:
			payload = f.bytes
		}
		frame = frame[n:]
	}
	if g.command != msync.MSync_SYNC {
		return g, nil
	}
	return g, g.entries(payload)
}

func (g *glance) entries(sync []byte) error {
	for len(sync) > 0 {
		f, n := field(sync)
		if n < 0 {
			return errNoFrame
		}
		switch f.num {
		case fieldMetaID:
			g.answer = g.answer || f.number != 0
		case fieldMetas:
			ns, ok := nameSpace(f.bytes)
			switch {
			case !ok:
				return errNoFrame
			case ns == msync.Meta_CHAT:
				g.chats++
			default:
				g.others++
			}
		}
		sync = sync[n:]
	}
	return nil
}

// nameSpace finds what kind of entry a meta is. It steps over the addresses before that, which are short, without looking at them.
func nameSpace(meta []byte) (msync.Meta_NameSpace, bool) {
	const oneByte, bytesType = 0x80, 2
	for len(meta) > 0 {
		if tag := meta[0]; tag&(oneByte|7) == bytesType && tag > 7 && len(meta) >= 2 && meta[1] < 0x80 && len(meta) >= 2+int(meta[1]) {
			meta = meta[2+int(meta[1]):]
			continue
		}
		f, n := field(meta)
		if n < 0 {
			return 0, false
		}
		if f.num == fieldNS {
			return msync.Meta_NameSpace(f.number), true
		}
		meta = meta[n:]
	}
	return 0, true
}

// wireField is a field of a message: with its number as it is or its bytes.
type wireField struct {
	num    protowire.Number
	number uint64
	bytes  []byte
}

// field reads the field that begins b, and returns its length, or less than 0. Short fields with small numbers, which nearly all are, are
// read in place.
func field(b []byte) (f wireField, length int) {
	if len(b) >= 2 && b[0] < 0x80 && b[1] < 0x80 && b[0] >= 1<<3 {
		n := int(b[1])
		switch f.num = protowire.Number(b[0] >> 3); protowire.Type(b[0] & 7) {
		case protowire.VarintType:
			f.number = uint64(n)
			return f, 2
		case protowire.BytesType:
			if len(b) < 2+n {
				return f, -1
			}
			f.bytes = b[2 : 2+n]
			return f, 2 + n
		default: // the long way
		}
	}
	return longField(b)
}

func longField(b []byte) (f wireField, length int) {
	num, typ, tag := protowire.ConsumeTag(b)
	if tag < 0 {
		return f, tag
	}
	f.num = num
	var n int
	switch typ {
	case protowire.VarintType:
		f.number, n = protowire.ConsumeVarint(b[tag:])
	case protowire.BytesType:
		f.bytes, n = protowire.ConsumeBytes(b[tag:])
	default:
		n = protowire.ConsumeFieldValue(num, typ, b[tag:])
	}
	if n < 0 {
		return f, n
	}
	return f, tag + n
}
