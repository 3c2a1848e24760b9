package shard

import (
	"errors"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"parley/domain"
)

// metrics of one shard; each carries its partition as a label.
type metrics struct {
	decided, ack, append, load, flush prometheus.Histogram

	outcomes    map[outcome]prometheus.Counter // of the loop only
	outcome     *prometheus.CounterVec
	batches     prometheus.Counter
	commits     prometheus.Counter
	records     prometheus.Counter
	read        prometheus.Counter
	claims      prometheus.Counter
	deposed     prometheus.Counter
	handedOver  prometheus.Counter
	appendFails prometheus.Counter
	storeFails  *prometheus.CounterVec
	broken      prometheus.Counter
	evicted     prometheus.Counter
	flushedRows prometheus.Counter

	owned, halted, tail, tailBytes, mailbox, rows, lead prometheus.Gauge
}

// outcome is how a command ended: its name, and for a refusal by the shard the reason.
type outcome struct {
	name   string
	reason string
}

func newMetrics(reg prometheus.Registerer, p domain.Partition) *metrics {
	if reg == nil {
		reg = prometheus.NewRegistry()
	}
	f := factory{prometheus.WrapRegistererWith(prometheus.Labels{"partition": strconv.Itoa(int(p))}, reg)}
	return &metrics{
		decided:  f.histogram("parley_shard_decide_wait_seconds", "From a command's arrival to its decision, when it made a commit."),
		append:   f.histogram("parley_shard_append_seconds", "From the proposal of a batch to its acknowledgement."),
		ack:      f.histogram("parley_shard_ack_seconds", "From a command's arrival to its acknowledgement, when it made a commit."),
		load:     f.histogram("parley_shard_load_seconds", "Loads of rows from the store."),
		flush:    f.histogram("parley_shard_flush_seconds", "Writes of rows and checkpoint to the store."),
		outcomes: make(map[outcome]prometheus.Counter),
		outcome: f.vec("parley_shard_commands_total", "Commands by how they ended; reason names a refusal.",
			"outcome", "reason"),
		batches: f.counter("parley_shard_batches_total", "Batches acknowledged."),
		commits: f.counter("parley_shard_commits_total", "Commits acknowledged."),
		records: f.counter("parley_shard_records_read_total",
			"Records read from the log; those that are neither claims nor accepted commits were void or repeats."),
		read:        f.counter("parley_shard_commits_read_total", "Accepted commits taken from the log: at take-over, and those of other owners."),
		claims:      f.counter("parley_shard_terms_total", "Terms that this node has owned."),
		deposed:     f.counter("parley_shard_deposed_total", "Times that another node took the partition over."),
		handedOver:  f.counter("parley_shard_commands_handed_over_total", "Commands given undecided to the partition's next owner."),
		appendFails: f.counter("parley_shard_append_failures_total", "Appends without an answer: their outcome was unknown."),
		storeFails:  f.vec("parley_shard_store_failures_total", "Calls of the store that failed and are tried again.", "call"),
		broken:      f.counter("parley_shard_broken_rows_total", "Rows in the store that could not be read."),
		evicted:     f.counter("parley_shard_rows_evicted_total", "Rows that left the memory."),
		flushedRows: f.counter("parley_shard_rows_flushed_total", "Rows written to the store."),
		owned:       f.gauge("parley_shard_owned", "1 while this node owns the partition."),
		halted:      f.gauge("parley_shard_halted", "1 when the partition has halted: an operator must look."),
		tail:        f.gauge("parley_shard_tail_commits", "Commits after the checkpoint."),
		tailBytes:   f.gauge("parley_shard_tail_bytes", "Bytes of the commits after the checkpoint."),
		mailbox:     f.gauge("parley_shard_undecided", "Commands that wait to be decided."),
		rows:        f.gauge("parley_shard_rows", "Rows in memory."),
		lead:        f.gauge("parley_shard_clock_lead_seconds", "How far the last id is above the clock, which went back."),
	}
}

// answered counts a command's end.
func (m *metrics) answered(p *pending, r domain.Result) {
	m.count(outcomeOf(r))
	if r.Err == nil && !r.Repeat && r.T != 0 {
		m.ack.Observe(time.Since(p.at).Seconds())
	}
}

// outcomeOf names how a command ended. Rules refuse with codes, of which there are few; the shard's own refusals have reasons of their own.
func outcomeOf(r domain.Result) outcome {
	switch {
	case r.Err != nil:
		return outcome{"refused", refusalOf(r.Err)}
	case r.Repeat:
		return outcome{"repeat", ""}
	case r.T == 0:
		return outcome{"already", ""}
	default:
		return outcome{"accepted", ""}
	}
}

// refusals are the reasons of the shard's own refusals.
var refusals = map[error]string{
	errStopping: "stopping", errMailboxFull: "mailbox_full", errTailFull: "tail_full", errExpired: "expired", errHaltedBusy: "halted",
	errMoved: "moved", errUnanswered: "unanswered", errCommitSize: "commit_size", errStreamName: "stream_name", errPartName: "part_name",
	errKind: "kind", errBroken: "broken_row",
}

func refusalOf(err error) string {
	if e, ok := err.(*domain.Error); ok { //nolint:errorlint // the shard's own refusals are these very values
		if name, ok := refusals[e]; ok {
			return name
		}
	}
	return string(domain.CodeOf(err))
}

func (m *metrics) count(o outcome) {
	c, ok := m.outcomes[o]
	if !ok {
		c = m.outcome.WithLabelValues(o.name, o.reason)
		m.outcomes[o] = c
	}
	c.Inc()
}

// rejected counts a command that was refused before it reached the loop. Anybody may call it.
func (m *metrics) rejected(err *domain.Error) {
	m.outcome.WithLabelValues("refused", refusals[err]).Inc()
}

func (m *metrics) acked(b *batch, now time.Time) {
	m.batches.Inc()
	m.commits.Add(float64(b.len()))
	m.append.Observe(now.Sub(b.sent).Seconds())
}

// gone says that there is no shard of the partition here.
func (m *metrics) gone() {
	for _, g := range []prometheus.Gauge{m.owned, m.tail, m.tailBytes, m.mailbox, m.rows} {
		g.Set(0)
	}
}

// factory registers metrics. A partition that comes back to this node goes on with those that it had.
type factory struct{ reg prometheus.Registerer }

// register returns c, or what was registered under its name before. Anything else is a programming error and panics.
func register[C prometheus.Collector](reg prometheus.Registerer, c C) C {
	err := reg.Register(c)
	if err == nil {
		return c
	}
	if old, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		if c, ok := old.ExistingCollector.(C); ok {
			return c
		}
	}
	panic(err)
}

// buckets reach from 50 µs to 6.5 s, doubling.
var buckets = prometheus.ExponentialBuckets(50e-6, 2, 18)

func (f factory) histogram(name, help string) prometheus.Histogram {
	return register(f.reg, prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}))
}

func (f factory) counter(name, help string) prometheus.Counter {
	return register(f.reg, prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help}))
}

func (f factory) vec(name, help string, labels ...string) *prometheus.CounterVec {
	return register(f.reg, prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels))
}

func (f factory) gauge(name, help string) prometheus.Gauge {
	return register(f.reg, prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help}))
}
