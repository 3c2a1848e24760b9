package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"

	"parley/delivery/gateway/client"
	"parley/schemas/msync"
)

// LoginConfig says how many groups the user who logs in is in.
type LoginConfig struct {
	Target Target
	Groups int
	Times  int // log-ins that are measured
	News   int // groups that get a message before each log-in
}

// DefaultLogin is the log-in of the design.
func DefaultLogin() LoginConfig { return LoginConfig{Groups: 2000, Times: 30, News: 50} }

// the bounds of a run
const (
	maxGroups = 10_000
	maxTimes  = 10_000
)

// Validate reports every problem at once, by the name of the flag.
func (c *LoginConfig) Validate() error {
	var errs []error
	if c.Groups < 1 || c.Groups > maxGroups {
		errs = append(errs, fmt.Errorf("groups: %d is not between 1 and %d", c.Groups, maxGroups))
	}
	if c.Times < 1 || c.Times > maxTimes {
		errs = append(errs, fmt.Errorf("times: %d is not between 1 and %d", c.Times, maxTimes))
	}
	if c.News < 0 || c.News > c.Groups {
		errs = append(errs, fmt.Errorf("news: %d is not between 0 and the groups, %d", c.News, c.Groups))
	}
	return errors.Join(append(errs, c.Target.Validate())...)
}

// LoginReport is the outcome of a run.
type LoginReport struct {
	Groups, News int
	First        LoginFigures // of a new device, to whom all is news
	Server, Wall Latency      // of the log-ins after it: the handshake in the server; from Dial until UNREAD is answered
	Listed       []int        // queues in the answers to UNREAD
	Arrived      []int        // messages that followed
	Missing      int          // messages that did not
	ServerCPU    time.Duration
	RSSAfter     int64
}

// LoginFigures are of one log-in.
type LoginFigures struct {
	Server, Wall time.Duration
	Listed       int // queues in the answer to UNREAD
}

// logins is one run.
type logins struct {
	cfg    LoginConfig
	server *process
	names  [2]string // who owns the groups, who logs in
	tokens []msync.Token
	groups []string
	writer *client.Client
	next   int // group that gets the next message
}

// Login logs a user in again and again.
func Login(ctx context.Context, cfg LoginConfig, log io.Writer) (*LoginReport, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	l := &logins{cfg: cfg, server: newProcess(&cfg.Target), groups: make([]string, cfg.Groups)}
	defer l.server.close()
	if err := l.prepare(ctx, log); err != nil {
		return nil, err
	}
	defer func() { _ = l.writer.Cut(); <-l.writer.Done() }()
	return l.measure(ctx)
}

// prepare makes both users and the groups, and connects the one who writes.
func (l *logins) prepare(ctx context.Context, log io.Writer) error {
	accounts, err := OpenAccounts(ctx, &l.cfg.Target)
	if err != nil {
		return err
	}
	defer accounts.Close()
	run := runID()
	l.names = [2]string{"bench-" + run + "-owner", "bench-" + run + "-member"}
	if l.tokens, err = accounts.Tokens(ctx, l.names[:]); err != nil {
		return err
	}
	begin := time.Now()
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(callers)
	for i := range l.groups {
		g.Go(func() (err error) {
			l.groups[i], err = accounts.NewGroup(gctx, fmt.Sprintf("bench %s %d", run, i), l.names[0], l.names[1:])
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("bench: groups: %w", err)
	}
	if _, err := fmt.Fprintf(log, "%d groups made in %s\n", len(l.groups), time.Since(begin).Round(time.Millisecond)); err != nil {
		return err
	}
	l.writer, err = client.Dial(ctx, l.cfg.Target.WS, client.Options{
		AppKey: l.cfg.Target.App, User: l.names[0], Token: l.tokens[0], Resource: "bench", OnMeta: func(client.Delivery) {},
	})
	if err != nil {
		return fmt.Errorf("bench: owner: %w", err)
	}
	return nil
}

func (l *logins) measure(ctx context.Context) (*LoginReport, error) {
	r := &LoginReport{Groups: l.cfg.Groups, News: l.cfg.News}
	var err error
	if r.First, _, err = l.once(ctx, 0); err != nil {
		return nil, err
	}
	before, err := l.server.sample(ctx)
	if err != nil {
		return nil, err
	}
	profiled := l.server.profile(ctx, time.Now(), profileOfShort)
	var server, wall histogram
	for range l.cfg.Times {
		if err := l.write(ctx); err != nil {
			return nil, err
		}
		f, arrived, err := l.once(ctx, l.cfg.News)
		if err != nil {
			return nil, err
		}
		server.record(f.Server)
		wall.record(f.Wall)
		r.Listed, r.Arrived = append(r.Listed, f.Listed), append(r.Arrived, arrived)
		r.Missing += max(l.cfg.News-arrived, 0)
	}
	after, err := l.server.sample(ctx)
	if err != nil {
		return nil, err
	}
	r.Server, r.Wall = server.latency(), wall.latency()
	r.ServerCPU, r.RSSAfter = after.cpu-before.cpu, after.rss
	return r, errors.Join(profiled(), context.Cause(ctx))
}

// write sends a message to each of the groups whose turn it is.
func (l *logins) write(ctx context.Context) error {
	for range l.cfg.News {
		a, err := l.writer.SendGroupText(ctx, l.groups[l.next], "news")
		if err == nil && a.Code != msync.Status_OK {
			err = fmt.Errorf("%v %s", a.Code, a.Reason)
		}
		if err != nil {
			return fmt.Errorf("bench: message to a group: %w", err)
		}
		l.next = (l.next + 1) % len(l.groups)
	}
	return nil
}

// arrivalLimit is how long a log-in may take until what was missed has arrived.
const arrivalLimit = 10 * time.Second

// once logs in, waits for the messages that are due and until nothing more comes, and goes.
func (l *logins) once(ctx context.Context, due int) (f LoginFigures, arrived int, err error) {
	before, err := l.server.sample(ctx)
	if err != nil {
		return f, 0, err
	}
	var listed, messages atomic.Int64
	listed.Store(-1)
	begin := time.Now()
	c, err := client.Dial(ctx, l.cfg.Target.WS, client.Options{
		AppKey: l.cfg.Target.App, User: l.names[1], Token: l.tokens[1], Resource: "bench",
		OnMeta: func(d client.Delivery) {
			if d.Meta.NS == msync.Meta_CHAT {
				messages.Add(1)
			}
		},
		OnUnread: func(q []msync.UnreadQueue) { listed.CompareAndSwap(-1, int64(len(q))) },
	})
	if err != nil {
		return f, 0, fmt.Errorf("bench: log-in: %w", err)
	}
	defer func() { _ = c.Cut(); <-c.Done() }()
	f.Wall, f.Listed = time.Since(begin), int(listed.Load())
	after, err := l.server.sample(ctx)
	if err != nil {
		return f, 0, err
	}
	if n := after.logins - before.logins; n != 1 {
		return f, 0, fmt.Errorf("bench: %d log-ins where one was expected: somebody else uses the server", n)
	}
	f.Server = after.login - before.login
	await(ctx, arrivalLimit, func() bool { return messages.Load() >= int64(due) })
	quiet(ctx, c)
	return f, int(messages.Load()), c.Err()
}

// quietTime without a frame means that all queues have been served.
const quietTime = 300 * time.Millisecond

// quiet waits until the session has had no frame for a while.
func quiet(ctx context.Context, c *client.Client) {
	seen, since := uint64(0), time.Now()
	await(ctx, arrivalLimit, func() bool {
		if n := c.Counters().FramesIn; n != seen {
			seen, since = n, time.Now()
		}
		return time.Since(since) > quietTime
	})
}

// Err says what a correct server would not have done.
func (r *LoginReport) Err() error {
	if r.Missing > 0 {
		return fmt.Errorf("%d messages that were written before a log-in did not follow it", r.Missing)
	}
	return nil
}

// Print writes the report as a table.
func (r *LoginReport) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) { _, _ = fmt.Fprintf(t, name+"\t"+format+"\n", args...) } // Flush reports errors
	row("groups", "%d, of which %d have news at each log-in", r.Groups, r.News)
	row("first log-in", "%s in the server, %s until UNREAD was answered, %d queues listed", millis(r.First.Server), millis(r.First.Wall), r.First.Listed)
	row("server", "%s", r.Server)
	row("wall", "%s", r.Wall)
	row("listed", "%s queues, %s messages followed, %d missing", span(r.Listed), span(r.Arrived), r.Missing)
	row("server CPU", "%s a log-in, news and metrics included", millis(r.ServerCPU/time.Duration(max(len(r.Listed), 1))))
	row("server RSS", "%.1f MB after", megabytes(r.RSSAfter))
	return t.Flush()
}

// JSON writes the report for machines.
func (r *LoginReport) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// span tells the least and the most.
func span(n []int) string {
	if len(n) == 0 {
		return "none"
	}
	least, most := n[0], n[0]
	for _, v := range n {
		least, most = min(least, v), max(most, v)
	}
	if least == most {
		return fmt.Sprint(least)
	}
	return fmt.Sprintf("%d to %d", least, most)
}
