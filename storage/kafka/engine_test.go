package kafka

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"parley/domain"
	"parley/ops/engines"
	"parley/storage/storagetest"
)

// The tests of this file run on three real brokers, which make engines-test asks for.

// realPort is the first of the brokers' ports.
const realPort = 32092

// brokers starts three brokers, which end with the test.
func brokers(t *testing.T) *engines.Cluster {
	t.Helper()
	if os.Getenv("ENGINES") == "" {
		t.Skip("NOT RUN: real engines are started by make engines-test")
	}
	if err := engines.Missing(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	c, err := engines.Kafka(ctx, t.TempDir(), 3, realPort)
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

// prefixes keeps the topics of tests on one cluster apart.
var prefixes atomic.Int32

func realOptions(c *engines.Cluster) Options {
	return Options{
		Brokers: c.Addrs(), Prefix: fmt.Sprintf("t%d.", prefixes.Add(1)), Chats: storagetest.Partitions, Rooms: storagetest.Partitions,
		Create: true, Fencing: true, RequestTimeout: 10 * time.Second,
	}
}

// TestEngineLog is the contract of logs on real brokers, and what only they can show: faults come last, one after the other.
func TestEngineLog(t *testing.T) {
	c := brokers(t)
	storagetest.RunLog(t, func(t *testing.T) storagetest.OpenLog {
		o := realOptions(c)
		return func() storagetest.Log { return &trimmed{Log: openLog(t, o), brokers: c.Addrs()} }
	})
	t.Run("brokers fence", func(t *testing.T) { fences(t, openLog(t, realOptions(c))) })
	t.Run("a deposed shard", func(t *testing.T) {
		o := realOptions(c)
		deposed(t, func() *Log { return openLog(t, o) })
	})
	t.Run("rows of the table", func(t *testing.T) { realRows(t, c) })
	t.Run("the leader is killed", func(t *testing.T) {
		underFault(t, c, func(leader int) {
			try(t, c.Nodes[leader].Kill())
			time.Sleep(4 * time.Second)
			restart(t, c.Nodes[leader])
		})
	})
	t.Run("the leader stalls and wakes", func(t *testing.T) {
		underFault(t, c, func(leader int) {
			try(t, c.Nodes[leader].Signal(syscall.SIGSTOP))
			time.Sleep(8 * time.Second)
			try(t, c.Nodes[leader].Signal(syscall.SIGCONT))
		})
	})
	t.Run("two of three are gone", func(t *testing.T) {
		underFault(t, c, func(leader int) {
			a, b := c.Nodes[(leader+1)%3], c.Nodes[(leader+2)%3]
			try(t, a.Kill())
			try(t, b.Kill())
			time.Sleep(8 * time.Second)
			restart(t, a)
			restart(t, b)
		})
	})
}

func try(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

func restart(t *testing.T, n *engines.Node) {
	t.Helper()
	try(t, n.Start())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	try(t, n.Ready(ctx))
}

// leader returns the place of the broker that leads partition 1 of chats.
func leader(t *testing.T, l *Log) int {
	t.Helper()
	name, number, err := l.o.place(1)
	if err != nil {
		t.Fatal(err)
	}
	meta, err := l.client.Metadata(t.Context(), &kafkago.MetadataRequest{Topics: []string{name}})
	if err != nil {
		t.Fatal(err)
	}
	for _, topic := range meta.Topics {
		for _, p := range topic.Partitions {
			if topic.Name == name && p.ID == number {
				return p.Leader.ID - 1
			}
		}
	}
	t.Fatal("nobody leads")
	return 0
}

// underFault appends commits one after the other, each again and again until it has a good answer, before, during and after a fault. In the
// end each is there once, in order, and where the answer said.
func underFault(t *testing.T, c *engines.Cluster, fault func(leader int)) {
	t.Helper()
	o := realOptions(c)
	o.RequestTimeout = 2 * time.Second
	l := openLog(t, o)
	var done atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		defer done.Store(true)
		time.Sleep(300 * time.Millisecond)
		fault(leader(t, l))
		time.Sleep(time.Second)
	})
	var want []string
	var longest time.Duration
	errs := map[Class]int{}
	for n := uint64(0); !done.Load(); n++ {
		value := fmt.Sprint("v", n)
		began := time.Now()
		for {
			base, err := l.Append(t.Context(), 1, commit(1, n, value))
			if err == nil {
				if base != domain.Offset(n) {
					t.Errorf("commit %d is at %d", n, base)
				}
				break
			}
			class := ClassOf(err)
			errs[class]++
			if class != Unknown && class != NotWritten || time.Since(began) > time.Minute {
				t.Fatalf("commit %d: %v", n, err)
			}
			time.Sleep(20 * time.Millisecond)
		}
		longest = max(longest, time.Since(began))
		want = append(want, value)
		time.Sleep(time.Millisecond)
	}
	wg.Wait()
	if got := contents(t, l, 1); got != "["+strings.Join(want, " ")+"]" {
		t.Errorf("of %d commits the log holds %d, or in another order", len(want), len(strings.Fields(got)))
	}
	if longest < time.Second {
		t.Errorf("the longest pause was %v: the fault did nothing", longest)
	}
	t.Logf("%d commits, longest pause %v, errors %v", len(want), longest.Round(time.Millisecond), errs)
}
