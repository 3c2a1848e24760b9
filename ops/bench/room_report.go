package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// RoomReport is the outcome of a run. Latencies, CPU and allocations are of the measured part; the counts of messages are of all.
type RoomReport struct {
	Viewers, Checkers, Senders int

	Asked      int     // messages a second
	Reached    float64 // messages a second until the last arrival, measured part
	Sent       int
	Acked      int
	Seen       int            // different messages that any of those who check has seen: what the room has stored and shown
	Delivered  int            // over all viewers
	Expected   int            // acknowledged messages times viewers
	Refused    map[string]int // by code and reason
	Unanswered int            // written, no answer until the end
	Unsent     int            // never written: the session had ended, or too many were waiting
	Lost       int            // acknowledged and not received, over all viewers
	Surplus    int            // counted more than there were, over those who only count
	Refuted    int            // received although refused
	Repeats    int
	Disorder   int
	Differ     int // under two ids
	Strange    int // in a frame that is not the room's, or of no sender of this run
	Again      int // shown again to guests who came back
	News       int // presence and absence, over all viewers
	Broken     []string

	Ack, Arrival  Latency    // from the scheduled time; of arrival one for each who checks
	WorstViewer   Latency    // arrival, of the checking viewer with the highest p99
	ArrivalByTime [4]Latency // by quarter of the measured time: a queue that grows shows here
	TailByTime    [4]int64   // commits of the server that are not in its store yet, at the end of each quarter
	Lag           Latency    // how late this client itself was

	ClientCPU, ServerCPU                    time.Duration
	Allocs                                  int64 // objects that the server allocated
	RSSBefore, RSSJoined, RSSMost, RSSAfter int64
	InUsePerViewer                          int64            // bytes of heap and stacks
	Shed                                    map[string]int64 // messages that the room did not take, by priority and reason
	Unrest                                  Unrest
}

// report ends the sessions first, because only then the tallies belong to it.
func (r *room) report() *RoomReport {
	cfg := &r.cfg
	connected := int64(cfg.Viewers + cfg.Senders + cfg.Churn)
	rep := &RoomReport{
		Viewers: cfg.Viewers, Checkers: cfg.checkers(), Senders: cfg.Senders, Asked: cfg.Rate, Refused: map[string]int{}, Shed: map[string]int64{},
		Ack: r.ack.latency(), Lag: r.lag.latency(), RSSBefore: r.bare.rss, RSSJoined: r.full.rss, Unrest: r.unrest,
		InUsePerViewer: (r.full.inUse - r.bare.inUse) / connected,
	}
	for _, s := range r.senders {
		if err := s.session.Err(); err != nil {
			rep.Broken = append(rep.Broken, fmt.Sprintf("%s: %v", s.name, err))
		}
	}
	for _, v := range r.viewers {
		if !v.alive() {
			rep.Broken = append(rep.Broken, fmt.Sprintf("%s: %v", v.name, v.ended))
		}
	}
	r.close()
	acked := r.judge(rep)
	r.measured(rep)
	for _, v := range r.viewers {
		v.addTo(rep, &r.book, acked)
	}
	for _, v := range r.guests {
		v.checker.got.addToRoom(rep)
	}
	return rep
}

// judge adds what was sent, and what of it was seen at all. It returns what was acknowledged, by sender.
func (r *room) judge(rep *RoomReport) (acked []bitmap) {
	for _, s := range r.senders {
		rep.Sent += s.sent
		rep.Unsent += s.unsent
		rep.Acked += s.acked.count()
		rep.Unanswered += s.unanswered()
		rep.Differ += s.differ
		for reason, n := range s.refusals {
			rep.Refused[reason] += n
		}
		acked = append(acked, s.acked)
	}
	rep.Expected = rep.Acked * len(r.viewers)
	seen := newBitmap(r.senders[0].n * len(r.senders))
	for _, v := range r.viewers {
		if v.checker != nil {
			seen.add(v.checker.got.seen)
		}
	}
	rep.Seen = seen.count()
	unacked := 0
	for i, a := range acked {
		for seq := range r.each {
			if seen.has(r.place(i, seq)) && !a.has(seq) {
				unacked++
			}
		}
	}
	rep.Refuted = max(unacked-rep.Unanswered, 0)
	return acked
}

// measured adds the latencies of those who check.
func (r *room) measured(rep *RoomReport) {
	var all histogram
	var quarters [4]histogram
	var took time.Duration
	for _, v := range r.viewers {
		if v.checker == nil {
			continue
		}
		took = max(took, v.checker.lastAt-r.warmup)
		var own histogram
		for i := range v.checker.quarters {
			own.add(&v.checker.quarters[i])
			quarters[i].add(&v.checker.quarters[i])
		}
		all.add(&own)
		if l := own.latency(); l.P99 > rep.WorstViewer.P99 {
			rep.WorstViewer = l
		}
	}
	rep.Arrival = all.latency()
	for i := range quarters {
		rep.ArrivalByTime[i] = quarters[i].latency()
	}
	rep.Reached = float64(rep.Arrival.Count) / float64(rep.Checkers) / max(took, r.cfg.Duration).Seconds()
}

// addTo adds a viewer, who was to get all that is acknowledged, once.
func (v *viewer) addTo(rep *RoomReport, b *book, acked []bitmap) {
	n := int(v.chats.Load())
	rep.Delivered += n
	rep.News += v.others
	if v.checker != nil {
		rep.Lost += v.checker.got.missing(b, acked, -1)
		v.checker.got.addToRoom(rep)
		return
	}
	rep.Lost += max(rep.Acked-n, 0)
	rep.Surplus += max(n-rep.Acked-rep.Unanswered, 0)
}

func (t *tray) addToRoom(rep *RoomReport) {
	rep.Repeats += t.repeats
	rep.Disorder += t.disorder
	rep.Differ += t.differ
	rep.Strange += t.strange
	rep.Again += t.again
}

// Err says what a correct server would not have done.
func (r *RoomReport) Err() error {
	var errs []error
	for _, c := range []struct {
		n    int
		what string
	}{
		{r.Lost, "acknowledged and lost"},
		{r.Surplus, "received more than was acknowledged"},
		{r.Refuted, "refused and received"},
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

// deliveries are those of the measured part, the senders' own connections included: each gets every message.
func (r *RoomReport) deliveries() float64 { return float64(r.Ack.Count) * float64(r.Viewers+r.Senders) }

// CPUPerDelivery is the server's CPU for each message that a connection got.
func (r *RoomReport) CPUPerDelivery() time.Duration {
	return time.Duration(float64(r.ServerCPU) / max(r.deliveries(), 1))
}

// RSSPerConnection is what the joins have added.
func (r *RoomReport) RSSPerConnection() int64 {
	return (r.RSSJoined - r.RSSBefore) / int64(max(r.Viewers+r.Senders, 1))
}

// Print writes the report as a table.
func (r *RoomReport) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) { _, _ = fmt.Fprintf(t, name+"\t"+format+"\n", args...) } // Flush reports errors
	row("rate", "%d msg/s asked, %.0f reached, %d viewers, %d of them check every message, %d senders",
		r.Asked, r.Reached, r.Viewers, r.Checkers, r.Senders)
	row("ack", "%s", r.Ack)
	row("end to end", "%s", r.Arrival)
	row("worst viewer", "%s", r.WorstViewer)
	for i, q := range r.ArrivalByTime {
		row(fmt.Sprintf("  quarter %d", i+1), "p50 %s  p99 %s  tail %d commits", millis(q.P50), millis(q.P99), r.TailByTime[i])
	}
	row("client's lag", "%s", r.Lag)
	messages, deliveries := max(float64(r.Ack.Count), 1), max(r.deliveries(), 1)
	row("server CPU", "%.1f us a message, %.3f us a delivery, %s in all",
		float64(r.ServerCPU.Nanoseconds())/1000/messages, float64(r.ServerCPU.Nanoseconds())/1000/deliveries, r.ServerCPU.Round(10*time.Millisecond))
	row("client CPU", "%.1f us a message, %.3f us a delivery, %.0f %% of what both used",
		float64(r.ClientCPU.Nanoseconds())/1000/messages, float64(r.ClientCPU.Nanoseconds())/1000/deliveries,
		100*float64(r.ClientCPU)/max(float64(r.ClientCPU+r.ServerCPU), 1))
	row("server allocations", "%.1f a message, %.4f a delivery", float64(r.Allocs)/messages, float64(r.Allocs)/deliveries)
	row("server RSS", "%.1f MB before, %.1f MB with all viewers, %.1f MB at most, %.1f MB after",
		megabytes(r.RSSBefore), megabytes(r.RSSJoined), megabytes(r.RSSMost), megabytes(r.RSSAfter))
	row("a connection", "%.2f KB of RSS, %.2f KB of heap and stacks", float64(r.RSSPerConnection())/1000, float64(r.InUsePerViewer)/1000)
	row("acknowledged = seen = delivered", "%s: %d, %d, %d of %d at %d viewers",
		r.equal(), r.Acked, r.Seen, r.Delivered, r.Expected, r.Viewers)
	row("messages", "%d sent, %d refused, %d without answer, %d not sent", r.Sent, total(r.Refused), r.Unanswered, r.Unsent)
	row("checks", "%d lost, %d too many, %d repeated, %d out of order, %d under two ids, %d strange, %d refused and seen; %d shown again, %d news",
		r.Lost, r.Surplus, r.Repeats, r.Disorder, r.Differ, r.Strange, r.Refuted, r.Again, r.News)
	for reason, n := range r.Refused {
		row("refused", "%d x %s", n, reason)
	}
	for _, labels := range slices.Sorted(maps.Keys(r.Shed)) {
		row("shed", "%d x %s", r.Shed[labels], labels)
	}
	r.Unrest.print(row)
	if len(r.Broken) > 0 {
		row("broken", "%s", strings.Join(r.Broken[:min(len(r.Broken), 5)], "; "))
	}
	return t.Flush()
}

func (r *RoomReport) equal() string {
	if r.Acked == r.Seen && r.Delivered == r.Expected {
		return "yes"
	}
	return "NO"
}

// JSON writes the report for machines.
func (r *RoomReport) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}
