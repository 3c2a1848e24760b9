package state_test

import (
	"pgregory.net/rapid"

	"parley/domain"
	"parley/domain/conversation"
)

func drawRoomHead(t *rapid.T) (domain.Kind, domain.PartID, domain.Row) {
	person := func() conversation.Person {
		return conversation.Person{
			User: text[domain.UserID](t, "user"), Incarnation: domain.Incarnation(rapid.Uint32().Draw(t, "incarnation")),
		}
	}
	row := &conversation.RoomHead{
		Head: conversation.Head{
			Kind: domain.Kind(rapid.Byte().Draw(t, "kind")), Seq: domain.Seq(number(t, "seq")), N: number(t, "n"), T: domain.T(number(t, "t")),
			ShownSeq: domain.Seq(number(t, "shown seq")), ShownT: domain.T(number(t, "shown t")), Closed: domain.Seq(number(t, "closed")),
		},
		Created: domain.T(number(t, "created")), Modified: domain.T(number(t, "modified")), Owner: person(),
		Settings: conversation.RoomSettings{
			Name: text[string](t, "name"), Description: text[string](t, "description"), Custom: text[string](t, "custom"),
			MaxUsers: rapid.Uint32().Draw(t, "max users"),
		},
	}
	for range rapid.IntRange(0, 4).Draw(t, "allowed") {
		row.Allowed = append(row.Allowed, person())
	}
	return domain.KindRoom, domain.PartHead, row
}

// roomGoldens are as first stored. Add new ones; never change one.
var roomGoldens = map[string]goldenRow{
	"room-head": {domain.KindRoom, "", &conversation.RoomHead{
		Head: conversation.Head{
			Kind: domain.KindRoom, Seq: 300, N: 200, T: 115_964_116_992_002_051, ShownSeq: 299, ShownT: 115_964_116_991_002_051, Closed: 300,
		},
		Created: 115_964_116_990_002_051, Modified: 115_964_116_991_002_051,
		Settings: conversation.RoomSettings{Name: "Match", Description: "the final", Custom: "{}", MaxUsers: 10_000},
		Owner:    conversation.Person{User: "ann", Incarnation: 2},
		Allowed:  []conversation.Person{{User: "bob", Incarnation: 1}, {User: "cid", Incarnation: 300}},
	}},
}
