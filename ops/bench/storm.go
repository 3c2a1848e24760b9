package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync/atomic"
	"text/tabwriter"
	"time"
)

// StormReport says what the return of all sessions at once took.
type StormReport struct {
	Sessions  int
	Failed    int
	Took      time.Duration
	ServerCPU time.Duration
	ClientCPU time.Duration
	Allocs    int64 // objects that the server allocated
	RSSAfter  int64
	Login     Latency
}

// DefaultStorm is the storm of the design.
func DefaultStorm() IdleConfig { return IdleConfig{Connections: 3000, Settle: 2 * time.Second} }

// Storm holds sessions, cuts all at once and lets them come back as fast as the server takes them.
func Storm(ctx context.Context, cfg IdleConfig, log io.Writer) (*StormReport, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	i := newIdle(cfg)
	defer i.server.close()
	defer i.cut()
	if err := i.users(ctx, log); err != nil {
		return nil, err
	}
	if err := i.dialAll(ctx, nil); err != nil {
		return nil, err
	}
	if err := sleep(ctx, cfg.Settle); err != nil {
		return nil, err
	}
	return i.storm(ctx)
}

func (i *idle) storm(ctx context.Context) (*StormReport, error) {
	profiled := i.server.profile(ctx, time.Now(), profileOfShort)
	before, err := i.server.sample(ctx)
	if err != nil {
		return nil, err
	}
	var failed atomic.Int64
	var login histogram
	own := ownCPU()
	i.cut()
	start := time.Now()
	if err := i.dialAll(ctx, &failed, &login); err != nil {
		return nil, err
	}
	took := time.Since(start)
	after, err := i.server.sample(ctx)
	if err != nil {
		return nil, err
	}
	return &StormReport{
		Sessions: len(i.sessions), Failed: int(failed.Load()), Took: took, ServerCPU: after.cpu - before.cpu, ClientCPU: ownCPU() - own,
		Allocs: after.allocs - before.allocs, RSSAfter: after.rss, Login: login.latency(),
	}, profiled()
}

// CPUPerSession is the server's CPU for each session that was cut and came back.
func (r *StormReport) CPUPerSession() time.Duration {
	return r.ServerCPU / time.Duration(max(r.Sessions, 1))
}

// Err says what a correct server would not have done.
func (r *StormReport) Err() error {
	if r.Failed > 0 {
		return fmt.Errorf("%d sessions did not come back", r.Failed)
	}
	return nil
}

// Print writes the report as a table.
func (r *StormReport) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	r.rows(func(name, format string, args ...any) { _, _ = fmt.Fprintf(t, name+"\t"+format+"\n", args...) }) // Flush reports errors
	return t.Flush()
}

func (r *StormReport) rows(row func(name, format string, args ...any)) {
	row("storm", "%d sessions back in %s, %d failed, %s server CPU each", r.Sessions-r.Failed, r.Took.Round(time.Millisecond), r.Failed,
		r.CPUPerSession())
	row("client CPU", "%s each", r.ClientCPU/time.Duration(max(r.Sessions, 1)))
	row("server allocations", "%.0f each", float64(r.Allocs)/float64(max(r.Sessions, 1)))
	row("log-in in the storm", "%s", r.Login)
	row("RSS after", "%.1f MB", megabytes(r.RSSAfter))
}

// JSON writes the report for machines.
func (r *StormReport) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}
