package rest

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"parley/domain"
	"parley/domain/user"
)

// call is a request on its way through the API.
type call struct {
	echo.Context
	server *Server
	route  *route
	begin  time.Time
	app    App
	who    caller
	query  map[string][]string
}

// ctx is the request's context, with the API's time-out.
func (c *call) ctx() context.Context { return c.Request().Context() }

// path is the address inside the app.
func (c *call) path() string {
	p := c.Request().URL.Path
	for range 2 { // org and app
		if i := strings.IndexByte(p[1:], '/'); i >= 0 {
			p = p[1+i:]
		}
	}
	return p
}

// user returns the account that the path names. A name that no account can have is one that does not exist.
func (c *call) user() (domain.UserID, error) {
	u, err := user.FoldName(c.Param("user"))
	if err != nil {
		return "", errNoUser
	}
	return u, nil
}

var errNoUser = domain.Refuse(domain.UserNotFound, "no such user")

// parseQuery splits a query whose values the SDKs do not encode: '+' is itself, and what cannot be decoded is taken as it is.
func parseQuery(raw string) map[string][]string {
	if raw == "" {
		return nil
	}
	out := map[string][]string{}
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" || len(out) >= maxParams {
			continue
		}
		k, v, _ := strings.Cut(pair, "=")
		k, v = decoded(k), decoded(v)
		out[k] = append(out[k], v)
	}
	return out
}

// maxParams bounds the names in a query; the rest is not looked at.
const maxParams = 64

func decoded(s string) string {
	if d, err := url.PathUnescape(s); err == nil {
		return d
	}
	return s
}

// param returns the first value of a name in the query, "" when it is not there.
func (c *call) param(name string) string {
	v := c.query[name]
	if len(v) == 0 || v[0] == "undefined" || v[0] == "null" { // how the SDKs write a parameter that they were not given
		return ""
	}
	return v[0]
}

// limit reads a page's size: otherwise when it is not there, at most most.
func (c *call) limit(name string, otherwise, most int) (int, error) {
	s := c.param(name)
	if s == "" {
		return min(otherwise, most), nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return 0, illegalArgument.say(name + " must be a whole number above 0")
	}
	return min(n, most), nil
}

// body reads the request's JSON into dst.
func (c *call) body(dst any) error {
	b, err := c.raw()
	if err != nil {
		return err
	}
	return decode(b, dst)
}

// raw reads the request's body, which must be JSON and not empty.
func (c *call) raw() ([]byte, error) {
	b, err := io.ReadAll(c.Request().Body)
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return nil, &tooLargeBody
		}
		return nil, badBody.say("the body could not be read")
	}
	if len(b) == 0 {
		return nil, badBody.say("Request body not readable: it is empty")
	}
	if t := c.Request().Header.Get(echo.HeaderContentType); t != "" {
		if media, _, err := mime.ParseMediaType(t); err != nil || media != echo.MIMEApplicationJSON {
			return nil, &badType
		}
	}
	return b, nil
}

// decode parses one JSON value. The refusal names the field where it can; it never shows values.
func decode(b []byte, dst any) error {
	err := json.Unmarshal(b, dst)
	var wrong *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &wrong) && wrong.Field != "":
		return illegalArgument.say(wrong.Field + " has the wrong type")
	case errors.As(err, &wrong):
		return illegalArgument.say("the body has the wrong type")
	case json.Valid(b):
		return illegalArgument.say("a field of the body has the wrong type")
	default:
		return &badJSON
	}
}

// firstByte tells objects from arrays.
func firstByte(b []byte) byte {
	for _, c := range b {
		if c != ' ' && c != '\t' && c != '\n' && c != '\r' {
			return c
		}
	}
	return 0
}
