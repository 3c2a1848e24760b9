package gateway_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"parley/delivery/gateway"
	"parley/domain"
	"parley/domain/token"
	"parley/domain/user"
	"parley/schemas/msync"
)

// Every outcome of a handshake has the code and text by which the SDKs know it, and ends the socket when it is a refusal.
func TestLoginOutcomes(t *testing.T) {
	r := newRig(t)
	other := newRig(t)
	r.register("alice", "bob", "gone", "back")
	other.register("alice")
	deleted := r.token("gone")
	r.submit(domain.UserStream(r.app, "gone"), user.Delete{})
	earlier := r.token("back")
	r.submit(domain.UserStream(r.app, "back"), user.Delete{})
	r.register("back")
	stale := r.token("bob")
	r.submit(domain.UserStream(r.app, "bob"), user.SetPassword{Password: []byte("new")})
	sign := func(c token.Claims) msync.Token { return msync.Token(must(shared.signer.Sign(c))) }
	expired := r.claims("alice")
	expired.Expires = time.Now().Add(-time.Second).UnixMilli()
	forger := must(token.NewSigner(token.Key{ID: "k", Secret: []byte("another secret of thirty-two byte")}))
	forged := msync.Token(must(forger.Sign(r.claims("alice"))))

	const (
		noMatch   = "Sorry, token or password does not match login info" // 28
		isExpired = "Sorry, token expired"                               // 56
		noUser    = "Sorry, user not found"                              // 204
	)
	for _, c := range []struct {
		name   string
		hello  func(*msync.Hello)
		code   msync.Status_ErrorCode
		reason string
	}{
		{"good", func(h *msync.Hello) { h.Token = r.token("alice") }, msync.Status_OK, ""},
		{"good, name in capitals", func(h *msync.Hello) { h.User, h.Token = "Alice", r.token("alice") }, msync.Status_OK, ""},
		{"expired", func(h *msync.Hello) { h.Token = sign(expired) }, msync.Status_FAIL, isExpired},
		{"forged", func(h *msync.Hello) { h.Token = forged }, msync.Status_FAIL, noMatch},
		{"no token", func(*msync.Hello) {}, msync.Status_FAIL, noMatch},
		{"no token at all", func(h *msync.Hello) { h.Token = "nonsense" }, msync.Status_FAIL, noMatch},
		{"token of another tenant", func(h *msync.Hello) { h.Token = other.token("alice") }, msync.Status_FAIL, noMatch},
		{"tenant that is not there", func(h *msync.Hello) { h.AppKey, h.Token = "no#body", r.token("alice") }, msync.Status_FAIL, noMatch},
		{"token of another user", func(h *msync.Hello) { h.User, h.Token = "alice", r.token("bob") }, msync.Status_FAIL, noMatch},
		{"token of an app", func(h *msync.Hello) { h.Token = sign(token.Claims{App: r.app, Admin: true}) }, msync.Status_FAIL, noMatch},
		{"name outside the rules", func(h *msync.Hello) { h.User, h.Token = "al ice", r.token("alice") }, msync.Status_FAIL, noMatch},
		{"user never registered", func(h *msync.Hello) {
			h.User, h.Token = "nobody", sign(token.Claims{App: r.app, User: "nobody", Incarnation: 1, AuthEpoch: 1})
		}, msync.Status_FAIL, noUser},
		{"deleted user", func(h *msync.Hello) { h.User, h.Token = "gone", deleted }, msync.Status_FAIL, noUser},
		{"token of an earlier account of the name", func(h *msync.Hello) { h.User, h.Token = "back", earlier }, msync.Status_FAIL, noMatch},
		{"token from before the password", func(h *msync.Hello) { h.User, h.Token = "bob", stale }, msync.Status_FAIL, noMatch},
		{"resource with a slash", func(h *msync.Hello) { h.Resource, h.Token = "a/b", r.token("alice") }, msync.Status_WRONG_PARAMETER, "resource is not acceptable"},
		{"no resource", func(h *msync.Hello) { h.Resource, h.Token = "", r.token("alice") }, msync.Status_WRONG_PARAMETER, "resource is not acceptable"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := r.raw()
			w.write(r.hello("alice", "web", c.hello))
			a := w.provision()
			require.Equal(t, c.code, a.Code)
			require.Equal(t, c.reason, a.Reason)
			if c.code == msync.Status_OK {
				require.Equal(t, "web", a.Resource)
				return
			}
			code, reason := w.closed()
			require.Equal(t, "login_failed", reason)
			require.Equal(t, websocket.StatusPolicyViolation, code)
		})
	}
}

// A token that expires tells the client when; one that does not says nothing.
func TestLoginTellsExpiry(t *testing.T) {
	r := newRig(t)
	r.register("alice")
	c := r.claims("alice")
	c.Expires = time.Now().Add(time.Hour).UnixMilli()
	w := r.raw()
	w.write(r.hello("alice", "web", func(h *msync.Hello) { h.Token = msync.Token(must(shared.signer.Sign(c))) }))
	require.JSONEq(t, `{"expires_in":`+itoa(c.Expires)+`}`, w.provision().AuthToken)
	w = r.raw()
	w.write(r.hello("alice", "web"))
	require.Empty(t, w.provision().AuthToken)
}

// What comes in another order than handshake first, once, ends the socket.
func TestFrameOrder(t *testing.T) {
	r := newRig(t)
	r.register("alice")
	q := queueOf(r, "bob")
	for _, c := range []struct {
		name  string
		frame []byte
	}{
		{"UNREAD", msync.AppendUnreadRequest(nil)},
		{"SYNC", msync.AppendSync(nil, &q, 0)},
		{"a message", msync.AppendSend(nil, &msync.Outgoing{ID: 1, To: "bob", NS: msync.Meta_CHAT, Payload: []byte{1}})},
		{"LOGOUT", msync.AppendLogoutRequest(nil, "1:", "")},
	} {
		t.Run(c.name+" before log-in", func(t *testing.T) {
			w := r.raw()
			w.write(c.frame)
			_, reason := w.closed()
			require.Equal(t, "before_login", reason)
		})
	}
	t.Run("second handshake", func(t *testing.T) {
		w := r.rawLogin("alice", "web")
		w.write(r.hello("alice", "web"))
		_, reason := w.closed()
		require.Equal(t, "before_login", reason)
	})
}

func TestSocketThatNeverAuthenticates(t *testing.T) {
	r := newRig(t, func(c *gateway.Config) { c.Settings.AuthTimeout = 200 * time.Millisecond })
	w := r.raw()
	code, reason := w.closed()
	require.Equal(t, "auth_timeout", reason)
	require.Equal(t, websocket.StatusPolicyViolation, code)
	require.Equal(t, 1.0, r.metric("parley_gateway_closes_total", "auth_timeout"))
}

func TestSocketThatIsSilent(t *testing.T) {
	r := newRig(t, func(c *gateway.Config) { c.Settings.IdleTimeout = 200 * time.Millisecond })
	r.register("alice")
	d := r.dial("alice", "web")
	_, reason := d.ended()
	require.Equal(t, "idle", reason)
}

func TestOrigins(t *testing.T) {
	for _, c := range []struct {
		name, origin string
		allowed      []string
		status       int
	}{
		{"no browser", "", nil, http.StatusSwitchingProtocols},
		{"the server's own", "own", nil, http.StatusSwitchingProtocols},
		{"another", "https://evil.example", nil, http.StatusForbidden},
		{"another, others allowed", "https://evil.example", []string{"https://app.example"}, http.StatusForbidden},
		{"allowed", "https://app.example", []string{"https://app.example"}, http.StatusSwitchingProtocols},
		{"all allowed", "https://evil.example", []string{"*"}, http.StatusSwitchingProtocols},
		{"hidden", "null", nil, http.StatusForbidden},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, func(g *gateway.Config) { g.Settings.Origins = c.allowed })
			header := http.Header{}
			switch c.origin {
			case "":
			case "own":
				header.Set("Origin", r.server.URL)
			default:
				header.Set("Origin", c.origin)
			}
			_, status, err := r.knock(header)
			require.Equal(t, c.status, status)
			if err != nil {
				require.Equal(t, 1.0, r.metric("parley_gateway_refused_total", "origin"))
			}
		})
	}
}

func TestFullAndNotAWebSocket(t *testing.T) {
	r := newRig(t, func(c *gateway.Config) { c.Settings.MaxSessions = 1 })
	r.register("alice")
	answer := httptest.NewRecorder()
	r.gateway.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/ws", nil))
	require.Equal(t, http.StatusUpgradeRequired, answer.Code)
	require.Zero(t, r.gateway.Sessions())
	d := r.dial("alice", "web")
	_, status, err := r.knock(nil)
	require.Error(t, err)
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.NoError(t, d.Close())
	eventually(t, func() bool { return r.gateway.Sessions() == 0 }, func() string { return "the place was not given back" })
	r.dial("alice", "web")
}

// A log-out is answered and ends the socket, and the device is not online any more.
func TestLogout(t *testing.T) {
	r := newRig(t)
	r.register("alice")
	d := r.dial("alice", "web")
	d.logout()
	eventually(t, func() bool { return r.metric("parley_gateway_sessions") == 0 }, func() string { return "still there" })
	require.Equal(t, 1.0, r.metric("parley_gateway_closes_total", "logout"))
	require.Empty(t, r.users.Devices(key(r, "alice")))
}

// An account that cannot be read is no refusal, which would end the client's tries: the socket closes.
func TestLoginWhileTheAccountCannotBeRead(t *testing.T) {
	r := newRig(t, func(c *gateway.Config) { c.Owners = failingHeads{shared.owners} })
	r.register("alice")
	w := r.raw()
	w.write(r.hello("alice", "web"))
	code, reason := w.closed()
	require.Equal(t, "busy", reason)
	require.Equal(t, websocket.StatusTryAgainLater, code)
}

// Who logs in while the password changes does not keep the session, although the change found none to end.
func TestPasswordChangesDuringLogin(t *testing.T) {
	for _, c := range []struct {
		name    string
		command domain.Command
	}{{"password", user.SetPassword{Password: []byte("new")}}, {"deletion", user.Delete{}}} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			r.register("alice")
			hello := r.hello("alice", "web")
			r.stop()
			r.start(func(g *gateway.Config) {
				g.Owners = &changingOwners{Owners: shared.owners, change: func() { r.submit(domain.UserStream(r.app, "alice"), c.command) }}
			})
			w := r.raw()
			w.write(hello)
			_, reason := w.closed()
			require.Equal(t, "kicked", reason)
		})
	}
}

// Settings that cannot be are all reported, by the names that operators write.
func TestSettingsValidate(t *testing.T) {
	s := gateway.DefaultSettings()
	require.NoError(t, s.Validate())
	s.Window, s.MaxFrame, s.AuthTimeout, s.SendRate, s.UnknownRetry = 100, 1, 0, 0, 15*time.Second
	s.Origins = []string{"*", "https://app.example", "app.example"}
	err := s.Validate()
	require.NotContains(t, err.Error(), "https://app.example\"")
	for _, name := range []string{
		"gateway.window", "gateway.max_frame", "gateway.auth_timeout", "gateway.send_rate", "gateway.unknown_retry",
		`gateway.origins: "app.example" is not an origin`,
	} {
		require.ErrorContains(t, err, name)
	}
	_, err = gateway.New(gateway.Config{Settings: s})
	require.Error(t, err)
}
