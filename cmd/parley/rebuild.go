package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"parley/domain"
	"parley/projections"
	"parley/projections/runner"
)

// rebuilds runs the rebuilds that operators ask for, and goes on with those that a restart has broken off.
type rebuilds struct {
	runner     *runner.Runner
	partitions []domain.Partition
	log        *slog.Logger
	asks       chan rebuildAsk

	mu   sync.Mutex
	jobs map[string]*rebuildJob // the last of each read model
}

type rebuildAsk struct {
	name   string
	rate   int
	answer chan error
}

// rebuildJob is one rebuild, as long as the process remembers.
type rebuildJob struct {
	from, to   int
	rate       int
	began, end time.Time
	at         uint64 // commits that were done when it began
	done       uint64 // commits that were done at its end
	err        error
}

func newRebuilds(r *runner.Runner, partitions []domain.Partition, log *slog.Logger) *rebuilds {
	return &rebuilds{runner: r, partitions: partitions, log: log, asks: make(chan rebuildAsk), jobs: map[string]*rebuildJob{}}
}

// run goes on with what was broken off and does what is asked, until ctx ends. A rebuild that ctx breaks off goes on after the next start.
func (b *rebuilds) run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, name := range b.runner.Rebuilding() {
		b.log.Info("a rebuild goes on", "projection", name)
		b.begin(ctx, &wg, name, 0)
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case ask := <-b.asks:
			ask.answer <- b.admit(ctx, &wg, ask)
		}
	}
}

func (b *rebuilds) admit(ctx context.Context, wg *sync.WaitGroup, ask rebuildAsk) error {
	if !slices.ContainsFunc(projections.Kinds(), func(k runner.Kind) bool { return k.Name == ask.name }) {
		return refuse(http.StatusNotFound, "not_found", "there is no read model %q: there are %v", ask.name, kindsByName())
	}
	b.mu.Lock()
	j := b.jobs[ask.name]
	b.mu.Unlock()
	if j != nil && j.end.IsZero() {
		return refuse(http.StatusConflict, "running", "%s is being rebuilt already", ask.name)
	}
	b.begin(ctx, wg, ask.name, ask.rate)
	return nil
}

func kindsByName() []string {
	var names []string
	for _, k := range projections.Kinds() {
		names = append(names, k.Name)
	}
	slices.Sort(names)
	return names
}

func (b *rebuilds) begin(ctx context.Context, wg *sync.WaitGroup, name string, rate int) {
	j := &rebuildJob{from: b.runner.Active(name), rate: rate, began: time.Now()}
	j.to = j.from + 1
	j.at = b.reached(name, j.to)
	b.mu.Lock()
	b.jobs[name] = j
	b.mu.Unlock()
	wg.Go(func() {
		err := b.runner.RebuildAt(ctx, name, b.partitions, rate)
		done := b.reached(name, j.to)
		b.mu.Lock()
		defer b.mu.Unlock()
		j.end, j.err, j.done = time.Now(), err, done
		if err != nil && ctx.Err() == nil {
			b.log.Error("a rebuild has failed", "projection", name, "version", j.to, "err", err)
		} else if err == nil {
			b.log.Info("a rebuild is read now", "projection", name, "version", j.to, "took_ms", j.end.Sub(j.began).Milliseconds())
		}
	})
}

// reached sums how many commits a version has applied.
func (b *rebuilds) reached(name string, version int) (done uint64) {
	for _, s := range b.runner.Statuses() {
		if s.Name == name && s.Version == version {
			done += uint64(s.Index)
		}
	}
	return done
}

// builtView is a version of a read model as operators see it.
type builtView struct {
	Name        string          `json:"name"`
	Version     int             `json:"version"`
	State       string          `json:"state"` // read, building, or failed
	Commits     uint64          `json:"commits"`
	Behind      uint64          `json:"behind"`      // commits
	Lag         float64         `json:"lag_seconds"` // age of the last applied commit of the partition that is furthest behind; 0: none is
	Quarantined int             `json:"quarantined"` // streams
	Rate        float64         `json:"rate,omitempty"`
	Left        float64         `json:"left_seconds,omitempty"` // about; absent: not known yet
	Took        float64         `json:"took_seconds,omitempty"` // of the last rebuild, when this is what came of it
	Was         int             `json:"was,omitempty"`          // the version that it took the place of
	Error       string          `json:"error,omitempty"`
	Partitions  []builtPosition `json:"partitions"`
}

type builtPosition struct {
	Partition   domain.Partition `json:"partition"`
	Next        domain.Offset    `json:"next"`
	Index       domain.Index     `json:"index"`
	Behind      uint64           `json:"behind"`
	Quarantined int              `json:"quarantined"`
}

// view returns every version, by name and version.
func (b *rebuilds) view(now time.Time) []*builtView {
	var out []*builtView
	for _, s := range b.runner.Statuses() {
		n := len(out)
		if n == 0 || out[n-1].Name != s.Name || out[n-1].Version != s.Version {
			state := "building"
			if s.Active {
				state = "read"
			}
			out = append(out, &builtView{Name: s.Name, Version: s.Version, State: state})
		}
		v := out[len(out)-1]
		v.Commits, v.Behind, v.Quarantined = v.Commits+uint64(s.Index), v.Behind+s.Behind(), v.Quarantined+s.Quarantined
		if s.Behind() > 0 && s.T != 0 {
			v.Lag = max(v.Lag, now.Sub(s.T.Time()).Seconds())
		}
		v.Partitions = append(v.Partitions, builtPosition{s.Partition, s.Next, s.Index, s.Behind(), s.Quarantined})
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, v := range out {
		if j := b.jobs[v.Name]; j != nil && j.to == v.Version {
			v.add(j, now)
		}
	}
	return out
}

// add tells how a version's rebuild goes, or went.
func (v *builtView) add(j *rebuildJob, now time.Time) {
	until, done := now, v.Commits
	if !j.end.IsZero() {
		until, done = j.end, j.done
		v.Took, v.Was = until.Sub(j.began).Seconds(), j.from
	}
	if took := until.Sub(j.began).Seconds(); took > 0 && done > j.at {
		v.Rate = float64(done-j.at) / took
	}
	if j.end.IsZero() && v.Rate > 0 {
		v.Left = float64(v.Behind) / v.Rate
	}
	if j.err != nil && v.State == "building" {
		v.State, v.Error = "failed", j.err.Error()
	}
}

func (o *operator) listRebuilds(context.Context, *http.Request) (any, error) {
	return map[string]any{"projections": o.node.rebuilds.view(time.Now())}, nil
}

// startRebuild is POST /api/rebuilds {name, rate}.
func (o *operator) startRebuild(ctx context.Context, r *http.Request) (any, error) {
	var req struct {
		Name string `json:"name"`
		Rate int    `json:"rate"`
	}
	if err := readAsk(r, &req); err != nil {
		return nil, err
	}
	if req.Rate < 0 {
		return nil, refuse(http.StatusBadRequest, "bad_request", "rate is %d, must not be negative", req.Rate)
	}
	if n := o.node.others(); n > 0 {
		return nil, refuse(http.StatusConflict, "not_alone", "%d other nodes run: a rebuild needs all partitions on one node, stop the others first", n)
	}
	ask := rebuildAsk{req.Name, req.Rate, make(chan error, 1)}
	select {
	case o.node.rebuilds.asks <- ask:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-o.ending:
		return nil, refuse(http.StatusServiceUnavailable, "stopping", "%w", errStopping)
	}
	if err := <-ask.answer; err != nil {
		return nil, err
	}
	return map[string]any{"name": req.Name, "started": true}, nil
}

func rebuildCommand() *cobra.Command {
	var list, wait, positions bool
	var format string
	var rate int
	cmd := &cobra.Command{
		Use: "rebuild [NAME]", Short: "Make a read model anew from the log, beside the one that is read", Args: cobra.MaximumNArgs(1),
		Long: `Make a read model anew from the log: a new version replays beside the one that is read, which goes on unchanged, and is switched to when it
has caught up in every partition. It runs in the server, goes on after a restart, and is not stopped by interrupting this command. Messages
flow meanwhile; --rate keeps the rebuild from taking what they need. With --list the versions, how far they are, and what waits in
quarantine.

The old version's rows stay until the next rebuild of the same read model.`,
		Example: `  parley rebuild --list
  parley rebuild timeline --rate 20000 --wait
  parley rebuild --list --positions`,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := adminFrom(cmd)
			if err != nil {
				return err
			}
			switch {
			case len(args) == 0 && !list:
				return errors.New("name the read model, or ask for the --list")
			case list:
				return listBuilt(cmd, c, positions, format)
			}
			ctx := contextOf(cmd)
			if err := c.call(ctx, http.MethodPost, "/api/rebuilds", map[string]any{"name": args[0], "rate": rate}, &printed{}); err != nil {
				return err
			}
			if !wait {
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s is being rebuilt: parley rebuild --list shows how far it is\n", args[0])
				return err
			}
			return awaitBuilt(ctx, c, args[0], cmd.OutOrStdout())
		},
	}
	adminFlags(cmd)
	f := cmd.Flags()
	f.IntVar(&rate, "rate", 0, "at most so many commits a second; 0: as fast as it can")
	f.BoolVar(&wait, "wait", false, "show the progress and wait for the end")
	f.BoolVar(&list, "list", false, "list the read models")
	f.BoolVar(&positions, "positions", false, "with --list: each partition")
	f.StringVar(&format, "format", "text", "with --list: text or json")
	completed(cmd, "format", []string{"text", "json"})
	cmd.ValidArgsFunction = cobra.FixedCompletions(kindsByName(), cobra.ShellCompDirectiveNoFileComp)
	return cmd
}

func builtViews(ctx context.Context, c *adminClient) ([]builtView, error) {
	var out struct {
		Projections []builtView `json:"projections"`
	}
	err := c.call(ctx, http.MethodGet, "/api/rebuilds", nil, &out)
	return out.Projections, err
}

func listBuilt(cmd *cobra.Command, c *adminClient, positions bool, format string) error {
	all, err := builtViews(contextOf(cmd), c)
	if err != nil {
		return err
	}
	if format == "json" {
		e := json.NewEncoder(cmd.OutOrStdout())
		e.SetIndent("", "  ")
		return e.Encode(all)
	}
	t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "name\tversion\tstate\tcommits\tbehind\tlag\tquarantined\trate\tleft\t")
	for _, v := range all {
		fmt.Fprintf(t, "%s\t%d\t%s\t%d\t%d\t%s\t%d\t%s\t%s\t\n", v.Name, v.Version, v.State, v.Commits, v.Behind, seconds(v.Lag), v.Quarantined,
			perSecond(v.Rate), seconds(v.Left))
	}
	if positions {
		fmt.Fprintln(t, "\nname\tversion\tpartition\tnext\tindex\tbehind\tquarantined\t")
		for _, v := range all {
			for _, p := range v.Partitions {
				fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t\n", v.Name, v.Version, p.Partition, p.Next, p.Index, p.Behind, p.Quarantined)
			}
		}
	}
	return t.Flush()
}

func seconds(s float64) string {
	if s == 0 {
		return "-"
	}
	d := time.Duration(s * float64(time.Second))
	if d < 10*time.Second {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

func perSecond(r float64) string {
	if r == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f/s", r)
}

// progressEvery is how often the progress is asked for.
const progressEvery = 500 * time.Millisecond

// awaitBuilt shows how a rebuild goes until it has ended.
func awaitBuilt(ctx context.Context, c *adminClient, name string, out io.Writer) error {
	for {
		all, err := builtViews(ctx, c)
		if err != nil {
			return err
		}
		ended, err := showBuilt(all, name, out)
		if ended || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(progressEvery):
		}
	}
}

// showBuilt prints one line and tells whether the rebuild has ended.
func showBuilt(all []builtView, name string, out io.Writer) (ended bool, err error) {
	line := name + ": starting\n"
	for _, v := range all {
		if v.Name != name {
			continue
		}
		switch {
		case v.State == "failed":
			return true, fmt.Errorf("the rebuild of %s has failed: %s", name, v.Error)
		case v.State == "building":
			line = fmt.Sprintf("%s: version %d, %d of %d commits, %s, %s left\n", name, v.Version, v.Commits, v.Commits+v.Behind, perSecond(v.Rate),
				seconds(v.Left))
			ended = false
		case v.Was != 0:
			line = fmt.Sprintf("%s: version %d is read now, version %d no more: %d commits in %s\n", name, v.Version, v.Was, v.Commits, seconds(v.Took))
			ended = true
		}
	}
	_, err = io.WriteString(out, line)
	return ended, err
}
