package msync

import "google.golang.org/protobuf/encoding/protowire"

// JIDView is a decoded JID; its parts alias the frame.
type JIDView struct {
	AppKey, Name, Domain, Resource []byte
}

var jidOnce = once(1, 2, 3, 4)

func decodeJID(b []byte) (JIDView, error) {
	var j JIDView
	f := walk("JID", b, jidOnce)
	for f.next() {
		switch f.num {
		case 1:
			j.AppKey = f.text()
		case 2:
			j.Name = f.text()
		case 3:
			j.Domain = f.text()
		case 4:
			j.Resource = f.text()
		}
	}
	return j, f.err
}

// jid reads a field that is a JID.
func (f *fields) jid() JIDView {
	b := f.bytes(0)
	if f.err != nil {
		return JIDView{}
	}
	j, err := decodeJID(b)
	f.sub(err)
	return j
}

// Queue names a queue: a conversation as its reader sees it (the peer or group), or with an empty name the system queue.
type Queue struct {
	AppKey string // may be empty: clients compare the name only
	Name   string
	Domain string
}

// Queue returns a copy of the view as a queue's name.
func (j JIDView) Queue() Queue {
	return Queue{AppKey: string(j.AppKey), Name: string(j.Name), Domain: string(j.Domain)}
}

// sizeText returns the size of a string field with a one-byte tag, 0 when it is empty and therefore left out.
func sizeText(s string) int {
	if s == "" {
		return 0
	}
	return 1 + protowire.SizeBytes(len(s))
}

func appendText(dst []byte, num protowire.Number, s string) []byte {
	if s == "" {
		return dst
	}
	dst = protowire.AppendTag(dst, num, protowire.BytesType)
	return protowire.AppendString(dst, s)
}

// jidSize returns the size of a JID's fields. The name is always written, even when it is empty.
func jidSize(appKey, name, domain, resource string) int {
	return sizeText(appKey) + 1 + protowire.SizeBytes(len(name)) + sizeText(domain) + sizeText(resource)
}

// appendJID appends field num, a JID, tag and length included.
func appendJID(dst []byte, num protowire.Number, appKey, name, domain, resource string) []byte {
	dst = protowire.AppendTag(dst, num, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(jidSize(appKey, name, domain, resource)))
	dst = appendText(dst, 1, appKey)
	dst = protowire.AppendTag(dst, 2, protowire.BytesType)
	dst = protowire.AppendString(dst, name)
	dst = appendText(dst, 3, domain)
	return appendText(dst, 4, resource)
}

func (q *Queue) size() int {
	return 1 + protowire.SizeBytes(jidSize(q.AppKey, q.Name, q.Domain, ""))
}

func (q *Queue) append(dst []byte, num protowire.Number) []byte {
	return appendJID(dst, num, q.AppKey, q.Name, q.Domain, "")
}
