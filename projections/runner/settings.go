package runner

import (
	"errors"
	"fmt"
	"time"
)

// MaxQuarantined is how many streams of a partition may be in quarantine; one more ends the partition's projections, because then the
// fault is not the streams'.
const MaxQuarantined = 100

// Settings tune the runner.
type Settings struct {
	// Batch is the most commits of one write.
	Batch int
	// Linger is how long a pass rests after a batch that was not full, so that a busy partition is written in fewer, larger batches.
	// Nobody waits for it: Wait cuts it short, and the first commit after a quiet time is applied at once.
	Linger time.Duration
	// CheckpointLag is how far checkpoints trail the rows, for stores whose acknowledged writes of the last moments can be lost. 0: same write.
	CheckpointLag time.Duration
	// WaitAtMost bounds Wait.
	WaitAtMost time.Duration
	// WriteTimeout bounds one try to write.
	WriteTimeout time.Duration
}

// DefaultSettings are for the embedded store.
func DefaultSettings() Settings {
	return Settings{Batch: 1000, Linger: 50 * time.Millisecond, WaitAtMost: 500 * time.Millisecond, WriteTimeout: 10 * time.Second}
}

// Validate reports every problem at once.
func (s Settings) Validate() error {
	var errs []error
	if s.Batch < 1 || s.Batch > 10000 {
		errs = append(errs, fmt.Errorf("projections.batch is %d, must be 1 to 10000", s.Batch))
	}
	if s.Linger < 0 || s.Linger > time.Second {
		errs = append(errs, fmt.Errorf("projections.linger is %s, must be 0 to 1s", s.Linger))
	}
	if s.CheckpointLag < 0 {
		errs = append(errs, fmt.Errorf("projections.checkpoint_lag is %s, must not be negative", s.CheckpointLag))
	}
	if s.WaitAtMost <= 0 {
		errs = append(errs, fmt.Errorf("projections.wait_at_most is %s, must be positive", s.WaitAtMost))
	}
	if s.WriteTimeout <= 0 {
		errs = append(errs, fmt.Errorf("projections.write_timeout is %s, must be positive", s.WriteTimeout))
	}
	return errors.Join(errs...)
}
