package control

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"slices"
	"strings"
	"time"

	"parley/domain"
)

// ErrAppExists and ErrAppDeleted are in the chain of PutApp's refusals.
var (
	ErrAppExists  = errors.New("the app exists")
	ErrAppDeleted = errors.New("the app was deleted and its id is not given out again")
)

// App is a tenant.
type App struct {
	Format           int          `json:"v"`
	ID               domain.AppID `json:"id"`
	UUID             string       `json:"uuid"` // made at creation; it names the app in REST answers
	ClientID         string       `json:"client_id"`
	SecretHash       []byte       `json:"secret_hash"` // HashSecret of the client secret
	OpenRegistration bool         `json:"open_registration"`
	Created          time.Time    `json:"created"`
	Deleted          *time.Time   `json:"deleted,omitempty"` // not nil: gone, but its id stays taken
}

// HashSecret returns what is kept of a client secret. The secret is random, 32 bytes or more, made by parley: no slow hash is needed.
func HashSecret(secret string) []byte {
	h := sha256.Sum256([]byte(secret))
	return h[:]
}

// CheckSecret tells whether the secret is the app's, in constant time.
func (a *App) CheckSecret(secret string) bool {
	return subtle.ConstantTimeCompare(a.SecretHash, HashSecret(secret)) == 1
}

// App returns an app that is not deleted.
func (c *Control) App(id domain.AppID) (App, bool) {
	a, ok := c.current.Load().apps[id]
	if !ok || a.Deleted != nil {
		return App{}, false
	}
	return *a, true
}

// Apps returns the apps that are not deleted, by id.
func (c *Control) Apps() []App {
	var out []App
	for _, a := range c.current.Load().apps {
		if a.Deleted == nil {
			out = append(out, *a)
		}
	}
	slices.SortFunc(out, func(a, b App) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return out
}

// PutApp makes an app, or changes the one with the same uuid. The id of another app, living or deleted, is refused.
func (c *Control) PutApp(ctx context.Context, a App) error {
	c.edit.Lock()
	defer c.edit.Unlock()
	if err := c.catchUp(ctx); err != nil {
		return err
	}
	if _, err := domain.ParseAppID(string(a.ID)); err != nil {
		return err
	}
	if a.UUID == "" || a.ClientID == "" || len(a.SecretHash) != sha256.Size {
		return domain.Refuse(domain.BadRequest, "an app needs a uuid, a client id and a secret")
	}
	if old, ok := c.current.Load().apps[a.ID]; ok {
		switch {
		case old.Deleted != nil:
			return &domain.Error{Code: domain.BadRequest, Reason: "this app was deleted; its id is not given out again", Err: ErrAppDeleted}
		case old.UUID != a.UUID:
			return &domain.Error{Code: domain.BadRequest, Reason: "there is an app with this id", Err: ErrAppExists}
		}
	}
	if a.Created.IsZero() {
		a.Created = c.now().UTC()
	}
	return c.putApp(ctx, a)
}

// DeleteApp ends an app. Its record stays, so that the id stays taken. Deleting it again changes nothing.
func (c *Control) DeleteApp(ctx context.Context, id domain.AppID) error {
	c.edit.Lock()
	defer c.edit.Unlock()
	if err := c.catchUp(ctx); err != nil {
		return err
	}
	a, ok := c.current.Load().apps[id]
	if !ok {
		return domain.Refuse(domain.AppNotFound, "no such app")
	}
	if a.Deleted != nil {
		return nil
	}
	gone, at := *a, c.now().UTC()
	gone.Deleted = &at
	return c.putApp(ctx, gone)
}

// putApp writes the app and makes sure that it is the one in force: a node that wrote at the same time may have come later.
func (c *Control) putApp(ctx context.Context, a App) error {
	a.Format = format
	value, err := encode(appKey(a.ID), a)
	if err != nil {
		return err
	}
	if err := c.put(ctx, appKey(a.ID), value); err != nil {
		return err
	}
	if got := c.current.Load().apps[a.ID]; got.UUID != a.UUID || !bytes.Equal(got.SecretHash, a.SecretHash) {
		return &domain.Error{Code: domain.BadRequest, Reason: "another node made an app with this id at the same time", Err: ErrAppExists}
	}
	return nil
}

// catchUp reads what other nodes have written before a decision is taken here.
func (c *Control) catchUp(ctx context.Context) error {
	_, end, err := c.log.Bounds(ctx, domain.Control)
	if err != nil {
		return domain.Fail(domain.Busy, err)
	}
	return c.readTo(ctx, end)
}
