// Package domain is parley's vocabulary: the ids, the clock of a log, events, commits and errors that every other package speaks.
//
// It imports only the standard library, does no I/O, reads no clock and rolls no dice: time, ids and facts from outside arrive
// inside commands. What it says must hold:
//
//   - T is strictly growing per log number, so an id names one event for ever and orders the rows derived from it.
//   - A StreamID is canonical: two spellings of one stream do not exist.
//   - A slot never changes for a stream; only the slot map says which partition holds it.
package domain

import (
	"hash/fnv"
	"strings"
)

// AppID names a tenant, "org#app". Every other id lives inside one.
type AppID string

// Org returns the part before '#'.
func (a AppID) Org() string { org, _, _ := strings.Cut(string(a), "#"); return org }

// Name returns the part after '#'.
func (a AppID) Name() string { _, name, _ := strings.Cut(string(a), "#"); return name }

// UserID names an account inside an app: folded to lower case, at most 64 bytes of [a-z0-9_.-].
type UserID string

// Incarnation counts the registrations of one name, from 1. A name registered again inherits nothing. 0 means "no such account".
type Incarnation uint32

// Resource names a device of a user: one login, as the client calls it.
type Resource string

// StreamID names what has one order: "<app>/d/<a>/<b>" (a <= b), "<app>/g/<id>", "<app>/r/<id>", "<app>/t/<id>" or "<app>/u/<user>".
type StreamID string

// Kind is the kind of a stream.
type Kind byte

// Kinds of streams, as their letter in a StreamID.
const (
	KindUser   Kind = 'u'
	KindDirect Kind = 'd'
	KindGroup  Kind = 'g'
	KindRoom   Kind = 'r'
	KindThread Kind = 't'
)

// UserStream returns the stream of a user's own facts.
func UserStream(app AppID, u UserID) StreamID { return StreamID(string(app) + "/u/" + string(u)) }

// DirectStream returns the conversation of two users, whichever is named first.
func DirectStream(app AppID, a, b UserID) StreamID {
	if b < a {
		a, b = b, a
	}
	return StreamID(string(app) + "/d/" + string(a) + "/" + string(b))
}

// GroupStream returns the stream of a group. A group's id has no '/'.
func GroupStream(app AppID, group string) StreamID { return StreamID(string(app) + "/g/" + group) }

// RoomStream returns the stream of a room. A room's id has no '/'.
func RoomStream(app AppID, room string) StreamID { return StreamID(string(app) + "/r/" + room) }

// Stream is a parsed StreamID.
type Stream struct {
	App  AppID
	Kind Kind
	A    string // the user, group, room or thread; of a direct conversation the lesser user
	B    UserID // of a direct conversation the greater user, else empty
}

// Parse splits the id. ok is false when it is not canonical.
func (s StreamID) Parse() (st Stream, ok bool) {
	app, rest, ok := strings.Cut(string(s), "/")
	if !ok || len(rest) < 3 || rest[1] != '/' {
		return Stream{}, false
	}
	st = Stream{App: AppID(app), Kind: Kind(rest[0]), A: rest[2:]}
	switch st.Kind {
	case KindDirect:
		a, b, ok := strings.Cut(st.A, "/")
		if !ok || a == "" || b == "" || b < a || strings.Contains(b, "/") {
			return Stream{}, false
		}
		st.A, st.B = a, UserID(b)
		return st, true
	case KindUser, KindGroup, KindRoom, KindThread:
		return st, !strings.Contains(st.A, "/")
	default:
		return Stream{}, false
	}
}

// Peer returns the other user of a direct conversation as u sees it; talking to oneself, oneself.
func (s Stream) Peer(u UserID) UserID {
	if UserID(s.A) == u {
		return s.B
	}
	return UserID(s.A)
}

// Slots is the number of slots, fixed for ever.
const Slots = 4096

// Slot is a stream's place in the slot map.
type Slot uint16

// Slot returns the stream's slot: FNV-1a of its id, folded, mod Slots. The hash is part of the stored format.
func (s StreamID) Slot() Slot {
	h := fnv.New64a()
	_, _ = h.Write([]byte(s))
	v := h.Sum64()
	return Slot((v ^ v>>32) % Slots)
}

// Seq is a dense number of an entry in its stream, from 1. 0 means an aside, or nothing yet.
type Seq uint64

// Partition names one ordered log: Log numbers 0–2047 are partitions of chats, 2048–3071 of rooms (LogNumber).
type Partition uint16

// Ranges of log numbers; they are the low 12 bits of every T.
const (
	FirstChats Partition = 0
	FirstRooms Partition = 2048
	FirstNode  Partition = 3072 // numbers of nodes, for what is not logged
)

// IsRooms tells whether the partition belongs to the topic of rooms.
func (p Partition) IsRooms() bool { return p >= FirstRooms && p < FirstNode }

// Offset is a position in a partition's log. Every offset that is kept means the next to read.
type Offset int64

// Term numbers the owners of a partition, from 1.
type Term uint64

// Index numbers the commits of a partition, densely from 1.
type Index uint64
