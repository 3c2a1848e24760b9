package gateway_test

import (
	"bytes"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
	"pgregory.net/rapid"

	"parley/delivery/gateway"
	"parley/delivery/gateway/client"
	"parley/schemas/msync"
)

// field is an encoded field of bytes.
func field(num protowire.Number, b []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), b)
}

// sync wraps a payload as a SYNC frame.
func syncFrame(payload []byte) []byte {
	return append([]byte{0x08, 0x00, 0x40, byte(msync.MSync_SYNC)}, field(9, payload)...)
}

var broken = []byte{0x0a, 0x7f, 1} // a field that is longer than what is left

// A frame that is no frame ends the socket with a name; nothing else happens.
func TestMalformedFrames(t *testing.T) {
	r := newRig(t)
	r.register("alice")
	for _, c := range []struct {
		name   string
		frame  []byte
		reason string
	}{
		{"not protobuf", []byte("GET / HTTP/1.1"), "bad_frame"},
		{"cut in the frame", msync.AppendUnreadRequest(nil)[:3], "bad_frame"},
		{"cut in the payload", syncFrame(broken)[:6], "bad_frame"},
		{"broken SYNC", syncFrame(broken), "bad_frame"},
		{"broken meta", syncFrame(field(1, broken)), "bad_frame"},
		{"broken queue", syncFrame(field(3, broken)), "bad_frame"},
		{"SYNC with neither meta nor queue", syncFrame(nil), "bad_frame"},
		{"wrong wire type", syncFrame([]byte{0x12, 0x01, 0x00}), "bad_frame"},
		{"NOTICE from a client", []byte{0x08, 0x00, 0x40, byte(msync.MSync_NOTICE)}, "bad_frame"},
		{"unknown command", []byte{0x08, 0x00, 0x40, 77}, "bad_frame"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := r.rawLogin("alice", "web")
			w.write(c.frame)
			code, reason := w.closed()
			require.Equal(t, c.reason, reason)
			require.Equal(t, websocket.StatusUnsupportedData, code)
		})
	}
	t.Run("broken handshake", func(t *testing.T) {
		w := r.raw()
		w.write(append([]byte{0x08, 0x00, 0x40, byte(msync.MSync_PROVISION)}, field(9, broken)...))
		_, reason := w.closed()
		require.Equal(t, "bad_frame", reason)
	})
	t.Run("text frame", func(t *testing.T) {
		w := r.rawLogin("alice", "web")
		require.NoError(t, w.conn.Write(within(t), websocket.MessageText, []byte("hello")))
		_, reason := w.closed()
		require.Equal(t, "not_binary", reason)
	})
	require.Zero(t, r.metric("parley_gateway_commands_total"))
}

// A frame over the limit ends the socket with the status that says so, before all of it was read.
func TestOversizeFrame(t *testing.T) {
	r := newRig(t, func(c *gateway.Config) { c.Settings.MaxFrame = 8 << 10 })
	r.register("alice")
	w := r.rawLogin("alice", "web")
	w.write(bytes.Repeat([]byte{1}, 16<<10))
	code, _ := w.closed()
	require.Equal(t, websocket.StatusMessageTooBig, code)
	eventually(t, func() bool { return r.metric("parley_gateway_closes_total", "bad_frame") == 1 }, func() string { return "not counted" })
}

// What is well-formed on the socket but wrong inside is refused with a typed answer, and the session goes on.
func TestMalformedInside(t *testing.T) {
	r := newRig(t)
	r.register("alice", "bob")
	d := r.dial("alice", "web")
	text := must(client.TextBody("alice", "bob", "hello", nil))
	for _, c := range []struct {
		name   string
		out    msync.Outgoing
		code   msync.Status_ErrorCode
		reason string
	}{
		{"broken body", msync.Outgoing{To: "bob", NS: msync.Meta_CHAT, Payload: broken}, msync.Status_PERMISSION_DENIED_EXTERNAL, "the message body is malformed"},
		{"broken content", msync.Outgoing{To: "bob", NS: msync.Meta_CHAT, Payload: append([]byte{0x08, 1}, field(4, broken)...)}, msync.Status_PERMISSION_DENIED_EXTERNAL, "the message body is malformed"},
		{"unknown type of message", msync.Outgoing{To: "bob", NS: msync.Meta_CHAT, Payload: []byte{0x08, 99}}, msync.Status_PERMISSION_DENIED_EXTERNAL, "the message type is unknown"},
		{"no content", msync.Outgoing{To: "bob", NS: msync.Meta_CHAT, Payload: []byte{0x08, 1}}, msync.Status_PERMISSION_DENIED_EXTERNAL, "unknown kind of message"},
		{"somebody else's name", msync.Outgoing{To: "bob", NS: msync.Meta_CHAT, Payload: must(client.TextBody("carol", "bob", "hello", nil))}, msync.Status_PERMISSION_DENIED_EXTERNAL, "the sender is somebody else"},
		{"another app", msync.Outgoing{AppKey: "other#app", To: "bob", NS: msync.Meta_CHAT, Payload: text}, msync.Status_FAIL, "username bob doesn't exist!"},
		{"unknown namespace", msync.Outgoing{To: "bob", NS: 42, Payload: text}, msync.Status_FAIL, "this is not offered"},
		{"conference", msync.Outgoing{To: "bob", NS: msync.Meta_CONFERENCE, Payload: text}, msync.Status_FAIL, "this is not offered"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, err := d.SendMeta(within(t), c.out)
			require.NoError(t, err)
			require.Equal(t, c.code, a.Code)
			require.Equal(t, c.reason, a.Reason)
			require.Zero(t, a.ServerID)
		})
	}
	d.send("bob", "still here")
}

// Whatever bytes come, the session answers, refuses or ends with a name: it does not panic and others are not disturbed.
func TestAnyBytes(t *testing.T) {
	r := newRig(t)
	r.register("alice", "bob")
	good := msync.AppendSend(nil, &msync.Outgoing{
		ID: 7, AppKey: string(r.app), To: "bob", NS: msync.Meta_CHAT, Payload: must(client.TextBody("alice", "bob", "hello", nil)),
	})
	bob := r.dial("bob", "web")
	w := r.rawLogin("alice", "web")
	rapid.Check(t, func(t *rapid.T) {
		frame := bytes.Clone(good)
		for range rapid.IntRange(1, 8).Draw(t, "changes") {
			frame[rapid.IntRange(0, len(frame)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
		}
		frame = frame[:rapid.IntRange(0, len(frame)).Draw(t, "cut")]
		if w.conn.Write(within(w.t), websocket.MessageBinary, frame) != nil || w.conn.Write(within(w.t), websocket.MessageBinary, msync.AppendUnreadRequest(nil)) != nil {
			w = r.rawLogin("alice", "web")
			return
		}
		for { // the answer to UNREAD, or the end
			_, b, err := w.conn.Read(within(w.t))
			if err != nil {
				w = r.rawLogin("alice", "web")
				return
			}
			fr, err := msync.DecodeFrame(b)
			if err != nil {
				t.Fatal(err)
			}
			if fr.Command == msync.MSync_UNREAD {
				return
			}
		}
	})
	require.NoError(t, bob.Err())
	w.write(good)
	eventually(t, func() bool { return len(bob.texts()) > 0 }, func() string { return "bob hears nothing" })
}
