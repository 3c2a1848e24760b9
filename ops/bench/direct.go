package bench

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// DirectConfig says how direct chats are loaded.
type DirectConfig struct {
	Target   Target
	Pairs    int           // senders, each with a receiver of its own
	Rate     int           // messages a second, over all pairs
	Duration time.Duration // measured
	Warmup   time.Duration // loaded and checked before, not measured
	Drain    time.Duration // the longest wait for the next answer or arrival afterwards
	Size     int           // bytes of text
	Receipts bool          // receivers answer each message with a delivery receipt
	Roles    bool          // take CPU profiles and report CPU by role

	Churn int           // receivers who are cut and come back, or stop reading for a while; their latency is not counted
	Every time.Duration // between two such things
	Hold  time.Duration // how long one stops reading
}

// DefaultDirect is the first budget of the design.
func DefaultDirect() DirectConfig {
	return DirectConfig{
		Pairs: 50, Rate: 10_000, Duration: 20 * time.Second, Warmup: 3 * time.Second, Drain: 15 * time.Second, Size: 100,
		Every: time.Second, Hold: 3 * time.Second,
	}
}

// the bounds of a run
const (
	maxPairs    = 2000
	maxRate     = 200_000
	maxMessages = 30_000_000
	maxTime     = time.Hour
)

// Validate reports every problem at once, by the name of the flag.
func (c *DirectConfig) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(c.Pairs >= 1 && c.Pairs <= maxPairs, "pairs: %d is not between 1 and %d", c.Pairs, maxPairs)
	check(c.Rate >= 1 && c.Rate <= maxRate, "rate: %d is not between 1 and %d", c.Rate, maxRate)
	check(c.Duration >= time.Second && c.Duration <= maxTime, "duration: %s is not between 1s and %s", c.Duration, maxTime)
	check(c.Warmup >= 0 && c.Warmup <= time.Minute, "warmup: %s is not between 0 and 1m", c.Warmup)
	check(c.Drain >= time.Second && c.Drain <= time.Minute, "drain: %s is not between 1s and 1m", c.Drain)
	check(c.Size >= minText && c.Size <= 4096, "size: %d is not between %d and 4096", c.Size, minText)
	checkChurn(check, c.Churn, c.Pairs, c.Every, c.Hold)
	check(c.Churn == 0 || !c.Receipts, "churn: not with receipts")
	check(!c.Roles || c.Target.Profiles == "", "roles: not with profile: a server takes one CPU profile at a time")
	check(float64(c.Rate)*(c.Warmup+c.Duration).Seconds() <= maxMessages, "rate and duration: more than %d messages", maxMessages)
	return errors.Join(append(errs, c.Target.Validate())...)
}

// perPair is how many messages each pair sends.
func (c *DirectConfig) perPair() int {
	return max(int(float64(c.Rate)*(c.Warmup+c.Duration).Seconds())/c.Pairs, 1)
}

// interval is the time between two messages of a pair.
func (c *DirectConfig) interval() time.Duration {
	return time.Duration(float64(time.Second) * float64(c.Pairs) / float64(c.Rate))
}

// direct is one run.
type direct struct {
	cfg   DirectConfig
	run   string // tells the messages of this run from all others
	log   io.Writer
	pairs []*pair
	timing

	arrival  histogram    // from the scheduled time, measured part only
	quarters [4]histogram // arrival, by the quarter of the measured time
	unrest   Unrest
}

func newDirect(cfg DirectConfig, log io.Writer) *direct {
	return &direct{cfg: cfg, run: runID(), log: log, timing: timing{warmup: cfg.Warmup}}
}

// Direct loads direct chats. The report is whole even when its Err is not nil; the error returned is for a run that could not be made.
func Direct(ctx context.Context, cfg DirectConfig, log io.Writer) (*DirectReport, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	d := newDirect(cfg, log)
	defer d.close()
	if err := d.connect(ctx); err != nil {
		return nil, err
	}
	return d.measure(ctx)
}

// runID is fresh for each run.
func runID() string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	return hex.EncodeToString(b[:])
}

// connect makes the users and their sessions.
func (d *direct) connect(ctx context.Context) error {
	accounts, err := OpenAccounts(ctx, &d.cfg.Target)
	if err != nil {
		return err
	}
	defer accounts.Close()
	names := make([]string, 0, 2*d.cfg.Pairs)
	for i := range d.cfg.Pairs {
		names = append(names, fmt.Sprintf("bench-%s-s%d", d.run, i), fmt.Sprintf("bench-%s-r%d", d.run, i))
	}
	tokens, err := accounts.Tokens(ctx, names)
	if err != nil {
		return err
	}
	for i := range d.cfg.Pairs {
		p, err := newPair(d, i, names[2*i], names[2*i+1])
		if err != nil {
			return err
		}
		d.pairs = append(d.pairs, p)
		if err := p.dial(ctx, tokens[2*i], tokens[2*i+1]); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(d.log, "%d pairs connected; %d messages/s for %s after %s of warm-up\n",
		d.cfg.Pairs, d.cfg.Rate, d.cfg.Duration, d.cfg.Warmup)
	return err
}

// measure sends everything, waits for the stragglers and makes the report.
func (d *direct) measure(ctx context.Context) (*DirectReport, error) {
	server := newProcess(&d.cfg.Target)
	defer server.close()
	first, err := server.sample(ctx)
	if err != nil {
		return nil, err
	}
	d.start = time.Now().Add(50 * time.Millisecond)
	sending, stop := context.WithCancel(ctx)
	defer stop()
	var wg, others sync.WaitGroup
	for _, p := range d.pairs {
		wg.Go(func() { p.send(ctx) })
	}
	others.Go(func() { d.churn(sending) })
	begin := d.start.Add(d.cfg.Warmup)
	beside, bctx := errgroup.WithContext(ctx)
	var lags []Behind
	beside.Go(func() (err error) { lags, err = server.lags(bctx, begin, d.cfg.Duration); return err })
	var roles []RoleCPU
	if d.cfg.Roles {
		beside.Go(func() (err error) { roles, err = server.roles(bctx, begin, d.cfg.Duration); return err })
	}
	marks, own, err := server.watch(ctx, begin, d.cfg.Duration)
	err = errors.Join(err, beside.Wait())
	wg.Wait()
	stop()
	others.Wait()
	sent := time.Since(d.start) - d.cfg.Warmup
	if err != nil {
		return nil, err
	}
	d.drain(ctx)
	last, err := server.sample(ctx)
	if err != nil {
		return nil, err
	}
	r := d.report(sent)
	r.ClientCPU = ownCPU() - own
	r.ServerCPU, r.RSSBefore, r.RSSAfter, r.Allocs = last.cpu-marks[0].cpu, first.rss, last.rss, last.allocs-marks[0].allocs
	r.Behind, r.Roles, r.ProfiledCPU = lags, roles, marks[4].cpu-marks[0].cpu
	for i := range r.TailByTime {
		r.TailByTime[i] = marks[i+1].tail
	}
	return r, context.Cause(ctx)
}

// drain waits until every send has its answer and everything acknowledged has arrived, or nothing more comes.
func (d *direct) drain(ctx context.Context) {
	awaitMore(ctx, d.cfg.Drain, d.settled, func() (n int64) {
		for _, p := range d.pairs {
			n += p.arrived.Load() + p.answered.Load()
		}
		return n
	})
}

func (d *direct) settled() bool {
	for _, p := range d.pairs {
		if !p.settled() {
			return false
		}
	}
	return true
}

// close ends all sessions and waits for their readers, after which the tallies may be read.
func (d *direct) close() {
	var wg sync.WaitGroup
	for _, p := range d.pairs {
		wg.Go(p.close)
	}
	wg.Wait()
}

// await asks until it is so, for a bounded time.
func await(ctx context.Context, limit time.Duration, so func() bool) {
	until := time.Now().Add(limit)
	for !so() && time.Now().Before(until) && sleep(ctx, 10*time.Millisecond) == nil {
	}
}

// maxDrain bounds the wait for stragglers of which some always come.
const maxDrain = 10 * time.Minute

// awaitMore asks until it is so, or until nothing has come for a time: who is far behind has not lost what is still on its way.
func awaitMore(ctx context.Context, limit time.Duration, so func() bool, come func() int64) {
	end := time.Now().Add(maxDrain)
	for seen := int64(-1); come() != seen && time.Now().Before(end) && ctx.Err() == nil; {
		seen = come()
		await(ctx, limit, func() bool { return so() || come() != seen })
		if so() {
			return
		}
	}
}

// sleep waits, or returns why the context has ended.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return context.Cause(ctx)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
