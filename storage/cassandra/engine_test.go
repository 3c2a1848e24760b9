package cassandra

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"parley/ops/engines"
	"parley/schemas/table"
	"parley/storage/storagetest"
)

// node starts one real node, which make engines-test asks for; it ends with the test.
func node(t *testing.T, n int) *engines.Cluster {
	t.Helper()
	if os.Getenv("ENGINES") == "" {
		t.Skip("NOT RUN: real engines are started by make engines-test")
	}
	if err := engines.Missing(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	c, err := engines.Cassandra(ctx, t.TempDir(), n, 29042, 27000)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Kill(); err != nil {
			t.Error(err)
		}
	})
	if err := c.Start(ctx); err != nil {
		t.Fatal(err)
	}
	return c
}

// keyspaces keeps the tables of tests on one cluster apart.
var keyspaces atomic.Int32

func realOptions(c *engines.Cluster) Options {
	return Options{
		Hosts: c.Addrs(), Keyspace: fmt.Sprintf("t%d", keyspaces.Add(1)), Tables: storagetest.Tables, Create: len(c.Nodes),
	}
}

// opened opens a store that closes with the test.
func opened(t *testing.T, o Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// TestEngineStore is the contract of stores on a real node.
func TestEngineStore(t *testing.T) {
	c := node(t, 1)
	storagetest.RunStore(t, func(t *testing.T) storagetest.OpenStore {
		o := realOptions(c)
		return func() storagetest.Store { return opened(t, o) }
	})
	t.Run("a table that is not there is told", func(t *testing.T) {
		o := realOptions(c)
		opened(t, o)
		o.Create, o.Tables = 0, append([]*table.Table{{ID: 250, Name: "missing"}}, o.Tables...)
		if s, err := Open(t.Context(), o); err == nil {
			t.Errorf("opened without a table: %v", s.Close())
		}
	})
}

// TestEngineNodesFail writes and reads while one node of three is killed, and then two: with one gone nothing fails, with two gone writes wait
// for one to come back. All that was acknowledged is there in the end.
func TestEngineNodesFail(t *testing.T) {
	c := node(t, 3)
	o := realOptions(c)
	s := opened(t, o)
	var done atomic.Bool
	var acknowledged atomic.Int64
	var longest time.Duration
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := uint64(0); !done.Load(); n++ {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			began := time.Now()
			key := table.RowKey{Partition: table.Key{}.Text("land").Uint64(n % 50), Cluster: table.Key{}.Uint64(n)}
			w := table.Write{
				Table: storagetest.Places, Partition: key.Partition, Cluster: key.Cluster, T: n + 1, Cells: []table.Cell{{Value: []byte("v")}},
			}
			err := s.Write(ctx, []table.Write{w})
			rows, readErr := s.Get(ctx, storagetest.Places, []table.RowKey{key})
			if err != nil || readErr != nil || !rows[0].Found() {
				t.Errorf("write %d: %v, read: %v", n, err, readErr)
			}
			longest = max(longest, time.Since(began))
			acknowledged.Store(int64(n + 1))
			cancel()
			time.Sleep(time.Millisecond)
		}
	})
	try := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	time.Sleep(time.Second)
	try(c.Nodes[2].Kill())
	before := acknowledged.Load()
	time.Sleep(8 * time.Second)
	if acknowledged.Load() == before {
		t.Error("nothing goes on without one node")
	}
	try(c.Nodes[1].Kill())
	time.Sleep(3 * time.Second)
	before = acknowledged.Load()
	time.Sleep(3 * time.Second)
	if acknowledged.Load() > before {
		t.Error("a write was acknowledged without a quorum")
	}
	try(c.Nodes[1].Start())
	ready, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	try(c.Nodes[1].Ready(ready))
	for stood := acknowledged.Load(); acknowledged.Load() == stood && ready.Err() == nil; {
		time.Sleep(100 * time.Millisecond)
	}
	done.Store(true)
	wg.Wait()
	total := 0
	for bucket := range uint64(50) {
		rows, err := s.Scan(t.Context(), table.Query{Table: storagetest.Places, Partition: table.Key{}.Text("land").Uint64(bucket), Limit: 1 << 20})
		try(err)
		total += len(rows)
	}
	if total != int(acknowledged.Load()) {
		t.Errorf("%d rows of %d acknowledged writes", total, acknowledged.Load())
	}
	t.Logf("%d writes, longest pause %v", total, longest.Round(time.Millisecond))
}
