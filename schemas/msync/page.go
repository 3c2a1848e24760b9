package msync

import "google.golang.org/protobuf/encoding/protowire"

// Page is entries of one queue on their way down: asked for or not.
//
// Clients acknowledge a page by its NextKey only when it has entries and IsLast is false; IsLast with entries is for what is volatile.
// A page whose NextKey equals that of the page before ends the pull without an acknowledgement.
type Page struct {
	Queue     Queue
	Metas     [][]byte // as AppendMeta made them; shared among all readers
	NextKey   uint64   // 0: left out
	IsLast    bool
	Timestamp uint64 // ms; 0: left out
}

// statusOK is field 1 of CommSyncDL, CommUnreadDL and others: Status{errorCode: 0}, the zero written.
const statusOK = "\x0a\x02\x08\x00"

// headSize is the most that the MSync around a payload takes: version, command, tag and length.
const headSize = 2 + 2 + 1 + 5

// appendHead appends the MSync around a payload of n bytes, which must follow. Version 0 and command 0 are written.
func appendHead(dst []byte, c MSync_Command, n int) []byte {
	dst = append(dst, 0x08, 0x00, 0x40, byte(c))
	return appendLen(dst, 9, n)
}

func sizeMetas(metas [][]byte) int {
	n := 0
	for _, m := range metas {
		n += fieldBytes(len(m))
	}
	return n
}

func appendMetas(dst []byte, metas [][]byte) []byte {
	for _, m := range metas {
		dst = appendBytes(dst, 4, m)
	}
	return dst
}

func sizeUint(v uint64) int {
	if v == 0 {
		return 0
	}
	return 1 + protowire.SizeVarint(v)
}

func appendNonZero(dst []byte, num protowire.Number, v uint64) []byte {
	if v == 0 {
		return dst
	}
	return appendUint(dst, num, v)
}

func (p *Page) size() int {
	return len(statusOK) + sizeMetas(p.Metas) + sizeUint(p.NextKey) + p.Queue.size() + 2 + sizeUint(p.Timestamp)
}

// SizePage returns an upper bound of what AppendPage adds, at most 5 bytes too high.
func SizePage(p *Page) int { return headSize + p.size() }

// AppendPage appends the whole frame of a page. Each entry is copied once; it allocates nothing when dst has room for SizePage bytes.
func AppendPage(dst []byte, p *Page) []byte {
	dst = appendHead(dst, MSync_SYNC, p.size())
	dst = append(dst, statusOK...)
	dst = appendMetas(dst, p.Metas)
	dst = appendNonZero(dst, 5, p.NextKey)
	dst = p.Queue.append(dst, 6)
	dst = append(dst, 0x38, boolByte(p.IsLast))
	return appendNonZero(dst, 8, p.Timestamp)
}

func boolByte(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// Ack answers one sent meta.
type Ack struct {
	MetaID    uint64 // the client's own id of it
	ServerID  uint64 // the message's id; 0 when it was refused
	Timestamp uint64 // ms
	Code      Status_ErrorCode
	Reason    string   // free text that clients map to their errors; empty when Code is OK
	Metas     [][]byte // what the answer carries besides, if anything
}

func (a *Ack) statusSize() int { return 1 + protowire.SizeVarint(uint64(a.Code)) + sizeText(a.Reason) }

func (a *Ack) size() int {
	return fieldBytes(a.statusSize()) + 1 + protowire.SizeVarint(a.MetaID) + sizeUint(a.ServerID) + sizeMetas(a.Metas) + sizeUint(a.Timestamp)
}

// SizeAck returns an upper bound of what AppendAck adds, at most 5 bytes too high.
func SizeAck(a *Ack) int { return headSize + a.size() }

// AppendAck appends the whole frame of an acknowledgement or refusal. It allocates nothing when dst has room for SizeAck bytes.
func AppendAck(dst []byte, a *Ack) []byte {
	dst = appendHead(dst, MSync_SYNC, a.size())
	dst = appendStatus(dst, 1, a.Code, a.Reason)
	dst = appendUint(dst, 2, a.MetaID)
	dst = appendNonZero(dst, 3, a.ServerID)
	dst = appendMetas(dst, a.Metas)
	return appendNonZero(dst, 8, a.Timestamp)
}

// appendStatus appends field num, a Status. The code is written even when it is 0.
func appendStatus(dst []byte, num protowire.Number, code Status_ErrorCode, reason string) []byte {
	dst = appendLen(dst, num, 1+protowire.SizeVarint(uint64(code))+sizeText(reason))
	dst = appendUint(dst, 1, uint64(code))
	return appendText(dst, 2, reason)
}
