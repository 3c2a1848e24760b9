package bench

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// Behind is how far something of the server was behind the log, in samples over the measured time, of all partitions and nodes together.
type Behind struct {
	Name                   string
	Median, P99, Max, Last int64   // commits
	Oldest                 float64 // seconds, of the worst partition of all samples; 0 for the tail, which has none
}

// lagEvery is between two samples of who is behind.
const lagEvery = 5 * time.Second

// lags samples how far projections, reactors and checkpoints are behind, from then on.
func (p *process) lags(ctx context.Context, from time.Time, d time.Duration) ([]Behind, error) {
	seen := behinds{}
	every := min(lagEvery, d/4)
	for at := time.Duration(0); at <= d; at += every {
		if err := sleep(ctx, time.Until(from.Add(at))); err != nil {
			return nil, err
		}
		now := map[string]int64{}
		for _, n := range append([]*process{p}, p.others...) {
			if err := n.lagNow(ctx, now, seen); err != nil {
				return nil, fmt.Errorf("bench: the server's lag: %w", err)
			}
		}
		for name, commits := range now {
			seen.of(name).commits = append(seen.of(name).commits, commits)
		}
	}
	return seen.told(), nil
}

// behinds is what was sampled, by name.
type behinds map[string]*behind

type behind struct {
	commits []int64
	oldest  float64
}

func (b behinds) of(name string) *behind {
	if b[name] == nil {
		b[name] = &behind{}
	}
	return b[name]
}

// lagNow adds what one node says to the commits of now, and notes what is oldest.
func (p *process) lagNow(ctx context.Context, now map[string]int64, seen behinds) error {
	names := []string{metricTail, metricRunnerLag, metricReactorLag, metricRunnerAge, metricReactorAge}
	return p.get(ctx, "/metrics", func(r io.Reader) error {
		return series(r, names, func(metric, labels string, v float64) {
			name := "reactors"
			switch metric {
			case metricTail:
				name = "tail of shards"
			case metricRunnerLag, metricRunnerAge:
				name = "projection " + labelOf(labels, "projection")
			}
			if metric == metricRunnerAge || metric == metricReactorAge {
				seen.of(name).oldest = max(seen.of(name).oldest, v)
				return
			}
			now[name] += int64(v)
		})
	})
}

// labelOf finds the value of a label.
func labelOf(labels, name string) string {
	for l := range strings.SplitSeq(labels, ",") {
		if v, ok := strings.CutPrefix(l, name+`="`); ok {
			return strings.TrimSuffix(v, `"`)
		}
	}
	return ""
}

// told sums up, by name.
func (b behinds) told() (out []Behind) {
	for _, name := range slices.Sorted(maps.Keys(b)) {
		of := b[name].commits
		if len(of) == 0 {
			continue
		}
		last := of[len(of)-1]
		slices.Sort(of)
		out = append(out, Behind{
			Name: name, Median: median(of), P99: of[(len(of)*99+99)/100-1], Max: of[len(of)-1], Last: last, Oldest: b[name].oldest,
		})
	}
	return out
}

func printBehind(row func(format string, args ...any), all []Behind) {
	row("== commits behind, samples of all partitions together; the oldest of any partition in ms")
	row("WHO\tMEDIAN\tP99\tMAX\tLAST\tOLDEST")
	for _, b := range all {
		row("%s\t%d\t%d\t%d\t%d\t%.0f", b.Name, b.Median, b.P99, b.Max, b.Last, 1000*b.Oldest)
	}
}
