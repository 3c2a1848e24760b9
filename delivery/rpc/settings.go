package rpc

import (
	"errors"
	"fmt"
	"time"
)

// Settings are the limits of links. The zero value of a field is not a default: start from DefaultSettings.
type Settings struct {
	Queue    int           `mapstructure:"queue"`     // bytes that wait to be told to one node; over it the link is cut and begins anew
	Retry    time.Duration `mapstructure:"retry"`     // from the end of a link to the next try, at first; it doubles
	RetryMax time.Duration `mapstructure:"retry_max"` // and at most
	Await    time.Duration `mapstructure:"await"`     // how long a starting node waits for a member's snapshot
	Sync     time.Duration `mapstructure:"sync"`      // how long what is answered waits at most for other nodes to have applied it
}

// DefaultSettings are the defaults.
func DefaultSettings() Settings {
	return Settings{Queue: 64 << 20, Retry: 50 * time.Millisecond, RetryMax: time.Second, Await: 5 * time.Second, Sync: time.Second}
}

// Validate reports every setting that cannot be, by its name in configuration files.
func (s *Settings) Validate() error {
	var errs []error
	if s.Queue < maxFact {
		errs = append(errs, fmt.Errorf("cluster.links.queue is %d, must be at least %d", s.Queue, maxFact))
	}
	if s.Retry <= 0 || s.RetryMax < s.Retry {
		errs = append(errs, fmt.Errorf("cluster.links.retry is %s, must be above 0 and at most cluster.links.retry_max", s.Retry))
	}
	if s.Await < 0 {
		errs = append(errs, fmt.Errorf("cluster.links.await is %s, must not be below 0", s.Await))
	}
	if s.Sync < 0 {
		errs = append(errs, fmt.Errorf("cluster.links.sync is %s, must not be below 0", s.Sync))
	}
	return errors.Join(errs...)
}
