package msync

import "google.golang.org/protobuf/encoding/protowire"

// UnreadQueue is one line of the answer to UNREAD: a queue and how many entries wait in it.
type UnreadQueue struct {
	Queue Queue
	N     uint32
}

func (u *UnreadQueue) size() int { return u.Queue.size() + 1 + protowire.SizeVarint(uint64(u.N)) }

// AppendUnread appends the whole frame of an answer to UNREAD. timestamp is the server's time in ms; clients compare it with their
// token's expiry.
func AppendUnread(dst []byte, queues []UnreadQueue, timestamp uint64) []byte {
	n := len(statusOK) + sizeUint(timestamp)
	for i := range queues {
		n += fieldBytes(queues[i].size())
	}
	dst = appendHead(dst, MSync_UNREAD, n)
	dst = append(dst, statusOK...)
	for i := range queues {
		dst = appendLen(dst, 2, queues[i].size())
		dst = queues[i].Queue.append(dst, 1)
		dst = appendUint(dst, 2, uint64(queues[i].N))
	}
	return appendNonZero(dst, 3, timestamp)
}

// ProvisionAnswer answers a handshake.
type ProvisionAnswer struct {
	Code      Status_ErrorCode
	Reason    string
	Resource  string // the device's name from now on; must be filled when Code is OK
	AuthToken string // JSON with expires_in, the token's absolute expiry in ms; empty: it does not expire. Never log it
}

// AppendProvision appends the whole frame of the answer to a handshake. It never offers compression.
func AppendProvision(dst []byte, a *ProvisionAnswer) []byte {
	status := 1 + protowire.SizeVarint(uint64(a.Code)) + sizeText(a.Reason)
	n := fieldBytes(status) + sizeText(a.Resource)
	if a.AuthToken != "" {
		n += 2 + protowire.SizeBytes(len(a.AuthToken))
	}
	dst = appendHead(dst, MSync_PROVISION, n)
	dst = appendStatus(dst, 8, a.Code, a.Reason)
	dst = appendText(dst, 13, a.Resource)
	return appendText(dst, 18, a.AuthToken)
}

// AppendLogout appends the whole frame of the answer to a log-out.
func AppendLogout(dst []byte, code Status_ErrorCode, reason string) []byte {
	status := 1 + protowire.SizeVarint(uint64(code)) + sizeText(reason)
	dst = appendHead(dst, MSync_LOGOUT, fieldBytes(status))
	return appendStatus(dst, 3, code, reason)
}

// Kick tells a device why it is about to be disconnected; the server closes the socket after it.
type Kick struct {
	ID        uint64
	AppKey    string
	User      string
	Operation StatisticsBody_Operation
	Reason    string // shown to the app with USER_LOGIN_ANOTHER_DEVICE
	Timestamp uint64 // ms
}

// AppendKick appends the whole frame of a kick: a volatile page of the system queue with one statistics entry.
func AppendKick(dst []byte, k *Kick) []byte {
	body := appendUint(nil, 1, uint64(k.Operation))
	body = appendText(body, 10, k.Reason)
	meta := AppendMeta(nil, &MetaHeader{
		ID: k.ID, AppKey: k.AppKey, From: k.User, To: k.User, Timestamp: k.Timestamp, NS: Meta_STATISTIC,
	}, body, nil, nil)
	return AppendPage(dst, &Page{
		Queue: Queue{AppKey: k.AppKey, Domain: UserDomain}, Metas: [][]byte{meta}, IsLast: true, Timestamp: k.Timestamp,
	})
}
