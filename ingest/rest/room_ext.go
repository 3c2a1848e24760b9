package rest

import (
	"google.golang.org/protobuf/proto"

	"parley/domain/conversation"
	"parley/schemas/msync"
)

// priorityExt makes the encoded fields of Meta.ext by which the SDKs show a message's priority.
func priorityExt(p conversation.Priority) ([]byte, error) {
	return proto.MarshalOptions{Deterministic: true}.Marshal(&msync.Meta{Ext: []*msync.KeyValue{{
		Key: proto.String("chatroom_msg_tag"), Type: msync.KeyValue_INT.Enum(), Value: &msync.KeyValue_VarintValue{VarintValue: int64(p)},
	}}})
}
