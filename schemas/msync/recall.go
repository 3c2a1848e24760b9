package msync

import (
	"fmt"

	"google.golang.org/protobuf/proto"
)

// RecallDraft is a recall as a REST caller describes it.
type RecallDraft struct {
	Chat     MessageBody_Type // of the message: CHAT, GROUPCHAT or CHATROOM
	From, To string
	ID       uint64 // of the message
	Info     string // shown to the receivers' apps; empty: none
}

// recallInfo is the key of the text that goes with a recall.
const recallInfo = "recallMessageExtensionInfo"

// RecallOf makes the MessageBody of a recall, and the encoded fields of Meta.ext that go with it, as the SDKs write them.
func RecallOf(d *RecallDraft) (body, ext []byte, err error) {
	host := UserDomain
	if d.Chat != MessageBody_CHAT {
		host = GroupDomain
	}
	encode := proto.MarshalOptions{Deterministic: true}
	body, err = encode.Marshal(&MessageBody{
		Type: MessageBody_RECALL.Enum(), From: &JID{Name: &d.From}, To: &JID{Name: &d.To, Domain: &host},
		Contents: []*MessageBody_Content{{Type: MessageBody_Content_TEXT.Enum()}}, AckMessageId: &d.ID,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("msync: encode a recall: %w", err)
	}
	if d.Info == "" {
		return body, nil, nil
	}
	ext, err = encode.Marshal(&Meta{Ext: []*KeyValue{{
		Key: proto.String(recallInfo), Type: KeyValue_STRING.Enum(), Value: &KeyValue_StringValue{StringValue: d.Info},
	}}})
	if err != nil {
		return nil, nil, fmt.Errorf("msync: encode a recall: %w", err)
	}
	return body, ext, nil
}
