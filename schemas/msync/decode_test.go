package msync

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/message"
)

func marshal(t require.TestingT, m proto.Message) []byte {
	b, err := proto.Marshal(m)
	require.NoError(t, err)
	return b
}

func TestHelloSurvivesTheWire(t *testing.T) {
	want := Hello{
		AppKey: "demo#chat", User: "ann", Token: "secret", Resource: "web_1", DeviceUUID: "u-1", DeviceName: "chrome", OS: Provision_OS_OTHER,
		Version: "4.21.1", ActionVersion: "v5.2", SessionID: "1:", Reason: "hi", ManualLogin: true,
	}
	frame, err := AppendHello(nil, &want)
	require.NoError(t, err)
	fr, err := DecodeFrame(frame)
	require.NoError(t, err)
	require.Equal(t, MSync_PROVISION, fr.Command)
	got, err := DecodeHello(&fr)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func TestHelloTakesTheTokenFromThePayloadToo(t *testing.T) {
	frame := marshal(t, &MSync{
		Command: MSync_PROVISION.Enum(), Guid: &JID{Name: proto.String("ann"), ClientResource: proto.String("r")},
		Payload: marshal(t, &Provision{AuthToken: proto.String(`{"token":"$t$abc"}`), ProtocolCompressType: []Provision_CompressType{2}}),
	})
	fr, err := DecodeFrame(frame)
	require.NoError(t, err)
	h, err := DecodeHello(&fr)
	require.NoError(t, err)
	require.Equal(t, Token("abc"), h.Token)
	require.Equal(t, "r", h.Resource)
	require.NotContains(t, h.Token.String(), "abc")
}

func TestDecodeSyncReadsASend(t *testing.T) {
	raw := body(t)
	ext := &KeyValue{Key: proto.String("a"), Type: KeyValue_JSON_STRING.Enum(), Value: &KeyValue_StringValue{StringValue: `{"x":1}`}}
	up := marshal(t, &CommSyncUL{Meta: &Meta{
		Id: proto.Uint64(1 << 63), To: &JID{AppKey: proto.String("a#b"), Name: proto.String("bob"), Domain: proto.String(UserDomain)},
		Ns: Meta_CHAT.Enum(), Payload: raw, Routetype: Meta_ROUTE_DIRECT.Enum(), Ext: []*KeyValue{ext, ext}, DirectedUsers: []string{"x", "y"},
	}})
	s, err := DecodeSync(up)
	require.NoError(t, err)
	require.True(t, s.HasMeta)
	require.False(t, s.HasQueue)
	require.Equal(t, uint64(1<<63), s.Meta.ID)
	require.Equal(t, "bob", string(s.Meta.To.Name))
	require.Equal(t, raw, s.Meta.Payload)
	require.Equal(t, Meta_ROUTE_DIRECT, s.Meta.RouteType)
	require.Equal(t, [][]byte{[]byte("x"), []byte("y")}, s.Meta.Directed)
	require.Equal(t, marshal(t, &Meta{Ext: []*KeyValue{ext, ext}}), s.Meta.Ext)
}

func TestExtFieldsThatStandApartAreJoined(t *testing.T) {
	kv := marshal(t, &KeyValue{Key: proto.String("a")})
	var b []byte
	b = appendBytes(b, 8, kv)
	b = appendUint(b, 1, 5)
	b = appendBytes(b, 8, kv)
	keep := string(b)
	m, err := DecodeMeta(b)
	require.NoError(t, err)
	require.Equal(t, appendBytes(appendBytes(nil, 8, kv), 8, kv), m.Ext)
	require.Equal(t, keep, string(b), "the frame is not written to")
}

func TestDecodeSyncReadsKeys(t *testing.T) {
	q := Queue{AppKey: "a#b", Name: "bob", Domain: UserDomain}
	fr, err := DecodeFrame(AppendSync(nil, &q, 1<<16|3))
	require.NoError(t, err)
	s, err := DecodeSync(fr.Payload)
	require.NoError(t, err)
	require.Equal(t, uint64(1<<16|3), s.Key)
	require.Equal(t, q, s.Queue.Queue())
	fr, err = DecodeFrame(AppendSync(nil, &q, 0))
	require.NoError(t, err)
	s, err = DecodeSync(fr.Payload)
	require.NoError(t, err)
	require.Zero(t, s.Key)
	require.True(t, s.HasQueue)
}

func TestScanBodyReadsWhatRoutingNeeds(t *testing.T) {
	text := func(c *MessageBody_Content) *MessageBody { return &MessageBody{Contents: []*MessageBody_Content{c}} }
	kvs := []*KeyValue{{Key: proto.String("a")}, {Key: proto.String("b")}}
	tests := []struct {
		name string
		body *MessageBody
		want func(t *testing.T, e Envelope)
	}{
		{"no contents", &MessageBody{}, func(t *testing.T, e Envelope) {
			require.Equal(t, message.None, e.Kind())
			require.False(t, e.HasType)
		}},
		{"text", text(&MessageBody_Content{Type: MessageBody_Content_TEXT.Enum(), Text: proto.String("hi")}), func(t *testing.T, e Envelope) {
			require.Equal(t, message.Text, e.Kind())
			require.Equal(t, "hi", string(e.Text))
		}},
		{"combine is a text with subType 0", text(&MessageBody_Content{SubType: MessageBody_Content_SUB_COMBINE.Enum()}), func(t *testing.T, e Envelope) {
			require.Equal(t, message.Combine, e.Kind())
		}},
		{"gif", text(&MessageBody_Content{Type: MessageBody_Content_IMAGE.Enum(), SubType: MessageBody_Content_SUB_GIF.Enum()}), func(t *testing.T, e Envelope) {
			require.Equal(t, message.Image, e.Kind())
		}},
		{"command", text(&MessageBody_Content{Type: MessageBody_Content_COMMAND.Enum(), Action: proto.String("go")}), func(t *testing.T, e Envelope) {
			require.Equal(t, message.Cmd, e.Kind())
			require.Equal(t, "go", string(e.Action))
		}},
		{"custom", text(&MessageBody_Content{Type: MessageBody_Content_CUSTOM.Enum(), CustomEvent: proto.String("ev"), CustomExts: kvs}), func(t *testing.T, e Envelope) {
			d := e.Domain(10)
			require.Equal(t, message.Envelope{Kind: message.Custom, CustomEvent: "ev", CustomExts: 2, Size: d.Size}, d)
			require.Equal(t, e.bytes+10, d.Size)
		}},
		{"read receipt", &MessageBody{
			Type: MessageBody_READ_ACK.Enum(), AckMessageId: proto.Uint64(1 << 63), AckContent: proto.String("ok"),
			MsgConfig: &MessageBody_MessageConfig{AllowGroupAck: proto.Bool(true)}, Contents: []*MessageBody_Content{{}},
		}, func(t *testing.T, e Envelope) {
			require.Equal(t, MessageBody_READ_ACK, e.Type)
			require.Equal(t, uint64(1<<63), e.AckMessageID)
			require.Equal(t, "ok", string(e.AckContent))
			require.True(t, e.AllowGroupAck)
			require.Equal(t, 1, e.Contents)
		}},
		{"edit", &MessageBody{Type: MessageBody_EDIT.Enum(), EditMessageId: proto.Uint64(8), EditScope: MessageBody_BODY_AND_EXT.Enum(), Ext: kvs}, func(t *testing.T, e Envelope) {
			require.Equal(t, uint64(8), e.EditMessageID)
			require.Equal(t, MessageBody_BODY_AND_EXT, e.EditScope)
			require.Equal(t, 2, e.Ext)
		}},
		{"unknown content type", text(&MessageBody_Content{Type: MessageBody_Content_Type(77).Enum()}), func(t *testing.T, e Envelope) {
			require.Equal(t, message.None, e.Kind())
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e, err := ScanBody(marshal(t, tt.body))
			require.NoError(t, err)
			tt.want(t, e)
		})
	}
}

func TestDecodersRefuse(t *testing.T) {
	scan := func(b []byte) error { _, err := ScanBody(b); return err }
	sync := func(b []byte) error { _, err := DecodeSync(b); return err }
	frame := func(b []byte) error { _, err := DecodeFrame(b); return err }
	long := make([]byte, MaxAddressBytes+1)
	badJSON := marshal(t, &MessageBody{Ext: []*KeyValue{{Type: KeyValue_JSON_STRING.Enum(), Value: &KeyValue_StringValue{StringValue: "{"}}}})
	tests := []struct {
		name   string
		decode func([]byte) error
		in     []byte
		kind   error
	}{
		{"oversize frame", frame, make([]byte, MaxFrameBytes+1), ErrTooLarge},
		{"truncated frame", frame, AppendUnreadRequest(nil)[:5], ErrMalformed},
		{"field number 0", frame, []byte{0x00, 0x00}, ErrMalformed},
		{"group", frame, protowire.AppendTag(nil, 9, protowire.StartGroupType), ErrWireType},
		{"payload as varint", frame, appendUint(nil, 9, 1), ErrWireType},
		{"two payloads", frame, appendBytes(appendBytes(nil, 9, nil), 9, nil), ErrRepeated},
		{"encrypted", frame, appendUint([]byte{0x40, 0}, 11, 1), ErrEncrypted},
		{"encrypted, packed", frame, appendBytes([]byte{0x40, 0}, 11, []byte{0, 2}), ErrEncrypted},
		{"compressed", frame, appendUint([]byte{0x40, 0}, 4, 1), ErrEncrypted},
		{"long name", frame, appendBytes(nil, 2, appendBytes(nil, 2, long)), ErrTooLarge},
		{"name not UTF-8", sync, appendBytes(nil, 3, appendBytes(nil, 2, []byte{0xff})), ErrText},
		{"two metas", sync, appendBytes(appendBytes(nil, 1, nil), 1, nil), ErrRepeated},
		{"meta.id as bytes", sync, appendBytes(nil, 1, appendBytes(nil, 1, nil)), ErrWireType},
		{"content as varint", scan, appendUint(nil, 4, 1), ErrWireType},
		{"latitude as varint", scan, appendBytes(nil, 4, appendUint(nil, 3, 1)), ErrWireType},
		{"broken size inside content", scan, appendBytes(nil, 4, appendBytes(nil, 13, []byte{0x09})), ErrMalformed},
		{"broken ext", scan, appendBytes(nil, 5, []byte{0x0a, 0x05, 0x61}), ErrMalformed},
		{"ext value of a wrong type", scan, appendBytes(nil, 5, appendUint(nil, 6, 1)), ErrWireType},
		{"ext that is not JSON", scan, badJSON, ErrJSON},
		{"meta that is not JSON", scan, appendBytes(nil, 9, []byte("x")), ErrJSON},
		{"two types", scan, appendUint(appendUint(nil, 1, 1), 1, 4), ErrRepeated},
		{"stream with a wrong type", scan, appendBytes(nil, 13, appendUint(nil, 1, 1)), ErrWireType},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.decode(tt.in)
			require.ErrorIs(t, err, tt.kind)
			var de *DecodeError
			require.True(t, errors.As(err, &de))
		})
	}
}

func TestLimitsOnCounts(t *testing.T) {
	var contents, ext, users []byte
	for range MaxContents + 1 {
		contents = appendBytes(contents, 4, nil)
	}
	for range MaxExtEntries + 1 {
		ext = appendBytes(ext, 5, nil)
	}
	for range MaxDirectedUsers + 1 {
		users = appendBytes(users, 10, []byte("u"))
	}
	_, err := ScanBody(contents)
	require.ErrorIs(t, err, ErrTooLarge)
	_, err = ScanBody(ext)
	require.ErrorIs(t, err, ErrTooLarge)
	_, err = DecodeMeta(users)
	require.ErrorIs(t, err, ErrTooLarge)
}

func TestMetaOfEvent(t *testing.T) {
	raw := body(t)
	ext := marshal(t, &Meta{Ext: []*KeyValue{{Key: proto.String("x")}}})
	at := domain.T(1<<40) << 12
	tests := []struct {
		name string
		body domain.Body
		ok   bool
		to   string
		res  string
	}{
		{"sent", conversation.MessageSent{From: "ann", FromResource: "r", To: "bob", ToResource: "b1", Body: raw, Ext: ext}, true, "bob", "b1"},
		{"delivered", conversation.MessageDelivered{By: "ann", ByResource: "r", To: "bob", Body: raw}, true, "bob", ""},
		{"read", conversation.MessageRead{By: "ann", ByResource: "r", To: "bob", Body: raw}, true, "bob", ""},
		{"conversation read", conversation.ConversationRead{By: "ann", ByResource: "r", To: "bob", Body: raw}, true, "bob", ""},
		{"member added", conversation.MemberAdded{User: "ann"}, false, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, ok := MetaOfEvent(nil, "a#b", &domain.Event{T: at, Seq: 1, Body: tt.body}, nil)
			require.Equal(t, tt.ok, ok)
			if !ok {
				require.Empty(t, b)
				return
			}
			m, err := DecodeMeta(b)
			require.NoError(t, err)
			require.Equal(t, uint64(at), m.ID)
			require.Equal(t, uint64(at.Milli()), m.Timestamp)
			require.Equal(t, "ann", string(m.From.Name))
			require.Equal(t, "r", string(m.From.Resource))
			require.Equal(t, tt.to, string(m.To.Name))
			require.Equal(t, tt.res, string(m.To.Resource))
			require.Equal(t, raw, m.Payload, "the body is relayed byte for byte")
			require.Equal(t, Meta_CHAT, m.NS)
		})
	}
	b, _ := MetaOfEvent(nil, "a#b", &domain.Event{T: at, Body: tests[0].body}, nil)
	m, err := DecodeMeta(b)
	require.NoError(t, err)
	require.Equal(t, ext, m.Ext)
}

func TestHotDecodersDoNotAllocate(t *testing.T) {
	raw := body(t)
	frame := AppendSend(nil, &Outgoing{ID: 1, AppKey: "demo#chat", To: "bob", NS: Meta_CHAT, Payload: raw})
	fr, err := DecodeFrame(frame)
	require.NoError(t, err)
	tests := map[string]func(){
		"frame": func() { _, err = DecodeFrame(frame) },
		"sync":  func() { _, err = DecodeSync(fr.Payload) },
		"body":  func() { _, err = ScanBody(raw) },
	}
	for name, f := range tests {
		require.Zero(t, testing.AllocsPerRun(100, f), name)
		require.NoError(t, err)
	}
}

func BenchmarkDecodeSync(b *testing.B) {
	frame := AppendSend(nil, &Outgoing{ID: 1, AppKey: "demo#chat", To: "bob", NS: Meta_CHAT, Payload: body(b)})
	b.ReportAllocs()
	for b.Loop() {
		fr, err := DecodeFrame(frame)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := DecodeSync(fr.Payload); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkScanBody(b *testing.B) {
	raw := body(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ScanBody(raw); err != nil {
			b.Fatal(err)
		}
	}
}
