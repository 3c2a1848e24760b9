package conversation

import "parley/domain"

// apply decides an application: at once, or as an entry for those who may answer it. The same application again is already so.
func (g *group) apply(c *ApplyToJoin) (domain.Decision, error) {
	role, err := g.role(&c.By)
	user := Person{User: c.By.User, Incarnation: c.By.Incarnation}
	switch {
	case err != nil:
		return refuse(err)
	case role == RoleApp:
		return refuse(domain.Refuse(domain.BadRequest, "the app joins no group"))
	case role != RoleNone:
		return refuse(errMember)
	case user.Incarnation == 0:
		return refuse(errNoUser)
	case !g.head.Settings.Public:
		return refuse(domain.Refuse(domain.Forbidden, "the group is private"))
	case !validReason(c.Reason):
		return refuse(errReason)
	case !g.head.Settings.Approval:
		return g.join(user, c.By.doer(), JoinOpen, c.History)
	case g.head.Count >= g.head.Settings.MaxUsers:
		return refuse(errFull)
	}
	if a := g.application(user.User); a.pending() && a.User == user && a.Reason == c.Reason && !g.memberSince(a) {
		return domain.Decision{}, nil
	}
	return decide(JoinRequested{User: user, Reason: c.Reason, Audience: append([]domain.UserID{g.head.Owner}, g.head.Admins...)})
}

// join makes one user a member; others follow the membership.
func (g *group) join(user Person, by Doer, how JoinHow, history bool, others ...domain.Body) (domain.Decision, error) {
	users, more := g.outsiders([]Person{user})
	if len(users) == 0 {
		return refuse(errMember)
	}
	ev, err := g.added(users, more, by, how, history)
	if err != nil {
		return refuse(err)
	}
	return decide(append([]domain.Body{ev}, others...)...)
}

func (g *group) answerApplication(c *AnswerApplication) (domain.Decision, error) {
	if _, err := g.atLeast(&c.By, RoleAdmin); err != nil {
		return refuse(err)
	}
	if err := g.answerable(g.application(c.User), c.User, c.Reason); err != nil {
		return refuse(err)
	}
	user := g.application(c.User).User
	answered := JoinAnswered{User: user, By: c.By.doer(), Accepted: c.Accept, Reason: c.Reason, Name: g.head.Settings.Name}
	if !c.Accept {
		return decide(answered)
	}
	return g.join(user, c.By.doer(), JoinAccepted, c.History, answered)
}

func (g *group) invite(c *InviteUsers) (domain.Decision, error) {
	users, more, err := g.guests(&c.By, c.Users)
	switch {
	case err != nil:
		return refuse(err)
	case !validReason(c.Reason):
		return refuse(errReason)
	case !g.head.Settings.InviteConfirm:
		return g.addNow(users, more, &c.By, c.History)
	case uint64(g.head.Count)+uint64(more) > uint64(g.head.Settings.MaxUsers):
		return refuse(errFull)
	}
	return decide(UsersInvited{Users: users, By: c.By.doer(), Reason: c.Reason, Name: g.head.Settings.Name})
}

func (g *group) answerInvitation(c *AnswerInvitation) (domain.Decision, error) {
	role, err := g.role(&c.By)
	switch {
	case err != nil:
		return refuse(err)
	case role == RoleApp:
		return refuse(domain.Refuse(domain.BadRequest, "the app joins no group"))
	}
	i := g.invitation(c.By.User)
	if err := g.answerable(i, c.By.User, c.Reason); err != nil {
		return refuse(err)
	}
	if c.By.Incarnation > 0 && c.By.Incarnation != i.User.Incarnation {
		return refuse(errNotAsked)
	}
	answered := InvitationAnswered{
		User: c.By.User, Resource: c.By.Resource, Inviter: i.By, Accepted: c.Accept, Reason: c.Reason,
	}
	if !c.Accept {
		return decide(answered)
	}
	return g.join(i.User, c.By.doer(), JoinInvited, c.History, answered)
}

var errNotAsked = domain.Refuse(domain.NotFound, "no such application or invitation")

// ask is an application or invitation. The zero value stands for none.
type ask Invitation

func (a ask) pending() bool { return a.State == AskPending }

func (g *group) application(u domain.UserID) ask {
	a, _ := g.v.Part(ApplicationPart(u)).(*Application)
	if a == nil {
		return ask{}
	}
	return ask{User: a.User, Reason: a.Reason, T: a.T, State: a.State}
}

func (g *group) invitation(u domain.UserID) ask {
	i, _ := g.v.Part(InvitationPart(u)).(*Invitation)
	if i == nil {
		return ask{}
	}
	return ask(*i)
}

// memberSince tells whether the user became a member after asking or being asked, in some other way: then the question is void.
func (g *group) memberSince(a ask) bool {
	m := memberOf(g.v, a.User.User)
	return m != nil && m.Incarnation >= a.User.Incarnation && m.Joined > a.T
}

// answerable refuses an answer to what was not asked, has its answer, or does not matter any more.
func (g *group) answerable(a ask, u domain.UserID, reason string) error {
	m := memberOf(g.v, u)
	switch {
	case current(m) && m.Incarnation >= a.User.Incarnation:
		return errMember
	case a.State == 0 || a.pending() && g.memberSince(a):
		return errNotAsked
	case !a.pending():
		return domain.Refuse(domain.AlreadyAnswered, "answered already")
	case !validReason(reason):
		return errReason
	default:
		return nil
	}
}
