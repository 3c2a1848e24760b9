package pebble

import (
	"testing"

	"go.uber.org/goleak"

	"parley/storage/storagetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

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
