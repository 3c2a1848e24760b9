package rest

import (
	"parley/domain"
	"parley/domain/conversation"
)

// room is a room as a caller finds it.
type room struct {
	id     string
	stream domain.StreamID
	head   *conversation.RoomHead
}

var errNoRoom = domain.Refuse(domain.RoomNotFound, "")

// roomStream returns the room that the path names. An id that no room can have is one of a room that does not exist.
func (c *call) roomStream() (id string, stream domain.StreamID, err error) {
	if id = c.Param("room"); !validGroup(id) {
		return "", "", errNoRoom
	}
	return id, domain.RoomStream(c.app.ID, id), nil
}

// room returns the room that the path names, as it stands.
func (c *call) room() (*room, error) {
	id, _, err := c.roomStream()
	if err != nil {
		return nil, err
	}
	rooms, err := c.rooms([]string{id})
	if err != nil {
		return nil, err
	}
	if rooms[0] == nil {
		return nil, errNoRoom
	}
	return rooms[0], nil
}

// rooms returns rooms in the order of their ids, nil for those that do not exist.
func (c *call) rooms(ids []string) ([]*room, error) {
	streams := make([]domain.StreamID, len(ids))
	for i, id := range ids {
		streams[i] = domain.RoomStream(c.app.ID, id)
	}
	rows, err := c.server.cfg.Owners.Heads(c.ctx(), streams)
	if err != nil {
		return nil, err
	}
	out := make([]*room, len(ids))
	for i, row := range rows {
		if head, ok := row.(*conversation.RoomHead); ok && head.Open() {
			out[i] = &room{id: ids[i], stream: streams[i], head: head}
		}
	}
	return out, nil
}

// governs refuses callers who are neither the room's owner nor the app.
func (c *call) governs(r *room) error {
	if c.who.admin || r.head.Owner.User == c.who.user && r.head.Owner.Incarnation == c.who.incarnation {
		return nil
	}
	return domain.Refuse(domain.Forbidden, "only the owner of the room may do this")
}

// in tells whether a user is in a room: the owner always is, the others while they view it.
func (c *call) in(r *room, u domain.UserID) (bool, error) {
	if r.head.Owner.User == u {
		return true, nil
	}
	return c.server.cfg.Rooms.Viewing(c.ctx(), c.app.ID, r.id, u)
}

// roomInfo is a room as who joins it is told: the SDKs know these names from the join over the socket.
type roomInfo struct {
	AllMuted bool  `json:"is_all_mute"`
	Created  int64 `json:"create_timestamp"` // ms
	Allowed  bool  `json:"is_in_white_list"`
	Count    int   `json:"member_count"`
	Muted    int64 `json:"mute_duration"` // ms: until when; 0: not
}

func infoOf(i RoomInfo) roomInfo {
	info := roomInfo{AllMuted: i.AllMuted, Created: i.Created.Milli(), Allowed: i.Allowed, Count: i.Count}
	if i.MutedUntil != 0 {
		info.Muted = i.MutedUntil.Milli()
	}
	return info
}

// roomOutcome is what became of one user of a call.
type roomOutcome struct {
	Result bool   `json:"result"`
	Action string `json:"action"`
	ID     string `json:"id"` // of the room
	User   string `json:"user"`
	Reason string `json:"reason,omitempty"`
}

// role is what somebody in the room is called on the wire.
func (r *room) role(u domain.UserID) string {
	if r.head.Owner.User == u {
		return roleName(conversation.RoleOwner)
	}
	return roleName(conversation.RoleMember)
}

// join makes a user view a room.
func (c *call) join(id string, p conversation.Person, ext string) (RoomInfo, error) {
	return c.server.cfg.Rooms.Join(c.ctx(), RoomJoin{App: c.app.ID, User: p.User, Incarnation: p.Incarnation, Room: id, Ext: ext})
}
