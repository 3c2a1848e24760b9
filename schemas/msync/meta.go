package msync

import "google.golang.org/protobuf/encoding/protowire"

// MetaHeader is what a server writes of a Meta around its payload.
type MetaHeader struct {
	ID           uint64
	AppKey       string
	From         string // a user; always set, clients lose an entry without it
	FromResource string // the sending device; empty when sent over REST
	To           string // a user, group or room
	ToResource   string // set only when one device was addressed: clients show it
	ToDomain     string // UserDomain (also when empty) or GroupDomain
	Timestamp    uint64 // ms
	NS           Meta_NameSpace
	RouteType    Meta_RouteType // written unless ROUTE_ALL
}

func (h *MetaHeader) toDomain() string {
	if h.ToDomain == "" {
		return UserDomain
	}
	return h.ToDomain
}

// SizeMeta returns how many bytes AppendMeta adds.
func SizeMeta(h *MetaHeader, payload, ext, meta []byte) int {
	n := 1 + protowire.SizeVarint(h.ID) +
		fieldBytes(jidSize(h.AppKey, h.From, UserDomain, h.FromResource)) +
		fieldBytes(jidSize(h.AppKey, h.To, h.toDomain(), h.ToResource)) +
		1 + protowire.SizeVarint(h.Timestamp) +
		1 + protowire.SizeVarint(uint64(h.NS)) +
		fieldBytes(len(payload)) + len(ext)
	if h.RouteType != Meta_ROUTE_ALL {
		n += 1 + protowire.SizeVarint(uint64(h.RouteType))
	}
	if len(meta) > 0 {
		n += fieldBytes(len(meta))
	}
	return n
}

// AppendMeta appends a Meta. payload is copied as it is; ext holds whole encoded fields of Meta.ext, as MetaView.Ext gives them; meta is
// compact JSON or empty. It allocates nothing when dst has room for SizeMeta bytes.
func AppendMeta(dst []byte, h *MetaHeader, payload, ext, meta []byte) []byte {
	dst = appendUint(dst, 1, h.ID)
	dst = appendJID(dst, 2, h.AppKey, h.From, UserDomain, h.FromResource)
	dst = appendJID(dst, 3, h.AppKey, h.To, h.toDomain(), h.ToResource)
	dst = appendUint(dst, 4, h.Timestamp)
	dst = appendUint(dst, 5, uint64(h.NS))
	dst = appendBytes(dst, 6, payload)
	if h.RouteType != Meta_ROUTE_ALL {
		dst = appendUint(dst, 7, uint64(h.RouteType))
	}
	dst = append(dst, ext...)
	if len(meta) > 0 {
		dst = appendBytes(dst, 9, meta)
	}
	return dst
}

func appendUint(dst []byte, num protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(dst, num, protowire.VarintType), v)
}

func appendBytes(dst []byte, num protowire.Number, b []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(dst, num, protowire.BytesType), b)
}

// appendLen appends the tag and length of a message of n bytes that follows.
func appendLen(dst []byte, num protowire.Number, n int) []byte {
	return protowire.AppendVarint(protowire.AppendTag(dst, num, protowire.BytesType), uint64(n))
}
