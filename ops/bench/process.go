package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// sample is what a server says of its own process.
type sample struct {
	cpu   time.Duration // user and system, since its start
	rss   int64         // bytes resident
	inUse int64         // bytes of heap spans and stacks in use; 0 when the server does not tell
	tail  int64         // commits after the checkpoints of all partitions

	logins int64         // handshakes answered well
	login  time.Duration // what they took, added up
}

// process reads a server's own measurements from its admin listener.
type process struct {
	admin string
	http  *http.Client
}

func newProcess(admin string) *process {
	return &process{admin: strings.TrimSuffix(admin, "/"), http: &http.Client{Timeout: 20 * time.Second}}
}

// close ends the idle connection.
func (p *process) close() { p.http.CloseIdleConnections() }

func (p *process) get(ctx context.Context, path string, read func(io.Reader) error) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.admin+path, nil)
	if err != nil {
		return err
	}
	resp, err := p.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, resp.Status)
	}
	return read(resp.Body)
}

// sample reads the measurements now.
func (p *process) sample(ctx context.Context) (s sample, err error) {
	err = p.get(ctx, "/metrics", func(r io.Reader) error { s, err = readSample(r); return err })
	if err != nil {
		return s, fmt.Errorf("bench: the server's metrics: %w", err)
	}
	return s, nil
}

// watch samples the server when the measured time begins and at the end of each quarter, and this process at its beginning.
func (p *process) watch(ctx context.Context, from time.Time, d time.Duration) (marks [5]sample, own time.Duration, err error) {
	for i := range marks {
		if err := sleep(ctx, time.Until(from.Add(d*time.Duration(i)/4))); err != nil {
			return marks, own, err
		}
		if marks[i], err = p.sample(ctx); err != nil {
			return marks, own, err
		}
		if i == 0 {
			own = ownCPU()
		}
	}
	return marks, own, nil
}

// collect makes the server collect its garbage, so that what is resident afterwards is what it needs.
func (p *process) collect(ctx context.Context) error {
	err := p.get(ctx, "/debug/pprof/heap?gc=1", func(r io.Reader) error { _, err := io.Copy(io.Discard, r); return err })
	if err != nil {
		return fmt.Errorf("bench: collect garbage: %w", err)
	}
	return nil
}

// the metrics that a sample is made of
const (
	metricCPU   = "process_cpu_seconds_total"
	metricRSS   = "process_resident_memory_bytes"
	metricHeap  = "go_memstats_heap_inuse_bytes"
	metricStack = "go_memstats_stack_inuse_bytes"
	metricTail  = "parley_shard_tail_commits" // one for each partition: they are added up

	metricLogins = "parley_gateway_login_seconds_count"
	metricLogin  = "parley_gateway_login_seconds_sum"
)

// readSample finds the metrics in the Prometheus text format. CPU and resident memory must be there.
func readSample(r io.Reader) (sample, error) {
	names := []string{metricCPU, metricRSS, metricHeap, metricStack, metricTail, metricLogins, metricLogin}
	found := map[string]float64{}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		name, value, ok := strings.Cut(lines.Text(), " ")
		name, _, _ = strings.Cut(name, "{")
		if !ok || !slices.Contains(names, name) {
			continue
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return sample{}, fmt.Errorf("%s: %w", name, err)
		}
		found[name] += v
	}
	for _, name := range names[:2] {
		if _, ok := found[name]; !ok {
			return sample{}, fmt.Errorf("%s is missing", name)
		}
	}
	return sample{
		cpu: time.Duration(found[metricCPU] * float64(time.Second)), rss: int64(found[metricRSS]),
		inUse: int64(found[metricHeap] + found[metricStack]), tail: int64(found[metricTail]),
		logins: int64(found[metricLogins]), login: time.Duration(found[metricLogin] * float64(time.Second)),
	}, lines.Err()
}

// ownCPU is what this process has used so far.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0 // not known on this system: the report says 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
