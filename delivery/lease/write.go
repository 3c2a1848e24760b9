package lease

import (
	"context"
	"time"
)

// WriteEvery is how long a change waits at most before it is being written.
const WriteEvery = 100 * time.Millisecond

type writer struct{}

func (l *Leases) runWriter(ctx context.Context) { <-ctx.Done() }

// Load reads the leases of before. Nothing else is called before it has returned.
func (l *Leases) Load(context.Context) error { return nil }
