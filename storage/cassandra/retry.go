package cassandra

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/gocql/gocql"
)

// Pauses between tries, doubled from the first to the last.
const (
	firstPause = 10 * time.Millisecond
	lastPause  = 500 * time.Millisecond
)

// again runs one idempotent statement until it succeeds, fails for good, or ctx ends. It waits for a place first.
func (s *Store) again(ctx context.Context, statement func(ctx context.Context) error) error {
	select {
	case s.places <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-s.places }()
	pause := firstPause
	for {
		began := time.Now()
		err := statement(ctx)
		s.metrics.statement(began, err)
		if err == nil || hopeless(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		case <-time.After(pause):
		}
		pause = min(2*pause, lastPause)
	}
}

// hopeless tells whether trying again cannot help: the statement itself is wrong, or may not be run.
func hopeless(err error) bool {
	var answer gocql.RequestError
	if !errors.As(err, &answer) {
		return errors.Is(err, gocql.ErrSessionClosed) || errors.Is(err, gocql.ErrNotFound)
	}
	switch answer.Code() {
	case gocql.ErrCodeSyntax, gocql.ErrCodeInvalid, gocql.ErrCodeConfig, gocql.ErrCodeUnauthorized, gocql.ErrCodeCredentials,
		gocql.ErrCodeProtocol, gocql.ErrCodeAlreadyExists:
		return true
	default:
		return false
	}
}

// quietLogger sends what the driver says to the log, at the level of details: what matters comes back as errors.
type quietLogger struct{ log *slog.Logger }

// Print implements gocql.StdLogger.
func (l quietLogger) Print(v ...any) { l.say(fmt.Sprint(v...)) }

// Printf implements gocql.StdLogger.
func (l quietLogger) Printf(format string, v ...any) { l.say(fmt.Sprintf(format, v...)) }

// Println implements gocql.StdLogger.
func (l quietLogger) Println(v ...any) { l.say(fmt.Sprint(v...)) }

func (l quietLogger) say(text string) { l.log.Debug("driver", "says", text) }
