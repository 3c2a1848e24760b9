package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Memory is given back once after the sessions have changed by much, and only while there is little to do.
func TestQuiet(t *testing.T) {
	const mb = 1 << 20
	looks := []struct {
		name      string
		sessions  int
		allocated uint64
		due       bool
	}{
		{"start", 0, 40 * mb, false},
		{"nothing happens", 0, 41 * mb, false},
		{"log-ins", 5000, 200 * mb, false},
		{"more log-ins", 9000, 400 * mb, false},
		{"traffic", 9000, 500 * mb, false},
		{"quiet", 9000, 502 * mb, true},
		{"quiet still", 9000, 504 * mb, false},
		{"few come", 9300, 506 * mb, false},
		{"quiet with few more", 9300, 508 * mb, false},
		{"most have gone", 300, 510 * mb, false},
		{"quiet without them", 300, 512 * mb, true},
		{"all have gone", 0, 512 * mb, false},
		{"quiet and empty", 0, 512 * mb, true},
		{"few", 100, 512 * mb, false},
		{"too few", 100, 512 * mb, false},
	}
	var q quiet
	for _, l := range looks {
		require.Equal(t, l.due, q.due(l.sessions, l.allocated), l.name)
	}
}
