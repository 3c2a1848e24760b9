package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"parley/delivery/directory"
	"parley/domain"
	"parley/domain/token"
	"parley/domain/user"
	"parley/schemas/msync"
)

// refusal is a typed answer to a handshake: clients know it by code and text.
type refusal struct {
	code   msync.Status_ErrorCode
	reason string
	name   string // in metrics
}

// Answers to handshakes. The texts are those that the SDKs map to their error types.
var (
	refuseExpired  = refusal{msync.Status_FAIL, "Sorry, token expired", "token_expired"}                                    // 56
	refuseToken    = refusal{msync.Status_FAIL, "Sorry, token or password does not match login info", "token_unacceptable"} // 28
	refuseNoUser   = refusal{msync.Status_FAIL, "Sorry, user not found", "user_not_found"}                                  // 204
	refuseBusy     = refusal{name: "busy"}                                                                                  // none: any answer would end the client's tries, a close does not
	refuseResource = refusal{msync.Status_WRONG_PARAMETER, "resource is not acceptable", "bad_resource"}                    // 2
)

// login answers a handshake and, when it is good, attaches the session. A reason ends the session.
func (s *session) login(fr *msync.Frame) closeReason {
	begin := s.gw.cfg.Now()
	hello, err := msync.DecodeHello(fr)
	if err != nil {
		return closeBadFrame
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.gw.cfg.Settings.LoginTimeout)
	defer cancel()
	account, expires, no := s.authenticate(ctx, &hello)
	if no != nil {
		s.gw.metrics.logins.WithLabelValues(no.name).Inc()
		s.gw.log.Info("log-in refused", "reason", no.name, "app", hello.AppKey, "user", hello.User)
		if no == &refuseBusy {
			return closeBusy
		}
		s.write(msync.MSync_PROVISION, func(dst []byte) []byte {
			return msync.AppendProvision(dst, &msync.ProvisionAnswer{Code: no.code, Reason: no.reason, Resource: hello.Resource})
		})
		return closeLogin
	}
	s.attach(&hello, account)
	listed := s.start(ctx)
	s.gw.metrics.logins.WithLabelValues("ok").Inc()
	s.gw.metrics.login.Observe(s.gw.cfg.Now().Sub(begin).Seconds())
	s.gw.log.Debug("logged in", "app", s.key.App, "user", s.key.User, "resource", s.info.Resource, "queues_with_news", listed)
	s.write(msync.MSync_PROVISION, func(dst []byte) []byte {
		return msync.AppendProvision(dst, &msync.ProvisionAnswer{
			Code: msync.Status_OK, Resource: string(s.info.Resource), AuthToken: authToken(expires),
		})
	})
	s.mu.Lock()
	s.pushable = true
	s.servePages()
	s.mu.Unlock()
	s.resumeRooms()
	return ""
}

// authToken tells the client when its token ends; nothing for one that does not.
func authToken(expires int64) string {
	if expires == 0 {
		return ""
	}
	return fmt.Sprintf(`{"expires_in":%d}`, expires)
}

// authenticate checks the token against the account as its owner knows it now.
func (s *session) authenticate(ctx context.Context, h *msync.Hello) (account *user.Head, expires int64, no *refusal) {
	if h.Resource == "" || len(h.Resource) > maxResource || strings.ContainsAny(h.Resource, "/\x00") {
		return nil, 0, &refuseResource
	}
	app := domain.AppID(h.AppKey)
	name, err := user.FoldName(h.User)
	if err != nil || !s.gw.cfg.Apps.AppExists(app) {
		return nil, 0, &refuseToken
	}
	claims, err := s.gw.cfg.Tokens.Verify(token.Token(h.Token), s.gw.cfg.Now())
	switch domain.CodeOf(err) {
	case "":
	case domain.TokenExpired:
		return nil, 0, &refuseExpired
	default:
		return nil, 0, &refuseToken
	}
	if claims.Admin || claims.App != app || claims.User != name {
		return nil, 0, &refuseToken
	}
	account, err = s.gw.account(ctx, app, name)
	switch {
	case err != nil:
		s.gw.log.Warn("log-in: the account cannot be read", "err", err)
		return nil, 0, &refuseBusy
	case account == nil || !account.Exists:
		return nil, 0, &refuseNoUser
	case claims.Incarnation != account.Incarnation || claims.AuthEpoch != account.AuthEpoch:
		return nil, 0, &refuseToken
	}
	h.User = string(name)
	return account, claims.Expires, nil
}

// maxResource is the most bytes of a device's name.
const maxResource = 128

// account reads an account at its owner; nil when there never was one.
func (g *Gateway) account(ctx context.Context, app domain.AppID, u domain.UserID) (*user.Head, error) {
	rows, err := g.cfg.Owners.Heads(ctx, []domain.StreamID{domain.UserStream(app, u)})
	if err != nil {
		return nil, err
	}
	head, _ := rows[0].(*user.Head)
	return head, nil
}

// peer reads the account of one who is written to. It is asked for with every message, and is nearly always at hand.
func (g *Gateway) peer(app domain.AppID, u domain.UserID) (*user.Head, error) {
	if row, ok := g.cfg.Owners.Warm(domain.UserStream(app, u)); ok {
		head, _ := row.(*user.Head)
		return head, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), g.cfg.Settings.LoginTimeout)
	defer cancel()
	return g.account(ctx, app, u)
}

// attach makes the session known: what is routed from now on reaches it.
func (s *session) attach(h *msync.Hello, account *user.Head) {
	s.key = directory.Key{App: domain.AppID(h.AppKey), User: domain.UserID(h.User)}
	s.info = directory.Info{
		Resource: domain.Resource(h.Resource), DeviceUUID: h.DeviceUUID, DeviceName: h.DeviceName, Platform: platform(h),
		Incarnation: account.Incarnation, AuthEpoch: account.AuthEpoch, Since: s.opened,
	}
	for _, o := range s.gw.sessionsOf(s.key) {
		if o.info.Resource == s.info.Resource && o.out.peerGone() {
			o.replaced.Store(true)
		}
	}
	s.device = s.gw.devices.attach(deviceKey{s.key.App, s.key.User, account.Incarnation, s.info.Resource})
	s.app = s.gw.limiter(s.key.App)
	s.loggedIn.Store(true)
	s.gw.metrics.sessions.Inc()
	displaced := s.gw.cfg.Directory.Attach(s.key, s, s.gw.cfg.Settings.DevicesPerOS, h.Reason)
	for _, old := range displaced {
		s.gw.log.Info("device displaced", "app", s.key.App, "user", s.key.User, "resource", old.Info().Resource)
		old.Kick(directory.KickAnotherDevice, h.Reason)
	}
}

// platform is what devices are counted by: the kind of operating system, custom ones by their number.
func platform(h *msync.Hello) string {
	switch h.OS {
	case msync.Provision_OS_CUSTOM:
		return "custom" + strconv.FormatUint(uint64(h.OSCustomValue), 10)
	case msync.Provision_OS_OTHER:
		return "web"
	default:
		return strings.ToLower(strings.TrimPrefix(h.OS.String(), "OS_"))
	}
}

// start reads where the device stands and prepares the first answer to UNREAD. When the store does not answer in time the session starts
// with no news, and the reading goes on in the background: its queues become behind when it is done.
func (s *session) start(ctx context.Context) (listed int) {
	attached := s.gw.cfg.Router.Positions()
	wait, cancel := context.WithTimeout(ctx, membershipWait)
	current := s.gw.cfg.Reads.WaitMemberships(wait, attached) == nil
	cancel()
	s.mu.Lock()
	s.unsure = !current
	s.mu.Unlock()
	st, err := s.load(ctx, true)
	if errors.Is(err, errGone) {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.unsure = true
		s.gw.log.Warn("log-in without what was missed: reading goes on", "err", err, "app", s.key.App, "user", s.key.User)
		s.background(func(ctx context.Context) { s.readLater(ctx, attached, true) })
		return 0
	}
	listed = s.adopt(st, true)
	if !current {
		s.background(func(ctx context.Context) { s.readLater(ctx, attached, false) })
	}
	return listed
}

// membershipWait is how long a log-in waits for the memberships to have seen what was routed before it attached.
const membershipWait = 100 * time.Millisecond

// background runs f until it is done or the session ends, in which case it is not started. It is called with the lock held.
func (s *session) background(f func(context.Context)) (started bool) {
	if s.ended || s.closed.Load() {
		return false
	}
	if s.stop == nil {
		s.life, s.stop = context.WithCancel(context.Background())
	}
	life := s.life
	s.gw.wg.Go(func() { f(life) }) // the reading goroutine is counted until the session has ended
	return true
}

// readLater reads again what log-in could not read (first), or could not be sure of, until it succeeds.
func (s *session) readLater(ctx context.Context, attached map[domain.Partition]domain.Index, first bool) {
	for pause := 50 * time.Millisecond; ctx.Err() == nil; pause = min(2*pause, time.Second) {
		try, cancel := context.WithTimeout(ctx, s.gw.cfg.Settings.LoginTimeout)
		err := s.gw.cfg.Reads.WaitMemberships(try, attached)
		var st sessionState
		if err == nil {
			st, err = s.load(try, first)
		}
		cancel()
		if err == nil {
			s.mu.Lock()
			s.unsure = false
			s.adopt(st, false)
			s.servePages()
			s.mu.Unlock()
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// LogValue keeps handshakes out of logs, should one be logged.
func (r refusal) LogValue() slog.Value { return slog.StringValue(r.name) }
