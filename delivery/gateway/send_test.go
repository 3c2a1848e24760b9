package gateway_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"parley/delivery/gateway"
	"parley/delivery/gateway/client"
	"parley/domain"
	"parley/domain/user"
	"parley/schemas/msync"
)

// A sender is acknowledged when the log has the message, not before.
func TestAckWaitsForTheLog(t *testing.T) {
	r := newRig(t)
	r.register("alice", "bob")
	d := r.dial("alice", "web")
	d.send("bob", "quick")
	const delay = 150 * time.Millisecond
	shared.log.delay.Store(int64(delay))
	defer shared.log.delay.Store(0)
	begin := time.Now()
	a := d.send("bob", "slow")
	require.GreaterOrEqual(t, time.Since(begin), delay)
	require.NotZero(t, a.ServerID)
	require.Equal(t, uint64(domain.T(a.ServerID).Milli()), a.Timestamp)
}

// The same id with the same payload is the same message and gets its first answer; with another payload it is a new one: the SDK's two
// counters of ids collide.
func TestRepeatGetsTheFirstAnswer(t *testing.T) {
	r := newRig(t)
	r.register("alice", "bob")
	bob := r.dial("bob", "web")
	d := r.dial("alice", "web")
	send := func(d *device, text string) client.Ack {
		a, err := d.SendMeta(within(t), msync.Outgoing{ID: 7, To: "bob", NS: msync.Meta_CHAT, Payload: must(client.TextBody("alice", "bob", text, nil))})
		require.NoError(t, err)
		require.Equal(t, msync.Status_OK, a.Code)
		return a
	}
	first := send(d, "one")
	require.Equal(t, first, send(d, "one"))
	other := send(d, "two")
	require.NotEqual(t, first.ServerID, other.ServerID)
	require.NoError(t, d.Cut())
	again := r.dial("alice", "web")
	require.Equal(t, first.ServerID, send(again, "one").ServerID, "after a reconnect")
	second := r.dial("alice", "phone")
	require.NotEqual(t, first.ServerID, send(second, "one").ServerID, "another device counts by itself")
	bob.wait(3)
	require.Equal(t, []string{"one", "two", "one"}, bob.texts())
}

// Refusals have the code and text that the SDKs map to their error types.
func TestTypedErrors(t *testing.T) {
	r := newRig(t)
	r.register("alice", "bob", "gone")
	r.submit(domain.UserStream(r.app, "gone"), user.Delete{})
	d := r.dial("alice", "web")
	text := must(client.TextBody("alice", "bob", "hello", nil))
	ofType := func(n msync.MessageBody_Type) []byte {
		b := bytes.Clone(text)
		require.Equal(t, []byte{0x08, byte(msync.MessageBody_CHAT)}, b[:2])
		b[1] = byte(n)
		return b
	}
	roomCall := func(room string, op msync.MUCBody_Operation) []byte {
		return msync.AppendRoomCall(nil, string(r.app), "alice", room, op, "", false)
	}
	for _, c := range []struct {
		name   string
		out    msync.Outgoing
		code   msync.Status_ErrorCode
		reason string
	}{
		{"unknown user", msync.Outgoing{To: "nobody", Payload: text}, msync.Status_FAIL, "username nobody doesn't exist!"}, // 204
		{"deleted user", msync.Outgoing{To: "gone", Payload: text}, msync.Status_FAIL, "username gone doesn't exist!"},     // 204
		{"a name too long", msync.Outgoing{To: strings.Repeat("x", 2000), Payload: text}, msync.Status_FAIL, "username " + strings.Repeat("x", 2000) + " doesn't exist!"},
		{"no name at all", msync.Outgoing{To: "no name", Payload: text}, msync.Status_FAIL, "username no name doesn't exist!"}, // 204
		{"online only to nobody", msync.Outgoing{To: "nobody", Payload: text, RouteType: msync.Meta_ROUTE_ONLINE}, msync.Status_FAIL, "username nobody doesn't exist!"},
		{
			"too large",
			msync.Outgoing{To: "bob", Payload: must(client.TextBody("alice", "bob", strings.Repeat("x", 6000), nil))},
			msync.Status_PERMISSION_DENIED, "Sorry, data is too large",
		}, // 511
		{"online only too large", msync.Outgoing{
			To: "bob", RouteType: msync.Meta_ROUTE_ONLINE, Payload: must(client.TextBody("alice", "bob", strings.Repeat("x", 6000), nil)),
		}, msync.Status_PERMISSION_DENIED, "Sorry, data is too large"},
		{"group", msync.Outgoing{To: "g1", ToDomain: msync.GroupDomain, Payload: ofType(msync.MessageBody_GROUPCHAT)}, msync.Status_FAIL, "group not found"},        // 605
		{"room", msync.Outgoing{To: "r1", ToDomain: msync.GroupDomain, Payload: ofType(msync.MessageBody_CHATROOM)}, msync.Status_FAIL, "grpID r1 does not exist!"}, // 705
		{"join of a room", msync.Outgoing{NS: msync.Meta_MUC, Payload: roomCall("r1", msync.MUCBody_JOIN)}, msync.Status_FAIL, "grpID r1 does not exist!"},          // 705
		{
			"malformed call of a room",
			msync.Outgoing{NS: msync.Meta_MUC, Payload: []byte{0x08, 1}},
			msync.Status_PERMISSION_DENIED_EXTERNAL, "the call of the room is malformed",
		},
		{
			"call of a room that is not offered",
			msync.Outgoing{NS: msync.Meta_MUC, Payload: roomCall("71", msync.MUCBody_DESTROY)},
			msync.Status_FAIL, "this is not offered",
		},
		{"recall", msync.Outgoing{To: "bob", Payload: ofType(msync.MessageBody_RECALL)}, msync.Status_FAIL, "Sorry, message does not exist"}, // 1302
		{"edit", msync.Outgoing{To: "bob", Payload: ofType(msync.MessageBody_EDIT)}, msync.Status_FAIL, "Sorry, edit is not available"},      // 505
		{
			"receipt of nothing",
			msync.Outgoing{To: "bob", Payload: must(client.ReceiptBody(msync.MessageBody_READ_ACK, "alice", "bob", 12345<<12))},
			msync.Status_PERMISSION_DENIED_EXTERNAL, "no such message",
		}, // 502
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.out.NS == 0 {
				c.out.NS = msync.Meta_CHAT
			}
			a, err := d.SendMeta(within(t), c.out)
			require.NoError(t, err)
			require.Equal(t, c.code, a.Code)
			require.Equal(t, c.reason, a.Reason)
			require.Zero(t, a.ServerID)
			require.NotZero(t, a.Timestamp)
		})
	}
	d.send("bob", "the session goes on")
}

// The statistics meta that SDKs send after log-in is answered.
func TestStatisticsMetaIsAnswered(t *testing.T) {
	r := newRig(t)
	r.register("alice")
	a, err := r.dial("alice", "web").SendMeta(within(t), msync.Outgoing{NS: msync.Meta_STATISTIC, Payload: []byte{0x08, 0}})
	require.NoError(t, err)
	require.Equal(t, msync.Status_OK, a.Code)
}

// Over a session's rate, and over an app's, a message is refused by the text that the SDKs know as traffic limit, and nothing is stored.
func TestRateLimit(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*gateway.Config)
	}{
		{"of a session", func(g *gateway.Config) { g.Settings.SendRate, g.Settings.SendBurst = 0.001, 3 }},
		{"of an app", func(g *gateway.Config) { g.Settings.AppRate = 3 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, c.change)
			r.register("alice", "bob")
			bob := r.dial("bob", "web")
			d := r.dial("alice", "web")
			refused := 0
			for i := range 6 {
				a, err := d.SendText(within(t), "bob", fmt.Sprint(i))
				require.NoError(t, err)
				if a.Code != msync.Status_OK {
					refused++
					require.Equal(t, msync.Status_PERMISSION_DENIED, a.Code)
					require.Equal(t, "traffic limit", a.Reason)
				}
			}
			require.GreaterOrEqual(t, refused, 2)
			bob.wait(6 - refused)
		})
	}
}

// A session has a bounded number of commands under way; all of them are answered, in order of their conversation.
func TestManyAtOnce(t *testing.T) {
	r := newRig(t, func(c *gateway.Config) { c.Settings.MaxPending = 4 })
	r.register("alice", "bob")
	bob := r.dial("bob", "web")
	d := r.dial("alice", "web")
	const n = 100
	acks := make(chan client.Ack, n)
	var want []string
	for i := range n {
		want = append(want, fmt.Sprint(i))
		_, err := d.SendAsync(within(t), msync.Outgoing{To: "bob", NS: msync.Meta_CHAT, Payload: must(client.TextBody("alice", "bob", want[i], nil))},
			func(a client.Ack, err error) {
				if err == nil {
					acks <- a
				}
			})
		require.NoError(t, err)
	}
	last := uint64(0)
	for range n {
		select {
		case a := <-acks:
			require.Equal(t, msync.Status_OK, a.Code)
			require.Greater(t, a.ServerID, last)
			last = a.ServerID
		case <-time.After(5 * time.Second):
			t.Fatal("not all are answered")
		}
	}
	bob.wait(n)
	require.Equal(t, want, bob.texts())
}
