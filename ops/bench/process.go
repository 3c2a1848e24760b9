package bench

import (
	"bufio"
	"context"
	"errors"
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
	cpu    time.Duration // user and system, since its start
	rss    int64         // bytes resident
	inUse  int64         // bytes of heap spans and stacks in use; 0 when the server does not tell
	allocs int64         // objects allocated since its start; 0 when the server does not tell
	tail   int64         // commits after the checkpoints of all partitions
	lag    int64         // commits that projections and reactors have not applied yet, over all of them
	shed   int64         // messages that rooms did not take

	goroutines int64
	files      int64 // open ones, sockets included

	logins int64         // handshakes answered well
	login  time.Duration // what they took, added up
}

// process reads a server's own measurements from its admin listener.
type process struct {
	admin    string
	http     *http.Client
	profiles string // folder for profiles of what is measured; empty: none
	others   []*process
}

func newProcess(t *Target) *process {
	p := &process{admin: strings.TrimSuffix(t.Admin, "/"), http: &http.Client{Timeout: 20 * time.Second}, profiles: t.Profiles}
	for i := range t.Others {
		p.others = append(p.others, newProcess(&t.Others[i]))
	}
	return p
}

// close ends the idle connections.
func (p *process) close() {
	p.http.CloseIdleConnections()
	for _, o := range p.others {
		o.close()
	}
}

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

// sample reads the measurements now, of all nodes together.
func (p *process) sample(ctx context.Context) (s sample, err error) {
	err = p.get(ctx, "/metrics", func(r io.Reader) error { s, err = readSample(r); return err })
	if err != nil {
		return s, fmt.Errorf("bench: the server's metrics: %w", err)
	}
	for _, o := range p.others {
		more, err := o.sample(ctx)
		if err != nil {
			return s, err
		}
		s.add(&more)
	}
	return s, nil
}

// add adds what another node says.
func (s *sample) add(o *sample) {
	s.cpu, s.login = s.cpu+o.cpu, s.login+o.login
	for _, f := range []struct{ to, from *int64 }{
		{&s.rss, &o.rss},
		{&s.inUse, &o.inUse},
		{&s.allocs, &o.allocs},
		{&s.tail, &o.tail},
		{&s.lag, &o.lag},
		{&s.shed, &o.shed},
		{&s.goroutines, &o.goroutines},
		{&s.files, &o.files},
		{&s.logins, &o.logins},
	} {
		*f.to += *f.from
	}
}

// watch samples the server when the measured time begins and at the end of each quarter, and this process at its beginning. Meanwhile it
// takes profiles, if they are wanted.
func (p *process) watch(ctx context.Context, from time.Time, d time.Duration) (marks [5]sample, own time.Duration, err error) {
	profiled := p.profile(ctx, from, d)
	defer func() { err = errors.Join(err, profiled()) }()
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
	metricCPU        = "process_cpu_seconds_total"
	metricRSS        = "process_resident_memory_bytes"
	metricFiles      = "process_open_fds"
	metricHeap       = "go_memstats_heap_inuse_bytes"
	metricStack      = "go_memstats_stack_inuse_bytes"
	metricAllocs     = "go_memstats_mallocs_total"
	metricGoroutines = "go_goroutines"
	metricTail       = "parley_shard_tail_commits" // one for each partition: they are added up, as are the next
	metricRunnerLag  = "parley_runner_lag_commits"
	metricReactorLag = "parley_reactor_lag_commits"
	metricRunnerAge  = "parley_runner_lag_seconds"
	metricReactorAge = "parley_reactor_lag_seconds"
	metricShed       = "parley_room_shed_total"

	metricLogins = "parley_gateway_login_seconds_count"
	metricLogin  = "parley_gateway_login_seconds_sum"
)

// series reads metrics in the Prometheus text format and hands on those that are asked for by name.
func series(r io.Reader, names []string, each func(name, labels string, value float64)) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		end := strings.IndexAny(line, "{ ")
		if end < 0 || !slices.Contains(names, line[:end]) {
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		v, err := strconv.ParseFloat(line[at+1:], 64)
		if err != nil {
			return fmt.Errorf("%s: %w", line[:end], err)
		}
		each(line[:end], strings.Trim(line[end:at], "{}"), v)
	}
	return lines.Err()
}

// readSample finds the metrics. CPU and resident memory must be there.
func readSample(r io.Reader) (sample, error) {
	names := []string{
		metricCPU, metricRSS, metricFiles, metricHeap, metricStack, metricAllocs, metricGoroutines, metricTail, metricRunnerLag,
		metricReactorLag, metricShed, metricLogins, metricLogin,
	}
	found := map[string]float64{}
	if err := series(r, names, func(name, _ string, v float64) { found[name] += v }); err != nil {
		return sample{}, err
	}
	for _, name := range names[:2] {
		if _, ok := found[name]; !ok {
			return sample{}, fmt.Errorf("%s is missing", name)
		}
	}
	count := func(names ...string) (n int64) {
		for _, name := range names {
			n += int64(found[name])
		}
		return n
	}
	seconds := func(name string) time.Duration { return time.Duration(found[name] * float64(time.Second)) }
	return sample{
		cpu: seconds(metricCPU), rss: count(metricRSS), inUse: count(metricHeap, metricStack), allocs: count(metricAllocs),
		tail: count(metricTail), lag: count(metricRunnerLag, metricReactorLag), shed: count(metricShed),
		goroutines: count(metricGoroutines), files: count(metricFiles), logins: count(metricLogins), login: seconds(metricLogin),
	}, nil
}

// shed reads how many messages rooms did not take, by priority and reason.
func (p *process) shed(ctx context.Context) (map[string]int64, error) {
	out := map[string]int64{}
	err := p.get(ctx, "/metrics", func(r io.Reader) error {
		return series(r, []string{metricShed}, func(_, labels string, v float64) { out[labels] += int64(v) })
	})
	if err != nil {
		return nil, fmt.Errorf("bench: the server's metrics: %w", err)
	}
	return out, nil
}

// ownCPU is what this process has used so far.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0 // not known on this system: the report says 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
