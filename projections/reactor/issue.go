package reactor

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"parley/domain"
)

// issue sends commands and returns when each has its answer: those to one stream one after the other, in order, those to different streams
// beside each other. An error is ctx's.
func (r *Runner) issue(ctx context.Context, commands []Command) error {
	if len(commands) == 0 {
		return nil
	}
	byStream := make(map[domain.StreamID][]Command, len(commands))
	order := make([]domain.StreamID, 0, len(commands))
	for _, c := range commands {
		if byStream[c.Stream] == nil {
			order = append(order, c.Stream)
		}
		byStream[c.Stream] = append(byStream[c.Stream], c)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(r.settings.Streams)
	for _, stream := range order {
		g.Go(func() error {
			for i := range byStream[stream] {
				if err := r.send(ctx, &byStream[stream][i]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// send sends a command until it is done or refused.
func (r *Runner) send(ctx context.Context, c *Command) error {
	begin := time.Now()
	for d := r.settings.FirstPause; ; d = min(2*d, r.settings.LastPause) {
		err := r.ask(ctx, c)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		code := domain.CodeOf(err)
		if !again(code) {
			r.answered(c, code, begin)
			return nil
		}
		r.metrics.retries.WithLabelValues(c.reactor, string(code)).Inc()
		if d == r.settings.LastPause {
			r.log.Warn("what follows from a commit is not taken yet", "reactor", c.reactor, "command", c.Command.CommandName(), "error", err)
		}
		if err := pause(ctx, d); err != nil {
			return err
		}
	}
}

// again tells whether an answer leaves open if the command was taken, or says that it may be later.
func again(code domain.Code) bool {
	switch code {
	case domain.Busy, domain.Unknown, domain.Stopping, domain.Internal, domain.RateLimited:
		return true
	default:
		return false
	}
}

// answered counts an answer. A refusal is one: the target's rules have the last word, and the user may be gone.
func (r *Runner) answered(c *Command, code domain.Code, begin time.Time) {
	r.metrics.answers.Observe(time.Since(begin).Seconds())
	if code == "" {
		r.metrics.commands.WithLabelValues(c.reactor, "done").Inc()
		return
	}
	r.metrics.commands.WithLabelValues(c.reactor, string(code)).Inc()
	if !missing(code) {
		r.log.Warn("what follows from a commit was refused", "reactor", c.reactor, "command", c.Command.CommandName(), "code", string(code))
	}
}

// missing tells whether a refusal says that what the command is about is not there any more.
func missing(code domain.Code) bool {
	switch code {
	case domain.UserNotFound, domain.GroupNotFound, domain.RoomNotFound, domain.NotMember, domain.NotFound:
		return true
	default:
		return false
	}
}

// ask sends a command once and waits for its answer.
func (r *Runner) ask(ctx context.Context, c *Command) error {
	answer := make(chan error, 1)
	r.owners.Submit(domain.Request{Stream: c.Stream, Command: c.Command, Done: func(res domain.Result) { answer <- res.Err }})
	select {
	case <-ctx.Done():
		return ctx.Err()
	case err := <-answer:
		return err
	}
}
