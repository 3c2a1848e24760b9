package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// SoakReport is the outcome of a soak.
type SoakReport struct {
	Duration  time.Duration
	Tolerance float64
	Direct    *DirectReport
	Group     *GroupReport
	Room      *RoomReport
	Levels    []Level
	Samples   []Sample
}

// Level is a measure of the server over time: flat when the median of the last third of the time is not above that of the middle third by
// more than the tolerance and the slack, which is for measures that are small.
type Level struct {
	Name                string
	First, Middle, Last int64 // medians of the thirds
	Slack               int64
	Limit               int64 // of Last
	Flat                bool
}

// the slack of each measure
const (
	slackDelivery   = time.Second // medians of quarters
	slackBytes      = 16 << 20
	slackGoroutines = 30
	slackFiles      = 30
	slackSeconds    = 3 // of the load, for what counts commits: checkpoints come now and then
)

// judge finds what is flat. rate is the load in messages a second.
func (r *SoakReport) judge(rate int) {
	for _, m := range []struct {
		name  string
		slack int64
		of    func(*Sample) int64
	}{
		{"RSS, bytes", slackBytes, func(s *Sample) int64 { return s.RSS }},
		{"heap and stacks, bytes", slackBytes, func(s *Sample) int64 { return s.InUse }},
		{"goroutines", slackGoroutines, func(s *Sample) int64 { return s.Goroutines }},
		{"open files", slackFiles, func(s *Sample) int64 { return s.Files }},
		{"tail, commits", slackSeconds * int64(rate), func(s *Sample) int64 { return s.Tail }},
		{"lag, commits", slackSeconds * int64(rate), func(s *Sample) int64 { return s.Lag }},
	} {
		var values []int64
		for i := range r.Samples {
			values = append(values, m.of(&r.Samples[i]))
		}
		r.Levels = append(r.Levels, levelOf(m.name, values, m.slack, r.Tolerance))
	}
	// Delivery that falls behind further and further loses nothing in the end, and is no server's steady state.
	for name, q := range map[string][4]Latency{
		"direct": r.Direct.ArrivalByTime, "group": r.Group.ArrivalByTime, "room": r.Room.ArrivalByTime,
	} {
		of := func(i int) int64 { return q[i].P50.Microseconds() }
		l := Level{Name: name + " end to end, us", First: of(0), Middle: max(of(1), of(2)), Last: of(3), Slack: slackDelivery.Microseconds()}
		r.Levels = append(r.Levels, l.judged(r.Tolerance))
	}
	slices.SortStableFunc(r.Levels[len(r.Levels)-3:], func(a, b Level) int { return strings.Compare(a.Name, b.Name) })
}

func levelOf(name string, values []int64, slack int64, tolerance float64) Level {
	n := len(values) / 3
	l := Level{
		Name: name, First: median(values[:n]), Middle: median(values[n : len(values)-n]), Last: median(values[len(values)-n:]), Slack: slack,
	}
	return l.judged(tolerance)
}

func (l Level) judged(tolerance float64) Level {
	l.Limit = int64(float64(l.Middle)*(1+tolerance)) + l.Slack
	l.Flat = l.Last <= l.Limit
	return l
}

// median returns the middle value, 0 of none.
func median(values []int64) int64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// Err says what a correct server would not have done.
func (r *SoakReport) Err() error {
	var errs []error
	for _, part := range []struct {
		name string
		err  error
	}{{"direct", r.Direct.Err()}, {"group", r.Group.Err()}, {"room", r.Room.Err()}} {
		if part.err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", part.name, part.err))
		}
	}
	for _, l := range r.Levels {
		if !l.Flat {
			errs = append(errs, fmt.Errorf("%s: %d in the last third, %d in the middle one: at most %d", l.Name, l.Last, l.Middle, l.Limit))
		}
	}
	return errors.Join(errs...)
}

// Print writes the report as tables.
func (r *SoakReport) Print(w io.Writer) error {
	for _, part := range []struct {
		name string
		r    Report
	}{{"direct", r.Direct}, {"group", r.Group}, {"room", r.Room}} {
		if _, err := fmt.Fprintf(w, "== %s (CPU, allocations and memory are those of all three)\n", part.name); err != nil {
			return err
		}
		if err := part.r.Print(w); err != nil {
			return err
		}
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(format string, args ...any) { _, _ = fmt.Fprintf(t, format+"\n", args...) } // Flush reports errors
	row("== the server in %s, %d samples: medians of the thirds; the last is at most the middle one and %.0f %% and the slack",
		r.Duration, len(r.Samples), 100*r.Tolerance)
	row("MEASURE\tFIRST\tMIDDLE\tLAST\tSLACK\tLIMIT\t")
	for _, l := range r.Levels {
		verdict := "flat"
		if !l.Flat {
			verdict = "GROWS"
		}
		row("%s\t%d\t%d\t%d\t%d\t%d\t%s", l.Name, l.First, l.Middle, l.Last, l.Slack, l.Limit, verdict)
	}
	return t.Flush()
}

// JSON writes the report for machines.
func (r *SoakReport) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}
