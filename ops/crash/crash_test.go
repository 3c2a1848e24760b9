// Package crash kills a loaded server again and again, and fills its disk, and holds it to its word: what it acknowledged is in history
// and at its receiver exactly once, in one order that everybody sees.
package crash

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"
)

var (
	seedFlag  = flag.Uint64("seed", 0, "seed of the moments of the kills; 0 takes a fresh one")
	killsFlag = flag.Int("kills", 20, "how often TestCrash kills the server")
	binFlag   = flag.String("bin", "", "a binary to test, instead of one that is built")
)

// restartBudget is design section 12: serving again after kill -9.
const restartBudget = 2 * time.Second

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if built.Load() {
			bin, _ := buildOnce()
			_ = os.RemoveAll(filepath.Dir(bin))
		}
		os.Exit(code)
	}))
}

// TestCrash is the promise of the project at the load that it is made for.
func TestCrash(t *testing.T) {
	crash(t, plan{pairs: 30, rate: 300, patience: answerLimit}, *killsFlag)
}

// TestCrashBusy kills while many messages are between the log and their answer, so that more of them are sent again.
func TestCrashBusy(t *testing.T) {
	crash(t, plan{pairs: 30, rate: 2400, patience: answerLimit}, 5)
}

// TestCrashGroups kills while users write in several groups and directly, so that a device has several queues to catch up in.
func TestCrashGroups(t *testing.T) {
	crash(t, plan{pairs: 15, groups: 10, members: 6, rate: 300, patience: answerLimit}, 8)
}

// TestCrashRooms kills while users view rooms and write in them, and asks after each restart who views what.
func TestCrashRooms(t *testing.T) {
	p := plan{pairs: 8, rate: 80, rooms: 4, viewers: 8, speakers: 4, roomRate: 40, patience: answerLimit}
	crash(t, p, 8, "PARLEY_ROOMS_HISTORY=true", "PARLEY_ROOMS_KEEP="+leaseKept.String(), "PARLEY_ROOMS_HEARTBEAT="+leaseBeat.String())
}

func crash(t *testing.T, p plan, kills int, env ...string) {
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64N(1 << 32)
	}
	t.Logf("seed %d (repeat with -seed %d)", seed, seed)
	dice := rand.New(rand.NewPCG(seed, 0))
	s := newServer(t, build(t), t.TempDir(), env...)
	l := startLoad(t, &s.target, p, seed)
	var restarts []time.Duration
	for range kills {
		time.Sleep(500*time.Millisecond + time.Duration(dice.Int64N(int64(2*time.Second))))
		if s.dead() {
			t.Fatal("the server has ended by itself")
		}
		s.kill()
		restarts = append(restarts, s.start())
		l.checkRooms()
		l.changeRooms(dice)
	}
	time.Sleep(time.Second)
	l.drain(40 * time.Second)
	l.stop()
	v := l.verdict()
	slices.Sort(restarts)
	t.Log("\n" + table(slices.Concat(
		[][2]string{{"load", p.String()}, {"kills", fmt.Sprint(kills)}},
		v.rows(), l.rows(),
		[][2]string{
			{"restart, median", median(restarts).Round(time.Millisecond).String()},
			{"restart, longest", slices.Max(append(restarts, 0)).Round(time.Millisecond).String()},
		})))
	verify(t, v)
	if want := (p.rate + p.roomRate) * kills / 2; v.acknowledged < want {
		t.Errorf("only %d messages were acknowledged, which shows little: at least %d", v.acknowledged, want)
	}
	if m := median(restarts); m > restartBudget {
		t.Errorf("half of the restarts took over %s, the budget is %s", m, restartBudget)
	}
}

// rows tells how hard the users had it.
func (l *load) rows() [][2]string {
	sum := func(f func(u *user) int) string {
		n := 0
		for _, u := range l.all() {
			n += f(u)
		}
		return fmt.Sprint(n)
	}
	ofOutbox := func(f func(o *outbox) int) func(u *user) int {
		return func(u *user) (n int) {
			for _, line := range u.lines {
				n += f(&line.out)
			}
			return n
		}
	}
	return [][2]string{
		{"sent again", sum(ofOutbox(func(o *outbox) int { return o.resends }))},
		{"delivered again, left out by the receiver", sum(func(u *user) int { return u.repeats })},
		{"no answer in time, connected anew", sum(ofOutbox(func(o *outbox) int { return o.timeouts }))},
		{"not written, too many waiting", sum(ofOutbox(func(o *outbox) int { return o.skipped }))},
		{"sessions", sum(func(u *user) int { return int(u.sessions.Load()) })},
		{"longest pause without an answer", time.Duration(l.pause.Load()).Round(time.Millisecond).String()},
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
