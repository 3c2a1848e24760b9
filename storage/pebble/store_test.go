package pebble

import (
	"testing"

	"parley/storage/storagetest"
)

func openStore(t *testing.T, dir string, o Options) *Store {
	t.Helper()
	s, err := OpenStore(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestStore(t *testing.T) {
	storagetest.RunStore(t, func(t *testing.T) storagetest.OpenStore {
		dir := t.TempDir()
		return func() storagetest.Store { return openStore(t, dir, Options{}) }
	})
}

// TestStoreFlushes runs the contract with a memtable so small that rows are merged in tables and compactions too.
func TestStoreFlushes(t *testing.T) {
	storagetest.RunStore(t, func(t *testing.T) storagetest.OpenStore {
		dir := t.TempDir()
		return func() storagetest.Store { return openStore(t, dir, Options{MemTableBytes: 16 << 10}) }
	})
}
