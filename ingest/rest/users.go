package rest

import (
	"context"
	"encoding/json"

	"github.com/google/uuid"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/user"
)

// newUser is the body of POST /users, or an element of it.
type newUser struct {
	Username string `json:"username"`
	Password string `json:"password"`
	Nickname string `json:"nickname"`
}

// check returns the account that the registration means.
func (n *newUser) check() (domain.UserID, error) {
	u, err := user.FoldName(n.Username)
	if err != nil {
		return "", err
	}
	if err := user.CheckPassword(n.Password); err != nil {
		return "", err
	}
	return u, user.CheckNickname(n.Nickname)
}

// register is POST /users: one user, or an array of them.
func (c *call) register() error {
	if !c.who.admin && (c.who.known() || !c.app.OpenRegistration) {
		if c.who.known() {
			return &unauthorized
		}
		return domain.Refuse(domain.RegistrationOff, "")
	}
	body, err := c.raw()
	if err != nil {
		return err
	}
	if firstByte(body) == '[' {
		return c.registerMany(body)
	}
	var n newUser
	if err := decode(body, &n); err != nil {
		return err
	}
	entity, err := c.registerOne(&n)
	if err != nil {
		return err
	}
	return c.ok(func(e *envelope) { e.Entities = []any{entity} })
}

func (c *call) registerOne(n *newUser) (userEntity, error) {
	u, err := n.check()
	if err != nil {
		return userEntity{}, err
	}
	heads, err := c.server.heads(c.ctx(), c.app.ID, []domain.UserID{u})
	if err != nil {
		return userEntity{}, err
	}
	if heads[0] != nil { // known before the password is hashed, which takes long
		return userEntity{}, errTaken
	}
	hash, err := c.server.hasher.hash(c.ctx(), n.Password)
	if err != nil {
		return userEntity{}, err
	}
	head, err := c.server.create(c.ctx(), c.app.ID, u, user.Register{UUID: uuid.NewString(), Password: hash, Nickname: n.Nickname})
	if err != nil {
		return userEntity{}, err
	}
	return entityOf(u, head), nil
}

var errTaken = domain.Refuse(domain.UserExists, "the username is taken")

// create registers an account and returns it as it stands.
func (s *Server) create(ctx context.Context, app domain.AppID, u domain.UserID, cmd user.Register) (*user.Head, error) {
	stream := domain.UserStream(app, u)
	r := s.one(ctx, stream, cmd)
	s.accounts.forget(stream)
	if r.Err != nil && domain.CodeOf(r.Err) != domain.UserExists {
		return nil, r.Err
	}
	head, err := s.account(ctx, app, u)
	switch {
	case err != nil:
		return nil, err
	case head.UUID != cmd.UUID: // somebody else's; ours, when the first answer was lost
		return nil, errTaken
	}
	s.settle(ctx, r)
	return head, nil
}

// accountOr returns an account; with register, one that is not there is registered without a password. Of two calls that do so at the same
// time both answer with the account that came to be.
func (s *Server) accountOr(ctx context.Context, app domain.AppID, u domain.UserID, register bool) (*user.Head, error) {
	head, err := s.account(ctx, app, u)
	if !register || domain.CodeOf(err) != domain.UserNotFound {
		return head, err
	}
	head, err = s.create(ctx, app, u, user.Register{UUID: uuid.NewString()})
	if domain.CodeOf(err) == domain.UserExists { // another call was first
		return s.account(ctx, app, u)
	}
	return head, err
}

// userFailure tells why one user of many was not registered.
type userFailure struct {
	Username string `json:"username"`
	Reason   string `json:"registerUserFailReason"`
}

// registerMany registers an array of users: each by itself, in order, so that of a name that comes twice the first counts.
func (c *call) registerMany(body []byte) error {
	if !c.who.admin {
		return &unauthorized
	}
	var users []json.RawMessage
	if err := decode(body, &users); err != nil {
		return err
	}
	if len(users) == 0 || len(users) > c.server.cfg.Settings.BulkUsers {
		return illegalArgument.say("the number of users is not within the limit of one call")
	}
	entities, failed := []any{}, []userFailure{}
	for _, raw := range users {
		var n newUser
		err := decode(raw, &n)
		var entity userEntity
		if err == nil {
			entity, err = c.registerOne(&n)
		}
		if err == nil {
			entities = append(entities, entity)
			continue
		}
		if failureOf(err).status >= 500 && len(entities) == 0 {
			return err
		}
		failed = append(failed, userFailure{n.Username, failureOf(err).description})
	}
	return c.ok(func(e *envelope) { e.Entities, e.Data = entities, failed })
}

// getUser is GET /users/{u}.
func (c *call) getUser() error {
	u, err := c.user()
	if err != nil {
		return err
	}
	head, err := c.server.account(c.ctx(), c.app.ID, u)
	if err != nil {
		return err
	}
	return c.ok(func(e *envelope) { e.Entities, e.Count = []any{entityOf(u, head)}, ptr(1) })
}

func ptr[T any](v T) *T { return &v }

// deleteUser is DELETE /users/{u}. The groups that the user owns end; the others are left.
func (c *call) deleteUser() error {
	u, err := c.user()
	if err != nil {
		return err
	}
	head, err := c.server.account(c.ctx(), c.app.ID, u)
	if err != nil {
		return err
	}
	if err := c.endMembership(conversation.Person{User: u, Incarnation: head.Incarnation}); err != nil {
		return err
	}
	r := c.server.one(c.ctx(), domain.UserStream(c.app.ID, u), user.Delete{})
	c.server.accounts.forget(domain.UserStream(c.app.ID, u))
	if r.Err != nil && domain.CodeOf(r.Err) != domain.UserNotFound { // gone meanwhile, or by our own first try
		return r.Err
	}
	c.server.settle(c.ctx(), r)
	return c.ok(func(e *envelope) { e.Entities = []any{entityOf(u, head)} })
}

// listUsers is GET /users: a page in the order of registration.
func (c *call) listUsers() error {
	page, next, err := c.usersPage()
	if err != nil {
		return err
	}
	return c.ok(func(e *envelope) {
		e.Entities, e.Count, e.Cursor = entitiesOf(page), ptr(len(page)), next
	})
}

func entitiesOf(page []Profile) []any {
	out := make([]any, len(page))
	for i := range page {
		out[i] = entityOfProfile(&page[i])
	}
	return out
}

// defaultUsers is the size of a page when the caller does not say.
const defaultUsers = 10

// usersPage reads a page. Where many were deleted the read model gives short pages: they are put together, and only the last is short.
func (c *call) usersPage() (page []Profile, next string, err error) {
	limit, err := c.limit("limit", defaultUsers, c.server.cfg.Settings.UsersPage)
	if err != nil {
		return nil, "", err
	}
	next = c.param("cursor")
	for {
		part, cursor, err := c.server.cfg.Reads.Users(c.ctx(), c.app.ID, next, limit-len(page))
		if err != nil {
			return nil, "", err
		}
		page, next = append(page, part...), cursor
		if next == "" || len(page) >= limit {
			return page, next, nil
		}
	}
}

// deleteUsers is DELETE /users: the oldest accounts of an app, or those behind a cursor.
func (c *call) deleteUsers() error {
	page, next, err := c.usersPage()
	if err != nil {
		return err
	}
	wishes := make([]wish, len(page))
	for i := range page {
		if err := c.endMembership(conversation.Person{User: page[i].User, Incarnation: page[i].Incarnation}); err != nil {
			return err
		}
		wishes[i] = wish{domain.UserStream(c.app.ID, page[i].User), user.Delete{}}
	}
	results := c.server.submit(c.ctx(), wishes)
	gone := page[:0]
	for i, r := range results {
		c.server.accounts.forget(wishes[i].stream)
		switch domain.CodeOf(r.Err) {
		case "":
			gone = append(gone, page[i])
		case domain.UserNotFound: // by another call
		default:
			err = r.Err
		}
	}
	if len(gone) == 0 && err != nil {
		return err
	}
	c.server.settle(c.ctx(), results...)
	return c.ok(func(e *envelope) {
		e.Entities, e.Count, e.Cursor = entitiesOf(gone), ptr(len(gone)), next
	})
}

// setPassword is PUT /users/{u}/password. It ends the user's tokens and sessions.
func (c *call) setPassword() error {
	u, err := c.user()
	if err != nil {
		return err
	}
	var req struct {
		Password string `json:"newpassword"`
	}
	if err := c.body(&req); err != nil {
		return err
	}
	if err := user.CheckPassword(req.Password); err != nil {
		return err
	}
	if _, err := c.server.account(c.ctx(), c.app.ID, u); err != nil {
		return err
	}
	hash, err := c.server.hasher.hash(c.ctx(), req.Password)
	if err != nil {
		return err
	}
	r := c.server.one(c.ctx(), domain.UserStream(c.app.ID, u), user.SetPassword{Password: hash})
	c.server.accounts.forget(domain.UserStream(c.app.ID, u))
	if r.Err != nil {
		return r.Err
	}
	c.server.settle(c.ctx(), r)
	return c.ok(func(e *envelope) { e.Action = "set user password" })
}
