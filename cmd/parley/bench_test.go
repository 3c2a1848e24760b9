package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestBench runs a little of each load against a real server, with receivers who come and go.
func TestBench(t *testing.T) {
	s := serveDev(t, filepath.Join(t.TempDir(), "data"))
	target := []string{"--json", "--dev-file", devFile(s.cmd.Args[indexAfter(s.cmd.Args, "--data")])}
	profiles := t.TempDir()
	small := []string{"--rate", "100", "--duration", "1s", "--warmup", "200ms", "--every", "100ms", "--hold", "100ms"}
	for _, tc := range []struct {
		name string
		args []string
		want map[string]any // of the report
	}{
		{"direct", append(small, "--pairs", "4", "--churn", "2"), map[string]any{"Acked": 120., "Arrived": 120., "Lost": 0.}},
		{"group", append(small, "--members", "5", "--senders", "2", "--churn", "1"), map[string]any{"Acked": 120., "Stored": 120., "Delivered": 480.}},
		{"direct", append(small, "--pairs", "4", "--roles", "--rate", "1000", "--duration", "2s"), map[string]any{"Acked": 2200., "Lost": 0.}},
		{
			"room", append(small, "--viewers", "20", "--senders", "2", "--churn", "3", "--settle", "0", "--profile", profiles),
			map[string]any{"Acked": 120., "Seen": 120., "Delivered": 2400., "Expected": 2400., "Disorder": 0.},
		},
		{"storm", []string{"--connections", "30", "--settle", "0"}, map[string]any{"Sessions": 30., "Failed": 0.}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := asked(t, nil, append(append([]string{"bench", tc.name}, target...), tc.args...)...)
			for field, want := range tc.want {
				require.Equal(t, want, got[field], "%s: %v", field, got)
			}
			if slices.Contains(tc.args, "--roles") {
				roles, behind := told(t, got["Roles"], "Role"), told(t, got["Behind"], "Name")
				require.True(t, roles["gateway"] || roles["shard"], "%v", roles) // a profile of so little may miss one
				require.Subset(t, behind, map[string]bool{"tail of shards": true, "projection timeline": true, "reactors": true})
			}
		})
	}
	for _, name := range []string{"cpu", "allocs", "mutex", "block"} {
		info, err := os.Stat(filepath.Join(profiles, name+".pb.gz"))
		require.NoError(t, err)
		require.NotZero(t, info.Size())
	}
}

// told returns the names of a report's rows.
func told(t *testing.T, rows any, field string) map[string]bool {
	t.Helper()
	list, ok := rows.([]any)
	require.True(t, ok, "%v", rows)
	names := map[string]bool{}
	for _, row := range list {
		names[fmt.Sprint(row.(map[string]any)[field])] = true
	}
	return names
}

// TestBenchAll starts a server for a row, prints budget and figure, and leaves nothing behind.
func TestBenchAll(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, errs, code := command(t, nil, "bench", "all", "--dir", dir, "--only", "nothing")
	require.Equal(t, 1, code)
	require.Contains(t, errs, `there is no row "nothing"`)
	out, errs, _ := command(t, nil, "bench", "all", "--short", "--dir", dir, "--only", "storm") // a slow machine may miss it
	require.Contains(t, out, "500 sessions come back at once", errs)
	require.Contains(t, out, "in order, none lost, none twice")
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

// indexAfter returns where the value of a flag is.
func indexAfter(args []string, flag string) int {
	for i, a := range args {
		if a == flag {
			return i + 1
		}
	}
	return 0
}
