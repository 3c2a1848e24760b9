package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"syscall"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"

	"parley/delivery/gateway/client"
	"parley/schemas/msync"
)

// IdleConfig says how many sessions are held.
type IdleConfig struct {
	Target      Target
	Connections int
	Settle      time.Duration // before memory is read
	Storm       bool          // afterwards all are cut at once and come back as fast as the server lets them
}

// DefaultIdle is a third of the budget's count.
func DefaultIdle() IdleConfig { return IdleConfig{Connections: 3000, Settle: 5 * time.Second} }

// maxConnections is bounded by the ports of one address.
const maxConnections = 25_000

// spareFiles is what the process needs besides the sockets.
const spareFiles = 200

// dialers bounds the handshakes in flight.
const dialers = 64

// Validate reports every problem at once, by the name of the flag.
func (c *IdleConfig) Validate() error {
	var errs []error
	if c.Connections < 1 || c.Connections > maxConnections {
		errs = append(errs, fmt.Errorf("connections: %d is not between 1 and %d", c.Connections, maxConnections))
	}
	if c.Settle < 0 || c.Settle > time.Minute {
		errs = append(errs, fmt.Errorf("settle: %s is not between 0 and 1m", c.Settle))
	}
	return errors.Join(append(errs, raiseFiles("connections", uint64(c.Connections)+spareFiles), c.Target.Validate())...)
}

// raiseFiles raises the limit of open files to the hard one.
func raiseFiles(flag string, need uint64) error {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return fmt.Errorf("limit of open files: %w", err)
	}
	if l.Max < need {
		return fmt.Errorf("%s: %d open files needed, the hard limit is %d", flag, need, l.Max)
	}
	l.Cur = l.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return fmt.Errorf("limit of open files: %w", err)
	}
	return nil
}

// IdleReport is the outcome of a run.
type IdleReport struct {
	Connections int
	Connected   int           // after the settling
	Answered    int           // answered an UNREAD then
	Dialling    time.Duration // to connect all
	DialCPU     time.Duration // of the server, for all

	RSSBefore, RSSAfter     int64
	InUseBefore, InUseAfter int64 // heap and stacks

	Storm *StormReport `json:",omitempty"`
}

// idle is one run.
type idle struct {
	cfg      IdleConfig
	server   *process
	names    []string
	tokens   []msync.Token
	sessions []*client.Client
}

func newIdle(cfg IdleConfig) *idle {
	return &idle{cfg: cfg, server: newProcess(&cfg.Target), sessions: make([]*client.Client, cfg.Connections)}
}

// Idle holds sessions that do nothing and measures what they cost the server.
func Idle(ctx context.Context, cfg IdleConfig, log io.Writer) (*IdleReport, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	i := newIdle(cfg)
	defer i.server.close()
	defer i.cut()
	if err := i.users(ctx, log); err != nil {
		return nil, err
	}
	r, err := i.hold(ctx)
	if err != nil {
		return nil, err
	}
	if cfg.Storm {
		r.Storm, err = i.storm(ctx)
	}
	return r, err
}

// users makes the users, the same for every run, which costs the next run nothing.
func (i *idle) users(ctx context.Context, log io.Writer) error {
	accounts, err := OpenAccounts(ctx, &i.cfg.Target)
	if err != nil {
		return err
	}
	defer accounts.Close()
	for n := range i.cfg.Connections {
		i.names = append(i.names, fmt.Sprintf("bench-idle-%d", n))
	}
	if i.tokens, err = accounts.Tokens(ctx, i.names); err != nil {
		return err
	}
	_, err = fmt.Fprintf(log, "%d users have their tokens\n", len(i.names))
	return err
}

// settled reads the server's memory when it has collected its garbage.
func (i *idle) settled(ctx context.Context) (sample, error) {
	if err := i.server.collect(ctx); err != nil {
		return sample{}, err
	}
	if err := sleep(ctx, i.cfg.Settle); err != nil {
		return sample{}, err
	}
	return i.server.sample(ctx)
}

func (i *idle) hold(ctx context.Context) (*IdleReport, error) {
	before, err := i.settled(ctx)
	if err != nil {
		return nil, err
	}
	profiled := i.server.profile(ctx, time.Now(), profileOfShort)
	start := time.Now()
	if err := i.dialAll(ctx, nil); err != nil {
		return nil, err
	}
	took := time.Since(start)
	dialled, err := i.server.sample(ctx)
	if err != nil {
		return nil, err
	}
	if err := profiled(); err != nil {
		return nil, err
	}
	after, err := i.settled(ctx)
	if err != nil {
		return nil, err
	}
	connected, answered := i.probe(ctx)
	return &IdleReport{
		Connections: i.cfg.Connections, Connected: connected, Answered: answered, Dialling: took, DialCPU: dialled.cpu - before.cpu,
		RSSBefore: before.rss, RSSAfter: after.rss, InUseBefore: before.inUse, InUseAfter: after.inUse,
	}, nil
}

// dialAll connects everybody. The first failure ends it, unless they are counted.
func (i *idle) dialAll(ctx context.Context, failed *atomic.Int64, took ...*histogram) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(dialers)
	for n := range i.sessions {
		g.Go(func() error {
			start := time.Now()
			c, err := i.dial(ctx, n)
			if err != nil && failed != nil {
				failed.Add(1)
				return nil
			}
			if err != nil {
				return fmt.Errorf("bench: session %d: %w", n, err)
			}
			i.sessions[n] = c
			for _, h := range took {
				h.record(time.Since(start))
			}
			return nil
		})
	}
	return g.Wait()
}

func (i *idle) dial(ctx context.Context, n int) (*client.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	return client.Dial(ctx, i.cfg.Target.WS, client.Options{
		AppKey: i.cfg.Target.App, User: i.names[n], Token: i.tokens[n], Resource: "idle", OnMeta: func(client.Delivery) {},
	})
}

// probe counts the sessions that live, and those of them that answer an UNREAD within ten seconds.
func (i *idle) probe(ctx context.Context) (connected, answered int) {
	frames := make([]uint64, len(i.sessions))
	for n, c := range i.sessions {
		if c == nil || c.Err() != nil {
			continue
		}
		connected++
		frames[n] = c.Counters().FramesIn
		if err := c.Heartbeat(ctx); err != nil {
			frames[n] = ^uint64(0)
		}
	}
	for until := time.Now().Add(10 * time.Second); ; {
		answered = 0
		for n, c := range i.sessions {
			if c != nil && c.Counters().FramesIn > frames[n] {
				answered++
			}
		}
		if answered >= connected || time.Now().After(until) || sleep(ctx, 50*time.Millisecond) != nil {
			return connected, answered
		}
	}
}

// cut breaks all connections and waits for their readers.
func (i *idle) cut() {
	var wg sync.WaitGroup
	for n, c := range i.sessions {
		if c == nil {
			continue
		}
		_ = c.Cut()
		wg.Go(func() { <-c.Done() })
		i.sessions[n] = nil
	}
	wg.Wait()
}

// Err says what a correct server would not have done.
func (r *IdleReport) Err() error {
	var errs []error
	if n := r.Connections - r.Connected; n > 0 {
		errs = append(errs, fmt.Errorf("%d sessions broken", n))
	}
	if n := r.Connected - r.Answered; n > 0 {
		errs = append(errs, fmt.Errorf("%d sessions without answer", n))
	}
	if r.Storm != nil {
		errs = append(errs, r.Storm.Err())
	}
	return errors.Join(errs...)
}

// RSSPerConnection is what each session has added to what is resident.
func (r *IdleReport) RSSPerConnection() int64 {
	return (r.RSSAfter - r.RSSBefore) / int64(max(r.Connections, 1))
}

// Print writes the report as a table.
func (r *IdleReport) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) { _, _ = fmt.Fprintf(t, name+"\t"+format+"\n", args...) } // Flush reports errors
	n := int64(max(r.Connections, 1))
	row("connections", "%d asked, %d live, %d answered", r.Connections, r.Connected, r.Answered)
	row("log-in", "%s for all, %s server CPU each", r.Dialling.Round(time.Millisecond), r.DialCPU/time.Duration(n))
	row("server RSS", "%.1f MB before, %.1f MB after: %.2f KB each", megabytes(r.RSSBefore), megabytes(r.RSSAfter),
		float64(r.RSSPerConnection())/1000)
	row("heap and stacks", "%.1f MB before, %.1f MB after: %.2f KB each", megabytes(r.InUseBefore), megabytes(r.InUseAfter),
		float64(r.InUseAfter-r.InUseBefore)/float64(n)/1000)
	if r.Storm != nil {
		r.Storm.rows(row)
	}
	return t.Flush()
}

// JSON writes the report for machines.
func (r *IdleReport) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}
