package pebble

import (
	"context"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// Checkpoint makes in dir, which must not be there, a copy of the log as it is at one moment, with everything that was acknowledged before.
// Appends and reads go on. Files that do not change any more are linked where the file system allows it, so the copy takes little room and
// no protection from a disk that dies. A copy that fails leaves the log as it was.
func (l *Log) Checkpoint(ctx context.Context, dir string) error {
	if err := l.db.checkpoint(ctx, dir); err != nil {
		return fmt.Errorf("checkpoint log: %w", err)
	}
	return nil
}

// Checkpoint is like Log.Checkpoint: the copy has every write that was answered before.
func (s *Store) Checkpoint(ctx context.Context, dir string) error {
	if err := s.db.checkpoint(ctx, dir); err != nil {
		return fmt.Errorf("checkpoint store: %w", err)
	}
	return nil
}

func (d *database) checkpoint(ctx context.Context, dir string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	release, err := d.hold()
	if err != nil {
		return err
	}
	return d.failure.run(ctx, func() error {
		defer release()
		return d.DB.Checkpoint(dir, pebble.WithFlushedWAL())
	})
}
