package client

import (
	"context"
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/proto"

	"parley/domain/conversation"
	"parley/schemas/msync"
)

// RoomInfo is what a server tells who joins a room.
type RoomInfo struct {
	Members  int    `json:"member_count"`
	AllMuted bool   `json:"is_all_mute"`
	Created  int64  `json:"create_timestamp"` // ms
	Allowed  bool   `json:"is_in_white_list"`
	Muted    int64  `json:"mute_duration"` // ms; 0: may speak
	Room     string `json:"-"`
}

// JoinRoom begins to view a room. ext is shown to the others. A refusal is no error: it is in the Ack, and the RoomInfo is empty.
func (c *Client) JoinRoom(ctx context.Context, room, ext string) (RoomInfo, Ack, error) {
	a, err := c.SendMeta(ctx, c.roomCommand(room, msync.MUCBody_JOIN, ext))
	if err != nil || a.Code != msync.Status_OK {
		return RoomInfo{}, a, err
	}
	info, err := ReadRoomInfo(&a, c.opts.User)
	info.Room = room
	return info, a, err
}

// LeaveRoom ends the viewing of a room by this device.
func (c *Client) LeaveRoom(ctx context.Context, room string) (Ack, error) {
	return c.SendMeta(ctx, c.roomCommand(room, msync.MUCBody_LEAVE, ""))
}

func (c *Client) roomCommand(room string, op msync.MUCBody_Operation, ext string) msync.Outgoing {
	return msync.Outgoing{
		To: room, ToDomain: msync.GroupDomain, NS: msync.Meta_MUC, Payload: RoomCommandBody(c.opts.AppKey, c.opts.User, room, op, ext),
	}
}

// RoomCommandBody makes the MUCBody of a join or leave, as the SDKs write it.
func RoomCommandBody(app, user, room string, op msync.MUCBody_Operation, ext string) []byte {
	b := &msync.MUCBody{
		MucId: &msync.JID{AppKey: &app, Name: &room, Domain: proto.String(msync.GroupDomain)}, Operation: op.Enum(),
		From: &msync.JID{Name: &user}, IsChatroom: proto.Bool(true),
	}
	if ext != "" {
		b.Ext = &ext
	}
	out, err := proto.Marshal(b)
	if err != nil { // only texts that are not UTF-8 cannot be written
		return nil
	}
	return out
}

// ReadRoomInfo reads the answer to a join. An answer without what the SDKs read from it is a *ProtocolError.
func ReadRoomInfo(a *Ack, user string) (RoomInfo, error) {
	if len(a.Metas) == 0 {
		return RoomInfo{}, &ProtocolError{What: "answer to a join without an entry"}
	}
	m, err := msync.DecodeMeta(a.Metas[0])
	if err != nil {
		return RoomInfo{}, &ProtocolError{What: "answer to a join", Err: err}
	}
	var b msync.MUCBody
	if err := proto.Unmarshal(m.Payload, &b); err != nil {
		return RoomInfo{}, &ProtocolError{What: "answer to a join", Err: err}
	}
	var all map[string]RoomInfo
	if err := json.Unmarshal([]byte(b.GetStatus().GetChatroomInfo()), &all); err != nil {
		return RoomInfo{}, &ProtocolError{What: "room info", Err: err}
	}
	info, ok := all[user]
	if !ok {
		return RoomInfo{}, &ProtocolError{What: fmt.Sprintf("room info of %d others", len(all))}
	}
	return info, nil
}

// RoomTextBody makes the body of a text to a room.
func RoomTextBody(from, room, text string) ([]byte, error) {
	body, err := json.Marshal(map[string]string{"msg": text})
	if err != nil {
		return nil, err
	}
	return msync.BodyFromJSON(&msync.Draft{Chat: msync.MessageBody_CHATROOM, From: from, To: room, Type: "txt", Body: body})
}

// RoomMessage makes a room message of a body, with its priority where the SDKs put it.
func RoomMessage(room string, body []byte, p conversation.Priority) (msync.Outgoing, error) {
	kv, err := proto.Marshal(&msync.KeyValue{
		Key: proto.String("chatroom_msg_tag"), Type: msync.KeyValue_INT.Enum(), Value: &msync.KeyValue_VarintValue{VarintValue: int64(p)},
	})
	if err != nil {
		return msync.Outgoing{}, fmt.Errorf("client: priority: %w", err)
	}
	const ext = 8<<3 | 2 // the field ext of a Meta
	return msync.Outgoing{
		To: room, ToDomain: msync.GroupDomain, NS: msync.Meta_CHAT, Payload: body, Ext: append([]byte{ext, byte(len(kv))}, kv...),
	}, nil
}

// SendRoom sends a text to a room and waits for the answer.
func (c *Client) SendRoom(ctx context.Context, room, text string, p conversation.Priority) (Ack, error) {
	body, err := RoomTextBody(c.opts.User, room, text)
	if err != nil {
		return Ack{}, err
	}
	o, err := RoomMessage(room, body, p)
	if err != nil {
		return Ack{}, err
	}
	return c.SendMeta(ctx, o)
}

// RoomEvent is news of a room itself: who came (PRESENCE), who went (ABSENCE), that it is no more (DESTROY), or else.
type RoomEvent struct {
	Room      string
	Operation msync.MUCBody_Operation
	From      string
	Members   []string // who came or went, when it was not From alone
	Count     int      // of viewers; 0: not told
	Ext       string   // of who came
	Reason    string
}

// ReadRoomEvent reads an entry that is news of a room. It returns false for any other.
func ReadRoomEvent(m *msync.MetaView) (RoomEvent, bool) {
	if m.NS != msync.Meta_MUC {
		return RoomEvent{}, false
	}
	var b msync.MUCBody
	if err := proto.Unmarshal(m.Payload, &b); err != nil || !b.GetIsChatroom() {
		return RoomEvent{}, false
	}
	return RoomEvent{
		Room: b.GetMucId().GetName(), Operation: b.GetOperation(), From: b.GetFrom().GetName(), Members: b.GetMembers(),
		Count: int(b.GetMucMemberCount()), Ext: b.GetExt(), Reason: b.GetReason(),
	}, true
}
