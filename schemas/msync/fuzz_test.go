package msync

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
)

// What a hand-written decoder accepts, the generated one accepts, and both read the same.

func FuzzDecodeFrame(f *testing.F) {
	f.Add(AppendUnreadRequest(nil))
	hello, err := AppendHello(nil, &Hello{AppKey: "a#b", User: "ann", Token: "t", Resource: "r"})
	require.NoError(f, err)
	f.Add(hello)
	f.Add(AppendSync(nil, &Queue{Name: "x"}, 3))
	f.Fuzz(func(t *testing.T, b []byte) {
		fr, err := DecodeFrame(b)
		if err != nil {
			return
		}
		var m MSync
		require.NoError(t, proto.Unmarshal(b, &m))
		require.Equal(t, string(m.GetPayload()), string(fr.Payload))
		require.Equal(t, m.GetAuth(), string(fr.Auth))
		require.Equal(t, m.GetGuid().GetName(), string(fr.GUID.Name))
		_, _ = DecodeHello(&fr)
	})
}

func FuzzDecodeSync(f *testing.F) {
	f.Add(marshal(f, &CommSyncUL{Key: proto.Uint64(4), Queue: &JID{Name: proto.String("q")}}))
	f.Add(marshal(f, &CommSyncUL{Meta: &Meta{Id: proto.Uint64(4), Payload: body(f), Ext: []*KeyValue{{Key: proto.String("k")}}}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := DecodeSync(b)
		if err != nil {
			return
		}
		var m CommSyncUL
		require.NoError(t, proto.Unmarshal(b, &m))
		require.Equal(t, m.GetKey(), s.Key)
		require.Equal(t, m.Meta != nil, s.HasMeta)
		require.Equal(t, m.GetMeta().GetId(), s.Meta.ID)
		require.Equal(t, string(m.GetMeta().GetPayload()), string(s.Meta.Payload))
		require.Equal(t, m.GetQueue().GetName(), string(s.Queue.Name))
		require.Len(t, s.Meta.Directed, len(m.GetMeta().GetDirectedUsers()))
		var ext Meta
		require.NoError(t, proto.Unmarshal(s.Meta.Ext, &ext))
		require.Len(t, ext.GetExt(), len(m.GetMeta().GetExt()))
	})
}

func FuzzScanBody(f *testing.F) {
	f.Add(body(f))
	f.Add(marshal(f, &MessageBody{Type: MessageBody_READ_ACK.Enum(), AckMessageId: proto.Uint64(9), Contents: []*MessageBody_Content{{}}}))
	f.Add(marshal(f, &MessageBody{Contents: []*MessageBody_Content{{SubType: MessageBody_Content_SUB_COMBINE.Enum(), Size: &MessageBody_Content_Size{}}}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := ScanBody(b)
		if err != nil {
			return
		}
		var m MessageBody
		require.NoError(t, proto.Unmarshal(b, &m))
		require.Equal(t, len(m.GetContents()), e.Contents)
		require.Equal(t, len(m.GetExt()), e.Ext)
		require.Equal(t, m.GetAckMessageId(), e.AckMessageID)
		require.Equal(t, m.GetEditMessageId(), e.EditMessageID)
		if e.Contents > 0 {
			require.Equal(t, m.GetContents()[0].GetText(), string(e.Text))
			require.Equal(t, m.GetContents()[0].GetCustomEvent(), string(e.CustomEvent))
			require.Len(t, m.GetContents()[0].GetCustomExts(), e.CustomExts)
		}
	})
}
