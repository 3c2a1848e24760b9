package pebble

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"parley/domain"
	"parley/storage/storagetest"
)

// leaking is set in children of the tests that break a database: what it leaves behind for ever must not be found in the parent.
const leaking = "PARLEY_TEST_LEAKING"

func TestMain(m *testing.M) {
	if os.Getenv(leaking) != "" {
		os.Exit(m.Run())
	}
	goleak.VerifyTestMain(m)
}

// inChild runs the calling test in a process of its own and returns true there.
func inChild(t *testing.T) bool {
	t.Helper()
	if os.Getenv(leaking) != "" {
		return true
	}
	child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	child.Env = append(os.Environ(), leaking+"=1")
	out, err := child.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Errorf("in a process of its own: %v\n%s", err, out)
	}
	return false
}

func openLog(t *testing.T, dir string, o Options) *Log {
	t.Helper()
	l, err := OpenLog(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func TestLog(t *testing.T) {
	storagetest.RunLog(t, func(t *testing.T) storagetest.OpenLog {
		dir := t.TempDir()
		return func() storagetest.Log { return openLog(t, dir, Options{}) }
	})
}

// TestLogCloseUnderLoad closes the log while appends and reads are on their way: each of them ends, and what was acknowledged is there.
func TestLogCloseUnderLoad(t *testing.T) {
	dir := t.TempDir()
	for round := range 5 {
		l := openLog(t, dir, Options{})
		var mu sync.Mutex
		acked := make(map[string]bool)
		var wg sync.WaitGroup
		for w := range 6 {
			wg.Go(func() {
				for i := 0; ; i++ {
					name := fmt.Sprint(round, "/", w, "/", i)
					_, err := l.Append(t.Context(), 1, batch(name+" a", name+" b"))
					if err != nil {
						if !errors.Is(err, ErrClosed) {
							t.Errorf("append: %v", err)
						}
						return
					}
					mu.Lock()
					acked[name] = true
					mu.Unlock()
				}
			})
			wg.Go(func() {
				for {
					from := domain.Offset(1 << 40)
					if w%2 == 0 {
						from = 0
					}
					if _, err := l.Read(t.Context(), 1, from, 1<<20, time.Hour); err != nil {
						if !errors.Is(err, ErrClosed) {
							t.Errorf("read: %v", err)
						}
						return
					}
				}
			})
		}
		time.Sleep(20 * time.Millisecond)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		l = openLog(t, dir, Options{})
		wantWhole(t, contents(t, l, 1), acked)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLogTrimUnderReaders cuts the head while readers are there: they read on or are told, and never meet a hole.
func TestLogTrimUnderReaders(t *testing.T) {
	l := openLog(t, t.TempDir(), Options{})
	const records = 2000
	var values []string
	for i := range records {
		values = append(values, fmt.Sprint("v", i))
	}
	if _, err := l.Append(t.Context(), 1, batch(values...)); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for from := domain.Offset(0); from < records; {
				got, err := l.Read(t.Context(), 1, from, 200, 0)
				var truncated *domain.TruncatedError
				switch {
				case errors.As(err, &truncated):
					from = truncated.Start
				case err != nil || len(got) == 0 || got[0].Offset != from:
					t.Errorf("read at %d: %d records, %v", from, len(got), err)
					return
				default:
					from += domain.Offset(len(got))
				}
			}
		})
	}
	for before := domain.Offset(50); before <= records; before += 50 {
		if err := l.Trim(t.Context(), 1, before); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
}
