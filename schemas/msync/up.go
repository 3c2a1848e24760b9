package msync

import (
	"encoding/json"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// This file writes what clients send: for parley's own client, its benches and tests.

// AppendHello appends the whole frame of a handshake, as the web SDKs send it.
func AppendHello(dst []byte, h *Hello) ([]byte, error) {
	auth, err := json.Marshal(map[string]string{"token": tokenMark + string(h.Token)})
	if err != nil {
		return dst, err
	}
	payload, err := proto.Marshal(&Provision{
		OsType: h.OS.Enum(), Version: &h.Version, CompressType: []Provision_CompressType{0}, EncryptType: []EncryptType{0},
		DeviceUuid: &h.DeviceUUID, DeviceName: &h.DeviceName, Resource: &h.Resource, AuthToken: proto.String(string(auth)),
		SessionId: &h.SessionID, ActionVersion: &h.ActionVersion, Reason: &h.Reason, IsManualLogin: &h.ManualLogin,
		OsCustomValue: &h.OSCustomValue,
	})
	if err != nil {
		return dst, err
	}
	dst = append(dst, 0x08, 0x00)
	dst = appendJID(dst, 2, h.AppKey, h.User, UserDomain, h.Resource)
	dst = appendText(dst, 3, tokenMark+string(h.Token))
	dst = append(dst, 0x40, byte(MSync_PROVISION))
	dst = appendBytes(dst, 9, payload)
	return append(dst, 0x58, 0x00), nil
}

// Outgoing is a meta on its way up. From is not sent: the server knows it.
type Outgoing struct {
	ID         uint64
	AppKey     string
	To         string
	ToResource string // not empty: one device
	ToDomain   string // UserDomain when empty
	NS         Meta_NameSpace
	RouteType  Meta_RouteType
	Payload    []byte
	Ext        []byte   // encoded fields of Meta.ext
	Directed   []string // readers of a directed message
}

func (o *Outgoing) domain() string {
	if o.ToDomain == "" {
		return UserDomain
	}
	return o.ToDomain
}

func (o *Outgoing) size() int {
	n := 1 + protowire.SizeVarint(o.ID) + fieldBytes(jidSize(o.AppKey, o.To, o.domain(), o.ToResource)) +
		1 + protowire.SizeVarint(uint64(o.NS)) + fieldBytes(len(o.Payload)) + 1 + protowire.SizeVarint(uint64(o.RouteType)) + len(o.Ext)
	for _, u := range o.Directed {
		n += fieldBytes(len(u))
	}
	return n
}

// AppendSend appends the whole frame of a send. It allocates nothing when dst has room.
func AppendSend(dst []byte, o *Outgoing) []byte {
	n := o.size()
	dst = appendHead(dst, MSync_SYNC, fieldBytes(n))
	dst = appendLen(dst, 1, n)
	dst = appendUint(dst, 1, o.ID)
	dst = appendJID(dst, 3, o.AppKey, o.To, o.domain(), o.ToResource)
	dst = appendUint(dst, 5, uint64(o.NS))
	dst = appendBytes(dst, 6, o.Payload)
	dst = appendUint(dst, 7, uint64(o.RouteType))
	dst = append(dst, o.Ext...)
	for _, u := range o.Directed {
		dst = protowire.AppendString(protowire.AppendTag(dst, 10, protowire.BytesType), u)
	}
	return dst
}

// AppendSync appends the whole frame of an acknowledgement, or with key 0 of a pull of what is pending.
func AppendSync(dst []byte, q *Queue, key uint64) []byte {
	dst = appendHead(dst, MSync_SYNC, sizeUint(key)+q.size())
	dst = appendNonZero(dst, 2, key)
	return q.append(dst, 3)
}

// AppendUnreadRequest appends the whole frame of an UNREAD, which is the heartbeat too.
func AppendUnreadRequest(dst []byte) []byte { return appendHead(dst, MSync_UNREAD, 0) }

// AppendLogoutRequest appends the whole frame of a log-out.
func AppendLogoutRequest(dst []byte, session, reason string) []byte {
	dst = appendHead(dst, MSync_LOGOUT, sizeText(session)+sizeText(reason))
	dst = appendText(dst, 1, session)
	return appendText(dst, 2, reason)
}
