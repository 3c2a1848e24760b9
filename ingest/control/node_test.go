package control_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"parley/domain"
	"parley/ingest/control"
)

func TestNodesHaveNumbers(t *testing.T) {
	dir := t.TempDir()
	log := openLog(t, dir)
	c := load(t, log)
	for i, name := range []domain.NodeName{"a", "b", "a", "c", "b"} {
		number, err := c.EnsureNode(t.Context(), name)
		require.NoError(t, err)
		require.Equal(t, domain.FirstNode+domain.Partition(name[0]-'a'), number, i)
	}
	_, err := c.EnsureNode(t.Context(), "")
	require.Equal(t, domain.BadRequest, domain.CodeOf(err))
	require.NoError(t, log.Close())

	log = openLog(t, dir)
	defer func() { require.NoError(t, log.Close()) }()
	number, err := load(t, log).EnsureNode(t.Context(), "b")
	require.NoError(t, err)
	require.Equal(t, domain.FirstNode+1, number)
}

func TestNodesRace(t *testing.T) {
	log := openLog(t, t.TempDir())
	defer func() { require.NoError(t, log.Close()) }()
	const nodes, processes = 8, 3 // of each name: two of them are mistakes, and no harm
	var mu sync.Mutex
	got := map[domain.NodeName][]domain.Partition{}
	var all sync.WaitGroup
	for i := range nodes * processes {
		c, name := load(t, log), domain.NodeName(fmt.Sprint("n", i%nodes))
		all.Go(func() {
			number, err := c.EnsureNode(t.Context(), name)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			got[name] = append(got[name], number)
		})
	}
	all.Wait()
	owner := map[domain.Partition]domain.NodeName{}
	after := load(t, log)
	for name, numbers := range got {
		require.Len(t, numbers, processes)
		held, ok := after.Node(name)
		require.True(t, ok)
		for _, n := range numbers {
			require.Equal(t, held, n, "%s got another number than the log says", name)
		}
		require.Empty(t, owner[held], "two nodes have %d", held)
		owner[held] = name
	}
}

// behind is a log on which another node always writes first.
type behind struct {
	control.Log
	first func(domain.Batch) domain.Batch
}

func (b *behind) Append(ctx context.Context, p domain.Partition, batch domain.Batch) (domain.Offset, error) {
	if first := b.first; first != nil {
		b.first = nil
		if _, err := b.Log.Append(ctx, p, first(batch)); err != nil {
			return 0, err
		}
	}
	return b.Log.Append(ctx, p, batch)
}

func TestNodeComesSecond(t *testing.T) {
	for _, tt := range []struct {
		name, first string
		want, other domain.Partition // of a and of b
	}{
		{"another takes the number", `{"v":1,"name":"b","number":3072}`, 3073, 3072},
		{"another takes the next number", `{"v":1,"name":"b","number":3073}`, 3072, 3073},
		{"a process of the same name", `{"v":1,"name":"a","number":3072}`, 3072, 0},
		{"a process of the same name with another number", `{"v":1,"name":"a","number":3080}`, 3080, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			log := openLog(t, t.TempDir())
			defer func() { require.NoError(t, log.Close()) }()
			key := "node/" + tt.first[len(`{"v":1,"name":"`):][:1]
			c := load(t, &behind{log, func(domain.Batch) domain.Batch {
				return domain.Batch{Keys: [][]byte{[]byte(key)}, Values: [][]byte{[]byte(tt.first)}, Plain: true}
			}})
			number, err := c.EnsureNode(t.Context(), "a")
			require.NoError(t, err)
			require.Equal(t, tt.want, number)
			for name, log := range map[string]control.Log{"as it is": log, "compacted": lastOfKey(t, log)} {
				c := load(t, log)
				number, _ = c.Node("a")
				require.Equal(t, tt.want, number, name)
				number, _ = c.Node("b")
				require.Equal(t, tt.other, number, name)
			}
		})
	}
}

// lastOfKey returns what compaction leaves of a log.
func lastOfKey(t *testing.T, log control.Log) control.Log {
	t.Helper()
	records, err := log.Read(t.Context(), domain.Control, 0, 1<<20, 0)
	require.NoError(t, err)
	last := map[string]int{}
	for i, r := range records {
		last[string(r.Key)] = i
	}
	out := openLog(t, t.TempDir())
	t.Cleanup(func() { require.NoError(t, out.Close()) })
	for i, r := range records {
		if last[string(r.Key)] == i {
			_, err := out.Append(t.Context(), domain.Control, domain.Batch{Keys: [][]byte{r.Key}, Values: [][]byte{r.Value}, Plain: true})
			require.NoError(t, err)
		}
	}
	return out
}

func TestNodeNumbersEnd(t *testing.T) {
	log := openLog(t, t.TempDir())
	defer func() { require.NoError(t, log.Close()) }()
	b := domain.Batch{Plain: true}
	for n := domain.FirstNode; n < 4096; n++ {
		b.Keys = append(b.Keys, fmt.Appendf(nil, "node/n%d", n))
		b.Values = append(b.Values, fmt.Appendf(nil, `{"v":1,"name":"n%d","number":%d}`, n, n))
	}
	_, err := log.Append(t.Context(), domain.Control, b)
	require.NoError(t, err)
	c := load(t, log)
	number, err := c.EnsureNode(t.Context(), "n4095")
	require.NoError(t, err)
	require.Equal(t, domain.Partition(4095), number)
	_, err = c.EnsureNode(t.Context(), "one more")
	require.ErrorIs(t, err, control.ErrNodesFull)
}

func TestNodeOutsideTheRangeStops(t *testing.T) {
	for _, value := range []string{`{"v":1,"name":"a","number":3071}`, `{"v":1,"name":"a","number":4096}`, `{"v":1,"number":3072}`} {
		log := openLog(t, t.TempDir())
		_, err := log.Append(t.Context(), domain.Control, domain.Batch{Keys: [][]byte{[]byte("node/a")}, Values: [][]byte{[]byte(value)}, Plain: true})
		require.NoError(t, err)
		require.Error(t, control.New(log, slog.New(slog.DiscardHandler), time.Now).Load(t.Context()), value)
		require.NoError(t, log.Close())
	}
}

// TestNodesAreToldApart lets nodes claim in any order, with knowledge of any age: numbers are never shared and never change.
func TestNodesAreToldApart(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		log := openLog(t, t.TempDir())
		defer func() { require.NoError(rt, log.Close()) }()
		known := map[domain.NodeName]domain.Partition{}
		for range rapid.IntRange(1, 12).Draw(rt, "claims") {
			name := domain.NodeName(rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(rt, "name"))
			number := domain.FirstNode + domain.Partition(rapid.IntRange(0, 5).Draw(rt, "number"))
			_, err := log.Append(t.Context(), domain.Control, domain.Batch{
				Keys: [][]byte{[]byte("node/" + name)}, Values: [][]byte{fmt.Appendf(nil, `{"v":1,"name":%q,"number":%d}`, name, number)}, Plain: true,
			})
			require.NoError(rt, err)
			c, taken := load(t, log), map[domain.Partition]bool{}
			for _, n := range []domain.NodeName{"a", "b", "c", "d"} {
				now, ok := c.Node(n)
				if was, had := known[n]; had {
					require.True(rt, ok)
					require.Equal(rt, was, now)
				}
				if ok {
					require.False(rt, taken[now], "two nodes have %d", now)
					known[n], taken[now] = now, true
				}
			}
		}
	})
}
