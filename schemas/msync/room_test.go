package msync

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/message"
)

var roomStream = domain.Stream{App: "demo#chat", Kind: domain.KindRoom, A: "77"}

const roomT domain.T = 115_964_116_992_002_051

// readRoomMeta reads a Meta of a room with the generated types, and checks what all of them have.
func readRoomMeta(t require.TestingT, raw []byte) (*Meta, *MUCBody) {
	m, b := new(Meta), new(MUCBody)
	require.NoError(t, proto.Unmarshal(raw, m))
	require.NoError(t, proto.Unmarshal(m.Payload, b))
	require.Empty(t, b.ProtoReflect().GetUnknown())
	require.Equal(t, Meta_MUC, m.GetNs())
	require.Equal(t, uint64(roomT), m.GetId())
	require.Equal(t, uint64(roomT.Milli()), m.GetTimestamp())
	require.NotEmpty(t, m.GetFrom().GetName(), "clients lose what is from nobody")
	require.Equal(t, m.GetFrom().GetName(), b.GetFrom().GetName())
	require.Equal(t, []string{"77", GroupDomain}, []string{m.GetTo().GetName(), m.GetTo().GetDomain()})
	require.Equal(t, []string{"demo#chat", "77", GroupDomain}, []string{
		b.GetMucId().GetAppKey(), b.GetMucId().GetName(), b.GetMucId().GetDomain(),
	})
	require.True(t, b.GetIsChatroom())
	require.NotNil(t, b.Operation, "written even when it is 0")
	return m, b
}

func named(jids []*JID) (out []string) {
	for _, j := range jids {
		out = append(out, j.GetName())
	}
	return out
}

func TestEventsOfRooms(t *testing.T) {
	bob, two := []conversation.Person{{User: "bob", Incarnation: 1}}, []conversation.Person{{User: "bob"}, {User: "cid"}}
	for name, c := range map[string]struct {
		body domain.Body
		op   MUCBody_Operation
		from string
		to   []string
		name string
	}{
		"created":        {conversation.RoomCreated{By: byAnn, Settings: conversation.RoomSettings{Name: "M"}}, MUCBody_CREATE, "ann", nil, "M"},
		"an owner":       {conversation.RoomTransferred{By: byAnn, Owner: bob[0]}, MUCBody_ASSIGN_OWNER, "ann", []string{"bob"}, ""},
		"the end":        {conversation.RoomDestroyed{Name: "M"}, MUCBody_DESTROY, "@ppAdmin", nil, "M"},
		"one allowed":    {conversation.UsersAllowed{By: byAnn, Users: bob}, MUCBody_ADD_USER_WHITE_LIST, "ann", []string{"bob"}, ""},
		"two allowed":    {conversation.UsersAllowed{By: byAnn, Users: two}, MUCBody_ADD_USER_WHITE_LIST, "ann", nil, ""},
		"one disallowed": {conversation.UsersDisallowed{Users: bob}, MUCBody_REMOVE_USER_WHITE_LIST, "@ppAdmin", []string{"bob"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			ev := &domain.Event{T: roomT, Seq: 9, Body: c.body}
			raw, ok := MetaOfEntry(nil, roomStream, ev, FormOf(ev, "bob"), nil)
			require.True(t, ok)
			require.Equal(t, cap(raw), len(raw), "the size is known before")
			m, b := readRoomMeta(t, raw)
			require.Equal(t, c.op, b.GetOperation())
			require.Equal(t, c.from, b.GetFrom().GetName())
			require.Equal(t, c.to, named(b.To))
			require.Equal(t, c.name, b.GetMucName())
			require.Nil(t, b.EventInfo)
			require.Nil(t, b.MucMemberCount)
			require.False(t, HasNamed(ev))
			if c.from == "ann" {
				require.Equal(t, "web", m.GetFrom().GetClientResource())
			}
		})
	}
}

// Clients parse what changed of a room as JSON, whatever the event.
func TestChangeOfARoom(t *testing.T) {
	raw, ok := MetaOfEntry(nil, roomStream, &domain.Event{T: roomT, Body: conversation.RoomChanged{By: byAnn, Change: conversation.RoomChange{
		Name: new("a\n\"b"), MaxUsers: new(uint32(300)),
	}}}, FormAll, nil)
	require.True(t, ok)
	_, b := readRoomMeta(t, raw)
	require.Equal(t, MUCBody_UPDATE, b.GetOperation())
	require.Equal(t, `{"name":"a\n\"b","max_users":300,"last_modified":1764001152000}`, b.GetEventInfo().GetExt())
}

func TestChatOfARoom(t *testing.T) {
	for _, c := range []conversation.Event{
		conversation.MessageSent{From: "ann", FromResource: "web", Body: message.Bytes(body(t)), Ext: AppendRoomExt(nil, conversation.PriorityLow, false)},
		conversation.MessageRecalled{By: "ann", ByResource: "web", Body: message.Bytes(body(t)), Ext: AppendRoomExt(nil, conversation.PriorityLow, false)},
	} {
		raw, ok := MetaOfEntry(nil, roomStream, &domain.Event{T: roomT, Body: c}, FormAll, nil)
		require.True(t, ok)
		var m Meta
		require.NoError(t, proto.Unmarshal(raw, &m))
		require.Equal(t, Meta_CHAT, m.GetNs())
		require.Equal(t, []string{"ann", "web", "77", GroupDomain}, []string{
			m.GetFrom().GetName(), m.GetFrom().GetClientResource(), m.GetTo().GetName(), m.GetTo().GetDomain(),
		})
		require.Equal(t, body(t), m.Payload)
		require.Len(t, m.Ext, 1)
	}
}

func TestRoomNotices(t *testing.T) {
	for name, c := range map[string]struct {
		notice  RoomNotice
		from    string
		to      []string
		members []string
		ext     string
		count   int32
	}{
		"one came":           {RoomNotice{Op: MUCBody_PRESENCE, Users: []domain.UserID{"bob"}, Ext: "hi", Count: 3}, "bob", nil, nil, "hi", 3},
		"one came to many":   {RoomNotice{Op: MUCBody_PRESENCE, Users: []domain.UserID{"bob"}}, "bob", nil, nil, "", 0},
		"several came":       {RoomNotice{Op: MUCBody_PRESENCE, Users: []domain.UserID{"bob", "cid"}, Count: 4}, "@ppAdmin", nil, []string{"bob", "cid"}, "", 4},
		"one went":           {RoomNotice{Op: MUCBody_ABSENCE, Users: []domain.UserID{"bob"}, Count: 2}, "bob", nil, nil, "", 2},
		"several went":       {RoomNotice{Op: MUCBody_ABSENCE, Users: []domain.UserID{"bob", "cid"}, Count: 1}, "@ppAdmin", nil, []string{"bob", "cid"}, "", 1},
		"removed":            {RoomNotice{Op: MUCBody_KICK, By: "ann", Users: []domain.UserID{"bob"}}, "ann", []string{"bob"}, nil, "", 0},
		"removed by the app": {RoomNotice{Op: MUCBody_KICK, Users: []domain.UserID{"bob"}}, "@ppAdmin", []string{"bob"}, nil, "", 0},
		"several removed":    {RoomNotice{Op: MUCBody_KICK, By: "ann", Users: []domain.UserID{"bob", "cid"}}, "ann", nil, nil, "", 0},
		"allowed":            {RoomNotice{Op: MUCBody_ADD_USER_WHITE_LIST, By: "ann", Users: []domain.UserID{"bob"}}, "ann", []string{"bob"}, nil, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			c.notice.ID, c.notice.Room = roomT, roomStream
			raw := AppendRoomNotice(nil, &c.notice)
			require.Equal(t, cap(raw), len(raw), "the size is known before")
			require.Equal(t, "x"+string(raw), string(AppendRoomNotice([]byte("x"), &c.notice)))
			_, b := readRoomMeta(t, raw)
			require.Equal(t, c.notice.Op, b.GetOperation())
			require.Equal(t, c.from, b.GetFrom().GetName())
			require.Equal(t, c.to, named(b.To))
			require.Equal(t, c.members, b.Members)
			require.Equal(t, c.ext, b.GetExt())
			require.Equal(t, c.count, b.GetMucMemberCount())
			require.Equal(t, c.count != 0, b.MucMemberCount != nil)
			require.Nil(t, b.EventInfo)
		})
	}
}

// The answer to a join has what SDKs read from it: the entry of the name that they logged in with.
func TestRoomJoined(t *testing.T) {
	joined := RoomJoined{
		ID: roomT, Room: roomStream, User: "ann", Created: roomT, Count: 7, Allowed: true, AllMuted: true, MutedUntil: 1764001152001,
	}
	const info = `{"is_all_mute":true,"create_timestamp":1764001152000,"is_in_white_list":true,"member_count":7,"mute_duration":1764001152001}`
	for name, want := range map[string]string{
		"":      `{"ann":` + info + `}`,
		"ann":   `{"ann":` + info + `}`,
		"ANN":   `{"ANN":` + info + `,"ann":` + info + `}`,
		"bob":   `{"ann":` + info + `}`,
		"ann\"": `{"ann":` + info + `}`,
	} {
		joined.CalledAs = name
		raw := AppendRoomJoined(nil, &joined)
		require.Equal(t, cap(raw), len(raw), "the size is known before")
		_, b := readRoomMeta(t, raw)
		require.Equal(t, MUCBody_JOIN, b.GetOperation())
		require.NotNil(t, b.GetStatus().ErrorCode)
		require.Equal(t, MUCBody_Status_OK, b.GetStatus().GetErrorCode())
		require.Equal(t, want, b.GetStatus().GetChatroomInfo(), name)
	}
	raw := AppendRoomJoined(nil, &RoomJoined{ID: roomT, Room: roomStream, User: "ann", Created: roomT})
	_, b := readRoomMeta(t, raw)
	var all map[string]map[string]any
	require.NoError(t, json.Unmarshal([]byte(b.GetStatus().GetChatroomInfo()), &all))
	require.Equal(t, map[string]any{
		"is_all_mute": false, "create_timestamp": 1764001152000.0, "is_in_white_list": false, "member_count": 0.0, "mute_duration": 0.0,
	}, all["ann"])
}

// sdkJoin is the MUCBody of a join as the SDKs encode it; a leave has no ext and no leaveOtherRooms.
func sdkJoin() *MUCBody {
	return &MUCBody{
		MucId:     &JID{AppKey: new("demo#chat"), Name: new("77"), Domain: new(GroupDomain)},
		Operation: MUCBody_JOIN.Enum(), From: &JID{Name: new("Ann")}, IsChatroom: new(true), Ext: new(`{"vip":"是"}`), LeaveOtherRooms: new(true),
	}
}

func TestScanRoomCall(t *testing.T) {
	c, err := ScanRoomCall(marshal(t, sdkJoin()))
	require.NoError(t, err)
	require.Equal(t, []any{true, MUCBody_JOIN, true, true, "demo#chat", "77", GroupDomain, "Ann", `{"vip":"是"}`}, []any{
		c.HasOperation, c.Operation, c.Chatroom, c.LeaveOthers, string(c.Room.AppKey), string(c.Room.Name), string(c.Room.Domain),
		string(c.From.Name), string(c.Ext),
	})
	leave := sdkJoin()
	leave.Operation, leave.Ext, leave.LeaveOtherRooms = MUCBody_LEAVE.Enum(), nil, nil
	c, err = ScanRoomCall(marshal(t, leave))
	require.NoError(t, err)
	require.Equal(t, []any{MUCBody_LEAVE, true, false, 0}, []any{c.Operation, c.Chatroom, c.LeaveOthers, len(c.Ext)})
	c, err = ScanRoomCall(nil)
	require.NoError(t, err)
	require.False(t, c.HasOperation, "none is not CREATE")
	payload := marshal(t, sdkJoin())
	require.Zero(t, testing.AllocsPerRun(100, func() { _, _ = ScanRoomCall(payload) }))
}

func TestRoomCallsThatAreRefused(t *testing.T) {
	long := sdkJoin()
	long.Ext = new(string(make([]byte, MaxJoinExtBytes+1)))
	for name, c := range map[string]struct {
		payload []byte
		want    error
	}{
		"a long ext":          {marshal(t, long), ErrTooLarge},
		"an ext that is none": {[]byte{14<<3 | 2, 1, 0xff}, ErrText},
		"two rooms":           {append(marshal(t, sdkJoin()), marshal(t, sdkJoin())...), ErrRepeated},
		"a room of numbers":   {[]byte{1 << 3, 7}, ErrWireType},
		"cut short":           {marshal(t, sdkJoin())[:5], ErrMalformed},
	} {
		_, err := ScanRoomCall(c.payload)
		require.ErrorIs(t, err, c.want, name)
	}
}

// What our client writes is what the SDKs write.
func TestRoomCallSurvivesTheWire(t *testing.T) {
	for _, op := range []MUCBody_Operation{MUCBody_JOIN, MUCBody_LEAVE} {
		want := sdkJoin()
		if want.Operation = op.Enum(); op == MUCBody_LEAVE {
			want.Ext, want.LeaveOtherRooms = nil, nil
		}
		got := new(MUCBody)
		require.NoError(t, proto.Unmarshal(AppendRoomCall(nil, "demo#chat", "Ann", "77", op, `{"vip":"是"}`, true), got))
		require.True(t, proto.Equal(want, got), "%v, want %v", got, want)
	}
}

func TestPriorityOf(t *testing.T) {
	field := func(kvs ...*KeyValue) []byte { return marshal(t, &Meta{Ext: kvs}) }
	whole := func(key string, typ KeyValue_ValueType, v int64) *KeyValue {
		return &KeyValue{Key: &key, Type: typ.Enum(), Value: &KeyValue_VarintValue{VarintValue: v}}
	}
	text := &KeyValue{Key: new(priorityKey), Type: KeyValue_STRING.Enum(), Value: &KeyValue_StringValue{StringValue: "0"}}
	tag := func(v int64) *KeyValue { return whole(priorityKey, KeyValue_INT, v) }
	for name, c := range map[string]struct {
		ext  []byte
		want conversation.Priority
	}{
		"none":               {nil, conversation.PriorityNormal},
		"another key":        {field(whole("k", KeyValue_INT, 0)), conversation.PriorityNormal},
		"high":               {field(tag(0)), conversation.PriorityHigh},
		"normal":             {field(tag(1)), conversation.PriorityNormal},
		"low":                {field(tag(2)), conversation.PriorityLow},
		"of another integer": {field(whole(priorityKey, KeyValue_LLINT, 2)), conversation.PriorityLow},
		"among others":       {field(whole("k", KeyValue_INT, 0), tag(2), whole("z", KeyValue_INT, 0)), conversation.PriorityLow},
		"before others":      {field(tag(2), whole("z", KeyValue_INT, 0)), conversation.PriorityLow},
		"twice":              {field(tag(0), tag(2)), conversation.PriorityLow},
		"out of range":       {field(tag(3)), conversation.PriorityNormal},
		"below":              {field(tag(-1)), conversation.PriorityNormal},
		"a truth":            {field(whole(priorityKey, KeyValue_BOOL, 0)), conversation.PriorityNormal},
		"a text":             {field(text), conversation.PriorityNormal},
		"no value":           {field(&KeyValue{Key: new(priorityKey), Type: KeyValue_INT.Enum()}), conversation.PriorityNormal},
		"cut short":          {field(tag(0))[:9], conversation.PriorityNormal},
		"garbage":            {[]byte{0xff, 0xff}, conversation.PriorityNormal},
		"over REST":          {AppendRoomExt(nil, conversation.PriorityHigh, true), conversation.PriorityHigh},
	} {
		require.Equal(t, c.want, PriorityOf(c.ext), name)
	}
	ext := field(whole("k", KeyValue_INT, 7), tag(2))
	require.Zero(t, testing.AllocsPerRun(100, func() { PriorityOf(ext) }))
}

func TestRoomExt(t *testing.T) {
	for p := range conversation.PriorityLow + 1 {
		for _, broadcast := range []bool{false, true} {
			ext := AppendRoomExt(nil, p, broadcast)
			require.Equal(t, p, PriorityOf(ext))
			var m Meta
			require.NoError(t, proto.Unmarshal(ext, &m))
			require.JSONEq(t, map[bool]string{
				false: `{"chatroom_msg_tag":` + string('0'+byte(p)) + `}`, true: `{"chatroom_msg_tag":` + string('0'+byte(p)) + `,"is_broadcast":true}`,
			}[broadcast], string(extJSON(m.Ext)))
		}
	}
}

// Priorities are read as generated code reads them, whatever stands around.
func TestPriorityReadsAsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := conversation.PriorityNormal
		m := &Meta{}
		for range rapid.IntRange(0, 5).Draw(t, "entries") {
			key := rapid.SampledFrom([]string{priorityKey, "k", ""}).Draw(t, "key")
			typ := KeyValue_ValueType(rapid.IntRange(1, 8).Draw(t, "type"))
			v := rapid.Int64Range(-1, 4).Draw(t, "value")
			m.Ext = append(m.Ext, &KeyValue{Key: &key, Type: &typ, Value: &KeyValue_VarintValue{VarintValue: v}})
			if key != priorityKey {
				continue
			}
			want = conversation.PriorityNormal
			if v >= 0 && v <= 2 && (typ == KeyValue_INT || typ == KeyValue_UINT || typ == KeyValue_LLINT) {
				want = conversation.Priority(v)
			}
		}
		require.Equal(t, want, PriorityOf(marshal(t, m)))
	})
}

func BenchmarkPriorityOf(b *testing.B) {
	ext := AppendRoomExt(nil, conversation.PriorityLow, true)
	b.ReportAllocs()
	for b.Loop() {
		if PriorityOf(ext) != conversation.PriorityLow {
			b.Fatal("another priority")
		}
	}
}

func BenchmarkMetaOfRoomMessage(b *testing.B) {
	ev := &domain.Event{T: roomT, Body: conversation.MessageSent{
		From: "ann", FromResource: "web", Body: make(message.Bytes, 200), Ext: AppendRoomExt(nil, conversation.PriorityNormal, false),
	}}
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := MetaOfEntry(nil, roomStream, ev, FormAll, nil); !ok {
			b.Fatal("no form")
		}
	}
}

func FuzzScanRoomCall(f *testing.F) {
	f.Add(marshal(f, sdkJoin()))
	f.Add(AppendRoomCall(nil, "demo#chat", "ann", "77", MUCBody_LEAVE, "", false))
	f.Fuzz(func(t *testing.T, payload []byte) {
		c, err := ScanRoomCall(payload)
		var b MUCBody
		if err != nil || proto.Unmarshal(payload, &b) != nil {
			return
		}
		if c.Operation != b.GetOperation() || string(c.Room.Name) != b.GetMucId().GetName() || string(c.Ext) != b.GetExt() ||
			c.LeaveOthers != b.GetLeaveOtherRooms() || c.Chatroom != b.GetIsChatroom() {
			t.Fatalf("got %+v, want %v", c, &b)
		}
	})
}

func FuzzPriorityOf(f *testing.F) {
	f.Add(AppendRoomExt(nil, conversation.PriorityHigh, true))
	f.Fuzz(func(t *testing.T, ext []byte) {
		if p := PriorityOf(ext); p > conversation.PriorityLow {
			t.Fatalf("priority %d", p)
		}
	})
}
