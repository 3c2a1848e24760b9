package rest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"parley/domain"
)

// Server is the API as an http.Handler. Safe for concurrent use; it owns no goroutines.
type Server struct {
	cfg      Config
	metrics  *metrics
	echo     *echo.Echo
	accounts *accounts
	limits   *limits
	hasher   *hasher
}

// New makes a Server.
func New(cfg Config) (*Server, error) {
	if err := cfg.Settings.Validate(); err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, metrics: newMetrics(cfg.Registerer)}
	s.accounts = &accounts{heads: cfg.Owners.Heads, now: cfg.Now}
	s.limits = newLimits(&s.cfg.Settings)
	s.hasher = newHasher(&s.cfg.Settings, s.metrics)
	s.echo = echo.New()
	s.echo.Logger.SetOutput(discard{})
	s.echo.HTTPErrorHandler = s.unrouted
	for i := range routes {
		r := &routes[i]
		s.echo.Add(r.method, "/:org/:app"+r.path, func(c echo.Context) error { return s.serve(r, c) })
	}
	s.echo.GET("/easemob/server.json", s.discover)
	return s, nil
}

// discard is where echo's own logger writes: errors are answered and logged here, by slog.
type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

// ServeHTTP implements http.Handler. It makes plain what clients do in more than one way, before the router sees it.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	begin := s.cfg.Now()
	defer func() {
		if v := recover(); v != nil {
			s.panicked(w, r, begin, v)
		}
	}()
	if s.cors(w, r) {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.cfg.Settings.Timeout)
	defer cancel()
	bound(w, begin.Add(s.cfg.Settings.Timeout))
	r = r.WithContext(ctx)
	r.Method = strings.ToUpper(r.Method) // one SDK writes "Post" and "Delete"
	u := *r.URL
	u.RawPath = ""                                        // the router sees the decoded path
	if len(u.Path) > 1 && r.Method != http.MethodDelete { // DELETE /users/ names no user; it must not mean many
		u.Path = strings.TrimSuffix(u.Path, "/")
	}
	r.URL = &u
	if r.Body != nil {
		r.Body = http.MaxBytesReader(w, r.Body, s.cfg.Settings.MaxBody)
	}
	s.echo.ServeHTTP(w, r)
}

// bound ends reading from and writing to a client that does neither. Writers without a connection need no bound.
func bound(w http.ResponseWriter, until time.Time) {
	rc := http.NewResponseController(w)
	if err := rc.SetReadDeadline(until); err == nil {
		_ = rc.SetWriteDeadline(until.Add(writeGrace))
	}
}

// writeGrace is what an answer has after the call's time is up.
const writeGrace = 5 * time.Second

// panicked answers what a bug broke off. Whoever has got half of an answer gets no more.
func (s *Server) panicked(w http.ResponseWriter, r *http.Request, begin time.Time, v any) {
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(v)
	}
	s.metrics.panics.Inc()
	s.cfg.Logger.Error("call panicked", "method", r.Method, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
	now := s.cfg.Now()
	internal := failures[domain.Internal]
	writeJSON(w, http.StatusInternalServerError, bodyOf(&internal, now, now.Sub(begin)))
}

// serve runs one API: who calls, may they, is there room; then the call itself.
func (s *Server) serve(r *route, ec echo.Context) error {
	c := &call{Context: ec, server: s, route: r, begin: s.cfg.Now(), query: parseQuery(ec.Request().URL.RawQuery)}
	err := c.run()
	status := http.StatusOK
	if err != nil {
		status = c.fail(err)
	}
	took := s.cfg.Now().Sub(c.begin)
	s.metrics.answered(r.name, status, took)
	s.cfg.Logger.Debug("call answered", "api", r.name, "app", c.app.ID, "status", status, "took", took)
	return nil
}

func (c *call) run() error {
	var ok bool
	id := domain.AppID(c.Param("org") + "#" + c.Param("app"))
	if c.app, ok = c.server.cfg.Apps.App(id); !ok {
		return noApp(c.Param("org"), c.Param("app"))
	}
	if err := c.authenticate(); err != nil {
		return err
	}
	if err := c.authorize(); err != nil {
		return err
	}
	if !c.server.limits.allow(c.app.ID, c.route.bucket, c.begin, 1) {
		c.server.metrics.limited.WithLabelValues(c.route.bucket).Inc()
		return domain.Refuse(domain.RateLimited, c.route.bucket)
	}
	return c.route.run(c)
}

func noApp(org, app string) error {
	return domain.Refuse(domain.AppNotFound, fmt.Sprintf("Could not find application for %s/%s from URI", org, app))
}

// fail answers a refusal and returns its status. What is internal is logged with its cause.
func (c *call) fail(err error) int {
	f := failureOf(err)
	if f.status >= http.StatusInternalServerError {
		c.server.cfg.Logger.Warn("call failed", "api", c.route.name, "app", c.app.ID, "status", f.status, "err", err)
	}
	now := c.server.cfg.Now()
	if err := c.json(f.status, bodyOf(f, now, now.Sub(c.begin))); err != nil {
		c.server.cfg.Logger.Debug("answer not written", "api", c.route.name, "err", err)
	}
	return f.status
}

// routerRefusal maps what the router refuses, and what handlers outside of apps do.
func routerRefusal(err error) *failure {
	he, ok := errors.AsType[*echo.HTTPError](err)
	switch {
	case !ok:
		return failureOf(err)
	case he.Code == http.StatusMethodNotAllowed:
		return &noMethod
	default:
		return &noPath
	}
}

// unrouted answers what the router refuses: paths that are not there (yet), and methods that a path does not take. Inside an app that does
// not exist it is the app that is missing.
func (s *Server) unrouted(err error, ec echo.Context) {
	begin := s.cfg.Now()
	f := routerRefusal(err)
	if org, rest, _ := strings.Cut(strings.TrimPrefix(ec.Request().URL.Path, "/"), "/"); strings.Contains(rest, "/") {
		app, _, _ := strings.Cut(rest, "/")
		if _, ok := s.cfg.Apps.App(domain.AppID(org + "#" + app)); !ok {
			f = failureOf(noApp(org, app))
		}
	}
	now := s.cfg.Now()
	s.metrics.answered("unknown", f.status, now.Sub(begin))
	writeJSON(ec.Response(), f.status, bodyOf(f, now, now.Sub(begin)))
}

// base returns scheme and host as clients see them.
func (s *Server) base(r *http.Request) string {
	if s.cfg.PublicURL != "" {
		return strings.TrimSuffix(s.cfg.PublicURL, "/")
	}
	scheme := r.URL.Scheme // set by whoever trusts the proxy in front
	if scheme == "" {
		scheme = "http"
		if r.TLS != nil {
			scheme = "https"
		}
	}
	return scheme + "://" + r.Host
}
