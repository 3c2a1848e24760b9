package pebble

import (
	"context"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// Sync returns when all that was written before is on the disk. Writes are not synced by themselves: what they hold can be made again from
// the log. It is for the rows of which that is not so; until then they are lost with the process, not only with the machine, because Pebble
// keeps the last unsynced block of its write-ahead log in memory.
func (s *Store) Sync(ctx context.Context) error {
	release, err := s.db.hold()
	if err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	err = s.db.failure.run(ctx, func() error {
		defer release()
		return s.db.LogData(nil, pebble.Sync)
	})
	if err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	return nil
}
