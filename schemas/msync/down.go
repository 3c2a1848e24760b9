package msync

import (
	"google.golang.org/protobuf/proto"
)

// This file reads what servers send: for parley's own client, its benches and tests.

// StatusView is a decoded Status. Present tells whether the frame carried one with a code, as every answer must.
type StatusView struct {
	Present bool
	Code    Status_ErrorCode
	Reason  []byte
}

// SyncDown is a decoded CommSyncDL. Its slices alias the frame.
type SyncDown struct {
	Status    StatusView
	MetaID    uint64 // not 0: the answer to a sent meta
	ServerID  uint64
	Metas     [][]byte // encoded entries; DecodeMeta reads them
	NextKey   uint64
	HasQueue  bool
	Queue     JIDView
	HasLast   bool
	IsLast    bool
	Timestamp uint64
}

var (
	downOnce   = once(1, 2, 3, 5, 6, 7, 8, 9)
	statusOnce = once(1, 2)
)

// DecodeSyncDown decodes the payload of a SYNC that goes down. The room in metas is used again.
func DecodeSyncDown(payload []byte, metas [][]byte) (SyncDown, error) {
	s := SyncDown{Metas: metas[:0]}
	f := walk("CommSyncDL", payload, downOnce)
	for f.next() {
		switch f.num {
		case 1:
			s.Status = f.status()
		case 2:
			s.MetaID = f.varint()
		case 3:
			s.ServerID = f.varint()
		case 4:
			s.Metas = append(s.Metas, f.bytes(0))
		case 5:
			s.NextKey = f.varint()
		case 6:
			s.HasQueue = true
			s.Queue = f.jid()
		case 7:
			s.HasLast = true
			s.IsLast = f.varint() != 0
		case 8:
			s.Timestamp = f.varint()
		}
	}
	return s, f.err
}

func (f *fields) status() StatusView {
	var s StatusView
	c := walk("Status", f.bytes(0), statusOnce)
	for c.next() {
		switch c.num {
		case 1:
			s.Present = true
			s.Code = Status_ErrorCode(c.varint())
		case 2:
			s.Reason = c.bytes(0)
		}
	}
	f.sub(c.err)
	return s
}

// DecodeUnread decodes the answer to UNREAD.
func DecodeUnread(payload []byte) (queues []UnreadQueue, status StatusView, timestamp uint64, err error) {
	f := walk("CommUnreadDL", payload, once(1, 3))
	for f.next() {
		switch f.num {
		case 1:
			status = f.status()
		case 2:
			queues = append(queues, f.unreadQueue())
		case 3:
			timestamp = f.varint()
		}
	}
	return queues, status, timestamp, f.err
}

func (f *fields) unreadQueue() UnreadQueue {
	var u UnreadQueue
	c := walk("MetaQueue", f.bytes(0), once(1, 2))
	for c.next() {
		switch c.num {
		case 1:
			j := c.jid()
			u.Queue = j.Queue()
		case 2:
			u.N = uint32(c.varint())
		}
	}
	f.sub(c.err)
	return u
}

// DecodeProvisionAnswer decodes the answer to a handshake.
func DecodeProvisionAnswer(payload []byte) (ProvisionAnswer, error) {
	var p Provision
	if err := proto.Unmarshal(payload, &p); err != nil || p.Status == nil || p.Status.ErrorCode == nil {
		return ProvisionAnswer{}, &DecodeError{Message: "Provision", Field: 8, Err: ErrMalformed}
	}
	return ProvisionAnswer{
		Code: p.GetStatus().GetErrorCode(), Reason: p.GetStatus().GetReason(), Resource: p.GetResource(), AuthToken: p.GetAuthToken(),
	}, nil
}
