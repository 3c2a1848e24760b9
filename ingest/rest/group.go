package rest

import (
	"cmp"
	"slices"
	"strings"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/user"
)

// group is a group as a caller finds it.
type group struct {
	id     string
	stream domain.StreamID
	head   *conversation.GroupHead
	role   conversation.Role       // of the caller
	mine   conversation.Membership // of the caller, when a member
}

// maxGroupID is the most digits of a group's id.
const maxGroupID = 20

// validGroup tells whether a group can have this id: decimal digits.
func validGroup(id string) bool {
	return id != "" && len(id) <= maxGroupID && strings.Trim(id, "0123456789") == ""
}

var errNoGroup = domain.Refuse(domain.GroupNotFound, "")

// groupStream returns the group that the path names. An id that no group can have is one of a group that does not exist.
func (c *call) groupStream() (id string, stream domain.StreamID, err error) {
	if id = c.Param("group"); !validGroup(id) {
		return "", "", errNoGroup
	}
	return id, domain.GroupStream(c.app.ID, id), nil
}

// group returns the group that the path names, as it stands.
func (c *call) group() (*group, error) {
	id, _, err := c.groupStream()
	if err != nil {
		return nil, err
	}
	groups, err := c.groups([]string{id})
	if err != nil {
		return nil, err
	}
	if groups[0] == nil {
		return nil, errNoGroup
	}
	return groups[0], nil
}

// groups returns groups in the order of their ids, nil for those that do not exist.
func (c *call) groups(ids []string) ([]*group, error) {
	streams := make([]domain.StreamID, len(ids))
	for i, id := range ids {
		streams[i] = domain.GroupStream(c.app.ID, id)
	}
	rows, err := c.server.cfg.Owners.Heads(c.ctx(), streams)
	if err != nil {
		return nil, err
	}
	out := make([]*group, len(ids))
	for i, row := range rows {
		head, ok := row.(*conversation.GroupHead)
		if !ok || !head.Open() {
			continue
		}
		out[i] = &group{id: ids[i], stream: streams[i], head: head, role: conversation.RoleApp}
		if c.who.admin {
			continue
		}
		if out[i].mine, out[i].role, err = c.roleIn(out[i], c.who.user, c.who.incarnation); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// roleIn returns what a user is in a group. It rests on the read models: who joined a moment ago may be nobody yet.
func (c *call) roleIn(g *group, u domain.UserID, inc domain.Incarnation) (conversation.Membership, conversation.Role, error) {
	m, ok, err := c.server.cfg.Reads.Membership(c.ctx(), c.app.ID, u, inc, g.stream)
	if err != nil || !ok || m.Until != 0 {
		return conversation.Membership{}, conversation.RoleNone, err
	}
	return m, g.head.RoleOf(u), nil
}

var errNotMember = domain.Refuse(domain.NotMember, "")

// seen refuses a caller who may not see who is in the group.
func (g *group) seen() error {
	if g.role == conversation.RoleNone {
		return errNotMember
	}
	return nil
}

// actor is the caller as the rules of groups know it.
func (c *call) actor() conversation.Actor {
	if c.who.admin {
		return conversation.Actor{App: true}
	}
	return conversation.Actor{User: c.who.user, Incarnation: c.who.incarnation, Resource: c.device()}
}

// maxResource is the most bytes of a device's name.
const maxResource = 256

// device is the device that the caller says it is: it is not told of what it does itself. Too long a name is none.
func (c *call) device() domain.Resource {
	r := c.param("resource")
	if len(r) > maxResource {
		return ""
	}
	return domain.Resource(r)
}

// carryOut has a command done, and waits until it can be read.
func (c *call) carryOut(stream domain.StreamID, cmd domain.Command) error {
	r := c.server.one(c.ctx(), stream, cmd)
	c.server.settle(c.ctx(), r)
	return r.Err
}

// names reads a list of users, each once, at most most.
func names(list []string, most int) ([]domain.UserID, error) {
	if len(list) == 0 || len(list) > most {
		return nil, illegalArgument.say("the number of users is not within the limit of one call")
	}
	out := make([]domain.UserID, 0, len(list))
	for _, name := range list {
		u, err := user.FoldName(name)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(out, u) {
			out = append(out, u)
		}
	}
	return out, nil
}

// persons finds the accounts of users now, in order.
func (c *call) persons(users []domain.UserID) ([]conversation.Person, error) {
	heads, err := c.server.heads(c.ctx(), c.app.ID, users)
	if err != nil {
		return nil, err
	}
	out := make([]conversation.Person, len(users))
	for i, u := range users {
		out[i].User = u
		if heads[i] != nil {
			out[i].Incarnation = heads[i].Incarnation
		}
	}
	return out, nil
}

// accounts is persons for calls that take existing users only.
func (c *call) accounts(users []domain.UserID) ([]conversation.Person, error) {
	out, err := c.persons(users)
	if err == nil && slices.ContainsFunc(out, func(p conversation.Person) bool { return p.Incarnation == 0 }) {
		err = errNoUser
	}
	return out, err
}

// memberOf returns a user's memberships of groups, those of ended groups among them, in the order of joining.
func (c *call) memberOf(p conversation.Person) ([]conversation.Membership, error) {
	memberships, err := c.server.cfg.Reads.Memberships(c.ctx(), c.app.ID, p.User, p.Incarnation)
	if err != nil {
		return nil, err
	}
	memberships = slices.DeleteFunc(memberships, func(m conversation.Membership) bool {
		st, ok := m.Stream.Parse()
		return !ok || st.Kind != domain.KindGroup || m.Until != 0
	})
	slices.SortFunc(memberships, func(a, b conversation.Membership) int {
		return cmp.Or(cmp.Compare(a.Joined, b.Joined), cmp.Compare(a.Stream, b.Stream))
	})
	return memberships, nil
}

// joined returns the groups that a user is in now, in the order of joining.
func (c *call) joined(p conversation.Person) ([]*group, error) {
	memberships, err := c.memberOf(p)
	if err != nil || len(memberships) == 0 {
		return nil, err
	}
	ids := make([]domain.StreamID, len(memberships))
	for i := range memberships {
		ids[i] = memberships[i].Stream
	}
	rows, err := c.server.cfg.Owners.Heads(c.ctx(), ids)
	if err != nil {
		return nil, err
	}
	var out []*group
	for i, row := range rows {
		if head, ok := row.(*conversation.GroupHead); ok && head.Open() {
			st, _ := ids[i].Parse()
			out = append(out, &group{id: st.A, stream: ids[i], head: head, role: head.RoleOf(p.User), mine: memberships[i]})
		}
	}
	return out, nil
}

// mayJoin refuses users who are in as many groups as a user may be in. Those who are there already are refused by the group's own rules.
func (c *call) mayJoin(users ...conversation.Person) error {
	for _, p := range users {
		memberships, err := c.memberOf(p)
		if err != nil {
			return err
		}
		if len(memberships) < c.server.cfg.Settings.JoinedGroups {
			continue
		}
		groups, err := c.joined(p) // without those that have ended
		if err != nil {
			return err
		}
		if len(groups) >= c.server.cfg.Settings.JoinedGroups {
			return &tooManyGroups
		}
	}
	return nil
}
