package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// quiet gives memory back to the system. Many log-ins, or the end of many sessions, leave garbage and half-empty spans behind, which the runtime
// keeps until the heap has doubled: for a server of idle sockets that is never. It costs a whole collection, so it
// is done only after the sessions have changed and while there is little to do.
type quiet struct {
	freed     int // sessions when memory was given back last
	sessions  int // at the last look
	allocated uint64
}

const (
	quietEvery    = 2 * time.Second
	quietBytes    = 10 << 20 // allocated since the last look: more is traffic
	quietSessions = 200      // fewer are not worth the work
	quietPart     = 20       // nor is a smaller part of them than one in so many
)

// due tells whether to give memory back now.
func (q *quiet) due(sessions int, allocated uint64) bool {
	still := sessions == q.sessions && allocated-q.allocated < quietBytes
	q.sessions, q.allocated = sessions, allocated
	change := max(sessions-q.freed, q.freed-sessions)
	if !still || change < quietSessions || change*quietPart < q.freed {
		return false
	}
	q.freed = sessions
	return true
}

// run looks every few seconds until ctx ends.
func (q *quiet) run(ctx context.Context, sessions func() int) error {
	tick := time.NewTicker(quietEvery)
	defer tick.Stop()
	read := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		metrics.Read(read)
		if q.due(sessions(), read[0].Value.Uint64()) {
			debug.FreeOSMemory()
		}
	}
}
