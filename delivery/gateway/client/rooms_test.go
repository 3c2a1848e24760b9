package client

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"parley/domain/conversation"
	"parley/schemas/msync"
)

var room = msync.Queue{AppKey: "a#b", Name: "77", Domain: msync.GroupDomain}

// command reads a join or leave.
func (p *peer) command() (uint64, *msync.MUCBody) {
	s := p.sync()
	assert.Equal(p.t, msync.Meta_MUC, s.Meta.NS)
	assert.Equal(p.t, msync.GroupDomain, string(s.Meta.To.Domain))
	b := &msync.MUCBody{}
	assert.NoError(p.t, proto.Unmarshal(s.Meta.Payload, b))
	assert.True(p.t, b.GetIsChatroom())
	assert.Equal(p.t, "77", b.GetMucId().GetName())
	assert.Equal(p.t, "ann", b.GetFrom().GetName())
	return s.Meta.ID, b
}

// info makes what a server answers to a join.
func info(t *testing.T, text string) []byte {
	b, err := proto.Marshal(&msync.MUCBody{Status: &msync.MUCBody_Status{ChatroomInfo: &text}})
	require.NoError(t, err)
	return msync.AppendMeta(nil, &msync.MetaHeader{ID: 1, AppKey: "a#b", From: "77", To: "ann", Timestamp: 1, NS: msync.Meta_MUC}, b, nil, nil)
}

func TestRooms(t *testing.T) {
	keys := make(chan uint64, 1)
	c := dial(t, serve(t, func(p *peer) {
		p.hello()
		id, b := p.command()
		assert.Equal(p.t, msync.MUCBody_JOIN, b.GetOperation())
		assert.Equal(p.t, "hi", b.GetExt())
		p.send(msync.AppendAck(nil, &msync.Ack{MetaID: id, ServerID: 5, Metas: [][]byte{
			info(p.t, `{"ann":{"member_count":3,"is_all_mute":true,"create_timestamp":9,"is_in_white_list":true,"mute_duration":4}}`),
		}}))
		id, _ = p.command()
		p.send(msync.AppendAck(nil, &msync.Ack{MetaID: id, Code: msync.Status_FAIL, Reason: "grpID 77 does not exist!"}))
		for _, text := range []string{"", "{}", `{"bob":{}}`} {
			id, _ = p.command()
			p.send(msync.AppendAck(nil, &msync.Ack{MetaID: id, Metas: [][]byte{info(p.t, text)}}))
		}
		id, _ = p.command()
		p.send(msync.AppendAck(nil, &msync.Ack{MetaID: id}))
		id, b = p.command()
		assert.Equal(p.t, msync.MUCBody_LEAVE, b.GetOperation())
		p.send(msync.AppendAck(nil, &msync.Ack{MetaID: id}))
		p.send(page(room, 0, true, 11, 12))
		p.send(page(bob, 7<<16, false, 13))
		keys <- p.sync().Key // the first thing that is acknowledged is not the room's
	}))
	got, a, err := c.JoinRoom(within(t), "77", "hi")
	require.NoError(t, err)
	require.Equal(t, msync.Status_OK, a.Code)
	require.Equal(t, RoomInfo{Members: 3, AllMuted: true, Created: 9, Allowed: true, Muted: 4, Room: "77"}, got)
	got, a, err = c.JoinRoom(within(t), "77", "")
	require.NoError(t, err, "a refusal is an answer")
	require.Equal(t, "grpID 77 does not exist!", a.Reason)
	require.Zero(t, got)
	for range 4 {
		_, _, err = c.JoinRoom(within(t), "77", "")
		var pe *ProtocolError
		require.ErrorAs(t, err, &pe, "an SDK finds nothing there")
	}
	a, err = c.LeaveRoom(within(t), "77")
	require.NoError(t, err)
	require.Equal(t, msync.Status_OK, a.Code)
	for _, want := range []uint64{11, 12, 13} {
		r, err := c.Receive(within(t))
		require.NoError(t, err)
		require.Equal(t, want, r.Meta.ID)
		require.Equal(t, want != 13, r.Volatile)
	}
	require.Equal(t, uint64(7<<16), <-keys)
}

func TestSendRoom(t *testing.T) {
	for _, tc := range []struct {
		priority conversation.Priority
		want     int64
	}{{conversation.PriorityHigh, 0}, {conversation.PriorityNormal, 1}, {conversation.PriorityLow, 2}} {
		c := dial(t, serve(t, func(p *peer) {
			p.hello()
			s := p.sync()
			e, err := msync.ScanBody(s.Meta.Payload)
			assert.NoError(p.t, err)
			assert.Equal(p.t, msync.MessageBody_CHATROOM, e.Type)
			assert.Equal(p.t, "77", string(s.Meta.To.Name))
			var kv msync.KeyValue
			assert.NoError(p.t, proto.Unmarshal(s.Meta.Ext[2:], &kv))
			assert.Equal(p.t, "chatroom_msg_tag", kv.GetKey())
			assert.Equal(p.t, tc.want, kv.GetVarintValue())
			p.send(msync.AppendAck(nil, &msync.Ack{MetaID: s.Meta.ID, ServerID: 5}))
		}))
		a, err := c.SendRoom(within(t), "77", "hi", tc.priority)
		require.NoError(t, err)
		require.Equal(t, uint64(5), a.ServerID)
	}
}

func TestReadRoomEvent(t *testing.T) {
	event := func(ns msync.Meta_NameSpace, b *msync.MUCBody) *msync.MetaView {
		payload, err := proto.Marshal(b)
		require.NoError(t, err)
		return &msync.MetaView{NS: ns, Payload: payload, Timestamp: uint64(time.Now().UnixMilli())}
	}
	came := &msync.MUCBody{
		MucId: &msync.JID{Name: proto.String("77")}, Operation: msync.MUCBody_PRESENCE.Enum(), From: &msync.JID{Name: proto.String("bob")},
		IsChatroom: proto.Bool(true), MucMemberCount: proto.Int32(2), Members: []string{"bob", "cay"}, Ext: proto.String("hi"),
	}
	got, ok := ReadRoomEvent(event(msync.Meta_MUC, came))
	require.True(t, ok)
	require.Equal(t, RoomEvent{
		Room: "77", Operation: msync.MUCBody_PRESENCE, From: "bob", Members: []string{"bob", "cay"}, Count: 2, Ext: "hi",
	}, got)
	_, ok = ReadRoomEvent(event(msync.Meta_CHAT, came))
	require.False(t, ok)
	came.IsChatroom = nil
	_, ok = ReadRoomEvent(event(msync.Meta_MUC, came))
	require.False(t, ok, "a group's")
	_, ok = ReadRoomEvent(&msync.MetaView{NS: msync.Meta_MUC, Payload: []byte{0xff}})
	require.False(t, ok)
}
