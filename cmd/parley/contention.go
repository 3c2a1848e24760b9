package main

import (
	"net/http"
	"net/http/pprof"
	"runtime"
	"sync"
)

// contention serves the mutex and block profiles of the time that is asked for (?seconds=10), and lets the runtime record what they are made
// of during that time only: it costs something.
type contention struct {
	mu    sync.Mutex
	users int
}

const (
	mutexFraction = 20     // one contended lock in so many
	blockRate     = 10_000 // ns of waiting for each event that is recorded
)

func (c *contention) change(by int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.users += by
	mutex, block := 0, 0
	if c.users > 0 {
		mutex, block = mutexFraction, blockRate
	}
	runtime.SetMutexProfileFraction(mutex)
	runtime.SetBlockProfileRate(block)
}

// ServeHTTP implements http.Handler.
func (c *contention) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.change(1)
	defer c.change(-1)
	pprof.Index(w, r)
}
