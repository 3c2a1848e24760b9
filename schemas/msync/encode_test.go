package msync

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"
)

// open reads a frame and its payload by the generated types: the oracle of everything written by hand.
func open(t require.TestingT, frame []byte, command MSync_Command, payload proto.Message) {
	var m MSync
	require.NoError(t, proto.Unmarshal(frame, &m))
	require.NotNil(t, m.Version, "version is written even when it is 0")
	require.NotNil(t, m.Command, "command is written even when it is 0")
	require.Equal(t, command, m.GetCommand())
	require.NoError(t, proto.Unmarshal(m.Payload, payload))
	require.Empty(t, m.ProtoReflect().GetUnknown())
	require.Empty(t, payload.ProtoReflect().GetUnknown())
}

// body is a text message as the SDK writes it.
func body(t require.TestingT) []byte {
	b, err := proto.Marshal(&MessageBody{
		Type: MessageBody_CHAT.Enum(), From: &JID{Name: proto.String("ann")}, To: &JID{Name: proto.String("bob")},
		Contents: []*MessageBody_Content{{Type: MessageBody_Content_TEXT.Enum(), Text: proto.String("你好 👋")}},
		Ext:      []*KeyValue{{Key: proto.String("k"), Type: KeyValue_INT.Enum(), Value: &KeyValue_VarintValue{VarintValue: 7}}},
	})
	require.NoError(t, err)
	return b
}

func testHeader() *MetaHeader {
	return &MetaHeader{
		ID: 1<<63 + 5, AppKey: "demo#chat", From: "ann", FromResource: "web_1", To: "bob", Timestamp: 1767225600123, NS: Meta_CHAT,
	}
}

func TestGoldenFrames(t *testing.T) {
	queue := Queue{AppKey: "a#b", Name: "bob", Domain: UserDomain}
	meta := AppendMeta(nil, &MetaHeader{ID: 300, AppKey: "a#b", From: "ann", FromResource: "r", To: "bob", Timestamp: 1000, NS: Meta_CHAT},
		[]byte{0x08, 0x01}, nil, nil)
	tests := []struct {
		name string
		got  []byte
		want string
	}{
		{"meta", meta, "08ac02" + "121a0a03612362" + "1203616e6e" + "1a0b656173656d6f622e636f6d" + "220172" +
			"1a170a03612362" + "1203626f62" + "1a0b656173656d6f622e636f6d" + "20e807" + "2801" + "32020801"},
		{
			"page", AppendPage(nil, &Page{Queue: queue, Metas: [][]byte{{0x08, 0x05}}, NextKey: 1 << 16, Timestamp: 1000}),
			"080040004a2a" + "0a020800" + "22020805" + "28808004" + "32170a03612362" + "1203626f62" + "1a0b656173656d6f622e636f6d" + "3800" + "40e807",
		},
		{
			"last page of the system queue", AppendPage(nil, &Page{Queue: Queue{Domain: UserDomain}, IsLast: true}),
			"080040004a17" + "0a020800" + "320f" + "1200" + "1a0b656173656d6f622e636f6d" + "3801",
		},
		{"ack", AppendAck(nil, &Ack{MetaID: 7, ServerID: 300, Timestamp: 1000}), "080040004a0c" + "0a020800" + "1007" + "18ac02" + "40e807"},
		{
			"refusal", AppendAck(nil, &Ack{MetaID: 7, Code: Status_PERMISSION_DENIED_EXTERNAL, Reason: "no"}),
			"080040004a0a" + "0a060813" + "12026e6f" + "1007",
		},
		{"empty unread", AppendUnread(nil, nil, 1000), "080040014a07" + "0a020800" + "18e807"},
		{"provision", AppendProvision(nil, &ProvisionAnswer{Resource: "r"}), "080040034a07" + "42020800" + "6a0172"},
		{"logout", AppendLogout(nil, Status_OK, ""), "080040044a04" + "1a020800"},
		{"heartbeat", AppendUnreadRequest(nil), "080040014a00"},
		{"key", AppendSync(nil, &Queue{Name: "b"}, 1<<16), "080040004a09" + "10808004" + "1a03120162"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, tt.want, hex.EncodeToString(tt.got))
		})
	}
}

func TestMetaReadsAsItsHeader(t *testing.T) {
	ext, err := proto.Marshal(&Meta{Ext: []*KeyValue{{Key: proto.String("chatroom_msg_tag"), Type: KeyValue_INT.Enum()}}})
	require.NoError(t, err)
	h := testHeader()
	h.RouteType, h.ToResource = Meta_ROUTE_ONLINE, "web_2"
	raw := AppendMeta(nil, h, body(t), ext, []byte(`{"is_online":1}`))
	require.Len(t, raw, SizeMeta(h, body(t), ext, []byte(`{"is_online":1}`)))
	var m Meta
	require.NoError(t, proto.Unmarshal(raw, &m))
	require.Equal(t, uint64(1<<63+5), m.GetId())
	require.Equal(t, "ann", m.GetFrom().GetName())
	require.Equal(t, "web_1", m.GetFrom().GetClientResource())
	require.Equal(t, "web_2", m.GetTo().GetClientResource())
	require.Equal(t, body(t), m.GetPayload())
	require.Equal(t, Meta_ROUTE_ONLINE, m.GetRoutetype())
	require.Equal(t, "chatroom_msg_tag", m.GetExt()[0].GetKey())
	require.Equal(t, `{"is_online":1}`, string(m.GetMeta()))
}

func TestAnswersHaveTheirStatus(t *testing.T) {
	var page, ack CommSyncDL
	open(t, AppendPage(nil, &Page{Queue: Queue{Domain: UserDomain}}), MSync_SYNC, &page)
	require.NotNil(t, page.GetStatus().ErrorCode)
	require.NotNil(t, page.IsLast)
	require.NotNil(t, page.GetQueue().Name, "an empty queue name is present")
	open(t, AppendAck(nil, &Ack{MetaID: 1, ServerID: 2}), MSync_SYNC, &ack)
	require.NotNil(t, ack.GetStatus().ErrorCode)
	var unread CommUnreadDL
	open(t, AppendUnread(nil, []UnreadQueue{{Queue{Name: "x", Domain: GroupDomain}, 3}}, 9), MSync_UNREAD, &unread)
	require.NotNil(t, unread.GetStatus().ErrorCode)
	require.Equal(t, uint32(3), unread.GetUnread()[0].GetN())
	var prov Provision
	token := `{"expires_in":` + strings.Repeat("1", 200) + `}`
	open(t, AppendProvision(nil, &ProvisionAnswer{Resource: "r", AuthToken: token}), MSync_PROVISION, &prov)
	require.NotNil(t, prov.GetStatus().ErrorCode)
	require.Equal(t, token, prov.GetAuthToken())
	require.Empty(t, prov.GetProtocolCompressType(), "compression is never offered")
}

func TestKickIsAVolatileStatistic(t *testing.T) {
	frame := AppendKick(nil, &Kick{ID: 9, AppKey: "a#b", User: "ann", Operation: StatisticsBody_USER_KICKED_BY_OTHER_DEVICE, Timestamp: 5})
	var page CommSyncDL
	open(t, frame, MSync_SYNC, &page)
	require.True(t, page.GetIsLast())
	require.NotNil(t, page.GetQueue())
	require.Equal(t, Meta_STATISTIC, page.GetMetas()[0].GetNs())
	var s StatisticsBody
	require.NoError(t, proto.Unmarshal(page.GetMetas()[0].GetPayload(), &s))
	require.Equal(t, StatisticsBody_USER_KICKED_BY_OTHER_DEVICE, s.GetOperation())
}

func TestPageReadsAsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Page{
			Queue:     Queue{rapid.StringN(0, 20, 60).Draw(t, "app"), rapid.StringN(0, 20, 60).Draw(t, "name"), GroupDomain},
			NextKey:   rapid.Uint64().Draw(t, "key"),
			IsLast:    rapid.Bool().Draw(t, "last"),
			Timestamp: rapid.Uint64().Draw(t, "ts"),
		}
		for range rapid.IntRange(0, 5).Draw(t, "metas") {
			h := testHeader()
			h.ID = rapid.Uint64().Draw(t, "id")
			h.NS = Meta_NameSpace(rapid.IntRange(0, 6).Draw(t, "ns"))
			p.Metas = append(p.Metas, AppendMeta(nil, h, rapid.SliceOf(rapid.Byte()).Draw(t, "payload"), nil, nil))
		}
		frame := AppendPage(nil, &p)
		require.LessOrEqual(t, len(frame), SizePage(&p))
		require.Less(t, SizePage(&p)-len(frame), 6)
		var want CommSyncDL
		open(t, frame, MSync_SYNC, &want)
		fr, err := DecodeFrame(frame)
		require.NoError(t, err)
		got, err := DecodeSyncDown(fr.Payload, nil)
		require.NoError(t, err)
		require.Equal(t, want.GetNextKey(), got.NextKey)
		require.Equal(t, p.NextKey, got.NextKey)
		require.Equal(t, p.IsLast, got.IsLast)
		require.Equal(t, p.Timestamp, got.Timestamp)
		require.Equal(t, p.Queue, got.Queue.Queue())
		require.Equal(t, len(p.Metas), len(got.Metas))
		for i := range p.Metas {
			require.Equal(t, p.Metas[i], got.Metas[i])
		}
	})
}

func TestHotEncodersDoNotAllocate(t *testing.T) {
	raw := body(t)
	h := testHeader()
	meta := AppendMeta(nil, h, raw, nil, nil)
	page := Page{Queue: Queue{"demo#chat", "ann", UserDomain}, Metas: [][]byte{meta, meta}, NextKey: 1 << 16, Timestamp: h.Timestamp}
	ack := Ack{MetaID: 1, ServerID: h.ID, Timestamp: h.Timestamp}
	out := Outgoing{ID: 1, AppKey: "demo#chat", To: "bob", NS: Meta_CHAT, Payload: raw}
	buf := make([]byte, 0, 4096)
	tests := map[string]func(){
		"meta": func() { AppendMeta(buf, h, raw, nil, nil) },
		"page": func() { AppendPage(buf, &page) },
		"ack":  func() { AppendAck(buf, &ack) },
		"send": func() { AppendSend(buf, &out) },
		"key":  func() { AppendSync(buf, &page.Queue, 5) },
	}
	for name, f := range tests {
		require.Zero(t, testing.AllocsPerRun(100, f), name)
	}
}

func BenchmarkEncodePage(b *testing.B) {
	h := testHeader()
	meta := AppendMeta(nil, h, body(b), nil, nil)
	page := Page{Queue: Queue{"demo#chat", "ann", UserDomain}, Metas: [][]byte{meta}, NextKey: 1 << 16, Timestamp: h.Timestamp}
	buf := make([]byte, 0, SizePage(&page))
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendPage(buf[:0], &page)
	}
}

func BenchmarkEncodeMeta(b *testing.B) {
	h, raw := testHeader(), body(b)
	buf := make([]byte, 0, SizeMeta(h, raw, nil, nil))
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendMeta(buf[:0], h, raw, nil, nil)
	}
}
