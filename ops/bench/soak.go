package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sync/errgroup"
)

// SoakConfig says what is loaded at once, for how long, and what may grow meanwhile.
type SoakConfig struct {
	Target    Target
	Duration  time.Duration
	Warmup    time.Duration // loaded and checked before, not sampled
	Every     time.Duration // between two samples
	Tolerance float64       // what may grow from the middle third to the last, as a share
	Direct    DirectConfig
	Group     GroupConfig
	Room      RoomConfig
}

// SoakSettings are what a server needs for a soak: who comes back is to get all that it has missed, and not to find the older part of much
// in history only.
var SoakSettings = []string{"PARLEY_GATEWAY_CAP=1000000", "PARLEY_GATEWAY_GROUP_CAP=1000000"}

// DefaultSoak is a third of the design's budgets at once.
func DefaultSoak() SoakConfig {
	c := SoakConfig{
		Duration: 30 * time.Minute, Warmup: 20 * time.Second, Every: 5 * time.Second, Tolerance: 0.1,
		Direct: DefaultDirect(), Group: DefaultGroup(), Room: DefaultRoom(),
	}
	c.Direct.Rate, c.Group.Rate, c.Room.Rate = c.Direct.Rate/3, c.Group.Rate/3, c.Room.Rate/3
	c.Direct.Churn, c.Group.Churn, c.Room.Churn = 10, 4, 20
	c.Room.Hold = 10 * time.Second
	return c
}

// ShortSoak takes two minutes and leaves most of two processors to others: memory has less time to settle, and more may grow.
func ShortSoak() SoakConfig {
	c := DefaultSoak()
	c.Duration, c.Warmup, c.Every, c.Tolerance = 100*time.Second, 10*time.Second, time.Second, 0.35
	c.Direct.Pairs, c.Direct.Rate = 20, 400
	c.Group.Members, c.Group.Rate = 12, 60
	c.Room.Viewers, c.Room.Rate = 100, 40
	c.Direct.Churn, c.Group.Churn, c.Room.Churn = 6, 3, 9
	return c
}

// fill gives the parts what they share.
func (c *SoakConfig) fill() {
	bare := c.Target
	bare.Profiles = "" // one CPU profile at a time
	c.Direct.Target, c.Group.Target, c.Room.Target = c.Target, bare, bare
	c.Direct.Duration, c.Group.Duration, c.Room.Duration = c.Duration, c.Duration, c.Duration
	c.Direct.Warmup, c.Group.Warmup, c.Room.Warmup = c.Warmup, c.Warmup, c.Warmup
	const drain = time.Minute // held readers catch up
	c.Direct.Drain, c.Group.Drain, c.Room.Drain = drain, drain, drain
}

// minSamples is how many the shortest soak has in each third.
const minSamples = 5

// Validate reports every problem at once, by the name of the flag.
func (c *SoakConfig) Validate() error {
	c.fill()
	var errs []error
	if c.Every < 100*time.Millisecond || c.Every > time.Minute || c.Duration/c.Every < 3*minSamples {
		errs = append(errs, fmt.Errorf("sample: %s is not between 100ms and 1m, or gives fewer than %d samples", c.Every, 3*minSamples))
	}
	if c.Tolerance <= 0 || c.Tolerance > 1 {
		errs = append(errs, fmt.Errorf("tolerance: %v is not above 0 and at most 1", c.Tolerance))
	}
	return errors.Join(append(errs, c.Direct.Validate(), c.Group.Validate(), c.Room.Validate())...)
}

// Soak loads all shapes at once. The report is whole even when its Err is not nil; the error returned is for a run that could not be made.
func Soak(ctx context.Context, cfg SoakConfig, log io.Writer) (*SoakReport, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	d, h, r := newDirect(cfg.Direct, log), newHot(cfg.Group, log), newRoom(cfg.Room, log)
	defer d.close()
	defer h.close()
	defer r.close()
	for _, connect := range []func(context.Context) error{d.connect, h.connect, r.connect} {
		if err := connect(ctx); err != nil {
			return nil, err
		}
	}
	rep := &SoakReport{Duration: cfg.Duration, Tolerance: cfg.Tolerance}
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) { rep.Direct, err = d.measure(gctx); return err })
	g.Go(func() (err error) { rep.Group, err = h.measure(gctx); return err })
	g.Go(func() (err error) { rep.Room, err = r.measure(gctx); return err })
	g.Go(func() (err error) { rep.Samples, err = cfg.watch(gctx, log); return err })
	if err := g.Wait(); err != nil {
		return nil, err
	}
	rep.judge(cfg.Direct.Rate + cfg.Group.Rate + cfg.Room.Rate)
	return rep, nil
}

// Sample is the server at one time of a soak.
type Sample struct {
	At         time.Duration // since the end of the warm-up
	RSS, InUse int64         // bytes: resident; in use by heap and stacks
	Goroutines int64
	Files      int64
	Tail       int64 // commits after the checkpoints
	Lag        int64 // commits that projections and reactors have not applied
}

// watch samples the server until the load ends, and says now and then how it goes.
func (c *SoakConfig) watch(ctx context.Context, log io.Writer) (samples []Sample, err error) {
	server := newProcess(&c.Target)
	defer server.close()
	if err := sleep(ctx, c.Warmup); err != nil {
		return nil, err
	}
	start, said := time.Now(), time.Now()
	for at := time.Duration(0); at < c.Duration; at += c.Every {
		if err := sleep(ctx, time.Until(start.Add(at))); err != nil {
			return nil, err
		}
		s, err := server.sample(ctx)
		if err != nil {
			return nil, err
		}
		samples = append(samples, Sample{
			At: at, RSS: s.rss, InUse: s.inUse, Goroutines: s.goroutines, Files: s.files, Tail: s.tail, Lag: s.lag,
		})
		if time.Since(said) < time.Minute && len(samples) > 1 {
			continue
		}
		said = time.Now()
		if _, err := fmt.Fprintf(log, "%s: RSS %.1f MB, %d goroutines, %d files, tail %d, lag %d\n",
			at.Round(time.Second), megabytes(s.rss), s.goroutines, s.files, s.tail, s.lag); err != nil {
			return nil, err
		}
	}
	return samples, nil
}
