package rest

import (
	"encoding/json"
	"net/http"
	"time"

	"parley/domain"
	"parley/domain/user"
)

// envelope is what every answer of the management API is wrapped in. Data is left out when the API has none.
type envelope struct {
	Action          string              `json:"action"`
	Application     string              `json:"application"`
	ApplicationName string              `json:"applicationName"`
	Organization    string              `json:"organization"`
	URI             string              `json:"uri"`
	Path            string              `json:"path"`
	Params          map[string][]string `json:"params,omitempty"`
	Entities        []any               `json:"entities"`
	Data            any                 `json:"data,omitempty"`
	Count           *int                `json:"count,omitempty"`
	Total           *int                `json:"total,omitempty"`            // of R101 only: of all pages
	Cursor          string              `json:"cursor,omitempty"`           // left out after the last page
	ExpireTimestamp int64               `json:"expire_timestamp,omitempty"` // of R005 only: absolute ms
	Timestamp       int64               `json:"timestamp"`
	Duration        int64               `json:"duration"`
}

// userEntity is an account as the API shows it.
type userEntity struct {
	UUID      string `json:"uuid"`
	Type      string `json:"type"`
	Created   int64  `json:"created"`
	Modified  int64  `json:"modified"`
	Username  string `json:"username"`
	Activated bool   `json:"activated"`
	Nickname  string `json:"nickname,omitempty"`
}

func entityOf(u domain.UserID, h *user.Head) userEntity {
	return userEntity{
		UUID: h.UUID, Type: "user", Created: h.Registered.Milli(), Modified: h.Modified.Milli(), Username: string(u), Activated: true,
		Nickname: h.Nickname,
	}
}

func entityOfProfile(p *Profile) userEntity {
	return userEntity{
		UUID: p.UUID, Type: "user", Created: p.Registered.Milli(), Modified: p.Modified.Milli(), Username: string(p.User), Activated: true,
		Nickname: p.Nickname,
	}
}

// errorBody is a refusal.
type errorBody struct {
	Error       string `json:"error"`
	Exception   string `json:"exception"`
	Description string `json:"error_description"`
	Code        int    `json:"error_code,omitempty"`
	Timestamp   int64  `json:"timestamp"`
	Duration    int64  `json:"duration"`
}

// ok answers with an envelope; fill adds what the API has to say.
func (c *call) ok(fill func(e *envelope)) error {
	now := c.server.cfg.Now()
	e := envelope{
		Action: actions[c.Request().Method], Application: c.app.UUID, ApplicationName: c.app.ID.Name(), Organization: c.app.ID.Org(),
		URI: c.server.base(c.Request()) + c.Request().URL.Path, Path: c.path(), Params: c.query, Entities: []any{},
		Timestamp: now.UnixMilli(), Duration: now.Sub(c.begin).Milliseconds(),
	}
	fill(&e)
	return c.json(http.StatusOK, &e)
}

// data answers with an envelope that holds data.
func (c *call) data(data any) error {
	return c.ok(func(e *envelope) { e.Data = data })
}

var actions = map[string]string{
	http.MethodGet: "get", http.MethodPost: "post", http.MethodPut: "put", http.MethodDelete: "delete",
}

// json writes a body, all of it or (when it cannot be encoded) nothing.
func (c *call) json(status int, body any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return domain.Fail(domain.Internal, err)
	}
	return c.Blob(status, "application/json;charset=utf-8", b)
}

// bodyOf returns the body of a refusal.
func bodyOf(f *failure, now time.Time, took time.Duration) *errorBody {
	return &errorBody{
		Error: f.name, Exception: f.exception, Description: f.description, Code: f.code, Timestamp: now.UnixMilli(),
		Duration: took.Milliseconds(),
	}
}
