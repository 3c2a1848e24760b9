package rest

import (
	"slices"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/user"
)

// apply is POST /chatgroups/{id}/apply: the caller joins an open group, or asks those who may let in.
func (c *call) apply() error {
	id, stream, err := c.groupStream()
	if err != nil {
		return err
	}
	var req struct {
		Message string `json:"message"`
	}
	if err := c.body(&req); err != nil {
		return err
	}
	if err := c.mayJoin(conversation.Person{User: c.who.user, Incarnation: c.who.incarnation}); err != nil {
		return err
	}
	cmd := conversation.ApplyToJoin{By: c.actor(), Reason: req.Message, History: c.server.cfg.Settings.GroupHistory}
	if err := c.carryOut(stream, cmd); err != nil {
		return err
	}
	return c.data(&memberOutcome{Result: true, Action: "apply", User: string(c.who.user), Group: id, ID: id, Reason: req.Message})
}

// verdict is the body of answers to applications and invitations.
type verdict struct {
	Applicant string `json:"applicant"`
	Invitee   string `json:"invitee"`
	Accept    *bool  `json:"verifyResult"`
	Reason    string `json:"reason"`
}

// verdict reads the body of an answer.
func (c *call) verdict() (v verdict, err error) {
	if err := c.body(&v); err != nil {
		return v, err
	}
	if v.Accept == nil {
		return v, illegalArgument.say("verifyResult is required")
	}
	return v, nil
}

// applyVerify is POST /chatgroups/{id}/apply_verify: the owner, an admin or the app answers an application.
func (c *call) applyVerify() error {
	id, stream, err := c.groupStream()
	if err != nil {
		return err
	}
	v, err := c.verdict()
	if err != nil {
		return err
	}
	u, err := user.FoldName(v.Applicant)
	if err != nil {
		return err
	}
	if *v.Accept {
		people, err := c.accounts([]domain.UserID{u})
		if err != nil {
			return err
		}
		if err := c.mayJoin(people...); err != nil {
			return err
		}
	}
	cmd := conversation.AnswerApplication{
		By: c.actor(), User: u, Accept: *v.Accept, Reason: v.Reason, History: c.server.cfg.Settings.GroupHistory,
	}
	if err := c.carryOut(stream, cmd); err != nil {
		return err
	}
	return c.data(&memberOutcome{Result: true, Action: "apply_verify", User: string(u), Group: id})
}

// invite is POST /chatgroups/{id}/invite: the answer says of each user whether the invitation is on its way. When nobody could be invited
// because all are members, it is the refusal.
func (c *call) invite() error {
	users, err := c.usernames()
	if err != nil {
		return err
	}
	g, err := c.group()
	if err != nil {
		return err
	}
	people, err := c.persons(users)
	if err != nil {
		return err
	}
	known := slices.DeleteFunc(slices.Clone(people), func(p conversation.Person) bool { return p.Incarnation == 0 })
	if len(known) == 0 {
		return errNoUser
	}
	if !g.head.Settings.InviteConfirm {
		if err := c.mayJoin(known...); err != nil {
			return err
		}
	}
	out := make([]memberOutcome, len(people))
	open := false
	for i, p := range people {
		out[i] = memberOutcome{Action: "invite", User: string(p.User), Group: g.id, ID: g.id}
		_, role, err := c.roleIn(g, p.User, p.Incarnation)
		switch {
		case err != nil:
			return err
		case p.Incarnation == 0:
			out[i].Reason = failureOf(errNoUser).description
		case role != conversation.RoleNone:
			out[i].Reason = failureOf(domain.Refuse(domain.AlreadyMember, "")).description
		default:
			out[i].Result, open = true, true
		}
	}
	err = c.carryOut(g.stream, conversation.InviteUsers{By: c.actor(), Users: known, History: c.server.cfg.Settings.GroupHistory})
	if err != nil && (domain.CodeOf(err) != domain.AlreadyMember || !open) {
		return err
	}
	return c.data(out)
}

// inviteVerify is POST /chatgroups/{id}/invite_verify: the caller answers an invitation.
func (c *call) inviteVerify() error {
	id, stream, err := c.groupStream()
	if err != nil {
		return err
	}
	v, err := c.verdict()
	if err != nil {
		return err
	}
	if u, err := user.FoldName(v.Invitee); err != nil || u != c.who.user {
		return domain.Refuse(domain.Forbidden, "the invitation is another user's")
	}
	if *v.Accept {
		if err := c.mayJoin(conversation.Person{User: c.who.user, Incarnation: c.who.incarnation}); err != nil {
			return err
		}
	}
	cmd := conversation.AnswerInvitation{By: c.actor(), Accept: *v.Accept, Reason: v.Reason, History: c.server.cfg.Settings.GroupHistory}
	if err := c.carryOut(stream, cmd); err != nil {
		return err
	}
	return c.data(&memberOutcome{Result: true, Action: "invite_verify", User: string(c.who.user), Group: id})
}
