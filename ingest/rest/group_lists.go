package rest

import (
	"strconv"

	"parley/domain"
	"parley/domain/conversation"
)

// dialect3 is the value of the query's version with which newer SDKs ask for groups as {id, name}.
const dialect3 = "v3"

// groupLine is a group in the list of all.
type groupLine struct {
	ID       string `json:"groupid"`
	Name     string `json:"groupname"`
	Owner    string `json:"owner"` // org#app_user
	Count    uint32 `json:"affiliations"`
	Type     string `json:"type"`
	Modified string `json:"lastModified"` // ms
}

// listGroups is GET /chatgroups: a page of all groups.
func (c *call) listGroups() error {
	page, next, err := c.groupsPage(false)
	if err != nil {
		return err
	}
	out := make([]groupLine, len(page))
	for i := range page {
		g := &page[i]
		out[i] = groupLine{
			g.ID, g.Name, string(c.app.ID) + "_" + string(g.Owner), g.Count, "group", strconv.FormatInt(g.Changed.Milli(), 10),
		}
	}
	return c.ok(func(e *envelope) { e.Data, e.Count, e.Cursor = out, ptr(len(out)), next })
}

// publicGroups is GET /publicchatgroups: a page of the groups that anybody may find.
func (c *call) publicGroups() error {
	page, next, err := c.groupsPage(true)
	if err != nil {
		return err
	}
	out := make([]map[string]string, len(page))
	for i := range page {
		out[i] = c.named(page[i].ID, page[i].Name)
	}
	return c.ok(func(e *envelope) { e.Data, e.Count, e.Cursor = out, ptr(len(out)), next })
}

// named is a group in a short list, in the caller's dialect.
func (c *call) named(id, name string) map[string]string {
	if c.param("version") == dialect3 {
		return map[string]string{"id": id, "name": name}
	}
	return map[string]string{"groupid": id, "groupname": name}
}

const defaultGroups = 10

// groupsPage reads a page; where many groups have ended the read model gives short ones.
func (c *call) groupsPage(public bool) (page []Group, next string, err error) {
	limit, err := c.limit("limit", defaultGroups, c.server.cfg.Settings.GroupsPage)
	if err != nil {
		return nil, "", err
	}
	return gather(c.param("cursor"), limit, func(cursor string, limit int) ([]Group, string, error) {
		return c.server.cfg.Groups.Groups(c.ctx(), c.app.ID, public, cursor, limit)
	})
}

// myGroups reads the page of a user's groups that the query asks for, counted from first, and how many the user has. Without a page's size
// and number it is all of them.
func (c *call) myGroups(first int) (page []*group, total int, err error) {
	u, err := c.user()
	if err != nil {
		return nil, 0, err
	}
	account, err := c.server.account(c.ctx(), c.app.ID, u)
	if err != nil {
		return nil, 0, err
	}
	groups, err := c.joined(conversation.Person{User: u, Incarnation: account.Incarnation})
	if err != nil || (c.param("pagenum") == "" && c.param("pagesize") == "") {
		return groups, len(groups), err
	}
	size, err := c.limit("pagesize", defaultJoined, c.server.cfg.Settings.GroupsPage)
	if err != nil {
		return nil, 0, err
	}
	number := first
	if s := c.param("pagenum"); s != "" {
		if number, err = strconv.Atoi(s); err != nil || number < 0 {
			return nil, 0, illegalArgument.say("pagenum must be a whole number from 0")
		}
	}
	number = max(number-first, 0)
	from := len(groups)
	if number <= len(groups)/size {
		from = number * size
	}
	return groups[from:min(from+size, len(groups))], len(groups), nil
}

const defaultJoined = 5

// joinedGroups is GET /users/{u}/joined_chatgroups. The SDKs tell its answer by the uri, and count its pages from 1; back ends count from 0.
func (c *call) joinedGroups() error {
	first := 1
	if c.who.admin {
		first = 0
	}
	page, _, err := c.myGroups(first)
	if err != nil {
		return err
	}
	out := make([]map[string]any, len(page))
	for i, g := range page {
		if c.param("version") == dialect3 {
			out[i] = map[string]any{"id": g.id, "name": g.head.Settings.Name, "disabled": false, "permission": roleName(g.role)}
		} else {
			out[i] = map[string]any{"groupid": g.id, "groupname": g.head.Settings.Name}
		}
	}
	return c.ok(func(e *envelope) { e.Data, e.Count = out, ptr(len(out)) })
}

// joinedEntity is one of a user's groups with its settings.
type joinedEntity struct {
	ID           string        `json:"groupId"`
	Name         string        `json:"name"`
	Avatar       string        `json:"avatar"`
	Description  string        `json:"description"`
	Owner        domain.UserID `json:"owner"`
	Permission   string        `json:"permission"` // what the user is
	Disabled     bool          `json:"disabled"`
	MembersOnly  bool          `json:"membersonly"`
	AllowInvites bool          `json:"allowinvites"`
	MaxUsers     uint32        `json:"maxusers"`
	Public       bool          `json:"public"`
	Created      int64         `json:"created"` // ms
	Count        uint32        `json:"affiliations_count"`
}

// joinedEntities is GET /chatgroups/user/{u}.
func (c *call) joinedEntities() error {
	page, total, err := c.myGroups(0)
	if err != nil {
		return err
	}
	out := make([]any, len(page))
	for i, g := range page {
		s := &g.head.Settings
		out[i] = joinedEntity{
			ID: g.id, Name: s.Name, Avatar: s.Avatar, Description: s.Description, Owner: g.head.Owner, Permission: roleName(g.role),
			MembersOnly: s.Approval, AllowInvites: s.MemberInvites, MaxUsers: s.MaxUsers, Public: s.Public,
			Created: g.head.Created.Milli(), Count: g.head.Count,
		}
	}
	return c.ok(func(e *envelope) { e.Entities, e.Count, e.Total = out, ptr(len(out)), &total })
}

// joinedCount is GET /chatgroups/user/{u}/joined_count.
func (c *call) joinedCount() error {
	_, total, err := c.myGroups(0)
	if err != nil {
		return err
	}
	return c.data(total)
}

// roleName is what a role is called on the wire.
func roleName(r conversation.Role) string {
	switch r {
	case conversation.RoleOwner:
		return "owner"
	case conversation.RoleAdmin:
		return "admin"
	case conversation.RoleMember:
		return "member"
	default:
		return "none"
	}
}
