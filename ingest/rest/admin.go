package rest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"parley/domain"
	"parley/domain/token"
	"parley/domain/user"
)

// NewApp is an app that is to be made. Secret is shown to whoever asked for it, once, and only a hash of it is kept.
type NewApp struct {
	ID               domain.AppID
	UUID             string
	ClientID         string
	Secret           string
	OpenRegistration bool
}

// String keeps the secret out of logs.
func (a NewApp) String() string { return string(a.ID) }

// LogValue implements slog.LogValuer.
func (a NewApp) LogValue() slog.Value { return slog.StringValue(string(a.ID)) }

// MakeApp fills in what an app needs at random: uuid, client id and secret.
func MakeApp(id domain.AppID, openRegistration bool) NewApp {
	return NewApp{ID: id, UUID: uuid.NewString(), ClientID: randomText(12), Secret: randomText(32), OpenRegistration: openRegistration}
}

// randomText returns n random bytes in base64url.
func randomText(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

// AdminApps are the tenants as the operator manages them. CreateApp refuses an id that is taken, and one that is none, with BadRequest.
type AdminApps interface {
	Apps
	ListApps() []App
	CreateApp(ctx context.Context, a NewApp) error
	DeleteApp(ctx context.Context, id domain.AppID) error
}

// AdminConfig is what the admin API is made of.
type AdminConfig struct {
	Key        string // that callers show as bearer; empty refuses everybody
	Settings   Settings
	Apps       AdminApps
	Owners     Owners
	Tokens     Tokens
	Waiter     Waiter
	Now        func() time.Time
	Logger     *slog.Logger
	Registerer prometheus.Registerer // nil: no metrics
}

// Admin is the operator's API, an http.Handler of /api/…
type Admin struct {
	cfg    AdminConfig
	key    [sha256.Size]byte
	server *Server // its way of asking owners
	echo   *echo.Echo
	calls  *prometheus.CounterVec
}

// NewAdmin makes the operator's API.
func NewAdmin(cfg AdminConfig) (*Admin, error) {
	if err := cfg.Settings.Validate(); err != nil {
		return nil, err
	}
	a := &Admin{cfg: cfg, key: sha256.Sum256([]byte(cfg.Key))}
	a.calls = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "parley_rest_admin_requests_total", Help: "Calls of the operator's API, by HTTP status.",
	}, []string{"status"})
	if cfg.Registerer != nil {
		cfg.Registerer.MustRegister(a.calls)
	}
	a.server = &Server{
		cfg: Config{
			Settings: cfg.Settings, Owners: cfg.Owners, Apps: cfg.Apps, Tokens: cfg.Tokens, Waiter: cfg.Waiter, Now: cfg.Now, Logger: cfg.Logger,
		},
		metrics:  newMetrics(nil),
		accounts: &accounts{heads: cfg.Owners.Heads, now: cfg.Now},
	}
	a.echo = echo.New()
	a.echo.Logger.SetOutput(discard{})
	a.echo.HTTPErrorHandler = a.fail
	a.echo.GET("/api/apps", a.listApps)
	a.echo.POST("/api/apps", a.createApp)
	a.echo.DELETE("/api/apps/:org/:app", a.deleteApp)
	a.echo.POST("/api/tokens", a.mint)
	return a, nil
}

// ServeHTTP implements http.Handler.
func (a *Admin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	begin := a.cfg.Now()
	defer func() {
		if v := recover(); v != nil {
			a.server.panicked(w, r, begin, v)
		}
	}()
	ctx, cancel := context.WithTimeout(r.Context(), a.cfg.Settings.Timeout)
	defer cancel()
	bound(w, begin.Add(a.cfg.Settings.Timeout))
	r = r.WithContext(ctx)
	r.Body = http.MaxBytesReader(w, r.Body, a.cfg.Settings.MaxBody)
	if !a.allowed(r) {
		a.calls.WithLabelValues("401").Inc()
		w.Header().Set("WWW-Authenticate", "Bearer")
		writeJSON(w, http.StatusUnauthorized, bodyOf(unauthorized.say("the admin key is wrong or missing"), a.cfg.Now(), 0))
		return
	}
	a.echo.ServeHTTP(w, r)
}

// allowed compares digests, so that neither the key's bytes nor its length show in the time it takes.
func (a *Admin) allowed(r *http.Request) bool {
	scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	sum := sha256.Sum256([]byte(strings.TrimSpace(key)))
	same := subtle.ConstantTimeCompare(sum[:], a.key[:]) == 1
	return same && a.cfg.Key != "" && strings.EqualFold(scheme, "bearer")
}

// fail answers every error of the API.
func (a *Admin) fail(err error, ec echo.Context) {
	f := routerRefusal(err)
	if f.status >= http.StatusInternalServerError {
		a.cfg.Logger.Warn("admin call failed", "method", ec.Request().Method, "status", f.status, "err", err)
	}
	a.answer(ec, f.status, bodyOf(f, a.cfg.Now(), 0))
}

func (a *Admin) answer(ec echo.Context, status int, body any) {
	a.calls.WithLabelValues(statusText(status)).Inc()
	writeJSON(ec.Response(), status, body)
}

func (a *Admin) ok(ec echo.Context, body any) error {
	a.answer(ec, http.StatusOK, body)
	return nil
}

// appView is an app as the operator sees it.
type appView struct {
	ID               domain.AppID `json:"id"`
	UUID             string       `json:"uuid"`
	ClientID         string       `json:"client_id"`
	ClientSecret     string       `json:"client_secret,omitempty"` // only when it was just made
	OpenRegistration bool         `json:"open_registration"`
	Created          time.Time    `json:"created,omitzero"`
}

// listApps is GET /api/apps.
func (a *Admin) listApps(ec echo.Context) error {
	out := []appView{}
	for _, app := range a.cfg.Apps.ListApps() {
		out = append(out, appView{
			ID: app.ID, UUID: app.UUID, ClientID: app.ClientID, OpenRegistration: app.OpenRegistration, Created: app.Created,
		})
	}
	return a.ok(ec, map[string]any{"apps": out})
}

// createApp is POST /api/apps {id, open_registration}.
func (a *Admin) createApp(ec echo.Context) error {
	var req struct {
		ID   string `json:"id"`
		Open bool   `json:"open_registration"`
	}
	c := call{Context: ec, server: a.server}
	if err := c.body(&req); err != nil {
		return err
	}
	id, err := domain.ParseAppID(req.ID)
	if err != nil {
		return err
	}
	app := MakeApp(id, req.Open)
	if err := a.cfg.Apps.CreateApp(c.ctx(), app); err != nil {
		return err
	}
	a.cfg.Logger.Info("app created", "app", id)
	return a.ok(ec, appView{
		ID: id, UUID: app.UUID, ClientID: app.ClientID, ClientSecret: app.Secret, OpenRegistration: app.OpenRegistration, Created: a.cfg.Now().UTC(),
	})
}

// deleteApp is DELETE /api/apps/{org}/{app}.
func (a *Admin) deleteApp(ec echo.Context) error {
	id := domain.AppID(ec.Param("org") + "#" + ec.Param("app"))
	if _, ok := a.cfg.Apps.App(id); !ok {
		return noApp(ec.Param("org"), ec.Param("app"))
	}
	if err := a.cfg.Apps.DeleteApp(ec.Request().Context(), id); err != nil {
		return err
	}
	a.cfg.Logger.Info("app deleted", "app", id)
	return a.ok(ec, map[string]any{"id": id, "deleted": true})
}

// mint is POST /api/tokens {app, user, create, ttl}: a token for a user, or without user for the app. create makes a missing account.
func (a *Admin) mint(ec echo.Context) error {
	var req struct {
		App    string      `json:"app"`
		User   string      `json:"user"`
		Create bool        `json:"create"`
		TTL    *ttlSeconds `json:"ttl"` // seconds; 0: never expires; absent: the setting
	}
	c := call{Context: ec, server: a.server}
	if err := c.body(&req); err != nil {
		return err
	}
	app, ok := a.cfg.Apps.App(domain.AppID(req.App))
	if !ok {
		return domain.Refuse(domain.AppNotFound, "no such app")
	}
	otherwise := a.cfg.Settings.AppTokenTTL
	claims, answer := token.Claims{App: app.ID, Admin: true}, tokenAnswer{Application: app.UUID}
	if req.User != "" {
		u, err := user.FoldName(req.User)
		if err != nil {
			return err
		}
		head, err := a.server.accountOr(c.ctx(), app.ID, u, req.Create)
		if err != nil {
			return err
		}
		claims = token.Claims{App: app.ID, User: u, Incarnation: head.Incarnation, AuthEpoch: head.AuthEpoch}
		answer.User, otherwise = ptr(entityOf(u, head)), a.cfg.Settings.UserTokenTTL
	}
	life := (&tokenRequest{TTL: req.TTL}).life(otherwise)
	t, err := sign(a.cfg.Tokens, claims, a.cfg.Now(), life)
	if err != nil {
		return err
	}
	answer.AccessToken, answer.ExpiresIn = string(t), int64(life/time.Second)
	return a.ok(ec, &answer)
}
