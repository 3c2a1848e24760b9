package reactor

import (
	"context"
	"fmt"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/user"
)

// Notices tells users what happened in groups that they are not members of: that they were invited, and that their application was declined.
type Notices struct{}

// Name implements Reactor.
func (Notices) Name() string { return "notices" }

// React implements Reactor.
func (Notices) React(_ context.Context, dst []Command, a *domain.Accepted, causes *Causes) ([]Command, error) {
	for i := range a.Commit.Events {
		switch b := a.Commit.Events[i].Body.(type) {
		case conversation.UsersInvited:
			for _, u := range b.Users {
				var err error
				if dst, err = notify(dst, a, u, user.Notify{
					Kind: user.GroupInvited, Name: b.Name, By: b.By.User, Reason: b.Reason, Cause: causes.Next(),
				}); err != nil {
					return dst, err
				}
			}
		case conversation.JoinAnswered:
			if b.Accepted {
				continue // MembersAdded tells
			}
			var err error
			if dst, err = notify(dst, a, b.User, user.Notify{
				Kind: user.GroupDeclined, Name: b.Name, By: b.By.User, Reason: b.Reason, Cause: causes.Next(),
			}); err != nil {
				return dst, err
			}
		}
	}
	return dst, nil
}

// notify addresses a notice.
func notify(dst []Command, a *domain.Accepted, to conversation.Person, n user.Notify) ([]Command, error) {
	st, ok := a.Commit.Stream.Parse()
	if !ok || st.Kind != domain.KindGroup {
		return dst, fmt.Errorf("partition %d, index %d: a group's event outside a group", a.Partition, a.Index)
	}
	n.Incarnation, n.Group = to.Incarnation, st.A
	return append(dst, Command{Stream: domain.UserStream(st.App, to.User), Command: n}), nil
}
