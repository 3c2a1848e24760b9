package msync

import "unicode/utf8"

// MaxJoinExtBytes is the most that who joins a room may say to the others, in bytes.
const MaxJoinExtBytes = 4 << 10

// RoomCall is what a client asks of a room over the socket: the payload of a Meta with ns MUC. Its slices alias the payload.
type RoomCall struct {
	HasOperation bool
	Operation    MUCBody_Operation // JOIN or LEAVE, if the client is one of ours
	Room         JIDView
	From         JIDView // what the client calls its user; who it is the session says
	Chatroom     bool
	Ext          []byte // UTF-8
	LeaveOthers  bool
}

var roomCallOnce = once(1, 2, 3, 7, 14, 15)

// ScanRoomCall reads the payload of a join or leave. What clients do not send there is passed over. It allocates only when it fails.
func ScanRoomCall(payload []byte) (RoomCall, error) {
	var c RoomCall
	f := walk("MUCBody", payload, roomCallOnce)
	for f.next() {
		switch f.num {
		case 1:
			c.Room = f.jid()
		case 2:
			c.HasOperation = true
			c.Operation = MUCBody_Operation(f.varint())
		case 3:
			c.From = f.jid()
		case 7:
			c.Chatroom = f.varint() != 0
		case 14:
			if c.Ext = f.bytes(MaxJoinExtBytes); !utf8.Valid(c.Ext) {
				f.fail(ErrText)
			}
		case 15:
			c.LeaveOthers = f.varint() != 0
		}
	}
	return c, f.err
}

// AppendRoomCall appends the payload of a join or leave, as clients send it: for parley's own client, its benches and tests.
func AppendRoomCall(dst []byte, appKey, user, room string, op MUCBody_Operation, ext string, leaveOthers bool) []byte {
	dst = appendJID(dst, 1, appKey, room, GroupDomain, "")
	dst = appendUint(dst, 2, uint64(op))
	dst = appendJID(dst, 3, "", user, "", "")
	dst = appendUint(dst, 7, 1)
	if op != MUCBody_JOIN {
		return dst
	}
	dst = appendBytes(dst, 14, []byte(ext))
	return appendUint(dst, 15, uint64(boolByte(leaveOthers)))
}
