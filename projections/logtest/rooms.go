package logtest

import (
	"pgregory.net/rapid"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/message"
)

// RoomIDs of random histories. One is a group's, too: as streams they are different.
var RoomIDs = []string{"101", "202"}

// Room returns the head of a room, nil when there never was one.
func (w *World) Room(stream domain.StreamID) *conversation.RoomHead {
	h, _ := w.rows[stream][domain.PartHead].(*conversation.RoomHead)
	return h
}

// CreateRoom makes a room. ok is false when the rules refuse it.
func (w *World) CreateRoom(id string, owner domain.UserID) (domain.Accepted, bool) {
	w.tb.Helper()
	return w.Do(domain.RoomStream(App, id), conversation.CreateRoom{
		By: app, Owner: w.Person(owner), Settings: conversation.RoomSettings{Name: "Room " + id, MaxUsers: 1000},
	})
}

// roomStep lets one thing happen in a room, if the rules let it.
func (w *World) roomStep(rt *rapid.T, u, v domain.UserID) {
	id := rapid.SampledFrom(RoomIDs).Draw(rt, "room")
	stream := domain.RoomStream(App, id)
	if w.Room(stream) == nil {
		w.CreateRoom(id, u)
		return
	}
	w.Do(stream, w.roomCommand(rt, u, v))
}

func (w *World) roomCommand(rt *rapid.T, u, v domain.UserID) domain.Command {
	switch rapid.IntRange(0, 19).Draw(rt, "room step") {
	case 0:
		if rapid.IntRange(0, 4).Draw(rt, "end") == 0 {
			return conversation.DestroyRoom{By: app}
		}
		return conversation.TransferRoom{By: w.actor(u), To: w.Person(v)}
	case 1:
		return conversation.TransferRoom{By: app, To: w.Person(v)}
	case 2:
		name := rapid.StringMatching(`[a-z]{1,5}`).Draw(rt, "name")
		return conversation.ChangeRoom{By: app, Change: conversation.RoomChange{Name: &name}}
	case 3, 4:
		return conversation.AllowUsers{By: app, Users: w.persons(rt)}
	case 5:
		return conversation.DisallowUsers{By: app, Users: []domain.UserID{u, v}}
	default:
		body := rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(rt, "body")
		kind := rapid.SampledFrom([]message.Kind{message.Text, message.Text, message.Cmd, message.Image}).Draw(rt, "kind")
		m := conversation.SendRoomMessage{
			Sender: w.sender(u), Envelope: message.Envelope{Kind: kind, Size: len(body)}, Body: body, SyncOwn: true, Viewer: true,
		}
		if rapid.IntRange(0, 5).Draw(rt, "directed") == 0 {
			m.Directed = []domain.UserID{v}
		}
		return m
	}
}
