package rest

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"parley/domain"
	"parley/domain/conversation"
)

// newRoom is the body of POST /chatrooms.
type newRoom struct {
	Name        *string    `json:"name"`
	Description *string    `json:"description"`
	MaxUsers    *cursorInt `json:"maxusers"`
	Owner       string     `json:"owner"`
	Members     []string   `json:"members"`
	Custom      string     `json:"custom"`
}

// defaultRoomUsers is how many viewers a room takes when its maker does not say.
const defaultRoomUsers = 1000

// settings reads what the room is to be like.
func (n *newRoom) settings(most int) (conversation.RoomSettings, error) {
	out := conversation.RoomSettings{Custom: n.Custom, MaxUsers: uint32(min(defaultRoomUsers, most))}
	switch {
	case n.Name == nil || *n.Name == "":
		return out, illegalArgument.say("name is required")
	case n.Description == nil:
		return out, illegalArgument.say("description is required")
	}
	out.Name, out.Description = *n.Name, *n.Description
	users, err := maxUsers(n.MaxUsers, most)
	if users != nil {
		out.MaxUsers = *users
	}
	return out, err
}

// createRoom is POST /chatrooms. Users may not make rooms: that is for super admins, whom an app names.
func (c *call) createRoom() error {
	if !c.who.admin {
		return domain.Refuse(domain.Forbidden, "only a super admin may create a chat room")
	}
	var n newRoom
	if err := c.body(&n); err != nil {
		return err
	}
	settings, err := n.settings(c.server.cfg.RoomUsers)
	if err != nil {
		return err
	}
	users, err := ownerAndMembers(n.Owner, n.Members)
	if err != nil {
		return err
	}
	if len(users) > int(settings.MaxUsers)+1 { // the owner is besides them
		return &tooManyMembers
	}
	people, err := c.accounts(users)
	if err != nil {
		return err
	}
	id := strconv.FormatUint(uint64(c.server.cfg.Volatile.NextT()), 10)
	if err := c.makeRoom(id, conversation.CreateRoom{By: c.actor(), Owner: people[0], Settings: settings}); err != nil {
		return err
	}
	for _, p := range people[1:] {
		if _, err := c.join(id, p, ""); err != nil { // who is in too many rooms is left out; the room is there all the same
			c.server.cfg.Logger.Debug("member of a new room not joined", "app", c.app.ID, "room", id, "err", err)
		}
	}
	return c.data(map[string]string{"id": id})
}

// makeRoom makes the room. Its id is new: when it is taken, our own first try has made it, whose answer was lost.
func (c *call) makeRoom(id string, cmd conversation.CreateRoom) error {
	err := c.carryOut(domain.RoomStream(c.app.ID, id), cmd)
	if domain.CodeOf(err) != domain.RoomExists {
		return err
	}
	made, failed := c.rooms([]string{id})
	if failed == nil && made[0] != nil && made[0].head.Owner == cmd.Owner && made[0].head.Settings == cmd.Settings {
		return nil
	}
	return err
}

// changeRoom is PUT /chatrooms/{id}: other settings, or another owner. The answer names the fields that were taken, as the SDKs read them.
func (c *call) changeRoom() error {
	_, stream, err := c.roomStream()
	if err != nil {
		return err
	}
	var fields map[string]json.RawMessage
	if err := c.body(&fields); err != nil {
		return err
	}
	if owner, ok := fields["newowner"]; ok {
		return c.transferRoom(stream, owner, len(fields))
	}
	if name, ok := fields["name"]; ok { // as back ends call it
		fields["groupname"] = name
		delete(fields, "name")
	}
	change, err := readRoomChange(fields, c.server.cfg.RoomUsers)
	if err != nil {
		return err
	}
	if err := c.carryOut(stream, conversation.ChangeRoom{By: c.actor(), Change: change}); err != nil {
		return err
	}
	done := make(map[string]bool, len(fields))
	for name := range fields {
		done[name] = true
	}
	return c.data(done)
}

// readRoomChange reads the fields that PUT /chatrooms/{id} takes, by the names that the SDKs give them.
func readRoomChange(fields map[string]json.RawMessage, most int) (d conversation.RoomChange, err error) {
	var users *cursorInt
	err = readFields(fields, map[string]any{
		"groupname": &d.Name, "description": &d.Description, "custom": &d.Custom, "maxusers": &users,
	})
	if err != nil {
		return d, err
	}
	if d.MaxUsers, err = maxUsers(users, most); err == nil && d == (conversation.RoomChange{}) {
		err = illegalArgument.say("there is nothing to change")
	}
	return d, err
}

// transferRoom makes somebody else the owner.
func (c *call) transferRoom(stream domain.StreamID, raw json.RawMessage, fields int) error {
	to, err := newOwner(raw, fields)
	if err != nil {
		return err
	}
	people, err := c.accounts([]domain.UserID{to})
	if err != nil {
		return err
	}
	if err := c.carryOut(stream, conversation.TransferRoom{By: c.actor(), To: people[0]}); err != nil {
		return err
	}
	return c.data(map[string]bool{"newowner": true})
}

// destroyRoom is DELETE /chatrooms/{id}.
func (c *call) destroyRoom() error {
	id, stream, err := c.roomStream()
	if err != nil {
		return err
	}
	if err := c.carryOut(stream, conversation.DestroyRoom{By: c.actor()}); err != nil {
		return err
	}
	return c.data(map[string]any{"success": true, "id": id})
}

// roomDetail is a room as it is shown by itself: with the names of a group, which the SDKs read.
type roomDetail struct {
	ID           string           `json:"id"`
	Name         string           `json:"name"`
	Description  string           `json:"description"`
	MembersOnly  bool             `json:"membersonly"`
	AllowInvites bool             `json:"allowinvites"`
	MaxUsers     uint32           `json:"maxusers"`
	Owner        domain.UserID    `json:"owner"`
	Created      int64            `json:"created"` // ms
	Custom       string           `json:"custom"`
	Mute         bool             `json:"mute"`
	Disabled     bool             `json:"disabled"`
	Public       bool             `json:"public"`
	Count        int              `json:"affiliations_count"`
	Affiliations []map[string]any `json:"affiliations"`
}

// getRooms is GET /chatrooms/{id,…}. Of several rooms those that do not exist say so; of one it is the refusal.
func (c *call) getRooms() error {
	ids := strings.Split(c.Param("room"), ",")
	if len(ids) > c.server.cfg.Settings.RoomDetails {
		return illegalArgument.say("the number of rooms is not within the limit of one call")
	}
	if slices.ContainsFunc(ids, func(id string) bool { return !validGroup(id) }) {
		return errNoRoom
	}
	rooms, err := c.rooms(ids)
	if err != nil {
		return err
	}
	space := c.server.cfg.Settings.Affiliations
	out := make([]any, len(ids))
	for i, r := range rooms {
		switch {
		case r != nil:
			if out[i], err = c.roomDetail(r, &space); err != nil {
				return err
			}
		case len(ids) == 1:
			return errNoRoom
		default:
			out[i] = absentGroup{ids[i], failureOf(errNoRoom).description}
		}
	}
	return c.ok(func(e *envelope) { e.Data, e.Count = out, ptr(len(out)) })
}

// roomDetail shows a room. Space is how many viewers the answer may still name.
func (c *call) roomDetail(r *room, space *int) (*roomDetail, error) {
	s := &r.head.Settings
	count, err := c.server.cfg.Rooms.Count(c.ctx(), c.app.ID, r.id)
	if err != nil {
		return nil, err
	}
	members, _, err := c.viewers(r, "", 0, *space+1)
	if err != nil {
		return nil, err
	}
	*space -= len(members) - 1
	d := &roomDetail{
		ID: r.id, Name: s.Name, Description: s.Description, MaxUsers: s.MaxUsers, Owner: r.head.Owner.User, Created: r.head.Created.Milli(),
		Custom: s.Custom, Public: true, Count: count, Affiliations: make([]map[string]any, len(members)),
	}
	for i, m := range members {
		d.Affiliations[i] = c.affiliation(r.role(m.User), m)
	}
	return d, nil
}
