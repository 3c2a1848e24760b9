package msync

import (
	"google.golang.org/protobuf/encoding/protowire"

	"parley/domain/conversation"
)

// Keys of Meta.ext in rooms.
const (
	priorityKey  = "chatroom_msg_tag"
	broadcastKey = "is_broadcast"
)

// PriorityOf reads a message's priority from its encoded Meta.ext fields (MetaView.Ext, MessageSent.Ext). Absent and not readable are
// normal; of several the last counts, as for clients. It does not allocate, except when it fails.
func PriorityOf(ext []byte) conversation.Priority {
	p := conversation.PriorityNormal
	f := walk("Meta", ext, 0)
	for f.next() {
		if f.num != 8 {
			continue
		}
		if tag, is := priorityTag(f.bytes(0)); is {
			p = tag
		}
	}
	if f.err != nil {
		return conversation.PriorityNormal
	}
	return p
}

// priorityTag reads a KeyValue that is the priority; is tells whether it is.
func priorityTag(kv []byte) (p conversation.Priority, is bool) {
	typ, value, has := KeyValue_ValueType(0), uint64(0), false
	f := walk("KeyValue", kv, 0)
	for f.next() {
		switch f.num {
		case 1:
			is = string(f.bytes(0)) == priorityKey
		case 2:
			typ = KeyValue_ValueType(f.varint())
		case 3:
			value, has = f.varint(), true
		}
	}
	whole := typ == KeyValue_INT || typ == KeyValue_UINT || typ == KeyValue_LLINT
	if f.err != nil || !has || !whole || value > uint64(conversation.PriorityLow) {
		return conversation.PriorityNormal, is
	}
	return conversation.Priority(value), is
}

// AppendRoomExt appends the encoded Meta.ext fields of a message that is sent to a room over REST, as the SDKs write them: its priority
// and, when it goes to all rooms of the app, that it does.
func AppendRoomExt(dst []byte, p conversation.Priority, broadcast bool) []byte {
	dst = appendKeyValue(dst, priorityKey, KeyValue_INT, uint64(p))
	if broadcast {
		dst = appendKeyValue(dst, broadcastKey, KeyValue_BOOL, 1)
	}
	return dst
}

// appendKeyValue appends one entry of Meta.ext whose value is a whole number, written even when it is 0.
func appendKeyValue(dst []byte, key string, typ KeyValue_ValueType, v uint64) []byte {
	dst = appendLen(dst, 8, fieldBytes(len(key))+1+protowire.SizeVarint(uint64(typ))+1+protowire.SizeVarint(v))
	dst = appendText(dst, 1, key)
	dst = appendUint(dst, 2, uint64(typ))
	return appendUint(dst, 3, v)
}
