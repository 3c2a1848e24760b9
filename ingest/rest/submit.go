package rest

import (
	"context"
	"time"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/user"
)

// wish is a command and where it goes.
type wish struct {
	stream  domain.StreamID
	command domain.Command
}

// Pauses between tries when an owner moved before it answered; doubled each time.
const (
	firstRest = 20 * time.Millisecond
	lastRest  = 320 * time.Millisecond
)

// submit hands wishes to their owners, all at once, and returns the answers in order. An answer of code Unknown is asked for again, for
// Settings.RetryFor: the commands must be such that doing one twice does no harm. When it is then refused because it is so already, the first
// try did it, or somebody else: it counts as done. What is not answered when ctx ends is Unknown.
func (s *Server) submit(ctx context.Context, wishes []wish) []domain.Result {
	out := make([]domain.Result, len(wishes))
	open := make([]int, len(wishes))
	for i := range open {
		open[i] = i
	}
	giveUp := time.Now().Add(s.cfg.Settings.RetryFor)
	for rest := firstRest; ; rest = min(2*rest, lastRest) {
		s.round(ctx, wishes, open, out)
		left := open[:0]
		for _, i := range open {
			switch code := domain.CodeOf(out[i].Err); {
			case code == domain.Unknown:
				left = append(left, i)
			case rest > firstRest && code != "" && code == alreadyDone(wishes[i].command):
				out[i].Err = nil
			}
		}
		open = left
		if len(open) == 0 || time.Now().After(giveUp) || !pause(ctx, rest) {
			return out
		}
	}
}

// alreadyDone is the code with which a command is refused that has been done before, "" when that says nothing or there is none.
func alreadyDone(cmd domain.Command) domain.Code {
	switch cmd.(type) {
	case conversation.AddMembers, conversation.InviteUsers, conversation.ApplyToJoin, conversation.AnswerApplication, conversation.AnswerInvitation:
		return domain.AlreadyMember
	case conversation.RemoveMembers, conversation.LeaveGroup:
		return domain.NotMember
	case conversation.DestroyGroup:
		return domain.GroupNotFound
	case conversation.DestroyRoom:
		return domain.RoomNotFound
	case conversation.DisallowUsers:
		return domain.NotFound
	case conversation.AddAdmin, conversation.RemoveAdmin, conversation.TransferOwnership, conversation.TransferRoom:
		return domain.AlreadySo
	default:
		return ""
	}
}

// pause waits; false when ctx ended before.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// round submits the wishes at these places and fills in their answers.
func (s *Server) round(ctx context.Context, wishes []wish, places []int, out []domain.Result) {
	type answer struct {
		at     int
		result domain.Result
	}
	answers := make(chan answer, len(places)) // room for all: Done never blocks
	for _, i := range places {
		out[i] = domain.Result{Err: domain.Refuse(domain.Unknown, "not answered in time")}
		s.cfg.Owners.Submit(domain.Request{
			Stream: wishes[i].stream, Command: wishes[i].command,
			Done: func(r domain.Result) { answers <- answer{i, r} },
		})
	}
	for range places {
		select {
		case <-ctx.Done():
			return
		case a := <-answers:
			out[a.at] = a.result
		}
	}
}

// one submits one wish.
func (s *Server) one(ctx context.Context, stream domain.StreamID, cmd domain.Command) domain.Result {
	return s.submit(ctx, []wish{{stream, cmd}})[0]
}

// settle waits until the read models have passed what the answers rest on, for a bounded time: late is answered all the same. Refusals count,
// too: what was done already may have been done by a first try whose answer was lost.
func (s *Server) settle(ctx context.Context, results ...domain.Result) {
	last := map[domain.Partition]domain.Index{}
	for i := range results {
		if p := results[i].Position; p.Index > 0 {
			last[p.Partition] = max(last[p.Partition], p.Index)
		}
	}
	if len(last) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Settings.WaitAtMost)
	defer cancel()
	outcome := "passed"
	for p, index := range last {
		if err := s.cfg.Waiter.Wait(ctx, p, index); err != nil {
			outcome = "late"
		}
	}
	s.metrics.waits.WithLabelValues(outcome).Inc()
}

// heads returns the accounts of users as their owners know them now, nil for those that do not exist.
func (s *Server) heads(ctx context.Context, app domain.AppID, users []domain.UserID) ([]*user.Head, error) {
	ids := make([]domain.StreamID, len(users))
	for i, u := range users {
		ids[i] = domain.UserStream(app, u)
	}
	rows, err := s.cfg.Owners.Heads(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := make([]*user.Head, len(users))
	for i, row := range rows {
		if h, ok := row.(*user.Head); ok && h != nil && h.Exists {
			out[i] = h
		}
	}
	return out, nil
}

// account returns one account; UserNotFound when there is none.
func (s *Server) account(ctx context.Context, app domain.AppID, u domain.UserID) (*user.Head, error) {
	heads, err := s.heads(ctx, app, []domain.UserID{u})
	if err != nil {
		return nil, err
	}
	if heads[0] == nil {
		return nil, errNoUser
	}
	return heads[0], nil
}
