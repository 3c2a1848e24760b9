package rest

import (
	"context"
	"strings"
	"sync"
	"time"

	"parley/domain"
	"parley/domain/token"
	"parley/domain/user"
)

// access says who may call an API.
type access int

const (
	open      access = iota // anyone; the API looks at the token itself
	appOnly                 // the app's token
	signedIn                // the app's token, or any user's: what it may do depends on the user
	userOnly                // any user's token
	ownerOnly               // the app's token, or that of the user whom the path names
)

// caller is who calls. The zero caller sent no token.
type caller struct {
	admin       bool // the app itself
	user        domain.UserID
	incarnation domain.Incarnation
	claims      token.Claims
}

func (w caller) known() bool { return w.admin || w.user != "" }

// authenticate finds out who calls. No token is no error.
func (c *call) authenticate() error {
	header := strings.TrimSpace(c.Request().Header.Get("Authorization"))
	if header == "" {
		return nil
	}
	scheme, tok, _ := strings.Cut(header, " ")
	if tok = strings.TrimSpace(tok); !strings.EqualFold(scheme, "bearer") || tok == "" {
		return &unauthorized
	}
	who, err := c.server.verify(c.ctx(), c.app.ID, tok)
	c.who = who
	return err
}

// verify checks a token against the app and, for a user's, against the account as its owner knows it, at most accountTTL old.
func (s *Server) verify(ctx context.Context, app domain.AppID, tok string) (caller, error) {
	claims, err := s.cfg.Tokens.Verify(token.Token(tok), s.cfg.Now())
	if err != nil {
		return caller{}, err
	}
	if claims.App != app {
		return caller{}, domain.Refuse(domain.Unauthorized, "the token is of another app")
	}
	if claims.Admin {
		return caller{admin: true, claims: claims}, nil
	}
	head, err := s.accounts.get(ctx, domain.UserStream(app, claims.User))
	if err != nil {
		return caller{}, err
	}
	if head == nil || !head.Exists || head.Incarnation != claims.Incarnation || head.AuthEpoch != claims.AuthEpoch {
		return caller{}, domain.Refuse(domain.TokenRevoked, "the token was revoked")
	}
	return caller{user: claims.User, incarnation: claims.Incarnation, claims: claims}, nil
}

// authorize refuses a caller who may not call the API.
func (c *call) authorize() error {
	switch {
	case c.route.access == open || (c.who.admin && c.route.access != userOnly):
		return nil
	case !c.who.known():
		return &unauthorized
	case c.route.access == signedIn || (c.route.access == userOnly && !c.who.admin):
		return nil
	case c.route.access == appOnly || c.route.access == userOnly:
		return unauthorized.say(noPermission)
	}
	if u, err := c.user(); err != nil || u != c.who.user {
		return domain.Refuse(domain.Forbidden, "the token is of another user")
	}
	return nil
}

// accountTTL is how old an account may be that a token is checked against; maxAccounts bounds how many are kept.
const (
	accountTTL  = time.Second
	maxAccounts = 1 << 16
)

// accounts remembers account rows for accountTTL. It serves for checking tokens only: whether an account exists is asked anew.
type accounts struct {
	heads func(ctx context.Context, ids []domain.StreamID) ([]domain.Row, error)
	now   func() time.Time

	mu    sync.Mutex
	born  time.Time // no entry is older than the map
	known map[domain.StreamID]*user.Head
	epoch uint64 // of forget: what was read before is not kept after
}

func (a *accounts) get(ctx context.Context, id domain.StreamID) (*user.Head, error) {
	a.mu.Lock()
	if now := a.now(); now.Sub(a.born) >= accountTTL || now.Before(a.born) || len(a.known) >= maxAccounts {
		a.born, a.known = now, make(map[domain.StreamID]*user.Head)
	}
	head, ok := a.known[id]
	born, epoch := a.born, a.epoch
	a.mu.Unlock()
	if ok {
		return head, nil
	}
	rows, err := a.heads(ctx, []domain.StreamID{id})
	if err != nil {
		return nil, err
	}
	head, _ = rows[0].(*user.Head)
	a.mu.Lock()
	if a.born.Equal(born) && a.epoch == epoch {
		a.known[id] = head
	}
	a.mu.Unlock()
	return head, nil
}

// forget makes this node see a change at once.
func (a *accounts) forget(id domain.StreamID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.epoch++
	delete(a.known, id)
}
