package rest

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"

	"parley/domain"
	"parley/domain/token"
	"parley/domain/user"
)

// maxTTL is the longest life of a token that ends at all.
const maxTTL = 10 * 365 * 24 * time.Hour

// tokenRequest is the body of POST /token.
type tokenRequest struct {
	GrantType    string      `json:"grant_type"`
	ClientID     string      `json:"client_id"`
	ClientSecret string      `json:"client_secret"`
	Username     string      `json:"username"`
	Password     string      `json:"password"`
	AutoCreate   bool        `json:"autoCreateUser"`
	TTL          *ttlSeconds `json:"ttl"` // 0: never expires; absent: the setting
}

// ttlSeconds is a life in seconds, as a number or in a string.
type ttlSeconds int64

// UnmarshalJSON implements json.Unmarshaler.
func (t *ttlSeconds) UnmarshalJSON(b []byte) error {
	text := string(b)
	if len(b) > 0 && b[0] == '"' {
		if err := json.Unmarshal(b, &text); err != nil {
			return err
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > int64(maxTTL/time.Second) {
		return errors.New("ttl is not a number of seconds")
	}
	*t = ttlSeconds(n)
	return nil
}

// life returns how long the token lives, 0 for ever.
func (r *tokenRequest) life(otherwise time.Duration) time.Duration {
	if r.TTL == nil {
		return otherwise
	}
	return time.Duration(*r.TTL) * time.Second
}

// tokenAnswer is what POST /token answers: no envelope.
type tokenAnswer struct {
	AccessToken string      `json:"access_token"`
	ExpiresIn   int64       `json:"expires_in"` // seconds; 0: never
	Application string      `json:"application"`
	User        *userEntity `json:"user,omitempty"`
}

// issueToken is POST /token.
func (c *call) issueToken() error {
	var req tokenRequest
	if err := c.body(&req); err != nil {
		return err
	}
	switch req.GrantType {
	case "client_credentials":
		return c.appToken(&req)
	case "inherit":
		return c.inherit(&req)
	case "password":
		return c.password(&req)
	default:
		return illegalArgument.say("grant_type must be client_credentials, inherit or password")
	}
}

// appToken answers an app's token for its secret.
func (c *call) appToken(req *tokenRequest) error {
	right := c.app.CheckSecret(req.ClientSecret)
	if req.ClientID != c.app.ClientID || !right {
		return invalidGrant.say("client_id or client_secret is wrong")
	}
	return c.token(token.Claims{App: c.app.ID, Admin: true}, req.life(c.server.cfg.Settings.AppTokenTTL), nil)
}

// inherit answers a user's token to the app.
func (c *call) inherit(req *tokenRequest) error {
	if !c.who.admin {
		return &unauthorized
	}
	u, err := user.FoldName(req.Username)
	if err != nil {
		return err
	}
	head, err := c.server.accountOr(c.ctx(), c.app.ID, u, req.AutoCreate)
	if err != nil {
		return err
	}
	return c.userToken(u, head, req)
}

// password answers a user's token for the password. The SDK knows both texts, and does not try again after them.
func (c *call) password(req *tokenRequest) error {
	u, err := user.FoldName(req.Username)
	if err != nil {
		return invalidGrant.say("user not found")
	}
	head, err := c.server.account(c.ctx(), c.app.ID, u)
	if domain.CodeOf(err) == domain.UserNotFound {
		return invalidGrant.say("user not found")
	}
	if err != nil {
		return err
	}
	if user.CheckPassword(req.Password) != nil {
		return invalidGrant.say("invalid password")
	}
	right, err := c.server.hasher.check(c.ctx(), head.Password, req.Password)
	if err != nil {
		return err
	}
	if !right {
		return invalidGrant.say("invalid password")
	}
	return c.userToken(u, head, req)
}

func (c *call) userToken(u domain.UserID, head *user.Head, req *tokenRequest) error {
	entity := entityOf(u, head)
	return c.token(token.Claims{
		App: c.app.ID, User: u, Incarnation: head.Incarnation, AuthEpoch: head.AuthEpoch,
	}, req.life(c.server.cfg.Settings.UserTokenTTL), &entity)
}

// token signs the claims and answers.
func (c *call) token(claims token.Claims, life time.Duration, entity *userEntity) error {
	t, err := sign(c.server.cfg.Tokens, claims, c.server.cfg.Now(), life)
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, &tokenAnswer{
		AccessToken: string(t), ExpiresIn: int64(life / time.Second), Application: c.app.UUID, User: entity,
	})
}

// sign makes a token that lives for life, or for ever when that is 0.
func sign(tokens Tokens, claims token.Claims, now time.Time, life time.Duration) (token.Token, error) {
	claims.IssuedAt, claims.ID = now.UnixMilli(), uuid.NewString()
	if life > 0 {
		claims.Expires = now.Add(life).UnixMilli()
	}
	return tokens.Sign(claims)
}

// tokenExpires is GET /sdk/users/{u}/token/expires: the SDK asks with a new token whether it is good, and for how long. One that never
// ends is said to end in maxTTL: the SDK sets its timers by the answer.
func (c *call) tokenExpires() error {
	if c.who.admin {
		return &unauthorized
	}
	expires := c.who.claims.Expires
	if expires == 0 {
		expires = c.server.cfg.Now().Add(maxTTL).UnixMilli()
	}
	return c.ok(func(e *envelope) { e.ExpireTimestamp = expires })
}
