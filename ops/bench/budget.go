package bench

import (
	"context"
	"fmt"
	"io"
	"time"
)

// Report is what every load has to say.
type Report interface {
	Print(w io.Writer) error
	JSON(w io.Writer) error
	Err() error // what a correct server would not have done
}

// Figure is one promise and what became of it.
type Figure struct {
	Name   string
	Budget string
	Value  string
	OK     bool
}

// Row is one line of the design's table of budgets.
type Row struct {
	Name string // of the flag --only
	Work string
	run  func(ctx context.Context, t Target, log io.Writer) (Report, []Figure, error)
}

func within(name string, value, budget time.Duration) Figure {
	return Figure{Name: name, Budget: "<= " + short(budget), Value: short(value), OK: value <= budget}
}

// short writes a time with as many digits as one compares.
func short(d time.Duration) string {
	v, unit := float64(d.Nanoseconds())/1e6, "ms"
	if d < time.Millisecond {
		v, unit = v*1000, "us"
	}
	digits := 0
	switch {
	case v < 10:
		digits = 2
	case v < 100:
		digits = 1
	}
	return fmt.Sprintf("%.*f %s", digits, v, unit)
}

// sound is the promise that no other figure counts without.
func sound(r Report) Figure {
	f := Figure{Name: "delivery", Budget: "in order, none lost, none twice", Value: "yes", OK: true}
	if err := r.Err(); err != nil {
		f.Value, f.OK = err.Error(), false
	}
	return f
}

// reached is the promise that the load was what was asked for: a rate that falls behind makes all other figures better.
func reached(asked int, got float64) Figure {
	return Figure{
		Name: "rate", Budget: fmt.Sprintf(">= %.0f msg/s", 0.98*float64(asked)), Value: fmt.Sprintf("%.0f msg/s", got), OK: got >= 0.98*float64(asked),
	}
}

// Rows are the budgets that need no cluster. A short pass has the same rates for less time, and fewer sessions and groups.
func Rows(brief bool) []Row {
	length := func(full time.Duration) time.Duration {
		if brief {
			return 5 * time.Second
		}
		return full
	}
	return []Row{
		directRow("direct-10k", 10_000, length(20*time.Second), budgetDirect),
		directRow("direct-20k", 20_000, length(time.Minute), budgetDirectHigh),
		roomRow("room-40", 40, length(20*time.Second), 30*time.Millisecond, 6*time.Microsecond),
		roomRow("room-500", 500, length(20*time.Second), 100*time.Millisecond, 900*time.Nanosecond),
		groupRow(length(20 * time.Second)),
		idleRow(either(brief, 1000, 9000)),
		stormRow(either(brief, 500, 3000)),
		loginRow(either(brief, 200, 2000)),
	}
}

func either(brief bool, few, many int) int {
	if brief {
		return few
	}
	return many
}

func directRow(name string, rate int, d time.Duration, judge func(*DirectReport) []Figure) Row {
	return Row{Name: name, Work: fmt.Sprintf("1:1, 50 pairs, %d msg/s, %s", rate, d), run: func(ctx context.Context, t Target, log io.Writer) (Report, []Figure, error) {
		c := DefaultDirect()
		c.Target, c.Rate, c.Duration = t, rate, d
		r, err := Direct(ctx, c, log)
		if err != nil {
			return nil, nil, err
		}
		return r, append([]Figure{sound(r), reached(rate, r.Reached)}, judge(r)...), nil
	}}
}

func budgetDirect(r *DirectReport) []Figure {
	const p99, p50 = 50 * time.Millisecond, 5 * time.Millisecond
	return []Figure{
		within("ack p99", r.Ack.P99, p99), within("end-to-end p99", r.Arrival.P99, p99),
		within("ack p50", r.Ack.P50, p50), within("end-to-end p50", r.Arrival.P50, p50),
		within("server CPU a message", r.CPUPerMessage(), 70*time.Microsecond),
	}
}

func budgetDirectHigh(r *DirectReport) []Figure {
	const p99 = 200 * time.Millisecond
	return []Figure{within("ack p99", r.Ack.P99, p99), within("end-to-end p99", r.Arrival.P99, p99), level(r.TailByTime)}
}

// level is the promise that the tail does not grow: at the end it is no higher than half as much again as it has been before.
func level(tail [4]int64) Figure {
	limit := max(tail[0], tail[1], tail[2]) * 3 / 2
	return Figure{Name: "tail at the end", Budget: fmt.Sprintf("<= %d commits (1.5 x before)", limit), Value: fmt.Sprint(tail[3]), OK: tail[3] <= limit}
}

func roomRow(name string, rate int, d, p99, cpu time.Duration) Row {
	work := fmt.Sprintf("room, 1,000 viewers, %d msg/s, %s", rate, d)
	return Row{Name: name, Work: work, run: func(ctx context.Context, t Target, log io.Writer) (Report, []Figure, error) {
		c := DefaultRoom()
		c.Target, c.Rate, c.Duration = t, rate, d
		r, err := Room(ctx, c, log)
		if err != nil {
			return nil, nil, err
		}
		refused := total(r.Refused)
		return r, []Figure{
			sound(r), reached(rate, r.Reached),
			{Name: "refused", Budget: "0", Value: fmt.Sprint(refused), OK: refused == 0},
			within("end-to-end p99", r.Arrival.P99, p99), within("server CPU a delivery", r.CPUPerDelivery(), cpu),
		}, nil
	}}
}

func groupRow(d time.Duration) Row {
	c := DefaultGroup()
	work := fmt.Sprintf("group, %d members, %d msg/s, %s", c.Members, c.Rate, d)
	return Row{Name: "group", Work: work, run: func(ctx context.Context, t Target, log io.Writer) (Report, []Figure, error) {
		c.Target, c.Duration = t, d
		r, err := Group(ctx, c, log)
		if err != nil {
			return nil, nil, err
		}
		return r, []Figure{sound(r), reached(c.Rate, r.Reached), {
			Name: "acknowledged = stored = delivered", Budget: "yes", Value: r.equal(), OK: r.equal() == "yes",
		}}, nil
	}}
}

func idleRow(n int) Row {
	return Row{Name: "idle", Work: fmt.Sprintf("%d idle connections", n), run: func(ctx context.Context, t Target, log io.Writer) (Report, []Figure, error) {
		c := DefaultIdle()
		c.Target, c.Connections = t, n
		r, err := Idle(ctx, c, log)
		if err != nil {
			return nil, nil, err
		}
		const budget = 9000
		each := r.RSSPerConnection()
		return r, []Figure{sound(r), {
			Name: "RSS a connection", Budget: "<= 9 KB", Value: fmt.Sprintf("%.2f KB", float64(each)/1000), OK: each <= budget,
		}}, nil
	}}
}

func stormRow(n int) Row {
	work := fmt.Sprintf("%d sessions come back at once", n)
	return Row{Name: "storm", Work: work, run: func(ctx context.Context, t Target, log io.Writer) (Report, []Figure, error) {
		c := DefaultStorm()
		c.Target, c.Connections = t, n
		r, err := Storm(ctx, c, log)
		if err != nil {
			return nil, nil, err
		}
		return r, []Figure{sound(r), within("server CPU a session", r.CPUPerSession(), 150*time.Microsecond)}, nil
	}}
}

func loginRow(groups int) Row {
	return Row{Name: "login", Work: fmt.Sprintf("log-in with %d groups", groups), run: func(ctx context.Context, t Target, log io.Writer) (Report, []Figure, error) {
		c := DefaultLogin()
		c.Target, c.Groups = t, groups
		r, err := Login(ctx, c, log)
		if err != nil {
			return nil, nil, err
		}
		return r, []Figure{
			sound(r), within("server time, heads warm, p99", r.Server.P99, 50*time.Millisecond),
			{Name: "server time, first", Budget: "reported", Value: short(r.First.Server), OK: true},
		}, nil
	}}
}
