package rest

import (
	"strings"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/user"
)

const (
	defaultMembers    = 10
	defaultMembersSDK = 50
)

// listMembers is GET /chatgroups/{id}/users: who joined last comes first. Back ends ask for pages by number, from 1, and see owner and
// members; SDKs go on at a cursor, and see the admins, too.
func (c *call) listMembers() error {
	g, err := c.group()
	if err != nil {
		return err
	}
	if err := g.seen(); err != nil {
		return err
	}
	byCursor := c.param("limit") != "" || c.param("cursor") != ""
	var page []GroupMember
	var next string
	if byCursor {
		page, next, err = c.membersAfter(g)
	} else {
		page, err = c.membersPage(g)
	}
	if err != nil {
		return err
	}
	out := make([]map[string]any, len(page))
	for i, m := range page {
		role := g.head.RoleOf(m.User)
		if role == conversation.RoleAdmin && !byCursor {
			role = conversation.RoleMember
		}
		out[i] = c.affiliation(roleName(role), m)
	}
	return c.ok(func(e *envelope) { e.Data, e.Count, e.Cursor = out, ptr(len(out)), next })
}

func (c *call) membersAfter(g *group) ([]GroupMember, string, error) {
	limit, err := c.limit("limit", defaultMembersSDK, c.server.cfg.Settings.MembersPage)
	if err != nil {
		return nil, "", err
	}
	return c.members(g, c.param("cursor"), 0, limit)
}

// membersPage reads a page by its number. What is before it is read, too: large groups are better read with a cursor.
func (c *call) membersPage(g *group) ([]GroupMember, error) {
	size, err := c.limit("pagesize", defaultMembers, c.server.cfg.Settings.MembersPage)
	if err != nil {
		return nil, err
	}
	number, err := c.limit("pagenum", 1, int(g.head.Count)/size+2) // a page behind the last is empty
	if err != nil {
		return nil, err
	}
	page, _, err := c.members(g, "", (number-1)*size, size)
	return page, err
}

// members reads limit members from a cursor on, without the first ones (skip); only the last page is short.
func (c *call) members(g *group, cursor string, skip, limit int) (page []GroupMember, next string, err error) {
	for next = cursor; len(page) < limit; skip = 0 {
		var part []GroupMember
		part, next, err = c.server.cfg.Groups.Members(c.ctx(), g.stream, next, skip, min(limit-len(page), membersRead))
		if page = append(page, part...); err != nil || next == "" {
			return page, "", err
		}
	}
	return page, next, nil
}

// membersRead is how many members are read at once.
const membersRead = 1000

// memberOutcome is what became of one member of a bulk call.
type memberOutcome struct {
	Result bool   `json:"result"`
	Action string `json:"action"`
	User   string `json:"user"`
	Group  string `json:"groupid"`
	ID     string `json:"id,omitempty"` // of the group again: invitations have it under this name
	Reason string `json:"reason,omitempty"`
}

// addMember is POST /chatgroups/{id}/users/{u}.
func (c *call) addMember() error {
	id, stream, err := c.groupStream()
	if err != nil {
		return err
	}
	u, err := c.user()
	if err != nil {
		return err
	}
	people, err := c.accounts([]domain.UserID{u})
	if err != nil {
		return err
	}
	if err := c.mayJoin(people...); err != nil {
		return err
	}
	if err := c.carryOut(stream, c.adding(people)); err != nil {
		return err
	}
	return c.data(&memberOutcome{Result: true, Action: "add_member", User: string(u), Group: id})
}

func (c *call) adding(people []conversation.Person) conversation.AddMembers {
	return conversation.AddMembers{By: c.actor(), Users: people, History: c.server.cfg.Settings.GroupHistory}
}

// usernames reads the body {"usernames": […]} of bulk calls.
func (c *call) usernames() ([]domain.UserID, error) {
	var req struct {
		Usernames []string `json:"usernames"`
	}
	if err := c.body(&req); err != nil {
		return nil, err
	}
	return names(req.Usernames, c.server.cfg.Settings.BulkMembers)
}

// addMembers is POST /chatgroups/{id}/users: the answer names those who were not members before.
func (c *call) addMembers() error {
	users, err := c.usernames()
	if err != nil {
		return err
	}
	g, err := c.group()
	if err != nil {
		return err
	}
	people, err := c.accounts(users)
	if err != nil {
		return err
	}
	if err := c.mayJoin(people...); err != nil {
		return err
	}
	added := []string{}
	for _, p := range people {
		_, role, err := c.roleIn(g, p.User, p.Incarnation)
		if err != nil {
			return err
		}
		if role == conversation.RoleNone {
			added = append(added, string(p.User))
		}
	}
	err = c.carryOut(g.stream, c.adding(people))
	if err != nil && (domain.CodeOf(err) != domain.AlreadyMember || len(added) == 0) {
		return err
	}
	return c.data(map[string]any{"newmembers": added, "groupid": g.id, "action": "add_member"})
}

// removeMembers is DELETE /chatgroups/{id}/users/{u,…}: of one user an answer or a refusal, of several what became of each.
func (c *call) removeMembers() error {
	users, err := names(strings.Split(c.Param("user"), ","), c.server.cfg.Settings.BulkMembers)
	if err != nil {
		return err
	}
	g, err := c.group()
	if err != nil {
		return err
	}
	cmd := conversation.RemoveMembers{By: c.actor()}
	for _, u := range users {
		cmd.Users = append(cmd.Users, conversation.Person{User: u})
	}
	if !strings.Contains(c.Param("user"), ",") {
		if err := c.carryOut(g.stream, cmd); err != nil {
			return err
		}
		return c.data(&memberOutcome{Result: true, Action: "remove_member", User: string(users[0]), Group: g.id})
	}
	out, some, err := c.removable(g, users)
	if err != nil {
		return err
	}
	if g.role >= conversation.RoleAdmin && !some {
		return c.data(out)
	}
	err = c.carryOut(g.stream, cmd)
	if err != nil && (g.role < conversation.RoleAdmin || domain.CodeOf(err) != domain.NotMember) { // not by another call meanwhile
		return err
	}
	return c.data(out)
}

// removable foretells what becomes of each user whom the caller removes; some tells that somebody is removed. The rules decide alike.
func (c *call) removable(g *group, users []domain.UserID) (out []memberOutcome, some bool, err error) {
	people, err := c.persons(users)
	if err != nil {
		return nil, false, err
	}
	for _, p := range people {
		_, role, err := c.roleIn(g, p.User, p.Incarnation)
		if err != nil {
			return nil, false, err
		}
		o := memberOutcome{Action: "remove_member", User: string(p.User), Group: g.id}
		switch {
		case role == conversation.RoleNone:
			o.Reason = failureOf(errNotMember).description
		case role == conversation.RoleOwner, role >= g.role:
			o.Reason = "the " + roleName(role) + " cannot be removed"
		default:
			o.Result, some = true, true
		}
		out = append(out, o)
	}
	return out, some, nil
}

// isJoined is GET /chatgroups/{id}/user/{u}/is_joined.
func (c *call) isJoined() error {
	g, err := c.group()
	if err != nil {
		return err
	}
	u, err := c.user()
	if err != nil {
		return err
	}
	if g.role == conversation.RoleNone && u != c.who.user {
		return errNotMember
	}
	people, err := c.persons([]domain.UserID{u})
	if err != nil {
		return err
	}
	_, role, err := c.roleIn(g, u, people[0].Incarnation)
	if err != nil {
		return err
	}
	return c.data(people[0].Incarnation != 0 && role != conversation.RoleNone)
}

// listAdmins is GET /chatgroups/{id}/admin.
func (c *call) listAdmins() error {
	g, err := c.group()
	if err != nil {
		return err
	}
	if err := g.seen(); err != nil {
		return err
	}
	admins := append([]domain.UserID{}, g.head.Admins...)
	return c.ok(func(e *envelope) { e.Data, e.Count = admins, ptr(len(admins)) })
}

// addAdmin is POST /chatgroups/{id}/admin.
func (c *call) addAdmin() error {
	_, stream, err := c.groupStream()
	if err != nil {
		return err
	}
	var req struct {
		Admin string `json:"newadmin"`
	}
	if err := c.body(&req); err != nil {
		return err
	}
	u, err := user.FoldName(req.Admin)
	if err != nil {
		return err
	}
	if err := c.carryOut(stream, conversation.AddAdmin{By: c.actor(), User: u}); err != nil {
		return err
	}
	return c.data(map[string]any{"result": "success", "newadmin": u})
}

// removeAdmin is DELETE /chatgroups/{id}/admin/{u}.
func (c *call) removeAdmin() error {
	_, stream, err := c.groupStream()
	if err != nil {
		return err
	}
	u, err := c.user()
	if err != nil {
		return err
	}
	if err := c.carryOut(stream, conversation.RemoveAdmin{By: c.actor(), User: u}); err != nil {
		return err
	}
	return c.data(map[string]any{"result": "success", "oldadmin": u})
}

// myRole is GET /chatgroups/{id}/roles: what the caller is in the group.
func (c *call) myRole() error {
	g, err := c.group()
	if err != nil {
		return err
	}
	return c.data(map[string]any{"user": c.who.user, "role": roleName(g.role)})
}

// quit is DELETE /chatgroups/{id}/quit.
func (c *call) quit() error {
	_, stream, err := c.groupStream()
	if err != nil {
		return err
	}
	if err := c.carryOut(stream, conversation.LeaveGroup{By: c.actor()}); err != nil {
		return err
	}
	return c.data(map[string]bool{"result": true})
}

// shield is POST /chatgroups/{id}/shield: the caller's devices get the group's messages no more. unshield is DELETE.
func (c *call) shield() error   { return c.setShield(true) }
func (c *call) unshield() error { return c.setShield(false) }

func (c *call) setShield(on bool) error {
	_, stream, err := c.groupStream()
	if err != nil {
		return err
	}
	if err := c.carryOut(stream, conversation.ShieldGroup{By: c.actor(), On: on}); err != nil {
		return err
	}
	return c.data(map[string]bool{"result": true})
}
