package gateway_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"parley/delivery/gateway/client"
	"parley/domain"
	"parley/domain/conversation"
	"parley/schemas/msync"
)

// room makes a room of an owner.
func (r *rig) room(id, owner string, change ...func(*conversation.RoomSettings)) domain.StreamID {
	r.t.Helper()
	set := conversation.RoomSettings{Name: "room " + id, Description: "d", MaxUsers: 1000}
	for _, f := range change {
		f(&set)
	}
	stream := domain.RoomStream(r.app, id)
	r.submit(stream, conversation.CreateRoom{By: byApp, Owner: r.persons(owner)[0], Settings: set})
	return stream
}

// broadcast sends to a room as the app does.
func (r *rig) broadcast(stream domain.StreamID, from, text string) {
	r.t.Helper()
	st, _ := stream.Parse()
	body, err := client.RoomTextBody(from, st.A, text)
	require.NoError(r.t, err)
	scanned, err := msync.ScanBody(body)
	require.NoError(r.t, err)
	r.submit(stream, conversation.SendRoomMessage{
		Sender: conversation.Sender{User: domain.UserID(from)}, Envelope: scanned.Domain(0), Body: body, Unchecked: true,
	})
}

// joins views a room from now on.
func (d *device) joins(room string) client.RoomInfo {
	d.t.Helper()
	info, a, err := d.JoinRoom(within(d.t), room, "")
	require.NoError(d.t, err)
	require.Equal(d.t, msync.Status_OK, a.Code, a.Reason)
	return info
}

// leaves views a room no more.
func (d *device) leaves(room string) {
	d.t.Helper()
	a, err := d.LeaveRoom(within(d.t), room)
	require.NoError(d.t, err)
	require.Equal(d.t, msync.Status_OK, a.Code, a.Reason)
}

// speaks sends a text to a room.
func (d *device) speaks(room, text string) client.Ack {
	d.t.Helper()
	a, err := d.SendRoom(within(d.t), room, text, conversation.PriorityNormal)
	require.NoError(d.t, err)
	require.Equal(d.t, msync.Status_OK, a.Code, a.Reason)
	return a
}

// newsOf says an event of a room in short: the operation, who, how many view it then, and what was said.
func newsOf(e *client.RoomEvent) string {
	who := e.Members
	if len(who) == 0 {
		who = []string{e.From}
	}
	text := e.Operation.String() + " " + strings.Join(who, ",")
	if e.Count > 0 {
		text += fmt.Sprintf(" %d", e.Count)
	}
	if e.Ext != "" {
		text += " " + e.Ext
	}
	return text
}

// heard is what the app of a device was shown of rooms: texts of others' devices, and news. Clients drop their own messages.
func (d *device) heard() []string {
	out := []string{}
	for _, g := range d.received() {
		switch {
		case g.news != "":
			out = append(out, g.news)
		case g.from == d.user && g.res == d.resource:
		case g.kind == msync.MessageBody_CHATROOM:
			out = append(out, g.text)
		case g.kind == msync.MessageBody_RECALL:
			out = append(out, "RECALL")
		}
	}
	return out
}

// said is heard without news.
func (d *device) said() []string {
	out := []string{}
	for _, text := range d.heard() {
		if w, _, _ := strings.Cut(text, " "); w != "PRESENCE" && w != "ABSENCE" {
			out = append(out, text)
		}
	}
	return out
}

// hears waits until the app was shown this, in this order, and nothing else.
func (d *device) hears(want ...string) {
	d.t.Helper()
	d.expect(d.heard, want)
}

// hearsSaid is hears for texts.
func (d *device) hearsSaid(want ...string) {
	d.t.Helper()
	d.expect(d.said, want)
}

func (d *device) expect(what func() []string, want []string) {
	d.t.Helper()
	eventually(d.t, func() bool { return len(what()) >= len(want) }, func() string { return fmt.Sprintf("%q instead of %q", what(), want) })
	time.Sleep(10 * time.Millisecond)
	require.Equal(d.t, append([]string{}, want...), what())
}
