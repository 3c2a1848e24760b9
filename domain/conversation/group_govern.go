package conversation

import (
	"slices"
	"unicode/utf8"

	"parley/domain"
)

// Bounds of a group's settings, from the SDKs' documentation.
const (
	maxGroupName   = 128     // characters
	maxDescription = 512     // characters
	maxAvatar      = 1024    // characters
	maxCustom      = 8 << 10 // bytes
)

// check refuses settings outside the rules.
func (s *GroupSettings) check() error {
	for _, f := range []struct {
		text string
		most int
	}{{s.Name, maxGroupName}, {s.Description, maxDescription}, {s.Avatar, maxAvatar}} {
		if !utf8.ValidString(f.text) {
			return domain.Refuse(domain.BadRequest, "the group's settings are not UTF-8")
		}
		if utf8.RuneCountInString(f.text) > f.most {
			return domain.Refuse(domain.TooLarge, "the group's name, description or avatar is too long")
		}
	}
	switch {
	case !utf8.ValidString(s.Custom):
		return domain.Refuse(domain.BadRequest, "the group's settings are not UTF-8")
	case len(s.Custom) > maxCustom:
		return domain.Refuse(domain.TooLarge, "the group's ext is too long")
	case s.MaxUsers == 0:
		return domain.Refuse(domain.BadRequest, "a group has room for somebody")
	default:
		return nil
	}
}

// With returns the settings after a change.
func (s GroupSettings) With(c *GroupChange) GroupSettings {
	set(&s.Name, c.Name)
	set(&s.Description, c.Description)
	set(&s.Avatar, c.Avatar)
	set(&s.Custom, c.Custom)
	set(&s.Public, c.Public)
	set(&s.Approval, c.Approval)
	set(&s.MemberInvites, c.MemberInvites)
	set(&s.InviteConfirm, c.InviteConfirm)
	set(&s.MaxUsers, c.MaxUsers)
	return s
}

func set[V any](dst, v *V) {
	if v != nil {
		*dst = *v
	}
}

// news returns what of a change is not so yet.
func (c *GroupChange) news(s *GroupSettings) GroupChange {
	return GroupChange{
		Name: differs(c.Name, s.Name), Description: differs(c.Description, s.Description), Avatar: differs(c.Avatar, s.Avatar),
		Custom: differs(c.Custom, s.Custom), Public: differs(c.Public, s.Public), Approval: differs(c.Approval, s.Approval),
		MemberInvites: differs(c.MemberInvites, s.MemberInvites), InviteConfirm: differs(c.InviteConfirm, s.InviteConfirm),
		MaxUsers: differs(c.MaxUsers, s.MaxUsers),
	}
}

func differs[V comparable](v *V, old V) *V {
	if v == nil || *v == old {
		return nil
	}
	return v
}

// govern decides what concerns the group as a whole, its roles, and a member's own settings.
func (g *group) govern(cmd domain.Command) (domain.Decision, error) {
	switch c := cmd.(type) {
	case DestroyGroup:
		if _, err := g.atLeast(&c.By, RoleOwner); err != nil {
			return refuse(err)
		}
		return decide(GroupDestroyed{By: c.By.doer(), Name: g.head.Settings.Name})
	case ChangeGroup:
		return g.change(&c)
	case TransferOwnership:
		return g.transfer(&c)
	case AddAdmin:
		return g.addAdmin(&c)
	case RemoveAdmin:
		return g.removeAdmin(&c)
	case ShieldGroup:
		return g.shield(&c)
	default:
		return refuse(domain.Refuse(domain.Unsupported, "not a wish about a group"))
	}
}

func (g *group) change(c *ChangeGroup) (domain.Decision, error) {
	if _, err := g.atLeast(&c.By, RoleAdmin); err != nil {
		return refuse(err)
	}
	next := g.head.Settings.With(&c.Change)
	if err := next.check(); err != nil {
		return refuse(err)
	}
	if c.Change.MaxUsers != nil && next.MaxUsers < g.head.Count {
		return refuse(domain.Refuse(domain.BadRequest, "the group has more members"))
	}
	news := c.Change.news(&g.head.Settings)
	if news == (GroupChange{}) {
		return domain.Decision{}, nil
	}
	return decide(GroupChanged{By: c.By.doer(), Change: news})
}

func (g *group) transfer(c *TransferOwnership) (domain.Decision, error) {
	if _, err := g.atLeast(&c.By, RoleOwner); err != nil {
		return refuse(err)
	}
	if c.To == g.head.Owner {
		return refuse(domain.Refuse(domain.AlreadySo, "the owner already"))
	}
	if !current(memberOf(g.v, c.To)) {
		return refuse(errNotMember)
	}
	return decide(OwnerChanged{By: c.By.doer(), Old: g.head.Owner, Owner: c.To})
}

func (g *group) addAdmin(c *AddAdmin) (domain.Decision, error) {
	if _, err := g.atLeast(&c.By, RoleOwner); err != nil {
		return refuse(err)
	}
	switch {
	case !current(memberOf(g.v, c.User)):
		return refuse(errNotMember)
	case g.head.RoleOf(c.User) >= RoleAdmin:
		return refuse(domain.Refuse(domain.AlreadySo, "an admin or the owner already"))
	case len(g.head.Admins) >= MaxAdmins:
		return refuse(domain.Refuse(domain.TooManyAdmins, "too many admins"))
	}
	return decide(AdminAdded{By: c.By.doer(), User: c.User})
}

func (g *group) removeAdmin(c *RemoveAdmin) (domain.Decision, error) {
	if _, err := g.atLeast(&c.By, RoleOwner); err != nil {
		return refuse(err)
	}
	switch {
	case slices.Contains(g.head.Admins, c.User):
		return decide(AdminRemoved{By: c.By.doer(), User: c.User})
	case current(memberOf(g.v, c.User)):
		return refuse(domain.Refuse(domain.AlreadySo, "no admin"))
	default:
		return refuse(errNotMember)
	}
}

func (g *group) shield(c *ShieldGroup) (domain.Decision, error) {
	role, err := g.atLeast(&c.By, RoleMember)
	switch {
	case err != nil:
		return refuse(err)
	case role == RoleApp:
		return refuse(errNotMember)
	case memberOf(g.v, c.By.User).Shield == c.On:
		return domain.Decision{}, nil
	}
	return decide(ShieldSet{User: c.By.User, On: c.On})
}
