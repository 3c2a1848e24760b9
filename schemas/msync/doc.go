// Package msync is the wire form of the SDKs: the generated types of msync.proto, and beside them the codec that the gateway and REST use.
//
// What is called for every message is written by hand over protowire and does not allocate where its comment says so; what is called once
// a session goes through the generated types. What must hold:
//
//   - A MessageBody is relayed as the bytes that its sender wrote. ScanBody parses a copy for routing; nothing here re-encodes a body,
//     because clients read meaning from presence (subType tells a combined message from a text).
//   - Whatever ScanBody accepts, a client can decode: one broken entry would spoil the whole page for its reader. So known fields must
//     have their own wire type, singular fields must not come twice, and groups are refused.
//   - Status code 0 is written in every CommSyncDL, CommUnreadDL and Provision, as are queue and isLast in every page.
//   - Decoded views alias their input: they live as long as the frame's buffer does.
package msync

// Domains of addresses. They are constants of the wire.
const (
	UserDomain  = "easemob.com"            // users, direct queues and the system queue
	GroupDomain = "conference.easemob.com" // groups, rooms and threads
)

// Limits of the decoders. Smaller ones (a message's size, for instance) are settings of the edge.
const (
	MaxFrameBytes    = 256 << 10 // a frame, before anything is read of it
	MaxNameBytes     = 256       // what a handshake says of its device
	MaxAddressBytes  = 4 << 10   // a part of an address; how long a name may be the edge says, with a typed answer
	MaxAuthBytes     = 8 << 10   // the token of a handshake
	MaxContents      = 16        // contents of one body; clients send one
	MaxExtEntries    = 1024      // entries of one ext map
	MaxDirectedUsers = 256       // names in Meta.directedUsers
	MaxJSONBytes     = 64 << 10  // a JSON text inside a body
)
