package room

import (
	"errors"
	"fmt"
	"time"
)

// Settings are the limits of rooms. The zero value of a field is not a default: start from DefaultSettings.
type Settings struct {
	Rate          int           `mapstructure:"rate"`           // messages a second of one room; above it some are refused, by priority
	Window        time.Duration `mapstructure:"window"`         // longest that a message waits for others of the same frame
	OnJoin        int           `mapstructure:"on_join"`        // newest messages that who joins is shown; none while history is on
	History       bool          `mapstructure:"history"`        // rooms have history
	NoticeViewers int           `mapstructure:"notice_viewers"` // up to so many viewers a room tells who comes and goes
	Behind        int           `mapstructure:"behind"`         // bytes of room frames that may wait for a viewer who does not read
	MaxUsers      int           `mapstructure:"max_users"`      // most viewers that a room may be set to have
}

// DefaultSettings are the defaults.
func DefaultSettings() Settings {
	return Settings{Rate: 1000, Window: 40 * time.Millisecond, OnJoin: 10, NoticeViewers: 2000, Behind: 1 << 20, MaxUsers: 10_000}
}

// Validate reports every setting that cannot be, by its name in configuration files.
func (s *Settings) Validate() error {
	var errs []error
	between := func(name string, v, least, most int) {
		if v < least || v > most {
			errs = append(errs, fmt.Errorf("rooms.%s is %d, must be %d to %d", name, v, least, most))
		}
	}
	between("rate", s.Rate, 1, 1_000_000)
	between("on_join", s.OnJoin, 0, ringSize)
	between("notice_viewers", s.NoticeViewers, 0, 1_000_000)
	between("behind", s.Behind, 64<<10, 1<<30)
	between("max_users", s.MaxUsers, 1, 10_000)
	if s.Window < 0 || s.Window > time.Second {
		errs = append(errs, fmt.Errorf("rooms.window is %s, must be 0 to 1s", s.Window))
	}
	return errors.Join(errs...)
}
