package storagetest

import (
	"context"
	"time"

	"parley/domain"
)

// Log is what the suite asks of a log.
type Log interface {
	// Append writes b whole or not at all, and returns the offset of its first record. Every error means an unknown outcome.
	Append(ctx context.Context, p domain.Partition, b domain.Batch) (base domain.Offset, err error)
	// Read returns at least one record at or after from if there is one, whatever maxBytes; it waits up to wait for the first. Below the start
	// it returns a *domain.TruncatedError, at the end none.
	Read(ctx context.Context, p domain.Partition, from domain.Offset, maxBytes int, wait time.Duration) ([]domain.LogRecord, error)
	// Bounds returns the first offset that can be read and the next to be written.
	Bounds(ctx context.Context, p domain.Partition) (start, end domain.Offset, err error)
}

// Trimmer is a log whose head can be cut.
type Trimmer interface {
	Trim(ctx context.Context, p domain.Partition, before domain.Offset) error
}

// OpenLog opens the log under test: the first call a new one, later calls the same again, after Close where the log has one.
type OpenLog func() Log

// closer is a log that must be closed before it is opened again.
type closer interface{ Close() error }
