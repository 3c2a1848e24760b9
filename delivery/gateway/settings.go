package gateway

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	"golang.org/x/time/rate"

	"parley/schemas/msync"
)

// Settings are the gateway's limits. The zero value of a field is not a default: start from DefaultSettings.
type Settings struct {
	Origins        []string      `mapstructure:"origins"`              // browsers' origins that may connect; "*" lets all in. Clients that send no Origin are let in
	MaxSessions    int           `mapstructure:"max_sessions"`         // sockets on this node
	MaxFrame       int           `mapstructure:"max_frame"`            // bytes of one frame from a client
	MaxOutbound    int           `mapstructure:"max_outbound"`         // bytes that may wait for a client that does not read
	AuthTimeout    time.Duration `mapstructure:"auth_timeout"`         // from the socket's opening to its handshake
	LoginTimeout   time.Duration `mapstructure:"login_timeout"`        // for reading what log-in needs; after it the session starts empty and catches up
	IdleTimeout    time.Duration `mapstructure:"idle_timeout"`         // without a frame from the client
	StallTimeout   time.Duration `mapstructure:"stall_timeout"`        // for a client that does not read
	UnackedTimeout time.Duration `mapstructure:"unacked_timeout"`      // something shown is not acknowledged
	DevicesPerOS   int           `mapstructure:"devices_per_platform"` // devices of a user per platform; one more displaces the oldest
	MaxPending     int           `mapstructure:"max_pending"`          // unanswered commands of a session; then reading from it stops
	UnknownRetry   time.Duration `mapstructure:"unknown_retry"`        // a command of unknown outcome is submitted again for so long; clients wait 15 s
	Window         int           `mapstructure:"window"`               // unacknowledged entries of a socket over all queues. Clients forget what they have seen after about 100
	MaxListed      int           `mapstructure:"max_listed"`           // queues named in the first answer to UNREAD
	Cap            int           `mapstructure:"cap"`                  // messages of a direct conversation that log-in delivers, with their receipts; older is history
	GroupCap       int           `mapstructure:"group_cap"`            // entries of a group that log-in delivers
	CapAge         time.Duration `mapstructure:"cap_age"`              // entries older than this are history
	PageBytes      int           `mapstructure:"page_bytes"`           // bytes of one page
	SendRate       float64       `mapstructure:"send_rate"`            // messages a second of one session
	SendBurst      int           `mapstructure:"send_burst"`
	AppRate        float64       `mapstructure:"app_rate"`        // messages a second of one app on this node
	MarksKept      time.Duration `mapstructure:"marks_kept"`      // what an ended socket had shown is remembered that long
	CursorInterval time.Duration `mapstructure:"cursor_interval"` // acknowledged entries are written at least so often
	CursorBatch    int           `mapstructure:"cursor_batch"`    // or when so many are unwritten
	DrainTime      time.Duration `mapstructure:"drain_time"`      // closing sockets is spread over it
	DrainAnswers   time.Duration `mapstructure:"drain_answers"`   // the longest wait of each for answers to what its client has sent; 0: none
	RecallWindow   time.Duration `mapstructure:"recall_window"`   // how long after sending a message may be recalled; 0: not at all
}

// DefaultSettings are the defaults.
func DefaultSettings() Settings {
	return Settings{
		MaxSessions: 100_000, MaxFrame: msync.MaxFrameBytes, MaxOutbound: 1 << 20,
		AuthTimeout: 10 * time.Second, LoginTimeout: 5 * time.Second, IdleTimeout: 150 * time.Second, StallTimeout: 15 * time.Second,
		UnackedTimeout: 20 * time.Second, DevicesPerOS: 4, MaxPending: 256, UnknownRetry: 10 * time.Second, Window: 60, MaxListed: 100,
		Cap: 2000, GroupCap: 400,
		CapAge: 7 * 24 * time.Hour, PageBytes: 256 << 10, SendRate: 100, SendBurst: 200, AppRate: 20_000,
		MarksKept: time.Minute, CursorInterval: time.Second, CursorBatch: 30, DrainTime: 3 * time.Second,
		DrainAnswers: 2 * time.Second,
		RecallWindow: 2 * time.Minute,
	}
}

// Validate reports every setting that cannot be, by its name in configuration files.
func (s *Settings) Validate() error {
	var errs []error
	least := func(name string, v, least int) {
		if v < least {
			errs = append(errs, fmt.Errorf("gateway.%s is %d, must be at least %d", name, v, least))
		}
	}
	least("max_sessions", s.MaxSessions, 1)
	least("max_frame", s.MaxFrame, 1024)
	least("max_outbound", s.MaxOutbound, 64<<10)
	least("devices_per_platform", s.DevicesPerOS, 1)
	least("max_pending", s.MaxPending, 1)
	least("window", s.Window, 1)
	least("max_listed", s.MaxListed, 1)
	least("cap", s.Cap, 1)
	least("group_cap", s.GroupCap, 1)
	least("page_bytes", s.PageBytes, 4096)
	least("send_burst", s.SendBurst, 1)
	least("cursor_batch", s.CursorBatch, 1)
	if s.Window > 99 {
		errs = append(errs, fmt.Errorf("gateway.window is %d, must be below 100: clients show again what they have forgotten", s.Window))
	}
	if s.UnknownRetry >= clientPatience {
		errs = append(errs, fmt.Errorf("gateway.unknown_retry is %s, must be below %s: clients wait no longer", s.UnknownRetry, clientPatience))
	}
	errs = append(errs, s.badOrigins()...)
	for name, d := range map[string]time.Duration{
		"auth_timeout": s.AuthTimeout, "login_timeout": s.LoginTimeout, "idle_timeout": s.IdleTimeout, "stall_timeout": s.StallTimeout,
		"unacked_timeout": s.UnackedTimeout, "cap_age": s.CapAge, "marks_kept": s.MarksKept, "cursor_interval": s.CursorInterval,
		"unknown_retry": s.UnknownRetry,
	} {
		if d <= 0 {
			errs = append(errs, fmt.Errorf("gateway.%s is %s, must be above 0", name, d))
		}
	}
	if s.SendRate <= 0 || s.AppRate <= 0 {
		errs = append(errs, errors.New("gateway.send_rate and gateway.app_rate must be above 0"))
	}
	return errors.Join(errs...)
}

// clientPatience is how long SDKs wait for an answer before they connect anew.
const clientPatience = 15 * time.Second

// badOrigins reports what no browser would send as its Origin.
func (s *Settings) badOrigins() (errs []error) {
	for _, o := range s.Origins {
		if u, err := url.Parse(o); o != "*" && (err != nil || u.Scheme == "" || u.Host == "") {
			errs = append(errs, fmt.Errorf("gateway.origins: %q is not an origin such as https://example.org", o))
		}
	}
	return errs
}

func (s *Settings) sendLimiter() *rate.Limiter {
	return rate.NewLimiter(rate.Limit(s.SendRate), s.SendBurst)
}
