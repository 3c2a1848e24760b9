// Package token makes and checks parley's own tokens: what a client shows to be who it says.
//
// A token is "p1.<key id>.<claims>.<signature>": the claims are JSON, the signature is HMAC-SHA256 over all before it, both in unpadded
// base64url, so that a token goes into URLs and headers as it is. What must hold:
//
//   - Nothing of a token is read before its signature is checked, but the id of the key that made it.
//   - One text is valid for a set of claims made by a key: no other spelling of it is.
//   - Whether the password changed since (AuthEpoch) or the account was made anew (Incarnation) is for the caller to ask: this package
//     knows no state.
package token

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"strings"
	"time"

	"parley/domain"
)

// MaxSize is the most bytes of a token; the longest names take less.
const MaxSize = 1024

// version starts every token of this form.
const version = "p1"

// Token is a signed token. It prints redacted; string(t) is what goes to the client.
type Token string

// String implements fmt.Stringer.
func (Token) String() string { return "[redacted]" }

// GoString implements fmt.GoStringer.
func (Token) GoString() string { return "[redacted]" }

// LogValue implements slog.LogValuer.
func (Token) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// Claims are what a token says. A token of an app (Admin) names no user.
type Claims struct {
	App         domain.AppID       `json:"a"`
	Admin       bool               `json:"m,omitempty"`
	User        domain.UserID      `json:"u,omitempty"`
	Incarnation domain.Incarnation `json:"i,omitempty"`
	AuthEpoch   uint32             `json:"e,omitempty"`
	IssuedAt    int64              `json:"t,omitempty"` // Unix ms
	Expires     int64              `json:"x,omitempty"` // Unix ms; 0: never
	ID          string             `json:"n,omitempty"` // made by the caller, so that two tokens never are the same text
}

// Expired tells whether the claims are void at now.
func (c Claims) Expired(now time.Time) bool { return c.Expires != 0 && now.UnixMilli() >= c.Expires }

// valid tells whether the claims make sense: a user of an app, or an app.
func (c Claims) valid() bool { return c.App != "" && c.Admin == (c.User == "") && c.Expires >= 0 }

// Sign makes the token of claims with the current key. It refuses claims without an app, those that name a user and are an admin's (or
// neither), and those too long for a token, with the code BadRequest.
func (s *Signer) Sign(c Claims) (Token, error) {
	if !c.valid() {
		return "", domain.Refuse(domain.BadRequest, "a token is for a user or for an app")
	}
	payload, err := json.Marshal(c)
	if err != nil {
		return "", domain.Fail(domain.BadRequest, err)
	}
	signed := version + "." + s.keys[0].ID + "." + base64.RawURLEncoding.EncodeToString(payload)
	t := signed + "." + base64.RawURLEncoding.EncodeToString(s.keys[0].sum(signed))
	if len(t) > MaxSize {
		return "", domain.Refuse(domain.BadRequest, "names too long for a token")
	}
	return Token(t), nil
}

var (
	errBad     = domain.Refuse(domain.Unauthorized, "bad token")
	errExpired = domain.Refuse(domain.TokenExpired, "the token has expired")
)

// Verify returns what a token says. It refuses with Unauthorized when no key of the signer made it, and with TokenExpired, along with the
// claims, when it was good once.
func (s *Signer) Verify(t Token, now time.Time) (Claims, error) {
	payload, ok := s.open(string(t))
	if !ok {
		return Claims{}, errBad
	}
	var c Claims
	if err := json.Unmarshal(payload, &c); err != nil || !c.valid() {
		return Claims{}, errBad
	}
	if c.Expired(now) {
		return c, errExpired
	}
	return c, nil
}

// open returns the claims' bytes of a token whose signature holds.
func (s *Signer) open(t string) (payload []byte, ok bool) {
	if len(t) > MaxSize {
		return nil, false
	}
	parts := strings.Split(t, ".")
	if len(parts) != 4 || parts[0] != version {
		return nil, false
	}
	key := s.key(parts[1])
	sum, err := strict.DecodeString(parts[3])
	if key == nil || err != nil || !canonical(parts[3]) {
		return nil, false
	}
	if !hmac.Equal(sum, key.sum(t[:len(t)-len(parts[3])-1])) {
		return nil, false
	}
	payload, err = strict.DecodeString(parts[2])
	return payload, err == nil
}

// strict refuses unused bits that are not 0.
var strict = base64.RawURLEncoding.Strict()

// canonical tells whether a text is free of the line breaks that the decoder would skip.
func canonical(text string) bool { return !strings.ContainsAny(text, "\r\n") }

func (k *Key) sum(signed string) []byte {
	h := hmac.New(sha256.New, k.Secret)
	h.Write([]byte(signed))
	return h.Sum(nil)
}
