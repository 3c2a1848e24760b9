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

// DirectReport is the outcome of a run. Latencies and CPU are of the measured part; the counts of messages are of all.
type DirectReport struct {
	Pairs      int
	Asked      int     // messages a second
	Reached    float64 // messages a second that arrived, measured part
	Sent       int
	Acked      int
	Arrived    int            // different messages
	Refused    map[string]int // by code and reason
	Unanswered int            // written, no answer until the end
	Unsent     int            // never written: the session had ended, or too many were waiting
	Lost       int            // acknowledged and not received
	Repeats    int
	Disorder   int
	Strange    int // received, of no sender of this run
	Broken     []string

	Ack, Arrival  Latency    // from the scheduled time
	ArrivalByTime [4]Latency // by quarter of the measured time: a queue that grows shows here
	TailByTime    [4]int64   // commits of the server that are not in its store yet, at the end of each quarter
	Lag           Latency    // how late this client itself was

	ReceiptsSent, ReceiptsBack, ReceiptsDropped int64

	ClientCPU, ServerCPU time.Duration
	RSSBefore, RSSAfter  int64
	Allocs               int64 // objects that the server allocated, measured part
	Again                int   // delivered again to who came back

	Behind      []Behind
	Roles       []RoleCPU     // empty when they were not asked for
	ProfiledCPU time.Duration // what the system counts of the time of which Roles are

	Unrest Unrest
}

// report may be called when the sessions are idle; it ends them first, because only then the tallies belong to it.
func (d *direct) report(sent time.Duration) *DirectReport {
	r := &DirectReport{
		Pairs: d.cfg.Pairs, Asked: d.cfg.Rate, Refused: map[string]int{},
		Ack: d.ack.latency(), Arrival: d.arrival.latency(), Lag: d.lag.latency(),
		Unrest: d.unrest,
	}
	for i := range d.quarters {
		r.ArrivalByTime[i] = d.quarters[i].latency()
	}
	r.Reached = float64(r.Arrival.Count) * float64(d.cfg.Pairs) / float64(max(d.cfg.Pairs-d.cfg.Churn, 1)) / max(sent, d.cfg.Duration).Seconds()
	for _, p := range d.pairs {
		for _, c := range []struct {
			who string
			err error
		}{{"sender", p.session.Err()}, {"receiver", p.receiver.Err()}} {
			if c.err != nil {
				r.Broken = append(r.Broken, fmt.Sprintf("%s %d: %v", c.who, p.index, c.err))
			}
		}
	}
	d.close()
	for _, p := range d.pairs {
		p.addTo(r)
	}
	return r
}

func (p *pair) addTo(r *DirectReport) {
	r.Sent += p.sent
	r.Unsent += p.unsent
	r.Acked += p.acked.count()
	r.Unanswered += p.unanswered()
	for reason, n := range p.refusals {
		r.Refused[reason] += n
	}
	r.Arrived += p.tally.seen.count()
	r.Lost += p.tally.seen.missing(p.acked)
	r.Repeats += p.tally.repeats
	r.Disorder += p.tally.disorder
	r.Strange += p.tally.strange
	r.Again += p.tally.again
	r.ReceiptsSent += p.receiptsSent.Load()
	r.ReceiptsBack += p.receiptsBack.Load()
	r.ReceiptsDropped += p.receiptsDropped.Load()
}

// Err says what a correct server would not have done.
func (r *DirectReport) Err() error {
	var errs []error
	for _, c := range []struct {
		n    int
		what string
	}{
		{r.Lost, "acknowledged and lost"},
		{r.Repeats, "received twice"},
		{r.Disorder, "out of order"},
		{r.Strange, "received by whom they were not for"},
		{r.Unanswered, "without answer"},
		{r.Unsent, "could not be sent"},
		{len(r.Broken), "sessions broken"},
		{len(r.Unrest.Failed), "could not come back"},
	} {
		if c.n > 0 {
			errs = append(errs, fmt.Errorf("%d %s", c.n, c.what))
		}
	}
	return errors.Join(errs...)
}

// CPUPerMessage is the server's CPU for each message of the measured part.
func (r *DirectReport) CPUPerMessage() time.Duration {
	return r.ServerCPU / time.Duration(max(r.Ack.Count, 1))
}

// Print writes the report as a table.
func (r *DirectReport) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) { _, _ = fmt.Fprintf(t, name+"\t"+format+"\n", args...) } // Flush reports errors
	row("rate", "%d msg/s asked, %.0f reached, %d pairs", r.Asked, r.Reached, r.Pairs)
	row("ack", "%s", r.Ack)
	row("end to end", "%s", r.Arrival)
	for i, q := range r.ArrivalByTime {
		row(fmt.Sprintf("  quarter %d", i+1), "p50 %s  p99 %s  tail %d commits", millis(q.P50), millis(q.P99), r.TailByTime[i])
	}
	row("client's lag", "%s", r.Lag)
	row("server CPU", "%.1f us a message, %s in all", float64(r.CPUPerMessage().Nanoseconds())/1000, r.ServerCPU.Round(10*time.Millisecond))
	row("client CPU", "%.1f us a message", float64(r.ClientCPU.Microseconds())/float64(max(r.Ack.Count, 1)))
	row("server allocations", "%.1f a message", float64(r.Allocs)/float64(max(r.Ack.Count, 1)))
	row("server RSS", "%.1f MB before, %.1f MB after", megabytes(r.RSSBefore), megabytes(r.RSSAfter))
	row("messages", "%d sent, %d acknowledged, %d arrived, %d refused, %d without answer, %d not sent",
		r.Sent, r.Acked, r.Arrived, total(r.Refused), r.Unanswered, r.Unsent)
	row("checks", "%d lost, %d repeated, %d out of order, %d strange", r.Lost, r.Repeats, r.Disorder, r.Strange)
	if r.ReceiptsSent+r.ReceiptsDropped > 0 {
		row("receipts", "%d sent, %d came back, %d left out", r.ReceiptsSent, r.ReceiptsBack, r.ReceiptsDropped)
	}
	for reason, n := range r.Refused {
		row("refused", "%d x %s", n, reason)
	}
	r.Unrest.print(row)
	if len(r.Broken) > 0 {
		row("broken", "%s", strings.Join(slices.Clone(r.Broken[:min(len(r.Broken), 5)]), "; "))
	}
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(t, format+"\n", args...) }
	printBehind(line, r.Behind)
	if len(r.Roles) > 0 {
		printRoles(line, r.Roles, r.ProfiledCPU, r.Ack.Count)
	}
	return t.Flush()
}

// JSON writes the report for machines.
func (r *DirectReport) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

func megabytes(n int64) float64 { return float64(n) / 1e6 }
