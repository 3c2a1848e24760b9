package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"parley/domain/conversation"
	"parley/schemas/msync"
)

// RoomConfig says how a room is loaded.
type RoomConfig struct {
	Target   Target
	Viewers  int // each of a user of its own; one in ten checks every message
	Senders  int // users who view too, and write
	Rate     int // messages a second, over all senders
	Duration time.Duration
	Warmup   time.Duration // loaded and checked before, not measured
	Drain    time.Duration // the longest wait for the next answer or arrival afterwards
	Settle   time.Duration // after the joins, before memory is read
	Size     int           // bytes of text
	Priority string        // high, normal or low

	Churn int           // viewers besides, who leave and come, are cut and come back, or stop reading for a while
	Every time.Duration // between two such things
	Hold  time.Duration // how long one stops reading
}

// DefaultRoom is the large room of the design.
func DefaultRoom() RoomConfig {
	return RoomConfig{
		Viewers: 1000, Senders: 5, Rate: 500, Duration: 20 * time.Second, Warmup: 3 * time.Second, Drain: 30 * time.Second,
		Settle: 3 * time.Second, Size: 100, Priority: "normal", Every: time.Second, Hold: 3 * time.Second,
	}
}

// priorities are the names of flags.
var priorities = map[string]conversation.Priority{
	"high": conversation.PriorityHigh, "normal": conversation.PriorityNormal, "low": conversation.PriorityLow,
}

// the bounds of a run
const (
	maxViewers        = 9000
	maxRoomSenders    = 100
	maxChurn          = 200
	maxRoomDeliveries = 2_000_000_000
	maxChecks         = 200_000_000
	checkedOneIn      = 10
)

// Validate reports every problem at once, by the name of the flag.
func (c *RoomConfig) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	_, known := priorities[c.Priority]
	check(c.Viewers >= 1 && c.Viewers <= maxViewers, "viewers: %d is not between 1 and %d", c.Viewers, maxViewers)
	check(c.Senders >= 1 && c.Senders <= maxRoomSenders, "senders: %d is not between 1 and %d", c.Senders, maxRoomSenders)
	checkChurn(check, c.Churn, maxChurn, c.Every, c.Hold)
	check(c.Rate >= 1 && c.Rate <= maxRate, "rate: %d is not between 1 and %d", c.Rate, maxRate)
	check(c.Duration >= time.Second && c.Duration <= maxTime, "duration: %s is not between 1s and %s", c.Duration, maxTime)
	check(c.Warmup >= 0 && c.Warmup <= time.Minute, "warmup: %s is not between 0 and 1m", c.Warmup)
	check(c.Drain >= time.Second && c.Drain <= time.Minute, "drain: %s is not between 1s and 1m", c.Drain)
	check(c.Settle >= 0 && c.Settle <= time.Minute, "settle: %s is not between 0 and 1m", c.Settle)
	check(c.Size >= minText && c.Size <= 4096, "size: %d is not between %d and 4096", c.Size, minText)
	check(known, "priority: %q is not high, normal or low", c.Priority)
	messages := float64(c.Rate) * (c.Warmup + c.Duration).Seconds()
	check(messages*float64(c.Viewers) <= maxRoomDeliveries, "rate, duration and viewers: more than %d deliveries", maxRoomDeliveries)
	check(messages*float64(c.checkers()) <= maxChecks, "rate, duration and viewers: more than %d messages to check", maxChecks)
	check(messages <= maxMessages, "rate and duration: more than %d messages", maxMessages)
	files := raiseFiles("viewers", uint64(c.Viewers+c.Senders+c.Churn)+spareFiles)
	return errors.Join(append(errs, files, c.Target.Validate())...)
}

func (c *RoomConfig) checkers() int { return (c.Viewers + checkedOneIn - 1) / checkedOneIn }

// perSender is how many messages each sender writes.
func (c *RoomConfig) perSender() int {
	return max(int(float64(c.Rate)*(c.Warmup+c.Duration).Seconds())/c.Senders, 1)
}

// interval is the time between two messages of a sender.
func (c *RoomConfig) interval() time.Duration {
	return time.Duration(float64(time.Second) * float64(c.Senders) / float64(c.Rate))
}

// room is one run.
type room struct {
	book
	timing
	cfg      RoomConfig
	run      string // tells the messages of this run from all others
	log      io.Writer
	accounts *Accounts
	server   *process
	id       string
	senders  []*speaker
	viewers  []*viewer // who view from the beginning to the end
	guests   []*viewer // who come and go

	bare, full sample // before anybody viewed, and when all did
	unrest     Unrest
}

func newRoom(cfg RoomConfig, log io.Writer) *room {
	r := &room{cfg: cfg, run: runID(), log: log, timing: timing{warmup: cfg.Warmup}, server: newProcess(&cfg.Target)}
	r.book = newBook([]byte("pb"+r.run+":"), 0, cfg.Senders, cfg.perSender())
	return r
}

// Room loads a room. The report is whole even when its Err is not nil; the error returned is for a run that could not be made.
func Room(ctx context.Context, cfg RoomConfig, log io.Writer) (*RoomReport, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	r := newRoom(cfg, log)
	defer r.close()
	if err := r.connect(ctx); err != nil {
		return nil, err
	}
	return r.measure(ctx)
}

// connect makes the users and the room, and lets all view it.
func (r *room) connect(ctx context.Context) (err error) {
	if r.accounts, err = OpenAccounts(ctx, &r.cfg.Target); err != nil {
		return err
	}
	cfg := &r.cfg
	names := make([]string, cfg.Senders+cfg.Viewers+cfg.Churn)
	for i := range names {
		names[i] = fmt.Sprintf("bench-%s-r%d", r.run, i)
	}
	tokens, err := r.accounts.Tokens(ctx, names)
	if err != nil {
		return err
	}
	if r.id, err = r.accounts.NewRoom(ctx, "bench "+r.run, names[0], min(len(names)+10, 10_000)); err != nil {
		return fmt.Errorf("bench: room: %w", err)
	}
	if r.bare, err = r.settled(ctx); err != nil {
		return err
	}
	for i, name := range names[cfg.Senders:] {
		v := newViewer(r, name, tokens[cfg.Senders+i])
		if i >= cfg.Viewers {
			r.guests = append(r.guests, v)
			v.check()
			continue
		}
		r.viewers = append(r.viewers, v)
		if i%checkedOneIn == 0 {
			v.check()
		}
	}
	if err := r.joinAll(ctx, names, tokens); err != nil {
		return err
	}
	if r.full, err = r.settled(ctx); err != nil {
		return err
	}
	_, err = fmt.Fprintf(r.log, "%d viewers joined, of whom %d check every message, and %d senders; %d messages/s for %s after %s of warm-up\n",
		cfg.Viewers, cfg.checkers(), cfg.Senders, cfg.Rate, cfg.Duration, cfg.Warmup)
	return err
}

func (r *room) joinAll(ctx context.Context, names []string, tokens []msync.Token) error {
	for i := range r.cfg.Senders {
		s, err := newSpeaker(ctx, r, i, names[i], tokens[i])
		if err != nil {
			return err
		}
		r.senders = append(r.senders, s)
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(dialers)
	for _, v := range append(append([]*viewer(nil), r.viewers...), r.guests...) {
		g.Go(func() error { return v.dial(gctx) })
	}
	return g.Wait()
}

// settled reads the server's memory when all is quiet and it has collected its garbage.
func (r *room) settled(ctx context.Context) (sample, error) {
	if err := sleep(ctx, r.cfg.Settle); err != nil {
		return sample{}, err
	}
	if err := r.server.collect(ctx); err != nil {
		return sample{}, err
	}
	return r.server.sample(ctx)
}

// measure sends everything, waits for the stragglers and makes the report.
func (r *room) measure(ctx context.Context) (*RoomReport, error) {
	shedBefore, err := r.server.shed(ctx)
	if err != nil {
		return nil, err
	}
	r.start = time.Now().Add(50 * time.Millisecond)
	sending, stop := context.WithCancel(ctx)
	defer stop()
	var writers, others sync.WaitGroup
	for _, s := range r.senders {
		writers.Go(func() { s.send(ctx) })
	}
	others.Go(func() { r.beat(sending) })
	others.Go(func() { r.churn(sending) })
	marks, own, err := r.server.watch(ctx, r.start.Add(r.warmup), r.cfg.Duration)
	writers.Wait()
	stop()
	others.Wait()
	if err != nil {
		return nil, err
	}
	awaitMore(ctx, r.cfg.Drain, r.quiet, r.come)
	last, err := r.server.sample(ctx)
	if err != nil {
		return nil, err
	}
	rep := r.report()
	rep.ClientCPU, rep.ServerCPU, rep.Allocs = ownCPU()-own, last.cpu-marks[0].cpu, last.allocs-marks[0].allocs
	rep.RSSAfter = last.rss
	for i := range rep.TailByTime {
		rep.TailByTime[i] = marks[i+1].tail
		rep.RSSMost = max(rep.RSSMost, marks[i+1].rss)
	}
	shed, err := r.server.shed(ctx)
	if err != nil {
		return nil, err
	}
	for labels, n := range shed {
		if n -= shedBefore[labels]; n > 0 {
			rep.Shed[labels] = n
		}
	}
	return rep, context.Cause(ctx)
}

// acks is how many messages are acknowledged so far.
func (r *room) acks() (n int64) {
	for _, s := range r.senders {
		n += s.acks.Load()
	}
	return n
}

// come counts what has come so far.
func (r *room) come() (n int64) {
	for _, s := range r.senders {
		n += s.answered.Load()
	}
	for _, v := range r.viewers {
		n += v.chats.Load()
	}
	return n
}

// quiet tells whether every answer is there, and all that was acknowledged everywhere. It may be asked when all sending has ended.
func (r *room) quiet() bool {
	for _, s := range r.senders {
		if s.session.Pending() > 0 {
			return false
		}
	}
	want := r.acks()
	for _, v := range r.viewers {
		if v.chats.Load() < want && v.alive() {
			return false
		}
	}
	return true
}

// beatEvery is how often the SDKs let a server hear of them.
const beatEvery = 30 * time.Second

// beat sends what the SDKs send when they have nothing else to say.
func (r *room) beat(ctx context.Context) {
	frame := msync.AppendUnreadRequest(nil)
	for sleep(ctx, beatEvery) == nil {
		for _, v := range r.viewers {
			_ = v.w.send(frame) // who cannot is found out by its reader
		}
	}
}

// close ends all sessions and waits for their readers, after which the tallies may be read. It may be called twice.
func (r *room) close() {
	var wg sync.WaitGroup
	for _, s := range r.senders {
		wg.Go(s.close)
	}
	for _, v := range append(append([]*viewer(nil), r.viewers...), r.guests...) {
		wg.Go(v.close)
	}
	wg.Wait()
	r.server.close()
	if r.accounts != nil {
		r.accounts.Close()
	}
}

// NewRoom makes a room of an owner who exists and returns its id.
func (a *Accounts) NewRoom(ctx context.Context, name, owner string, maxUsers int) (string, error) {
	var answer struct {
		Data struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	body := map[string]any{"name": name, "description": name, "owner": owner, "maxusers": maxUsers}
	if err := a.Call(ctx, http.MethodPost, "/chatrooms", a.app, body, &answer); err != nil {
		return "", err
	}
	if answer.Data.ID == "" {
		return "", errors.New("the answer has no id")
	}
	return answer.Data.ID, nil
}
