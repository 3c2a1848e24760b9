package rest

import (
	"encoding/json"
	"reflect"
	"slices"

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

// changeable are the fields that PUT /chatgroups/{id} takes, and where they go.
func changeable(d *conversation.GroupChange, maxUsers **cursorInt) map[string]any {
	return map[string]any{
		"groupname": &d.Name, "description": &d.Description, "avatar": &d.Avatar, "custom": &d.Custom, "public": &d.Public,
		"membersonly": &d.Approval, "approval": &d.Approval, "allowinvites": &d.MemberInvites, "invite_need_confirm": &d.InviteConfirm,
		"maxusers": maxUsers,
	}
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
