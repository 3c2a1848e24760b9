package reactor

import (
	"errors"
	"fmt"
	"time"
)

// Settings tune the reactors.
type Settings struct {
	// Batch is the most commits whose commands are issued together.
	Batch int
	// Linger is how long a pass rests after a batch that was not full, so that a busy partition wakes its reactors less often. The first commit
	// after a quiet time is reacted to at once.
	Linger time.Duration
	// Streams is the most streams of one partition's commands that wait for answers at once.
	Streams int
	// CheckpointEvery is how long after progress the checkpoint is written.
	CheckpointEvery time.Duration
	// StoreTimeout bounds one try to read or write the checkpoint.
	StoreTimeout time.Duration
	// FirstPause and LastPause are the pauses before something is tried again: each twice the one before.
	FirstPause, LastPause time.Duration
}

// DefaultSettings suit one node.
func DefaultSettings() Settings {
	return Settings{
		Batch: 500, Linger: 5 * time.Millisecond, Streams: 64, CheckpointEvery: time.Second, StoreTimeout: 10 * time.Second,
		FirstPause: 20 * time.Millisecond, LastPause: 2 * time.Second,
	}
}

// Validate reports every problem at once.
func (s Settings) Validate() error {
	var errs []error
	if s.Batch < 1 || s.Batch > 10000 {
		errs = append(errs, fmt.Errorf("reactor.batch is %d, must be 1 to 10000", s.Batch))
	}
	if s.Linger < 0 || s.Linger > time.Second {
		errs = append(errs, fmt.Errorf("reactor.linger is %s, must be 0 to 1s", s.Linger))
	}
	if s.Streams < 1 || s.Streams > 1024 {
		errs = append(errs, fmt.Errorf("reactor.streams is %d, must be 1 to 1024", s.Streams))
	}
	if s.CheckpointEvery <= 0 {
		errs = append(errs, fmt.Errorf("reactor.checkpoint_every is %s, must be positive", s.CheckpointEvery))
	}
	if s.StoreTimeout <= 0 {
		errs = append(errs, fmt.Errorf("reactor.store_timeout is %s, must be positive", s.StoreTimeout))
	}
	if s.FirstPause <= 0 || s.LastPause < s.FirstPause {
		errs = append(errs, fmt.Errorf("reactor.first_pause is %s and last_pause %s, must be positive and in order", s.FirstPause, s.LastPause))
	}
	return errors.Join(errs...)
}
