package conversation

import (
	"slices"
	"unicode/utf8"

	"parley/domain"
)

// maxReason is the most bytes that the reason of an application, invitation or answer may have.
const maxReason = 2048

var errReason = domain.Refuse(domain.TooLarge, "the reason is too long or not UTF-8")

func validReason(s string) bool { return len(s) <= maxReason && utf8.ValidString(s) }

// create decides a new group. Its first entry makes the owner a member, and the second, if any, the others.
func (g *group) create(c *CreateGroup) (domain.Decision, error) {
	switch {
	case g.st.Kind != domain.KindGroup || !validGroup(g.st.A) || !validResource(c.By.Resource):
		return refuse(domain.Refuse(domain.BadRequest, "bad group or resource"))
	case !c.By.App && c.By.User != c.Owner.User:
		return refuse(domain.Refuse(domain.Forbidden, "a group is made for oneself"))
	case g.head != nil && g.head.Created != 0:
		return refuse(domain.Refuse(domain.GroupExists, "the group's id is taken"))
	case c.Owner.Incarnation == 0:
		return refuse(errNoUser)
	}
	if err := c.Settings.check(); err != nil {
		return refuse(err)
	}
	if len(c.Members) > MaxBulk {
		return refuse(errTooManyAsks)
	}
	members := slices.DeleteFunc(distinct(c.Members), func(p Person) bool { return p.User == c.Owner.User })
	if err := known(members); err != nil {
		return refuse(err)
	}
	if uint64(len(members))+1 > uint64(c.Settings.MaxUsers) {
		return refuse(errFull)
	}
	made := GroupCreated{By: c.By.doer(), Owner: c.Owner, Settings: c.Settings}
	if len(members) == 0 {
		return decide(made)
	}
	if c.Settings.InviteConfirm && !c.By.App {
		return decide(made, UsersInvited{Users: members, By: c.By.doer(), Name: c.Settings.Name})
	}
	return decide(made, MembersAdded{
		Members: joiners(g.v, members), By: c.By.doer(), How: JoinAdded, From: 2, HistoryFrom: historyFrom(2, c.History),
		Count: uint32(len(members)) + 1, Name: c.Settings.Name,
	})
}

// validGroup tells whether a name is a group's: decimal digits, at most 20.
func validGroup(id string) bool {
	for i := range len(id) {
		if id[i] < '0' || id[i] > '9' {
			return false
		}
	}
	return id != "" && len(id) <= 20
}

// known refuses users without an account.
func known(users []Person) error {
	if slices.ContainsFunc(users, func(p Person) bool { return p.Incarnation == 0 || p.User == "" }) {
		return errNoUser
	}
	return nil
}

func historyFrom(from domain.Seq, all bool) domain.Seq {
	if all {
		return 1
	}
	return from
}

// joiners are users as new members, with the spans that they were members before.
func joiners(v domain.View, users []Person) []Joiner {
	out := make([]Joiner, len(users))
	for i, p := range users {
		out[i] = Joiner{User: p.User, Incarnation: p.Incarnation}
		if m := memberOf(v, p.User); m != nil && m.Incarnation == p.Incarnation && m.Until != 0 {
			spans := append(slices.Clone(m.Earlier), Span{From: m.From, Until: m.Until})
			out[i].Earlier = spans[max(0, len(spans)-maxEarlier):]
		}
	}
	return out
}

// outsiders returns the users who can be added: not members, unless of an earlier incarnation; and how many more members there are with
// them. The owner's name is never added: an account made anew does not get the group.
func (g *group) outsiders(users []Person) (out []Person, more uint32) {
	for _, p := range distinct(users) {
		m := memberOf(g.v, p.User)
		switch {
		case p.User == g.head.Owner || current(m) && m.Incarnation >= p.Incarnation:
			continue
		case !current(m):
			more++
		}
		out = append(out, p)
	}
	return out, more
}

// added is the event that makes users members. They must be outsiders.
func (g *group) added(users []Person, more uint32, by Doer, how JoinHow, history bool) (MembersAdded, error) {
	if uint64(g.head.Count)+uint64(more) > uint64(g.head.Settings.MaxUsers) && more > 0 {
		return MembersAdded{}, errFull
	}
	from := g.head.Seq + 1
	return MembersAdded{
		Members: joiners(g.v, users), By: by, How: how, From: from, HistoryFrom: historyFrom(from, history), N: g.head.N,
		Count: g.head.Count + more, Name: g.head.Settings.Name,
	}, nil
}

// mayInvite refuses who may not bring in others.
func (g *group) mayInvite(by *Actor) error {
	least := RoleAdmin
	if g.head.Settings.MemberInvites {
		least = RoleMember
	}
	_, err := g.atLeast(by, least)
	return err
}

// guests returns those of the named users who can be brought in by the actor.
func (g *group) guests(by *Actor, users []Person) (out []Person, more uint32, err error) {
	if err := g.mayInvite(by); err != nil {
		return nil, 0, err
	}
	if len(users) > MaxBulk {
		return nil, 0, errTooManyAsks
	}
	if len(users) == 0 {
		return nil, 0, errNobody
	}
	if err := known(users); err != nil {
		return nil, 0, err
	}
	if out, more = g.outsiders(users); len(out) == 0 {
		return nil, 0, errMember
	}
	return out, more, nil
}

func (g *group) addMembers(c *AddMembers) (domain.Decision, error) {
	users, more, err := g.guests(&c.By, c.Users)
	if err != nil {
		return refuse(err)
	}
	return g.addNow(users, more, &c.By, c.History)
}

func (g *group) addNow(users []Person, more uint32, by *Actor, history bool) (domain.Decision, error) {
	ev, err := g.added(users, more, by.doer(), JoinAdded, history)
	if err != nil {
		return refuse(err)
	}
	return decide(ev)
}

func (g *group) leave(c *LeaveGroup) (domain.Decision, error) {
	role, err := g.role(&c.By)
	switch {
	case err != nil:
		return refuse(err)
	case role == RoleNone || role == RoleApp:
		return refuse(errNotMember)
	case role == RoleOwner:
		return refuse(domain.Refuse(domain.Forbidden, "the owner cannot leave"))
	}
	return decide(MembersRemoved{Users: []domain.UserID{c.By.User}, By: c.By.doer(), How: LeaveLeft, Count: g.head.Count - 1})
}

func (g *group) remove(c *RemoveMembers) (domain.Decision, error) {
	role, err := g.atLeast(&c.By, RoleAdmin)
	if err != nil {
		return refuse(err)
	}
	if len(c.Users) > MaxBulk {
		return refuse(errTooManyAsks)
	}
	ev := MembersRemoved{By: c.By.doer(), How: LeaveRemoved, Count: g.head.Count}
	var first error
	for _, p := range distinct(c.Users) {
		if err := g.mayRemove(role, p); err == nil {
			ev.Users = append(ev.Users, p.User)
			ev.Count--
		} else if first == nil {
			first = err
		}
	}
	switch {
	case len(ev.Users) > 0:
		return decide(ev)
	case first != nil:
		return refuse(first)
	default:
		return refuse(errNobody)
	}
}

// mayRemove refuses to remove who is no member, the owner, and, for an admin, another admin.
func (g *group) mayRemove(role Role, p Person) error {
	m := memberOf(g.v, p.User)
	if !current(m) || p.Incarnation > 0 && p.Incarnation < m.Incarnation {
		return errNotMember
	}
	if target := g.head.RoleOf(p.User); target == RoleOwner || target >= role {
		return errForbidden
	}
	return nil
}
