package lease

import (
	"errors"
	"fmt"
	"time"
)

// Settings are the limits of leases. The zero value of a field is not a default: start from DefaultSettings.
type Settings struct {
	Keep      time.Duration `mapstructure:"keep"`       // a lease without devices lasts so long
	MaxJoined int           `mapstructure:"max_joined"` // rooms that a user may view at once
	Roster    int           `mapstructure:"roster"`     // viewers that one look at a roster returns at most
	Heartbeat time.Duration `mapstructure:"heartbeat"`  // how often the node writes that it lives; a kill moves what ends with it by as much
}

// DefaultSettings are the defaults.
func DefaultSettings() Settings {
	return Settings{Keep: 2 * time.Minute, MaxJoined: 100, Roster: 20_000, Heartbeat: 10 * time.Second}
}

// Validate reports every setting that cannot be, by its name in configuration files.
func (s *Settings) Validate() error {
	var errs []error
	if s.Keep <= 0 {
		errs = append(errs, fmt.Errorf("rooms.keep is %s, must be above 0", s.Keep))
	}
	if s.MaxJoined < 1 {
		errs = append(errs, fmt.Errorf("rooms.max_joined is %d, must be at least 1", s.MaxJoined))
	}
	if s.Roster < 1 {
		errs = append(errs, fmt.Errorf("rooms.roster is %d, must be at least 1", s.Roster))
	}
	if s.Heartbeat <= 0 || s.Keep > 0 && s.Heartbeat >= s.Keep {
		errs = append(errs, fmt.Errorf("rooms.heartbeat is %s, must be above 0 and below rooms.keep", s.Heartbeat))
	}
	return errors.Join(errs...)
}
