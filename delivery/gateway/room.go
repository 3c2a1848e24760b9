package gateway

import (
	"context"

	"parley/domain"
	"parley/domain/conversation"
)

// RoomJoin asks to make a user a viewer of a room, whichever devices the user has.
type RoomJoin struct {
	App         domain.AppID
	User        domain.UserID
	Incarnation domain.Incarnation
	Room        string // the room's id
	Ext         string // shown to the others
	LeaveOthers bool   // the user leaves the other rooms that it views
}

// RoomInfo is what is told to who joins a room.
type RoomInfo struct {
	Count      int      // users who view it, the owner always included
	Created    domain.T // of the room
	Allowed    bool     // the user is on the allow list
	AllMuted   bool
	MutedUntil domain.T // of the user; 0: may speak
}

var errRoomsOff = domain.Refuse(domain.Unsupported, "rooms are not offered")

// JoinRoom makes all sessions of a user view a room. A user without any gets a lease for as long as a viewer may be cut off.
// Joining again is no error. Refused with RoomNotFound, RoomFull, TooManyRooms.
func (g *Gateway) JoinRoom(context.Context, RoomJoin) (RoomInfo, error) {
	return RoomInfo{}, errRoomsOff
}

// LeaveRoom makes a user a viewer no more, on all devices. Refused with RoomNotFound, NotMember.
func (g *Gateway) LeaveRoom(_ context.Context, _ domain.AppID, _ domain.UserID, _ string) error {
	return errRoomsOff
}

// RemoveFromRoom ends the viewing of users, who are told so, and the others that they have gone. removed are those who viewed the room.
// Refused with RoomNotFound.
func (g *Gateway) RemoveFromRoom(
	_ context.Context, _ domain.AppID, _ string, _ []domain.UserID, _ conversation.Doer,
) (removed []domain.UserID, err error) {
	return nil, errRoomsOff
}
