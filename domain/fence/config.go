package fence

import (
	"cmp"
	"time"
)

// Config tunes an Owner. Zero durations and counts mean the defaults in brackets. None of them bears on safety.
type Config struct {
	// Claim returns what follows the header in a claim's value: the claim field with the node and a nonce that was never used before.
	// It is called once for each attempt.
	Claim func() []byte
	// Jitter spreads the back-off; nodes have different ones.
	Jitter uint64

	Settle     time.Duration // how long the ring must name the node before it claims (2 s)
	Follow     time.Duration // how often an idle owner reads its tail (500 ms)
	Poll       time.Duration // the longest wait of a read (500 ms)
	BackoffMin time.Duration // the first pause before a claim, a batch or a failed read is tried again (50 ms), doubled each time
	BackoffMax time.Duration // up to this (5 s), and up to a half more by jitter
	Sends      int           // how often one batch is sent before a claim settles it (4)

	omit rule // rules left out, by the simulation alone
}

func (c Config) withDefaults() Config {
	c.Settle = cmp.Or(c.Settle, 2*time.Second)
	c.Follow = cmp.Or(c.Follow, 500*time.Millisecond)
	c.Poll = cmp.Or(c.Poll, 500*time.Millisecond)
	c.BackoffMin = cmp.Or(c.BackoffMin, 50*time.Millisecond)
	c.BackoffMax = cmp.Or(c.BackoffMax, 5*time.Second)
	c.Sends = cmp.Or(c.Sends, 4)
	return c
}

// backoff is the pause after the n-th try, from 0.
func (c *Config) backoff(n int) time.Duration {
	d := c.BackoffMax
	if n < 32 && c.BackoffMin<<n < d && c.BackoffMin<<n > 0 {
		d = c.BackoffMin << n
	}
	// One step of splitmix64: no dice in the domain, but two nodes must not go on in step.
	x := c.Jitter + uint64(n+1)*0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x ^= x >> 27
	return d + time.Duration(x%uint64(d/2+1))
}

// pause is a wait that began at some time. A clock that goes back ends it: waiting too little costs a try, waiting too long the service.
type pause struct{ at, wait time.Duration }

func (p pause) left(now time.Duration) time.Duration {
	if now < p.at {
		return 0
	}
	return max(0, p.at+p.wait-now)
}
