package event_test

import (
	"parley/domain/conversation"
	"parley/schemas/event"
)

// roomGoldens are as first written, too. Add new ones; never change one.
var roomGoldens = map[string]event.Record{
	"room-created": of(conversation.RoomCreated{
		By: byAnn, Owner: conversation.Person{User: "ann", Incarnation: 1},
		Settings: conversation.RoomSettings{Name: "Match", Description: "the final", Custom: "{}", MaxUsers: 1000},
	}, 1),
	"room-changed": of(conversation.RoomChanged{By: byAnn, Change: conversation.RoomChange{Name: new("M"), MaxUsers: new(uint32(0))}}, 2),
	"room-changed-all": of(conversation.RoomChanged{Change: conversation.RoomChange{
		Name: new(""), Description: new("d"), Custom: new("c"), MaxUsers: new(uint32(10_000)),
	}}, 3),
	"room-transferred": of(conversation.RoomTransferred{
		By: byAnn, Old: conversation.Person{User: "ann", Incarnation: 1}, Owner: conversation.Person{User: "bob", Incarnation: 300},
	}, 4),
	"room-destroyed": of(conversation.RoomDestroyed{By: byAnn, Name: "Match"}, 5),
	"users-allowed": of(conversation.UsersAllowed{
		By: byAnn, Users: []conversation.Person{{User: "bob", Incarnation: 1}, {User: "cid", Incarnation: 2}},
	}, 6),
	"users-disallowed": of(conversation.UsersDisallowed{Users: []conversation.Person{{User: "cid", Incarnation: 2}}}, 7),
}
