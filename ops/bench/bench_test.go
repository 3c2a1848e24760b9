package bench

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"parley/delivery/gateway/client"
	"parley/schemas/msync"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestBuckets holds the histogram to its promise: buckets grow with values, and a value is told at most 1/64 too high.
func TestBuckets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.Uint64Range(0, 1<<maxBits-1).Draw(t, "v")
		b := bucket(v)
		if up := upper(b); up < v || float64(up) > float64(v)*(1+1.0/64) || bucket(up) != b {
			t.Fatalf("%d is in bucket %d, which ends at %d (bucket %d)", v, b, up, bucket(up))
		}
		if upper(b) < 1<<maxBits-1 && bucket(upper(b)+1) != b+1 {
			t.Fatalf("after bucket %d comes %d", b, bucket(upper(b)+1))
		}
	})
}

func TestQuantiles(t *testing.T) {
	var h histogram
	if got := h.quantile(0.99); got != 0 {
		t.Fatalf("an empty histogram has a p99 of %s", got)
	}
	for i := range 1000 {
		h.record(time.Duration(i+1) * time.Millisecond)
	}
	for _, tc := range []struct {
		q    float64
		want time.Duration
	}{{0.5, 500 * time.Millisecond}, {0.9, 900 * time.Millisecond}, {0.99, 990 * time.Millisecond}, {1, time.Second}} {
		if got := h.quantile(tc.q); got < tc.want || float64(got) > float64(tc.want)*1.016 {
			t.Errorf("quantile %v is %s, want %s", tc.q, got, tc.want)
		}
	}
	h.record(100 * time.Hour)
	h.record(-time.Second)
	if l := h.latency(); l.Max != 100*time.Hour || l.Count != 1002 {
		t.Errorf("beyond the range: %+v", l)
	}
}

func TestTally(t *testing.T) {
	for _, tc := range []struct {
		name                    string
		acked, arrived          []int
		lost, repeats, disorder int
	}{
		{"in order", []int{0, 1, 2}, []int{0, 1, 2}, 0, 0, 0},
		{"one lost", []int{0, 1, 2}, []int{0, 2}, 1, 0, 0},
		{"one arrived without an acknowledgement", []int{0, 2}, []int{0, 1, 2}, 0, 0, 0},
		{"one twice", []int{0, 1}, []int{0, 1, 0}, 0, 1, 0},
		{"one late", []int{0, 1, 2}, []int{0, 2, 1}, 0, 0, 1},
		{"far apart", []int{0, 199}, []int{199, 0}, 0, 0, 1},
		{"nothing arrived", []int{63, 64}, nil, 2, 0, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			acked, got := newBitmap(200), newTally(200)
			for _, i := range tc.acked {
				acked.set(i)
			}
			for _, i := range tc.arrived {
				got.add(i)
			}
			if lost := got.seen.missing(acked); lost != tc.lost || got.repeats != tc.repeats || got.disorder != tc.disorder {
				t.Errorf("lost %d, repeats %d, disorder %d", lost, got.repeats, got.disorder)
			}
		})
	}
}

// TestBodies holds a pair to reading what it has written, and to refusing what another has.
func TestBodies(t *testing.T) {
	d := &direct{run: "01234567", cfg: DefaultDirect()}
	a, err := newPair(d, 3, "ana", "ben")
	if err != nil {
		t.Fatal(err)
	}
	b, err := newPair(d, 4, "cay", "dan")
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		seq := rapid.IntRange(0, d.cfg.perPair()-1).Draw(t, "seq")
		due := time.Duration(rapid.Int64Range(0, int64(maxTime)).Draw(t, "due"))
		a.fill(seq, due)
		e, err := msync.ScanBody(a.out.Payload)
		if err != nil || string(e.To.Name) != "ben" {
			t.Fatalf("not a message: %+v %v", e, err)
		}
		if s, at, ok := a.parse(a.out.Payload); !ok || s != seq || at != due {
			t.Fatalf("wrote %d %s, read %d %s %v", seq, due, s, at, ok)
		}
		if _, _, ok := b.parse(a.out.Payload); ok {
			t.Fatal("another pair took it for its own")
		}
		if _, _, ok := a.parse(a.out.Payload[:a.digits+5]); ok {
			t.Fatal("half a body was read")
		}
	})
	b.onMessage(client.Delivery{Meta: msync.MetaView{Payload: a.out.Payload}})
	if b.tally.strange != 1 {
		t.Fatal("a message for somebody else went unnoticed")
	}
}

func TestValidate(t *testing.T) {
	good := Target{
		App: "demo#chat", ClientID: "id", ClientSecret: "secret",
		REST: "http://127.0.0.1:1", WS: "ws://localhost:1/ws", Admin: "http://[::1]:2",
	}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	far := good
	far.WS, far.Admin = "wss://chat.example.com/ws", "http://192.0.2.1:9090"
	c := DefaultDirect()
	c.Target, c.Pairs, c.Rate, c.Size = far, 0, maxRate+1, 10
	err := c.Validate()
	if err == nil {
		t.Fatal("a wrong configuration passed")
	}
	for _, name := range []string{"pairs: ", "rate: ", "size: ", "ws: ", "admin: "} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%q is not told: %v", name, err)
		}
	}
	i := IdleConfig{Target: good, Connections: maxConnections + 1, Settle: time.Hour}
	if err := i.Validate(); err == nil || !strings.Contains(err.Error(), "connections: ") || !strings.Contains(err.Error(), "settle: ") {
		t.Errorf("idle: %v", err)
	}
}

func TestReadTarget(t *testing.T) {
	file := filepath.Join(t.TempDir(), "dev.json")
	text := `{"app":"demo#chat","client_id":"i","client_secret":"s","rest":"http://127.0.0.1:8080","ws":"ws://127.0.0.1:8080/ws",
		"admin":"http://127.0.0.1:9090","admin_key":"k"}`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := ReadTarget(file)
	if err != nil || got.Validate() != nil || got.WS != "ws://127.0.0.1:8080/ws" {
		t.Fatalf("%+v, %v, %v", got, err, got.Validate())
	}
	if _, err := ReadTarget(file + ".none"); err == nil {
		t.Fatal("a missing file was read")
	}
}

func TestReadSample(t *testing.T) {
	text := `# HELP process_cpu_seconds_total x
process_cpu_seconds_total 12.5
process_resident_memory_bytes 1.5e+08
go_memstats_heap_inuse_bytes 3e+07
go_memstats_stack_inuse_bytes 1e+06
parley_shard_tail_commits{partition="0"} 40
parley_shard_tail_commits{partition="1"} 2
parley_gateway_login_seconds_bucket{le="0.1"} 9
parley_gateway_login_seconds_sum 0.25
parley_gateway_login_seconds_count 3
parley_other{a="b c"} 1
parley_room_shed_total{priority="low",reason="rate"} 5
parley_room_shed_total{priority="normal",reason="rate"} 6
parley_runner_lag_commits{partition="0"} 3
parley_reactor_lag_commits{partition="0"} 4
go_memstats_mallocs_total 1.5e+06
go_goroutines 70
process_open_fds 80
`
	got, err := readSample(strings.NewReader(text))
	want := sample{
		cpu: 12500 * time.Millisecond, rss: 150_000_000, inUse: 31_000_000, tail: 42, logins: 3, login: 250 * time.Millisecond,
		shed: 11, lag: 7, allocs: 1_500_000, goroutines: 70, files: 80,
	}
	if err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []string{"", "process_cpu_seconds_total 1\n", "process_cpu_seconds_total x\nprocess_resident_memory_bytes 1\n"} {
		if _, err := readSample(strings.NewReader(bad)); err == nil {
			t.Errorf("%q passed", bad)
		}
	}
}

// TestReport holds a run to failing when anything is wrong, one fault at a time.
func TestReport(t *testing.T) {
	if err := (&DirectReport{Sent: 5, Acked: 5, Arrived: 5, Refused: map[string]int{"busy": 3}}).Err(); err != nil {
		t.Errorf("refusals are the server's right: %v", err)
	}
	for _, r := range []DirectReport{{Lost: 1}, {Repeats: 1}, {Disorder: 1}, {Strange: 1}, {Unanswered: 1}, {Unsent: 1}, {Broken: []string{"x"}}} {
		if r.Err() == nil {
			t.Errorf("%+v passed", r)
		}
	}
	for _, r := range []IdleReport{{Connections: 2, Connected: 1, Answered: 1}, {Connections: 1, Connected: 1}, {Storm: &StormReport{Failed: 1}}} {
		if r.Err() == nil {
			t.Errorf("%+v passed", r)
		}
	}
	var b strings.Builder
	if err := (&DirectReport{}).Print(&b); err != nil || !strings.Contains(b.String(), "0 lost, 0 repeated, 0 out of order") {
		t.Errorf("%v: %s", err, b.String())
	}
}
