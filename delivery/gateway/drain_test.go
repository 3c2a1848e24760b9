package gateway

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Closing sockets takes the time that it may take, and no more than one sleep's excess however late each of the sleeps ends: as far as a
// machine that is busy lets it be.
func TestDrainPause(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		all := rapid.IntRange(1, 20_000).Draw(rt, "all")
		whole := rapid.SampledFrom([]time.Duration{0, 30 * time.Millisecond, 3 * time.Second}).Draw(rt, "whole")
		late := rapid.SampledFrom([]time.Duration{0, 60 * time.Microsecond, time.Millisecond, 4 * time.Millisecond}).Draw(rt, "late")
		var passed time.Duration
		for i := range all {
			pause := drainPause(i+1, all, whole, passed)
			if pause < 0 || pause > 20*time.Millisecond {
				rt.Fatalf("a pause of %s", pause)
			}
			if passed += pause; pause > 0 {
				passed += late
			}
		}
		least := min(whole, time.Duration(all)*20*time.Millisecond) - time.Duration(all)
		if passed < least || passed > whole+late {
			rt.Fatalf("%d sockets in %s, want %s to %s", all, passed, least, whole+late)
		}
	})
}
