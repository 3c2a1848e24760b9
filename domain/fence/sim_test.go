package fence

import (
	"bufio"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// simRuns is how many worlds TestSimulation runs: PARLEY_SIM_RUNS, else 20,000 (about 10 s on two cores), fewer with -short or -race.
func simRuns(tb testing.TB) uint64 {
	tb.Helper()
	if s := os.Getenv("PARLEY_SIM_RUNS"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			tb.Fatalf("PARLEY_SIM_RUNS: %v", err)
		}
		return n
	}
	switch {
	case testing.Short():
		return 500
	case raceEnabled: // one goroutine runs a world: the race detector has little to find here, and costs ten times as much
		return 1500
	default:
		return 20_000
	}
}

// TestSimulation runs worlds in which everything goes wrong that the fence must survive. A failing seed belongs into testdata/seeds.txt;
// PARLEY_SIM_TRACE=<seed> tells its story (TestSimulationTrace).
func TestSimulation(t *testing.T) {
	t.Parallel()
	var next atomic.Uint64
	var seen simSeen
	runs, failures := simRuns(t), atomic.Int64{}
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for seed := next.Add(1); seed <= runs && failures.Load() < 5; seed = next.Add(1) {
				w, err := runSim(simSpec{seed: seed})
				seen.add(w)
				if err != nil {
					failures.Add(1)
					t.Errorf("seed %d: %v", seed, err)
				}
			}
		})
	}
	workers.Wait()
	t.Logf("%d runs: %d commits, %d claims, %d void or repeated records, %d truncated logs, %d steps",
		runs, seen.commits.Load(), seen.claims.Load(), seen.skipped.Load(), seen.truncated.Load(), seen.steps.Load())
	if seen.skipped.Load() == 0 || seen.truncated.Load() == 0 {
		t.Error("the worlds were too kind")
	}
}

// simSeen sums up what happened, to show that something did.
type simSeen struct{ commits, claims, skipped, truncated, steps atomic.Int64 }

func (s *simSeen) add(w *simWorld) {
	commits := len(w.log.accepted)
	s.commits.Add(int64(commits))
	s.claims.Add(int64(w.log.read.Term))
	s.skipped.Add(int64(len(w.log.records) - commits - int(w.log.read.Term)))
	s.steps.Add(int64(w.steps))
	if w.truncated {
		s.truncated.Add(1)
	}
}

// TestSimulationCrashes crashes a node after every step of a few worlds.
func TestSimulationCrashes(t *testing.T) {
	t.Parallel()
	seeds, steps := uint64(8), 400
	if testing.Short() || raceEnabled {
		seeds, steps = 2, 150
	}
	for seed := range seeds {
		for step := 1; step <= steps; step++ {
			if _, err := runSim(simSpec{seed: 1_000_000 + seed, crashAt: step}); err != nil {
				t.Fatalf("seed %d, crash after step %d: %v", 1_000_000+seed, step, err)
			}
		}
	}
}

// TestSimulationSeeds runs again the worlds that once failed.
func TestSimulationSeeds(t *testing.T) {
	t.Parallel()
	f, err := os.Open("testdata/seeds.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		number, why, _ := strings.Cut(lines.Text(), " ")
		if number == "" || number == "#" {
			continue
		}
		seed, err := strconv.ParseUint(number, 10, 64)
		if err != nil {
			t.Fatalf("testdata/seeds.txt: %v", err)
		}
		if _, err := runSim(simSpec{seed: seed}); err != nil {
			t.Errorf("seed %d (%s): %v", seed, why, err)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
}

// TestSimulationTrace tells the story of the world PARLEY_SIM_TRACE, and otherwise checks that a world depends on its seed alone.
func TestSimulationTrace(t *testing.T) {
	t.Parallel()
	if s := os.Getenv("PARLEY_SIM_TRACE"); s != "" {
		seed, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatalf("PARLEY_SIM_TRACE: %v", err)
		}
		if _, err := runSim(simSpec{seed: seed, trace: t.Logf}); err != nil {
			t.Error(err)
		}
		return
	}
	one, _ := runSim(simSpec{seed: 42})
	two, _ := runSim(simSpec{seed: 42})
	if one.log.read != two.log.read || one.steps != two.steps || one.log.end != two.log.end {
		t.Errorf("one seed, two worlds: %+v in %d steps, %+v in %d", one.log.read, one.steps, two.log.read, two.steps)
	}
}
