package rest

import (
	"slices"
	"strings"

	"parley/domain"
	"parley/domain/conversation"
)

// allowOutcome is what became of one user of a call about the allow list.
type allowOutcome struct {
	Result bool   `json:"result"`
	User   string `json:"user"`
	Room   string `json:"chatroomid"`
	Reason string `json:"reason,omitempty"`
}

// listAllowed is GET /chatrooms/{id}/white/users.
func (c *call) listAllowed() error {
	r, err := c.governed()
	if err != nil {
		return err
	}
	out := make([]domain.UserID, len(r.head.Allowed))
	for i, p := range r.head.Allowed {
		out[i] = p.User
	}
	return c.ok(func(e *envelope) { e.Data, e.Count = out, ptr(len(out)) })
}

// isAllowed is GET /chatrooms/{id}/white/users/{u}. Users ask about themselves, the owner about anybody.
func (c *call) isAllowed() error {
	r, err := c.room()
	if err != nil {
		return err
	}
	u, err := c.user()
	if err != nil {
		return err
	}
	if u != c.who.user {
		if err := c.governs(r); err != nil {
			return err
		}
	}
	people, err := c.persons([]domain.UserID{u})
	if err != nil {
		return err
	}
	return c.data(map[string]any{"member": u, "white": r.head.Allows(people[0])})
}

// allowUser is POST /chatrooms/{id}/white/users/{u}.
func (c *call) allowUser() error {
	u, err := c.user()
	if err != nil {
		return err
	}
	out, err := c.allow([]domain.UserID{u})
	if err != nil {
		return err
	}
	return c.data(&out[0])
}

// allowUsers is POST /chatrooms/{id}/white/users: of each user what became of it.
func (c *call) allowUsers() error {
	users, err := c.usernames()
	if err != nil {
		return err
	}
	out, err := c.allow(users)
	if err != nil {
		return err
	}
	return c.data(out)
}

// allow puts users on the allow list; who is there already stays. When none of them exists it is refused.
func (c *call) allow(users []domain.UserID) ([]allowOutcome, error) {
	r, err := c.governed()
	if err != nil {
		return nil, err
	}
	people, err := c.persons(users)
	if err != nil {
		return nil, err
	}
	known := slices.DeleteFunc(slices.Clone(people), func(p conversation.Person) bool { return p.Incarnation == 0 })
	if len(known) == 0 {
		return nil, errNoUser
	}
	if err := c.carryOut(r.stream, conversation.AllowUsers{By: c.actor(), Users: known}); err != nil {
		return nil, err
	}
	out := make([]allowOutcome, len(people))
	for i, p := range people {
		out[i] = allowOutcome{Result: p.Incarnation != 0, User: string(p.User), Room: r.id}
		if p.Incarnation == 0 {
			out[i].Reason = failureOf(errNoUser).description
		}
	}
	return out, nil
}

// disallowUsers is DELETE /chatrooms/{id}/white/users/{u,…}: of each user what became of it.
func (c *call) disallowUsers() error {
	users, err := names(strings.Split(c.Param("user"), ","), c.server.cfg.Settings.BulkMembers)
	if err != nil {
		return err
	}
	r, err := c.governed()
	if err != nil {
		return err
	}
	out := make([]allowOutcome, len(users))
	cmd := conversation.DisallowUsers{By: c.actor()}
	for i, u := range users {
		out[i] = allowOutcome{User: string(u), Room: r.id}
		if slices.ContainsFunc(r.head.Allowed, func(p conversation.Person) bool { return p.User == u }) {
			out[i].Result, cmd.Users = true, append(cmd.Users, u)
		} else {
			out[i].Reason = "the user is not on the allow list"
		}
	}
	if len(cmd.Users) > 0 {
		if err := c.carryOut(r.stream, cmd); err != nil && domain.CodeOf(err) != domain.NotFound { // by another call meanwhile
			return err
		}
	}
	return c.data(out)
}
