package client

import (
	"context"
	"encoding/json"

	"google.golang.org/protobuf/proto"

	"parley/schemas/msync"
)

// TextBody makes the body of a text in a single chat, as the SDKs write it. ext is a JSON object or nil.
func TextBody(from, to, text string, ext json.RawMessage) ([]byte, error) {
	body, err := json.Marshal(map[string]string{"msg": text})
	if err != nil {
		return nil, err
	}
	return msync.BodyFromJSON(&msync.Draft{Chat: msync.MessageBody_CHAT, From: from, To: to, Type: "txt", Body: body, Ext: ext})
}

// GroupTextBody makes the body of a text to a group.
func GroupTextBody(from, group, text string) ([]byte, error) {
	body, err := json.Marshal(map[string]string{"msg": text})
	if err != nil {
		return nil, err
	}
	return msync.BodyFromJSON(&msync.Draft{Chat: msync.MessageBody_GROUPCHAT, From: from, To: group, Type: "txt", Body: body})
}

// SendGroupText sends a text to a group and waits for the answer.
func (c *Client) SendGroupText(ctx context.Context, group, text string) (Ack, error) {
	body, err := GroupTextBody(c.opts.User, group, text)
	if err != nil {
		return Ack{}, err
	}
	return c.SendMeta(ctx, msync.Outgoing{To: group, ToDomain: msync.GroupDomain, Payload: body, NS: msync.Meta_CHAT})
}

// ReceiptBody makes the body of a receipt: DELIVER_ACK and READ_ACK of a message, CHANNEL_ACK of a conversation (id 0).
func ReceiptBody(kind msync.MessageBody_Type, from, to string, id uint64) ([]byte, error) {
	b := &msync.MessageBody{
		Type: kind.Enum(), From: &msync.JID{Name: &from}, To: &msync.JID{Name: &to}, Contents: []*msync.MessageBody_Content{{}},
	}
	if id != 0 {
		b.AckMessageId = proto.Uint64(id)
	}
	return proto.Marshal(b)
}

// SendText sends a text to a user and waits for the answer.
func (c *Client) SendText(ctx context.Context, to, text string) (Ack, error) {
	body, err := TextBody(c.opts.User, to, text, nil)
	if err != nil {
		return Ack{}, err
	}
	return c.Send(ctx, to, body)
}

// MarkDelivered sends a delivery receipt of a message to its sender.
func (c *Client) MarkDelivered(ctx context.Context, to string, id uint64) (Ack, error) {
	return c.receipt(ctx, msync.MessageBody_DELIVER_ACK, to, id)
}

// MarkRead sends a read receipt of a message to its sender.
func (c *Client) MarkRead(ctx context.Context, to string, id uint64) (Ack, error) {
	return c.receipt(ctx, msync.MessageBody_READ_ACK, to, id)
}

// ReadConversation says that all of the conversation with a user is read.
func (c *Client) ReadConversation(ctx context.Context, to string) (Ack, error) {
	return c.receipt(ctx, msync.MessageBody_CHANNEL_ACK, to, 0)
}

func (c *Client) receipt(ctx context.Context, kind msync.MessageBody_Type, to string, id uint64) (Ack, error) {
	body, err := ReceiptBody(kind, c.opts.User, to, id)
	if err != nil {
		return Ack{}, err
	}
	return c.Send(ctx, to, body)
}
