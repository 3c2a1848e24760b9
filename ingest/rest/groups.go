package rest

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/user"
)

// newGroup is the body of POST /chatgroups. Where the documentation of back ends and the SDKs name a field differently, both are read.
type newGroup struct {
	Name          string     `json:"groupname"`
	Avatar        string     `json:"avatar"`
	Description   string     `json:"description"`
	Desc          string     `json:"desc"`
	Public        bool       `json:"public"`
	MaxUsers      *cursorInt `json:"maxusers"`
	AllowInvites  bool       `json:"allowinvites"`
	MembersOnly   bool       `json:"membersonly"`
	Approval      bool       `json:"approval"`
	InviteConfirm *bool      `json:"invite_need_confirm"`
	Owner         string     `json:"owner"`
	Members       []string   `json:"members"`
	Custom        string     `json:"custom"`
	GroupID       string     `json:"groupid"` // digits; absent: one is made
}

// defaultMaxUsers is how many members a group takes when its maker does not say.
const defaultMaxUsers = 200

// settings reads what the group is to be like.
func (n *newGroup) settings(s *Settings) (conversation.GroupSettings, error) {
	out := conversation.GroupSettings{
		Name: n.Name, Description: n.Description, Avatar: n.Avatar, Custom: n.Custom, Public: n.Public,
		Approval: n.MembersOnly || n.Approval, MemberInvites: n.AllowInvites, InviteConfirm: n.InviteConfirm == nil || *n.InviteConfirm,
		MaxUsers: min(defaultMaxUsers, uint32(s.GroupUsers)),
	}
	if out.Description == "" {
		out.Description = n.Desc
	}
	users, err := maxUsers(n.MaxUsers, s.GroupUsers)
	if users != nil {
		out.MaxUsers = *users
	}
	return out, err
}

// maxUsers reads the most users that a group or room is to have, nil when it is not given.
func maxUsers(n *cursorInt, most int) (*uint32, error) {
	switch {
	case n == nil:
		return nil, nil
	case *n < 1 || *n > cursorInt(most):
		return nil, illegalArgument.say("maxusers is not within the limit")
	}
	return ptr(uint32(*n)), nil
}

// ownerAndMembers reads the names of who is to be in a new group or room, each once, the owner first.
func ownerAndMembers(owner string, members []string) ([]domain.UserID, error) {
	first, err := user.FoldName(owner)
	if err != nil {
		return nil, err
	}
	users := []domain.UserID{first}
	if len(members) == 0 {
		return users, nil
	}
	others, err := names(members, conversation.MaxBulk)
	return append(users, slices.DeleteFunc(others, func(u domain.UserID) bool { return u == first })...), err
}

// owner returns who is to own the group: the caller, or whom the app says.
func (n *newGroup) owner(c *call) (domain.UserID, error) {
	if n.Owner == "" && !c.who.admin {
		return c.who.user, nil
	}
	u, err := user.FoldName(n.Owner)
	if err == nil && !c.who.admin && u != c.who.user {
		err = domain.Refuse(domain.Forbidden, "the owner must be the caller")
	}
	return u, err
}

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

// changeable are the fields that PUT /chatgroups/{id} takes, and where they go.
func changeable(d *conversation.GroupChange, maxUsers **cursorInt) map[string]any {
	return map[string]any{
		"groupname": &d.Name, "description": &d.Description, "avatar": &d.Avatar, "custom": &d.Custom, "public": &d.Public,
		"membersonly": &d.Approval, "approval": &d.Approval, "allowinvites": &d.MemberInvites, "invite_need_confirm": &d.InviteConfirm,
		"maxusers": maxUsers,
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

func readChange(fields map[string]json.RawMessage, s *Settings) (d conversation.GroupChange, err error) {
	var users *cursorInt
	if err := readFields(fields, changeable(&d, &users)); err != nil {
		return d, err
	}
	if d.MaxUsers, err = maxUsers(users, s.GroupUsers); err == nil && d == (conversation.GroupChange{}) {
		err = illegalArgument.say("there is nothing to change")
	}
	return d, err
}

// readFields reads fields into where they go: pointers to pointers, which are set.
func readFields(fields map[string]json.RawMessage, known map[string]any) error {
	for name, raw := range fields {
		dst, ok := known[name]
		if !ok {
			return invalidParam.say("some of the fields are not valid: they cannot be changed")
		}
		if err := json.Unmarshal(raw, dst); err != nil || reflect.ValueOf(dst).Elem().IsNil() {
			return illegalArgument.say(name + " has the wrong type")
		}
	}
	return nil
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

// newOwner reads who is to own a group or room; nothing else can be changed in the same call.
func newOwner(raw json.RawMessage, fields int) (domain.UserID, error) {
	if fields > 1 {
		return "", invalidParam.say("newowner cannot be changed together with other fields")
	}
	var name string
	if json.Unmarshal(raw, &name) != nil {
		return "", illegalArgument.say("newowner has the wrong type")
	}
	return user.FoldName(name)
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
