package conversation

import (
	"time"

	"parley/domain"
	"parley/domain/message"
)

// GroupRules are the rules of groups. They implement domain.Rules.
//
// A decision reads the head and the rows of the users that its command names, never all members. Besides what holds for Rules:
//
//   - Who is the owner or an admin stands in the head; both are always members.
//   - MembersAdded and MembersRemoved name only users for whom they change something, and carry how many members there are then.
//   - Nothing happens after GroupDestroyed; the head's Closed is its seq.
//   - An answer is taken once, and only for an application or invitation that is younger than the user's last membership.
type GroupRules struct{ limits message.Limits }

// NewGroupRules returns the rules with limits on content.
func NewGroupRules(l message.Limits) GroupRules { return GroupRules{limits: l} }

var _ domain.Rules = GroupRules{}

// Needs implements domain.Rules.
func (GroupRules) Needs(dst []domain.PartID, _ domain.Stream, cmd domain.Command) []domain.PartID {
	switch c := cmd.(type) {
	case CreateGroup:
		return needInvited(needMembers(append(dst, MemberPart(c.Owner.User)), c.Owner.User, c.Members), c.Members)
	case AddMembers:
		return needMembers(needActor(dst, &c.By), c.By.User, c.Users)
	case InviteUsers:
		return needInvited(needMembers(needActor(dst, &c.By), c.By.User, c.Users), c.Users)
	case RemoveMembers:
		return needMembers(needActor(dst, &c.By), c.By.User, c.Users)
	case ApplyToJoin:
		return append(dst, MemberPart(c.By.User), ApplicationPart(c.By.User))
	case AnswerApplication:
		return append(needMember(needActor(dst, &c.By), c.By.User, c.User), ApplicationPart(c.User))
	case AnswerInvitation:
		return append(dst, MemberPart(c.By.User), InvitationPart(c.By.User))
	case LeaveGroup:
		return needActor(dst, &c.By)
	case DestroyGroup:
		return needActor(dst, &c.By)
	case ChangeGroup:
		return needActor(dst, &c.By)
	case TransferOwnership:
		return needMember(needActor(dst, &c.By), c.By.User, c.To)
	case AddAdmin:
		return needMember(needActor(dst, &c.By), c.By.User, c.User)
	case RemoveAdmin:
		return needMember(needActor(dst, &c.By), c.By.User, c.User)
	case ShieldGroup:
		return needActor(dst, &c.By)
	case SendGroupMessage:
		return needSends(append(dst, MemberPart(c.Sender.User)), &c.Sender)
	case ReadGroup:
		return needSends(append(dst, MemberPart(c.Sender.User)), &c.Sender)
	case RecallMessage:
		return needSends(append(dst, MemberPart(c.Sender.User)), &c.Sender)
	default:
		return dst
	}
}

func needActor(dst []domain.PartID, by *Actor) []domain.PartID {
	if by.App {
		return dst
	}
	return append(dst, MemberPart(by.User))
}

// needMember adds a user's row, unless it is the actor's, which is there.
func needMember(dst []domain.PartID, actor, u domain.UserID) []domain.PartID {
	if u == actor {
		return dst
	}
	return append(dst, MemberPart(u))
}

// needMembers adds the rows of several users. Too many are refused before their rows are read.
func needMembers(dst []domain.PartID, actor domain.UserID, users []Person) []domain.PartID {
	if len(users) > MaxBulk {
		return dst
	}
	for _, p := range distinct(users) {
		dst = needMember(dst, actor, p.User)
	}
	return dst
}

func needInvited(dst []domain.PartID, users []Person) []domain.PartID {
	if len(users) > MaxBulk {
		return dst
	}
	for _, p := range distinct(users) {
		dst = append(dst, InvitationPart(p.User))
	}
	return dst
}

// distinct returns users without those that come again.
func distinct(users []Person) []Person {
	seen := make(map[domain.UserID]struct{}, len(users))
	out := make([]Person, 0, len(users))
	for _, p := range users {
		if _, again := seen[p.User]; !again {
			seen[p.User] = struct{}{}
			out = append(out, p)
		}
	}
	return out
}

// Decide implements domain.Rules. Besides the codes that the commands name it refuses with GroupNotFound, NotMember (the actor is none),
// Forbidden (a role that may not do it), TokenRevoked (the actor's account was made anew since), BadRequest and TooLarge.
func (r GroupRules) Decide(st domain.Stream, v domain.View, cmd domain.Command, now time.Time) (domain.Decision, error) {
	g := group{st: st, v: v, now: now}
	g.head, _ = v.Head().(*GroupHead)
	switch c := cmd.(type) {
	case SendGroupMessage:
		return r.send(&g, &c)
	case ReadGroup:
		return g.read(&c)
	case RecallMessage:
		return g.recall(&c)
	case CreateGroup:
		return g.create(&c)
	}
	if !g.head.Open() {
		return domain.Decision{}, errNoGroup
	}
	switch c := cmd.(type) {
	case AddMembers:
		return g.addMembers(&c)
	case ApplyToJoin:
		return g.apply(&c)
	case AnswerApplication:
		return g.answerApplication(&c)
	case InviteUsers:
		return g.invite(&c)
	case AnswerInvitation:
		return g.answerInvitation(&c)
	case LeaveGroup:
		return g.leave(&c)
	case RemoveMembers:
		return g.remove(&c)
	default:
		return g.govern(cmd)
	}
}

var (
	errNoGroup     = domain.Refuse(domain.GroupNotFound, "no such group")
	errNotMember   = domain.Refuse(domain.NotMember, "not a member of the group")
	errMember      = domain.Refuse(domain.AlreadyMember, "a member of the group already")
	errForbidden   = domain.Refuse(domain.Forbidden, "the role may not do this")
	errNoUser      = domain.Refuse(domain.UserNotFound, "no such user")
	errFull        = domain.Refuse(domain.GroupFull, "the group is full")
	errTooManyAsks = domain.Refuse(domain.TooLarge, "too many users at once")
	errNobody      = domain.Refuse(domain.BadRequest, "no users")
	errAnew        = domain.Refuse(domain.TokenRevoked, "the account was registered anew")
)

// group is what a decision about a group sees.
type group struct {
	st   domain.Stream
	v    domain.View
	head *GroupHead // nil: there is none
	now  time.Time
}

// current tells whether a row is that of a member, of whichever incarnation.
func current(m *Member) bool { return m != nil && m.Until == 0 }

// role returns what the actor is in the group, RoleNone for who is no member.
func (g *group) role(by *Actor) (Role, error) {
	if by.App {
		return RoleApp, nil
	}
	m := memberOf(g.v, by.User)
	switch {
	case m != nil && by.Incarnation > 0 && by.Incarnation < m.Incarnation:
		return RoleNone, errAnew
	case !current(m) || !takesPart(m, by.Incarnation):
		return RoleNone, nil
	default:
		return g.head.RoleOf(by.User), nil
	}
}

// atLeast refuses who is no member or has less than a role.
func (g *group) atLeast(by *Actor, least Role) (Role, error) {
	role, err := g.role(by)
	switch {
	case err != nil:
		return role, err
	case role == RoleNone:
		return role, errNotMember
	case role < least:
		return role, errForbidden
	default:
		return role, nil
	}
}

func (a *Actor) doer() Doer { return Doer{User: a.User, Resource: a.Resource} }

func decide(bodies ...domain.Body) (domain.Decision, error) {
	return domain.Decision{Bodies: bodies}, nil
}

func refuse(err error) (domain.Decision, error) { return domain.Decision{}, err }
