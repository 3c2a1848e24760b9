package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"parley/domain"
	"parley/schemas/event/eventpb"
	"parley/schemas/msync"
)

// This is the format of `parley log export`, one JSON object a line. It is documented in ops/replay.md and only ever grows: names and
// meanings stay. Names inside data are those of schemas/event/eventpb/event.proto.

// timeForm is RFC 3339 with microseconds, always six digits, so that lines sort as text.
const timeForm = "2006-01-02T15:04:05.000000Z"

// kindNames are the kinds of streams in lines.
var kindNames = map[domain.Kind]string{
	domain.KindUser: "user", domain.KindDirect: "direct", domain.KindGroup: "group", domain.KindRoom: "room", domain.KindThread: "thread",
}

// lineWriter makes lines of judged records.
type lineWriter struct {
	bodies bool // what users wrote, too
	sparse bool // leave out what is empty
	buf    []byte
}

// events appends a line for each event of a commit, or for a marker of slots, that the ask wants.
func (w *lineWriter) events(j *judged, wants func(t domain.T) bool) ([]byte, error) {
	var rec eventpb.Record
	if err := proto.Unmarshal(j.record.Value, &rec); err != nil {
		return nil, fmt.Errorf("partition %d, offset %d: %w", j.partition, j.record.Offset, err)
	}
	w.buf = w.buf[:0]
	switch c := rec.GetContent().(type) {
	case *eventpb.Record_Commit:
		for i, ev := range c.Commit.GetEvents() {
			if t := domain.T(ev.GetT()); wants(t) {
				w.event(j, c.Commit, i, ev)
			}
		}
	case *eventpb.Record_SlotClosed:
		w.marker(j, "slot_closed", c.SlotClosed.GetT(), c.SlotClosed, wants)
	case *eventpb.Record_SlotOpened:
		w.marker(j, "slot_opened", c.SlotOpened.GetT(), c.SlotOpened, wants)
	}
	return w.buf, nil
}

func (w *lineWriter) event(j *judged, c *eventpb.Commit, n int, ev *eventpb.Event) {
	m := ev.ProtoReflect()
	body := m.WhichOneof(m.Descriptor().Oneofs().ByName("body"))
	stream := domain.StreamID(c.GetStream())
	w.head(j, n, ev.GetT())
	w.text(`,"stream":`, string(stream))
	if st, ok := stream.Parse(); ok {
		w.text(`,"app":`, string(st.App))
		w.text(`,"kind":`, kindNames[st.Kind])
	}
	w.buf = strconv.AppendUint(append(w.buf, `,"seq":`...), ev.GetSeq(), 10)
	w.text(`,"type":`, string(body.Name()))
	if c.GetCause() != nil {
		w.buf = append(w.buf, `,"cause":`...)
		w.message(c.GetCause().ProtoReflect())
	}
	w.buf = append(w.buf, `,"data":`...)
	w.message(m.Get(body).Message())
	w.buf = append(w.buf, "}\n"...)
}

func (w *lineWriter) marker(j *judged, name string, t uint64, m proto.Message, wants func(domain.T) bool) {
	if !wants(domain.T(t)) {
		return
	}
	w.head(j, 0, t)
	w.text(`,"type":`, name)
	w.buf = append(w.buf, `,"data":`...)
	w.message(m.ProtoReflect())
	w.buf = append(w.buf, "}\n"...)
}

// head appends where the event stands and when it was.
func (w *lineWriter) head(j *judged, n int, t uint64) {
	w.buf = fmt.Appendf(w.buf, `{"partition":%d,"offset":%d,"term":%d,"index":%d,"n":%d,"t":"%d","time":"%s"`, j.partition, j.record.Offset,
		j.content.Header.Term, j.content.Header.Index, n, t, domain.T(t).Time().UTC().Format(timeForm))
}

func (w *lineWriter) text(before, s string) {
	w.buf = append(w.buf, before...)
	w.buf = appendJSONText(w.buf, s)
}

func appendJSONText(b []byte, s string) []byte {
	text, err := json.Marshal(s)
	if err != nil { // a string always can
		return append(b, `""`...)
	}
	return append(b, text...)
}

// message appends the fields in the order of the schema. Plain fields are always there, lists too; messages and optional fields when they
// are set; bytes as field says.
func (w *lineWriter) message(m protoreflect.Message) {
	w.buf = append(w.buf, '{')
	first := len(w.buf)
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if !m.Has(f) && (w.sparse || f.HasPresence() || f.Kind() == protoreflect.BytesKind) {
			continue
		}
		if f.Kind() == protoreflect.BytesKind {
			w.bytes(first, m, f)
			continue
		}
		w.name(first, string(f.Name()))
		w.field(f, m.Get(f))
	}
	w.buf = append(w.buf, '}')
}

func (w *lineWriter) name(first int, name string) {
	if len(w.buf) > first {
		w.buf = append(w.buf, ',')
	}
	w.buf = append(append(append(w.buf, '"'), name...), `":`...)
}

// bytes appends what a client wrote: a message's content as the JSON that REST knows, all else in base64. The hashes of passwords are never
// shown.
func (w *lineWriter) bytes(first int, m protoreflect.Message, f protoreflect.FieldDescriptor) {
	if !w.bodies || f.Name() == "password" {
		return
	}
	b := m.Get(f).Bytes()
	if sent, ok := m.Interface().(*eventpb.MessageSent); ok && f.Name() == "body" {
		if payload, err := msync.PayloadJSON(b, sent.GetFrom(), sent.GetTo()); err == nil {
			w.name(first, "body")
			w.buf = append(w.buf, payload...)
			return
		}
	}
	w.name(first, string(f.Name())+"_base64")
	w.buf = append(w.buf, '"')
	w.buf = base64.StdEncoding.AppendEncode(w.buf, b)
	w.buf = append(w.buf, '"')
}

func (w *lineWriter) field(f protoreflect.FieldDescriptor, v protoreflect.Value) {
	if !f.IsList() {
		w.value(f, v)
		return
	}
	w.buf = append(w.buf, '[')
	list := v.List()
	for i := range list.Len() {
		if i > 0 {
			w.buf = append(w.buf, ',')
		}
		w.value(f, list.Get(i))
	}
	w.buf = append(w.buf, ']')
}

// value appends one value. Ids are strings: they use all 64 bits, which most JSON readers do not keep.
func (w *lineWriter) value(f protoreflect.FieldDescriptor, v protoreflect.Value) {
	switch f.Kind() {
	case protoreflect.MessageKind:
		w.message(v.Message())
	case protoreflect.StringKind:
		w.buf = appendJSONText(w.buf, v.String())
	case protoreflect.BoolKind:
		w.buf = strconv.AppendBool(w.buf, v.Bool())
	case protoreflect.EnumKind:
		w.buf = appendJSONText(w.buf, enumName(f.Enum(), v.Enum()))
	case protoreflect.Fixed64Kind:
		w.buf = append(strconv.AppendUint(append(w.buf, '"'), v.Uint(), 10), '"')
	default: // uint32 and uint64
		if f.Name() == "client_id" {
			w.buf = append(strconv.AppendUint(append(w.buf, '"'), v.Uint(), 10), '"')
			return
		}
		w.buf = strconv.AppendUint(w.buf, v.Uint(), 10)
	}
}

// enumName is a value's name without its enum's: MESSAGE_KIND_TEXT is text.
func enumName(e protoreflect.EnumDescriptor, n protoreflect.EnumNumber) string {
	v := e.Values().ByNumber(n)
	if v == nil {
		return strconv.Itoa(int(n))
	}
	none := string(e.Values().ByNumber(0).Name())
	return strings.ToLower(strings.TrimPrefix(string(v.Name()), strings.TrimSuffix(none, "UNSPECIFIED")))
}

// tailLine is a line for people to read: where, when, what.
func (w *lineWriter) tailLine(j *judged) (string, error) {
	place := fmt.Sprintf("p%d @%d", j.partition, j.record.Offset)
	if c := j.content.Claim; c != nil {
		return fmt.Sprintf("%-27s %-14s term %d claimed by %s%s\n", "-", place, j.content.Header.Term, c.Node, w.note(j)), nil
	}
	var rec eventpb.Record
	if err := proto.Unmarshal(j.record.Value, &rec); err != nil {
		return "", fmt.Errorf("partition %d, offset %d: %w", j.partition, j.record.Offset, err)
	}
	var out strings.Builder
	for _, ev := range rec.GetCommit().GetEvents() {
		m := ev.ProtoReflect()
		body := m.WhichOneof(m.Descriptor().Oneofs().ByName("body"))
		w.buf = w.buf[:0]
		w.message(m.Get(body).Message())
		fmt.Fprintf(&out, "%s %-14s i%d %s #%d %s %s%s\n", domain.T(ev.GetT()).Time().UTC().Format(timeForm), place, j.content.Header.Index,
			rec.GetCommit().GetStream(), ev.GetSeq(), body.Name(), w.buf, w.note(j))
	}
	if out.Len() == 0 {
		fmt.Fprintf(&out, "%-27s %-14s i%d marker of a slot%s\n", "-", place, j.content.Header.Index, w.note(j))
	}
	return out.String(), nil
}

func (w *lineWriter) note(j *judged) string {
	if why := j.why(); why != "" {
		return "  -- " + strings.ToUpper(j.verdict.String()) + ": " + why
	}
	return ""
}

// firstT is when a record's content began: nothing for a claim.
func (j *judged) firstT() domain.T {
	switch c := j.content; {
	case c.Commit != nil:
		return c.Commit.Events[0].T
	case c.SlotClosed != nil:
		return c.SlotClosed.T
	case c.SlotOpened != nil:
		return c.SlotOpened.T
	default:
		return 0
	}
}
