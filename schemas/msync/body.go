package msync

import (
	"encoding/json"

	"google.golang.org/protobuf/encoding/protowire"

	"parley/domain/message"
)

// Envelope is what is read of a MessageBody for routing, limits and hooks. Its slices alias the body.
type Envelope struct {
	HasType       bool
	Type          MessageBody_Type
	From, To      JIDView
	Contents      int // number of them; clients always send one, even in receipts
	ContentType   MessageBody_Content_Type
	HasSubType    bool
	SubType       MessageBody_Content_SubType
	Text          []byte // of the first content
	Action        []byte
	CustomEvent   []byte
	CustomExts    int
	AckMessageID  uint64
	AckContent    []byte
	EditMessageID uint64
	EditScope     MessageBody_EditScope
	AllowGroupAck bool
	Meta          []byte // JSON
	Ext           int    // number of entries
	bytes         int
}

var (
	bodyOnce    = once(1, 2, 3, 6, 7, 8, 9, 11, 12, 13)
	contentOnce = once(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13, 14, 15, 16, 17, 18, 19, 21, 22, 23, 24, 25)
	kvOnce      = once(1, 2, 3, 4, 5, 6)
	configOnce  = once(1)
	streamOnce  = once(1, 2, 3, 4, 5)
)

// Kind returns the kind of the first content; None when there is none or its type is unknown. A text with subType COMBINE is a combined message.
func (e *Envelope) Kind() message.Kind {
	if e.Contents == 0 || e.ContentType < 0 || e.ContentType > MessageBody_Content_COMBINE {
		return message.None
	}
	if e.ContentType == MessageBody_Content_TEXT && e.HasSubType && e.SubType == MessageBody_Content_SUB_COMBINE {
		return message.Combine
	}
	return message.Kind(e.ContentType) + 1
}

// Domain returns the envelope as the rules want it. metaExt is the size of Meta.ext, which counts as part of the message.
func (e *Envelope) Domain(metaExt int) message.Envelope {
	return message.Envelope{
		Kind:        e.Kind(),
		CustomEvent: string(e.CustomEvent),
		CustomExts:  e.CustomExts,
		Size:        e.bytes + metaExt,
	}
}

// ScanBody reads a MessageBody and checks all of it, so that its readers' clients can decode it. It does not allocate, except for JSON
// values in ext and when it fails.
func ScanBody(payload []byte) (Envelope, error) {
	e := Envelope{bytes: len(payload)}
	f := walk("MessageBody", payload, bodyOnce)
	for f.next() {
		switch f.num {
		case 1:
			e.HasType = true
			e.Type = MessageBody_Type(f.varint())
		case 2:
			e.From = f.jid()
		case 3:
			e.To = f.jid()
		case 4:
			f.content(&e)
		case 5:
			f.keyValue(&e.Ext)
		case 6:
			e.AckMessageID = f.varint()
		case 7:
			f.msgConfig(&e)
		case 8:
			e.AckContent = f.bytes(0)
		case 9:
			e.Meta = f.jsonText()
		case 11:
			e.EditMessageID = f.varint()
		case 12:
			e.EditScope = MessageBody_EditScope(f.varint())
		case 13:
			f.nested("Stream", streamOnce, streamTypes)
		}
	}
	return e, f.err
}

// content reads one content; of the first it keeps what routing needs.
func (f *fields) content(e *Envelope) {
	b := f.bytes(0)
	if f.err != nil {
		return
	}
	if e.Contents++; e.Contents > MaxContents {
		f.fail(ErrTooLarge)
		return
	}
	var scratch Envelope
	if e.Contents > 1 {
		e = &scratch
	}
	c := walk("Content", b, contentOnce)
	for c.next() {
		c.contentField(e)
	}
	f.sub(c.err)
}

func (f *fields) contentField(e *Envelope) {
	switch f.num {
	case 1:
		e.ContentType = MessageBody_Content_Type(f.varint())
	case 2:
		e.Text = f.bytes(0)
	case 3, 4:
		f.want(protowire.Fixed64Type)
	case 5, 6, 7, 8, 14, 15, 16, 21, 23, 24:
		f.bytes(0)
	case 9, 12, 17, 25:
		f.varint()
	case 10:
		e.Action = f.bytes(0)
	case 11:
		var params int
		f.keyValue(&params)
	case 13, 18:
		f.nested("Size", once(1, 2), sizeTypes)
	case 19:
		e.CustomEvent = f.bytes(0)
	case 20:
		f.keyValue(&e.CustomExts)
	case 22:
		e.HasSubType = true
		e.SubType = MessageBody_Content_SubType(f.varint())
	}
}

func (f *fields) msgConfig(e *Envelope) {
	b := f.bytes(0)
	c := walk("MessageConfig", b, configOnce)
	for c.next() {
		if c.num == 1 {
			e.AllowGroupAck = c.varint() != 0
		}
	}
	f.sub(c.err)
}

// Wire types of the fields of small messages, by number from 1.
var (
	sizeTypes   = []protowire.Type{protowire.Fixed64Type, protowire.Fixed64Type}
	streamTypes = []protowire.Type{protowire.BytesType, protowire.VarintType, protowire.VarintType, protowire.VarintType, protowire.VarintType}
	kvTypes     = []protowire.Type{
		protowire.BytesType, protowire.VarintType, protowire.VarintType, protowire.Fixed32Type, protowire.Fixed64Type, protowire.BytesType,
	}
)

// nested checks a small message of which nothing is kept.
func (f *fields) nested(name string, single uint64, types []protowire.Type) {
	b := f.bytes(0)
	c := walk(name, b, single)
	for c.next() {
		if int(c.num) <= len(types) {
			c.want(types[c.num-1])
		}
	}
	f.sub(c.err)
}

// keyValue checks one entry of a map and counts it.
func (f *fields) keyValue(n *int) {
	b := f.bytes(0)
	if f.err != nil {
		return
	}
	if *n++; *n > MaxExtEntries {
		f.fail(ErrTooLarge)
		return
	}
	f.sub(checkKeyValue(b))
}

// checkKeyValue checks one KeyValue. A JSON value must be JSON: clients parse it while they deliver a page.
func checkKeyValue(b []byte) error {
	var typ KeyValue_ValueType
	var text []byte
	f := walk("KeyValue", b, kvOnce)
	for f.next() {
		if int(f.num) <= len(kvTypes) && !f.want(kvTypes[f.num-1]) {
			break
		}
		switch f.num {
		case 2:
			typ = KeyValue_ValueType(f.n)
		case 6:
			text = f.val
		}
	}
	if f.err == nil && typ == KeyValue_JSON_STRING && !json.Valid(text) {
		f.num = 6
		f.fail(ErrJSON)
	}
	return f.err
}

// jsonText reads a field that clients parse as JSON: empty, or one JSON text.
func (f *fields) jsonText() []byte {
	b := f.bytes(MaxJSONBytes)
	if f.err == nil && len(b) > 0 && !json.Valid(b) {
		f.fail(ErrJSON)
	}
	return b
}
