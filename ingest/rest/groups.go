package rest

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"

	"parley/domain"
	"parley/domain/conversation"
)

// createGroup is POST /chatgroups.
func (c *call) createGroup() error {
	var n newGroup
	if err := c.body(&n); err != nil {
		return err
	}
	cmd := conversation.CreateGroup{By: c.actor(), History: c.server.cfg.Settings.GroupHistory}
	var err error
	if cmd.Settings, err = n.settings(&c.server.cfg.Settings); err != nil {
		return err
	}
	owner, err := n.owner(c)
	if err != nil {
		return err
	}
	users, err := ownerAndMembers(string(owner), n.Members)
	if err != nil {
		return err
	}
	people, err := c.accounts(users)
	if err != nil {
		return err
	}
	cmd.Owner, cmd.Members = people[0], people[1:]
	if err := c.mayJoin(cmd.Owner); err != nil {
		return err
	}
	id := n.GroupID
	if id == "" {
		id = strconv.FormatUint(uint64(c.server.cfg.Volatile.NextT()), 10)
	}
	if err := c.makeGroup(id, cmd); err != nil {
		return err
	}
	return c.data(map[string]string{"groupid": id})
}

// makeGroup makes the group. One that exists is ours when it is as we want it and was not there before: the first answer was lost.
func (c *call) makeGroup(id string, cmd conversation.CreateGroup) error {
	if !validGroup(id) {
		return illegalArgument.say("group ID illegal, please check it")
	}
	stream := domain.GroupStream(c.app.ID, id)
	rows, err := c.server.cfg.Owners.Heads(c.ctx(), []domain.StreamID{stream})
	if err != nil {
		return err
	}
	if head, ok := rows[0].(*conversation.GroupHead); ok && head != nil {
		return domain.Refuse(domain.GroupExists, "")
	}
	err = c.carryOut(stream, cmd)
	switch domain.CodeOf(err) {
	case domain.GroupFull:
		return &tooManyMembers
	case domain.GroupExists:
		made, failed := c.groups([]string{id})
		if failed == nil && made[0] != nil && made[0].head.Owner == cmd.Owner.User && made[0].head.Settings == cmd.Settings {
			return nil
		}
		return err
	default:
		return err
	}
}

// changeGroup is PUT /chatgroups/{id}: other settings, or another owner. The answer names the fields that were taken.
func (c *call) changeGroup() error {
	_, stream, err := c.groupStream()
	if err != nil {
		return err
	}
	var fields map[string]json.RawMessage
	if err := c.body(&fields); err != nil {
		return err
	}
	if owner, ok := fields["newowner"]; ok {
		return c.transfer(stream, owner, len(fields))
	}
	change, err := readChange(fields, &c.server.cfg.Settings)
	if err != nil {
		return err
	}
	if err := c.carryOut(stream, conversation.ChangeGroup{By: c.actor(), Change: change}); err != nil {
		return err
	}
	done := make(map[string]bool, len(fields))
	for name := range fields {
		done[name] = true
	}
	return c.data(done)
}

// transfer makes another member the owner.
func (c *call) transfer(stream domain.StreamID, raw json.RawMessage, fields int) error {
	to, err := newOwner(raw, fields)
	if err != nil {
		return err
	}
	if err := c.carryOut(stream, conversation.TransferOwnership{By: c.actor(), To: to}); err != nil {
		return err
	}
	return c.data(map[string]bool{"newowner": true})
}

// destroyGroup is DELETE /chatgroups/{id}.
func (c *call) destroyGroup() error {
	id, stream, err := c.groupStream()
	if err != nil {
		return err
	}
	if err := c.carryOut(stream, conversation.DestroyGroup{By: c.actor()}); err != nil {
		return err
	}
	return c.data(map[string]any{"success": true, "groupid": id, "id": id})
}

// groupDetail is a group as it is shown by itself.
type groupDetail struct {
	ID            string           `json:"id"`
	Name          string           `json:"name"`
	Avatar        string           `json:"avatar"`
	Description   string           `json:"description"`
	MembersOnly   bool             `json:"membersonly"`
	AllowInvites  bool             `json:"allowinvites"`
	InviteConfirm bool             `json:"invite_need_confirm"`
	MaxUsers      uint32           `json:"maxusers"`
	Owner         domain.UserID    `json:"owner"`
	Created       int64            `json:"created"` // ms
	Custom        string           `json:"custom"`
	Mute          bool             `json:"mute"`
	Disabled      bool             `json:"disabled"`
	Public        bool             `json:"public"`
	Shield        bool             `json:"shieldgroup"` // of the caller
	Count         uint32           `json:"affiliations_count"`
	Affiliations  []map[string]any `json:"affiliations"`
}

// absentGroup stands in a list for a group that cannot be shown.
type absentGroup struct {
	ID    string `json:"id"`
	Error string `json:"error"`
}

// getGroups is GET /chatgroups/{id,…}. Of several groups those that cannot be shown say why; of one it is the refusal.
func (c *call) getGroups() error {
	ids := strings.Split(c.Param("group"), ",")
	if len(ids) > c.server.cfg.Settings.GroupDetails {
		return illegalArgument.say("the number of groups is not within the limit of one call")
	}
	if slices.ContainsFunc(ids, func(id string) bool { return !validGroup(id) }) {
		return errNoGroup
	}
	groups, err := c.groups(ids)
	if err != nil {
		return err
	}
	room := c.server.cfg.Settings.Affiliations
	out := make([]any, len(ids))
	for i, g := range groups {
		detail, err := c.detail(g, &room)
		switch {
		case err == nil:
			out[i] = detail
		case len(ids) == 1 || failureOf(err).status >= 500:
			return err
		default:
			out[i] = absentGroup{ids[i], failureOf(err).description}
		}
	}
	return c.ok(func(e *envelope) { e.Data, e.Count = out, ptr(len(out)) })
}

// detail shows a group to the caller: a private one to its members only. Who is no member sees the owner, but not the other members. Room
// is how many members the answer may still name.
func (c *call) detail(g *group, room *int) (*groupDetail, error) {
	if g == nil {
		return nil, errNoGroup
	}
	s := &g.head.Settings
	if g.role == conversation.RoleNone && !s.Public {
		return nil, errNotMember
	}
	d := &groupDetail{
		ID: g.id, Name: s.Name, Avatar: s.Avatar, Description: s.Description, MembersOnly: s.Approval, AllowInvites: s.MemberInvites,
		InviteConfirm: s.InviteConfirm, MaxUsers: s.MaxUsers, Owner: g.head.Owner, Created: g.head.Created.Milli(), Custom: s.Custom,
		Public: s.Public, Shield: g.mine.Shield, Count: g.head.Count, Affiliations: []map[string]any{{"owner": g.head.Owner}},
	}
	if g.role == conversation.RoleNone {
		return d, nil
	}
	members, _, err := c.members(g, "", 0, *room)
	if err != nil {
		return nil, err
	}
	*room -= len(members)
	for _, m := range members {
		switch {
		case m.User != g.head.Owner:
			d.Affiliations = append(d.Affiliations, c.affiliation("member", m))
		case c.param("joined_time") == "true":
			d.Affiliations[0]["joined_time"] = m.Joined.Milli()
		}
	}
	return d, nil
}

// affiliation is a member as lists show it: by what the user is, and when asked for since when.
func (c *call) affiliation(role string, m GroupMember) map[string]any {
	out := map[string]any{role: m.User}
	if c.param("joined_time") == "true" {
		out["joined_time"] = m.Joined.Milli()
	}
	return out
}

// endMembership is for a user who is about to be deleted: the user's own groups end, the others are left. It comes before the deletion, so
// that a call that was broken off can be made again.
func (c *call) endMembership(p conversation.Person) error {
	groups, err := c.joined(p)
	if err != nil {
		return err
	}
	by := conversation.Actor{User: p.User, Incarnation: p.Incarnation}
	wishes := make([]wish, len(groups))
	for i, g := range groups {
		if wishes[i] = (wish{g.stream, conversation.LeaveGroup{By: by}}); g.role == conversation.RoleOwner {
			wishes[i].command = conversation.DestroyGroup{By: conversation.Actor{App: true}}
		}
	}
	for part := range slices.Chunk(wishes, maxWishes) {
		results := c.server.submit(c.ctx(), part)
		c.server.settle(c.ctx(), results...)
		for i := range results {
			switch domain.CodeOf(results[i].Err) {
			case "", domain.GroupNotFound, domain.NotMember: // by another call, or by our own first try
			default:
				err = errors.Join(err, results[i].Err)
			}
		}
	}
	return err
}

// maxWishes is how many commands a call has under way at once.
const maxWishes = 64
