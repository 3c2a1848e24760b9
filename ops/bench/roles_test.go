package bench

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/pprof/profile"
	"github.com/stretchr/testify/require"
)

// sampled makes a CPU profile of samples of 10 ms each.
func sampled(samples ...*profile.Sample) *profile.Profile {
	p := &profile.Profile{SampleType: []*profile.ValueType{{Type: "samples", Unit: "count"}, {Type: "cpu", Unit: "nanoseconds"}}, Sample: samples}
	for _, s := range samples {
		s.Value = []int64{1, int64(10 * time.Millisecond)}
		for _, l := range s.Location {
			l.ID = uint64(len(p.Location) + 1)
			p.Location = append(p.Location, l)
			for _, line := range l.Line {
				line.Function.ID = uint64(len(p.Function) + 1)
				p.Function = append(p.Function, line.Function)
			}
		}
	}
	return p
}

// stack makes a sample of functions, the innermost first, with labels "key=value".
func stack(functions []string, labels ...string) *profile.Sample {
	s := &profile.Sample{Label: map[string][]string{}}
	for _, f := range functions {
		s.Location = append(s.Location, &profile.Location{Line: []profile.Line{{Function: &profile.Function{Name: f}}}})
	}
	for _, l := range labels {
		k, v, _ := strings.Cut(l, "=")
		s.Label[k] = []string{v}
	}
	return s
}

func TestRoleOf(t *testing.T) {
	for _, tc := range []struct {
		name         string
		stack        []string
		labels       []string
		role, busyIn string
	}{
		{"labelled", []string{"runtime.mallocgc", "parley/delivery/gateway.(*session).run"}, []string{"role=gateway"}, "gateway", "parley/delivery/gateway"},
		{
			"a projection",
			[]string{"aeshashbody", "runtime.mapassign", "parley/projections/timeline.Apply", "sync.(*WaitGroup).Go.func1"},
			[]string{"role=projections", "projection=timeline"},
			"projections: timeline", "parley/projections/timeline",
		},
		{
			"a connection that somebody began",
			[]string{"internal/runtime/syscall/linux.Syscall6", "syscall.write", "github.com/segmentio/kafka-go.(*conn).run"},
			[]string{"role=follow"},
			"kafka client", "system calls",
		},
		{"called, not begun there", []string{"github.com/gocql/gocql.(*Session).exec", "parley/ingest/shard.x"}, []string{"role=shard: flush"}, "shard: flush", "github.com/gocql/gocql"},
		{"labelled by its library", []string{"os.(*File).Sync", "github.com/cockroachdb/pebble/v2/record.(*LogWriter).flushLoop"}, []string{"pebble=wal-sync"}, "pebble: wal-sync", "os"},
		{"generic", []string{"slices.Sort[go.shape.[]parley/domain.Seq,a.b]", "main.main"}, nil, "runtime", "slices"},
		{"collection", []string{"runtime.scanObject", "runtime.gcDrain", "runtime.gcBgMarkWorker"}, nil, "runtime", "garbage collection"},
		{"scheduler", []string{"runtime.futex", "runtime.findRunnable", "runtime.schedule", "runtime.mcall"}, nil, "runtime", "scheduling"},
		{"poller", []string{"internal/runtime/syscall/linux.EpollWait", "runtime.netpoll", "runtime.findRunnable", "runtime.schedule"}, nil, "runtime", "scheduling"},
		{"nothing is known", nil, nil, "runtime", "runtime"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := stack(tc.stack, tc.labels...)
			require.Equal(t, tc.stack, functions(s))
			require.Equal(t, tc.role, roleOf(s, tc.stack))
			require.Equal(t, tc.busyIn, busyIn(tc.stack))
		})
	}
}

// nodeThatTells serves metrics that change from look to look, and a CPU profile.
func nodeThatTells(t *testing.T, p *profile.Profile, lag func(look int) string) string {
	t.Helper()
	var looks atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, lag(int(looks.Add(1)))) })
	mux.HandleFunc("GET /debug/pprof/profile", func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("seconds") != "1" {
			http.Error(w, "another time", http.StatusBadRequest)
			return
		}
		_ = p.Write(w)
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL
}

// TestRolesOfNodes adds up what two nodes tell, and prints it.
func TestRolesOfNodes(t *testing.T) {
	shard, gateway := []string{"parley/ingest/shard.(*Shard).Run"}, []string{"parley/delivery/gateway.(*session).run"}
	one := nodeThatTells(t, sampled(stack(shard, "role=shard"), stack(gateway, "role=gateway"), stack(gateway, "role=gateway")), func(look int) string {
		return fmt.Sprintf(`parley_shard_tail_commits{partition="0"} %d
parley_shard_tail_commits{partition="1"} 1
parley_runner_lag_commits{partition="0",projection="timeline"} %d
parley_runner_lag_seconds{partition="0",projection="timeline"} 0.25
parley_reactor_lag_commits{partition="0"} 0
parley_reactor_lag_seconds{partition="0"} 0
`, 10*look, look)
	})
	two := nodeThatTells(t, sampled(stack(shard, "role=shard"), stack(shard, "role=shard"), stack(shard, "role=shard")), func(int) string {
		return `parley_runner_lag_commits{partition="1",projection="timeline"} 100
parley_runner_lag_seconds{partition="1",projection="timeline"} 1.5
`
	})
	p := newProcess(&Target{Admin: one, Others: []Target{{Admin: two}}})
	defer p.close()

	roles, err := p.roles(t.Context(), time.Now(), time.Second)
	require.NoError(t, err)
	const ms = time.Millisecond
	require.Equal(t, []RoleCPU{
		{"shard", 40 * ms, []Share{{"parley/ingest/shard", 40 * ms}}},
		{"gateway", 20 * ms, []Share{{"parley/delivery/gateway", 20 * ms}}},
	}, roles)

	behind, err := p.lags(t.Context(), time.Now(), time.Second)
	require.NoError(t, err)
	require.Equal(t, []Behind{
		{Name: "projection timeline", Median: 103, P99: 105, Max: 105, Last: 105, Oldest: 1.5},
		{Name: "reactors"},
		{Name: "tail of shards", Median: 31, P99: 51, Max: 51, Last: 51},
	}, behind)

	var out bytes.Buffer
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(&out, format+"\n", args...) }
	printRoles(line, roles, 80*ms, 1000)
	require.Contains(t, out.String(), "profiles have 60.0 us a message, the system counts 80.0")
	require.Contains(t, out.String(), "shard\t40.0\t66.7 %\tparley/ingest/shard 100 %")

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = p.lags(ended, time.Now(), time.Hour)
	require.ErrorIs(t, err, context.Canceled)
}
