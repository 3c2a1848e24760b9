package pebble

import (
	"bytes"
	"os"
	"os/exec"
	"testing"

	"go.uber.org/goleak"

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
