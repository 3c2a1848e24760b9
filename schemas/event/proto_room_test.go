package event_test

import (
	"parley/domain"
	"parley/domain/conversation"
	"parley/schemas/event/eventpb"
)

// protoRoomBody fills pb with the body of an event of rooms.
func protoRoomBody(pb *eventpb.Event, body domain.Body) {
	switch b := body.(type) {
	case conversation.RoomCreated:
		s := b.Settings
		pb.Body = &eventpb.Event_RoomCreated{RoomCreated: &eventpb.RoomCreated{
			By: protoDoer(b.By), Owner: protoPerson(b.Owner), Settings: &eventpb.RoomSettings{
				Name: s.Name, Description: s.Description, Custom: s.Custom, MaxUsers: s.MaxUsers,
			},
		}}
	case conversation.RoomChanged:
		c := b.Change
		pb.Body = &eventpb.Event_RoomChanged{RoomChanged: &eventpb.RoomChanged{By: protoDoer(b.By), Change: &eventpb.RoomChange{
			Name: c.Name, Description: c.Description, Custom: c.Custom, MaxUsers: c.MaxUsers,
		}}}
	case conversation.RoomTransferred:
		pb.Body = &eventpb.Event_RoomTransferred{RoomTransferred: &eventpb.RoomTransferred{
			By: protoDoer(b.By), Old: protoPerson(b.Old), Owner: protoPerson(b.Owner),
		}}
	case conversation.RoomDestroyed:
		pb.Body = &eventpb.Event_RoomDestroyed{RoomDestroyed: &eventpb.RoomDestroyed{By: protoDoer(b.By), Name: b.Name}}
	case conversation.UsersAllowed:
		pb.Body = &eventpb.Event_UsersAllowed{UsersAllowed: &eventpb.UsersAllowed{By: protoDoer(b.By), Users: protoPersons(b.Users)}}
	case conversation.UsersDisallowed:
		pb.Body = &eventpb.Event_UsersDisallowed{UsersDisallowed: &eventpb.UsersDisallowed{By: protoDoer(b.By), Users: protoPersons(b.Users)}}
	}
}
