// Package crash kills a loaded server again and again, and fills its disk, and holds it to its word: what it acknowledged is in history
// and at its receiver exactly once, in one order that everybody sees.
package crash

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"
)

var (
	seedFlag  = flag.Uint64("seed", 0, "seed of the moments of the kills; 0 takes a fresh one")
	killsFlag = flag.Int("kills", 20, "how often the server is killed")
)

// the load that the crash test is specified with
const (
	pairs = 30
	rate  = 300
)

// restartBudget is design section 12: serving again after kill -9.
const restartBudget = 2 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestCrash(t *testing.T) {
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64N(1 << 32)
	}
	t.Logf("seed %d (repeat with -seed %d)", seed, seed)
	dice := rand.New(rand.NewPCG(seed, 0))
	s := newServer(t, build(t), t.TempDir())
	l := startLoad(t, &s.target, pairs, rate, seed)
	var restarts []time.Duration
	for range *killsFlag {
		time.Sleep(500*time.Millisecond + time.Duration(dice.Int64N(int64(2*time.Second))))
		if s.dead() {
			t.Fatal("the server has ended by itself")
		}
		s.kill()
		restarts = append(restarts, s.start())
	}
	time.Sleep(time.Second)
	l.drain(40 * time.Second)
	l.stop()
	v := l.verdict()
	slices.Sort(restarts)
	t.Log("\n" + table(slices.Concat(
		[][2]string{{"load", fmt.Sprintf("%d msg/s over %d conversations", rate, pairs)}, {"kills", fmt.Sprint(len(restarts))}},
		v.rows(),
		[][2]string{
			{"sent again", fmt.Sprint(l.sum(func(u *user) int { return u.out.resends }))},
			{"delivered again, left out by the receiver", fmt.Sprint(l.sum(func(u *user) int { return u.repeats }))},
			{"not written, too many waiting", fmt.Sprint(l.sum(func(u *user) int { return u.out.skipped }))},
			{"sessions", fmt.Sprint(l.sum(func(u *user) int { return int(u.sessions.Load()) }))},
			{"longest pause without an answer", time.Duration(l.pause.Load()).Round(time.Millisecond).String()},
			{"restart, median", median(restarts).Round(time.Millisecond).String()},
			{"restart, longest", last(restarts).Round(time.Millisecond).String()},
		})))
	verify(t, v)
	if want := rate * *killsFlag / 2; v.acknowledged < want {
		t.Errorf("only %d messages were acknowledged, which shows little: at least %d", v.acknowledged, want)
	}
	if m := median(restarts); m > restartBudget {
		t.Errorf("half of the restarts took over %s, the budget is %s", m, restartBudget)
	}
}

func verify(t *testing.T, v *verdict) {
	t.Helper()
	if v.faults() == 0 {
		return
	}
	t.Errorf("%d faults", v.faults())
	for _, d := range v.details {
		t.Log(d)
	}
}

func median(sorted []time.Duration) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[len(sorted)/2]
}

func last(sorted []time.Duration) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[len(sorted)-1]
}
