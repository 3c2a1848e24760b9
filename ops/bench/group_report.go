package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// GroupReport is the outcome of a run. Latencies and CPU are of the measured part; the counts of messages are of all.
type GroupReport struct {
	Groups, Members, Senders int

	Asked      int     // messages a second
	Reached    float64 // messages a second until the last arrival, measured part
	Sent       int
	Acked      int
	Stored     int            // different messages in history
	Delivered  int            // different messages at each receiver, over all receivers
	Expected   int            // acknowledged messages times those who have to get each
	Refused    map[string]int // by code and reason
	Unanswered int            // written, no answer until the end
	Unsent     int            // never written: the session had ended, or too many were waiting
	Lost       int            // acknowledged and not received, over all receivers
	NotStored  int            // acknowledged and not in history
	Refuted    int            // in history although refused
	Repeats    int
	Disorder   int    // after a later one, at a receiver or in history
	Differ     int    // under two ids
	Strange    int    // received by whom they were not for, or twice by its writer
	Again      uint64 // delivered again soon after and left out by the client, as the SDKs do
	Broken     []string

	Ack, Arrival  Latency    // from the scheduled time; of arrival one for each receiver
	WorstMember   Latency    // arrival, of the receiver with the highest p99
	ArrivalByTime [4]Latency // by quarter of the measured time: a queue that grows shows here
	TailByTime    [4]int64   // commits of the server that are not in its store yet, at the end of each quarter
	Lag           Latency    // how late this client itself was

	ClientCPU, ServerCPU         time.Duration
	RSSBefore, RSSMost, RSSAfter int64
	Allocs                       int64 // objects that the server allocated, measured part
	Unrest                       Unrest
}

// report ends the sessions first, because only then the tallies belong to it.
func (h *hot) report() *GroupReport {
	r := &GroupReport{
		Groups: h.cfg.Groups, Members: h.cfg.Members, Senders: h.cfg.Senders, Asked: h.cfg.Rate, Refused: map[string]int{},
		Ack: h.timing.ack.latency(), Lag: h.timing.lag.latency(),
	}
	for _, c := range h.crowds {
		for _, m := range c.members {
			if err := m.session.Err(); err != nil {
				r.Broken = append(r.Broken, fmt.Sprintf("%s: %v", m.name, err))
			}
		}
	}
	h.close()
	var all histogram
	var took time.Duration
	var quarters [4]histogram
	for _, c := range h.crowds {
		acked := c.acked()
		for _, m := range c.members {
			m.addTo(r, acked)
			r.Again += m.repeats + uint64(m.got.again) + m.session.Counters().Repeats
			took = max(took, m.lastAt-h.cfg.Warmup)
			var own histogram
			for i := range m.quarters {
				own.add(&m.quarters[i])
				quarters[i].add(&m.quarters[i])
			}
			all.add(&own)
			if l := own.latency(); l.P99 > r.WorstMember.P99 {
				r.WorstMember = l
			}
		}
	}
	r.Arrival, r.Unrest = all.latency(), h.unrest
	for i := range quarters {
		r.ArrivalByTime[i] = quarters[i].latency()
	}
	r.Reached = float64(r.Arrival.Count) / float64(h.cfg.Members-1-h.cfg.Churn) / max(took, h.cfg.Duration).Seconds()
	return r
}

// addTo adds a member, who was to get all that is acknowledged to others.
func (m *member) addTo(r *GroupReport, acked []bitmap) {
	r.Sent += m.sent
	r.Unsent += m.unsent
	r.Acked += m.acked.count()
	r.Expected += m.acked.count() * (len(m.c.members) - 1)
	r.Unanswered += m.unanswered()
	for reason, n := range m.refusals {
		r.Refused[reason] += n
	}
	r.Delivered += m.got.seen.count()
	r.Lost += m.got.missing(&m.c.book, acked, m.index)
	r.Differ += m.differ
	m.got.addTo(r)
}

func (t *tray) addTo(r *GroupReport) {
	r.Repeats += t.repeats
	r.Disorder += t.disorder
	r.Differ += t.differ
	r.Strange += t.strange
}

// judgeStored holds history to what was acknowledged.
func (h *hot) judgeStored(r *GroupReport) {
	for _, c := range h.crowds {
		n := c.stored.seen.count()
		r.Stored += n
		r.NotStored += c.stored.missing(&c.book, c.acked(), -1)
		c.stored.addTo(r)
	}
	r.Refuted = max(r.Stored-(r.Acked-r.NotStored)-r.Unanswered, 0)
}

// Err says what a correct server would not have done.
func (r *GroupReport) Err() error {
	var errs []error
	for _, c := range []struct {
		n    int
		what string
	}{
		{r.Lost, "acknowledged and lost"},
		{r.NotStored, "acknowledged and not in history"},
		{r.Refuted, "refused and stored"},
		{r.Repeats, "received twice"},
		{r.Disorder, "out of order"},
		{r.Differ, "under two ids"},
		{r.Strange, "where they do not belong"},
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

// equal is the budget of a hot group.
func (r *GroupReport) equal() string {
	if r.Acked == r.Stored && r.Delivered == r.Expected {
		return "yes"
	}
	return "NO"
}

// Print writes the report as a table.
func (r *GroupReport) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) { _, _ = fmt.Fprintf(t, name+"\t"+format+"\n", args...) } // Flush reports errors
	row("rate", "%d msg/s asked, %.0f reached, %d groups of %d, %d senders in each", r.Asked, r.Reached, r.Groups, r.Members, r.Senders)
	row("ack", "%s", r.Ack)
	row("end to end", "%s", r.Arrival)
	row("worst receiver", "%s", r.WorstMember)
	for i, q := range r.ArrivalByTime {
		row(fmt.Sprintf("  quarter %d", i+1), "p50 %s  p99 %s  tail %d commits", millis(q.P50), millis(q.P99), r.TailByTime[i])
	}
	row("client's lag", "%s", r.Lag)
	per := func(d time.Duration, n float64) float64 { return float64(d.Nanoseconds()) / 1000 / max(n, 1) }
	messages := float64(r.Ack.Count)
	deliveries := messages * float64(r.Members-1)
	row("server CPU", "%.1f us a message, %.2f us a delivery, %s in all",
		per(r.ServerCPU, messages), per(r.ServerCPU, deliveries), r.ServerCPU.Round(10*time.Millisecond))
	row("client CPU", "%.1f us a message, %.2f us a delivery", per(r.ClientCPU, messages), per(r.ClientCPU, deliveries))
	row("server RSS", "%.1f MB before, %.1f MB at most, %.1f MB after", megabytes(r.RSSBefore), megabytes(r.RSSMost), megabytes(r.RSSAfter))
	row("server allocations", "%.1f a message, %.2f a delivery", float64(r.Allocs)/max(messages, 1), float64(r.Allocs)/max(deliveries, 1))
	row("acknowledged = stored = delivered", "%s: %d, %d, %d of %d at %d receivers of each",
		r.equal(), r.Acked, r.Stored, r.Delivered, r.Expected, r.Members-1)
	row("messages", "%d sent, %d refused, %d without answer, %d not sent", r.Sent, total(r.Refused), r.Unanswered, r.Unsent)
	row("checks", "%d lost, %d not stored, %d repeated, %d out of order, %d under two ids, %d strange; %d left out by the client",
		r.Lost, r.NotStored, r.Repeats, r.Disorder, r.Differ, r.Strange, r.Again)
	for reason, n := range r.Refused {
		row("refused", "%d x %s", n, reason)
	}
	r.Unrest.print(row)
	if len(r.Broken) > 0 {
		row("broken", "%s", strings.Join(r.Broken[:min(len(r.Broken), 5)], "; "))
	}
	return t.Flush()
}

// JSON writes the report for machines.
func (r *GroupReport) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// total adds up counts.
func total(counts map[string]int) (n int) {
	for _, v := range counts {
		n += v
	}
	return n
}
