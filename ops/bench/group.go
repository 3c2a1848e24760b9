package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// GroupConfig says how groups are loaded.
type GroupConfig struct {
	Target   Target
	Groups   int
	Members  int           // of each group, each with a session
	Senders  int           // members of each group who write
	Rate     int           // messages a second, over all groups
	Duration time.Duration // measured
	Warmup   time.Duration // loaded and checked before, not measured
	Drain    time.Duration // the longest wait for the next answer or arrival afterwards
	Size     int           // bytes of text

	Churn int           // of each group, members who are cut and come back, or stop reading for a while; their latency is not counted
	Every time.Duration // between two such things
	Hold  time.Duration // how long one stops reading
}

// DefaultGroup is the hot group of the design.
func DefaultGroup() GroupConfig {
	return GroupConfig{
		Groups: 1, Members: 20, Senders: 5, Rate: 5000, Duration: 20 * time.Second, Warmup: 3 * time.Second, Drain: 30 * time.Second, Size: 100,
		Every: time.Second, Hold: 3 * time.Second,
	}
}

// the bounds of a run
const (
	maxMembers    = 1000 // over all groups
	maxDeliveries = 200_000_000
)

// Validate reports every problem at once, by the name of the flag.
func (c *GroupConfig) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(c.Members >= 2, "members: %d is fewer than 2", c.Members)
	check(c.Groups >= 1 && c.Groups*c.Members <= maxMembers, "groups and members: not between 1 and %d sessions", maxMembers)
	check(c.Senders >= 1 && c.Senders <= c.Members, "senders: %d is not between 1 and the members, %d", c.Senders, c.Members)
	check(c.Rate >= 1 && c.Rate <= maxRate, "rate: %d is not between 1 and %d", c.Rate, maxRate)
	check(c.Duration >= time.Second && c.Duration <= maxTime, "duration: %s is not between 1s and %s", c.Duration, maxTime)
	check(c.Warmup >= 0 && c.Warmup <= time.Minute, "warmup: %s is not between 0 and 1m", c.Warmup)
	check(c.Drain >= time.Second && c.Drain <= time.Minute, "drain: %s is not between 1s and 1m", c.Drain)
	check(c.Size >= minText && c.Size <= 4096, "size: %d is not between %d and 4096", c.Size, minText)
	checkChurn(check, c.Churn, max(c.Members-c.Senders-1, 0), c.Every, c.Hold)
	check(float64(c.Rate)*(c.Warmup+c.Duration).Seconds()*float64(c.Members) <= maxDeliveries,
		"rate, duration and members: more than %d deliveries", maxDeliveries)
	return errors.Join(append(errs, c.Target.Validate())...)
}

// perSender is how many messages each sender writes.
func (c *GroupConfig) perSender() int {
	return max(int(float64(c.Rate)*(c.Warmup+c.Duration).Seconds())/(c.Groups*c.Senders), 1)
}

// interval is the time between two messages of a sender.
func (c *GroupConfig) interval() time.Duration {
	return time.Duration(float64(time.Second) * float64(c.Groups*c.Senders) / float64(c.Rate))
}

// hot is one run.
type hot struct {
	cfg      GroupConfig
	run      string // tells the messages of this run from all others
	tag      []byte // what all its texts begin with
	log      io.Writer
	accounts *Accounts
	crowds   []*crowd
	unrest   Unrest
	timing
}

func newHot(cfg GroupConfig, log io.Writer) *hot {
	h := &hot{cfg: cfg, run: runID(), log: log, timing: timing{warmup: cfg.Warmup}}
	h.tag = []byte("pb" + h.run + ":")
	return h
}

// Group loads groups. The report is whole even when its Err is not nil; the error returned is for a run that could not be made.
func Group(ctx context.Context, cfg GroupConfig, log io.Writer) (*GroupReport, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	h := newHot(cfg, log)
	defer h.close()
	if err := h.connect(ctx); err != nil {
		return nil, err
	}
	return h.measure(ctx)
}

// connect makes the users, the groups and the sessions.
func (h *hot) connect(ctx context.Context) (err error) {
	if h.accounts, err = OpenAccounts(ctx, &h.cfg.Target); err != nil {
		return err
	}
	for i := range h.cfg.Groups {
		c, err := newCrowd(ctx, h, i)
		if err != nil {
			return err
		}
		h.crowds = append(h.crowds, c)
		if err := c.dial(ctx); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(h.log, "%d groups of %d connected, %d senders in each; %d messages/s for %s after %s of warm-up\n",
		h.cfg.Groups, h.cfg.Members, h.cfg.Senders, h.cfg.Rate, h.cfg.Duration, h.cfg.Warmup)
	return err
}

// measure sends everything, waits for the stragglers, reads history and makes the report.
func (h *hot) measure(ctx context.Context) (*GroupReport, error) {
	server := newProcess(&h.cfg.Target)
	defer server.close()
	first, err := server.sample(ctx)
	if err != nil {
		return nil, err
	}
	h.start = time.Now().Add(50 * time.Millisecond)
	sending, stop := context.WithCancel(ctx)
	defer stop()
	var wg, others sync.WaitGroup
	for _, c := range h.crowds {
		for _, m := range c.members[:h.cfg.Senders] {
			wg.Go(func() { m.send(ctx) })
		}
	}
	others.Go(func() { h.churn(sending) })
	marks, own, err := server.watch(ctx, h.start.Add(h.cfg.Warmup), h.cfg.Duration)
	wg.Wait()
	stop()
	others.Wait()
	if err != nil {
		return nil, err
	}
	awaitMore(ctx, h.cfg.Drain, h.settled, h.come)
	last, err := server.sample(ctx)
	if err != nil {
		return nil, err
	}
	r := h.report()
	r.ClientCPU, r.ServerCPU, r.Allocs = ownCPU()-own, last.cpu-marks[0].cpu, last.allocs-marks[0].allocs
	r.RSSBefore, r.RSSAfter = first.rss, last.rss
	for i := range r.TailByTime {
		r.TailByTime[i] = marks[i+1].tail
		r.RSSMost = max(r.RSSMost, marks[i+1].rss)
	}
	if err := h.readStored(ctx); err != nil {
		return nil, err
	}
	h.judgeStored(r)
	return r, context.Cause(ctx)
}

// come counts what has come so far.
func (h *hot) come() (n int64) {
	for _, c := range h.crowds {
		for _, m := range c.members {
			n += m.arrived.Load() + m.answered.Load()
		}
	}
	return n
}

// settled tells whether nothing more is expected. It may be asked when all sending has ended.
func (h *hot) settled() bool {
	for _, c := range h.crowds {
		if !c.settled() {
			return false
		}
	}
	return true
}

// readStored reads the history of each group.
func (h *hot) readStored(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(callers)
	for _, c := range h.crowds {
		g.Go(func() error { return c.readStored(ctx) })
	}
	return g.Wait()
}

// close ends all sessions and waits for their readers, after which the tallies may be read. It may be called twice.
func (h *hot) close() {
	var wg sync.WaitGroup
	for _, c := range h.crowds {
		for _, m := range c.members {
			wg.Go(m.close)
		}
	}
	wg.Wait()
	if h.accounts != nil {
		h.accounts.Close()
	}
}
