package event_test

import (
	"pgregory.net/rapid"

	"parley/domain"
	"parley/domain/conversation"
)

// roomBodies draws an event of each kind that rooms alone have.
var roomBodies = map[string]func(*rapid.T) domain.Body{
	"RoomCreated": func(t *rapid.T) domain.Body {
		return conversation.RoomCreated{By: drawDoer(t), Owner: drawPerson(t), Settings: conversation.RoomSettings{
			Name: text[string](t, "name"), Description: text[string](t, "description"), Custom: text[string](t, "custom"),
			MaxUsers: rapid.Uint32().Draw(t, "max users"),
		}}
	},
	"RoomChanged": func(t *rapid.T) domain.Body {
		words := func() string { return text[string](t, "text") }
		return conversation.RoomChanged{By: drawDoer(t), Change: conversation.RoomChange{
			Name: maybe(t, words), Description: maybe(t, words), Custom: maybe(t, words),
			MaxUsers: maybe(t, func() uint32 { return rapid.Uint32().Draw(t, "max users") }),
		}}
	},
	"RoomTransferred": func(t *rapid.T) domain.Body {
		return conversation.RoomTransferred{By: drawDoer(t), Old: drawPerson(t), Owner: drawPerson(t)}
	},
	"RoomDestroyed": func(t *rapid.T) domain.Body {
		return conversation.RoomDestroyed{By: drawDoer(t), Name: text[string](t, "name")}
	},
	"UsersAllowed": func(t *rapid.T) domain.Body {
		return conversation.UsersAllowed{By: drawDoer(t), Users: drawPersons(t)}
	},
	"UsersDisallowed": func(t *rapid.T) domain.Body {
		return conversation.UsersDisallowed{By: drawDoer(t), Users: drawPersons(t)}
	},
}
