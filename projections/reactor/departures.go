package reactor

import (
	"context"
	"fmt"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/user"
	"parley/projections/groups"
	"parley/projections/members"
	"parley/projections/memberships"
	"parley/projections/roles"
)

// Reads is what reactors read of the read models.
type Reads interface {
	// RolesOf and GroupsIn return a page, and what to go on behind; empty: there is no more.
	RolesOf(ctx context.Context, app domain.AppID, u domain.UserID, after domain.StreamID) ([]roles.Role, domain.StreamID, error)
	GroupsIn(
		ctx context.Context, app domain.AppID, u domain.UserID, inc domain.Incarnation, after domain.StreamID,
	) ([]domain.StreamID, domain.StreamID, error)
	// GroupsOf returns the groups and rooms with the given streams.
	GroupsOf(ctx context.Context, streams []domain.StreamID) (map[domain.StreamID]groups.Group, error)
	// Member returns a member of a group; ok is false when the user never was one.
	Member(ctx context.Context, stream domain.StreamID, u domain.UserID) (m members.Member, ok bool, err error)
	// Gone returns the last incarnations of those of the names whose accounts were ever deleted.
	Gone(ctx context.Context, app domain.AppID, users []domain.UserID) (map[domain.UserID]domain.Incarnation, error)
}

// Rows knows how far the read models have come.
type Rows interface {
	// Wait returns nil when the named read models have passed an index of a partition.
	Wait(ctx context.Context, p domain.Partition, index domain.Index, names ...string) error
}

// Departures ends, with an account, what was the account's: the groups and rooms that it owned, and its part in others.
//
// An account may end while it gets a part somewhere, in another partition. Both events are reacted to, each after its own rows are
// written: the end of an account reads its parts, and a new part reads if the account has ended. So one of the two sees the other.
//
// The commands come from the account itself, as the incarnation that has ended: where it has no part any more, or another account of the name
// has, the rules refuse them. That is what makes them harmless when they come again, or late; so they need no cause.
type Departures struct {
	reads Reads
	rows  Rows
}

// NewDepartures returns the reactor.
func NewDepartures(reads Reads, rows Rows) Departures { return Departures{reads: reads, rows: rows} }

// Name implements Reactor.
func (Departures) Name() string { return "departures" }

// React implements Reactor.
func (d Departures) React(ctx context.Context, dst []Command, a *domain.Accepted, _ *Causes) ([]Command, error) {
	ended, parts := look(a.Commit.Events)
	if ended == 0 && len(parts) == 0 {
		return dst, nil
	}
	st, ok := a.Commit.Stream.Parse()
	if !ok || (ended != 0) != (st.Kind == domain.KindUser) {
		return dst, fmt.Errorf("partition %d, index %d: an event outside its kind of stream", a.Partition, a.Index)
	}
	if err := d.rows.Wait(ctx, a.Partition, a.Index, roles.Name, memberships.Name, groups.Name, members.Name); err != nil {
		return dst, later(fmt.Errorf("wait for read models: %w", err))
	}
	var err error
	if ended != 0 {
		dst, err = d.leaveAll(ctx, dst, st.App, conversation.Person{User: domain.UserID(st.A), Incarnation: ended})
	} else {
		dst, err = d.leaveThis(ctx, dst, st.App, a.Commit.Stream, parts)
	}
	if err != nil {
		return dst, later(err)
	}
	return dst, nil
}

// part is what somebody got in a group or room.
type part struct {
	who    conversation.Person // of an incarnation of 0: the member's
	ending func(by conversation.Person) domain.Command
}

// look says which incarnation of an account has ended (0: none), or who got which part.
func look(events []domain.Event) (ended domain.Incarnation, parts []part) {
	for i := range events {
		switch b := events[i].Body.(type) {
		case user.Deleted:
			ended = b.Incarnation
		case conversation.GroupCreated:
			parts = append(parts, part{b.Owner, destroyGroup})
		case conversation.MembersAdded:
			for j := range b.Members {
				parts = append(parts, part{conversation.Person{User: b.Members[j].User, Incarnation: b.Members[j].Incarnation}, leaveGroup})
			}
		case conversation.OwnerChanged: // the old owner could not leave before
			parts = append(parts, part{conversation.Person{User: b.Owner}, destroyGroup}, part{conversation.Person{User: b.Old}, leaveGroup})
		case conversation.RoomCreated:
			parts = append(parts, part{b.Owner, destroyRoom})
		case conversation.RoomTransferred:
			parts = append(parts, part{b.Owner, destroyRoom})
		case conversation.UsersAllowed:
			for _, p := range b.Users {
				parts = append(parts, part{p, disallow})
			}
		}
	}
	return ended, parts
}

// leaveThis ends parts that accounts got which have ended.
func (d Departures) leaveThis(
	ctx context.Context, dst []Command, app domain.AppID, stream domain.StreamID, parts []part,
) ([]Command, error) {
	users := make([]domain.UserID, len(parts))
	for i := range parts {
		users[i] = parts[i].who.User
	}
	gone, err := d.reads.Gone(ctx, app, users)
	if err != nil {
		return dst, err
	}
	for _, p := range parts {
		last := gone[p.who.User]
		if last != 0 && p.who.Incarnation == 0 {
			m, _, err := d.reads.Member(ctx, stream, p.who.User)
			if err != nil {
				return dst, err
			}
			p.who.Incarnation = m.Incarnation
		}
		if last != 0 && p.who.Incarnation <= last {
			dst = append(dst, Command{Stream: stream, Command: p.ending(p.who)})
		}
	}
	return dst, nil
}

// leaveAll ends all that an account has.
func (d Departures) leaveAll(ctx context.Context, dst []Command, app domain.AppID, p conversation.Person) ([]Command, error) {
	for after := domain.StreamID(""); ; {
		page, next, err := d.reads.GroupsIn(ctx, app, p.User, p.Incarnation, after)
		if err != nil {
			return dst, err
		}
		if dst, err = d.leaveGroups(ctx, dst, page, p); err != nil {
			return dst, err
		}
		if after = next; next == "" {
			break
		}
	}
	for after := domain.StreamID(""); ; {
		page, next, err := d.reads.RolesOf(ctx, app, p.User, after)
		if err != nil {
			return dst, err
		}
		if dst, err = d.leaveRooms(ctx, dst, page, p); err != nil {
			return dst, err
		}
		if after = next; next == "" {
			return dst, nil
		}
	}
}

func (d Departures) leaveGroups(ctx context.Context, dst []Command, page []domain.StreamID, p conversation.Person) ([]Command, error) {
	all, err := d.reads.GroupsOf(ctx, page)
	if err != nil {
		return dst, err
	}
	for _, stream := range page {
		g, ok := all[stream]
		switch {
		case ok && g.Ended != 0:
		case ok && g.Owner == p.User:
			dst = append(dst, Command{Stream: stream, Command: destroyGroup(p)})
		default:
			dst = append(dst, Command{Stream: stream, Command: leaveGroup(p)})
		}
	}
	return dst, nil
}

func (d Departures) leaveRooms(ctx context.Context, dst []Command, page []roles.Role, p conversation.Person) ([]Command, error) {
	streams := make([]domain.StreamID, len(page))
	for i := range page {
		streams[i] = page[i].Room
	}
	all, err := d.reads.GroupsOf(ctx, streams)
	if err != nil {
		return dst, err
	}
	for _, r := range page {
		if o, ok := all[r.Room]; ok && o.Ended != 0 {
			continue
		}
		if r.Owner != 0 && r.Owner <= p.Incarnation {
			dst = append(dst, Command{Stream: r.Room, Command: destroyRoom(conversation.Person{User: p.User, Incarnation: r.Owner})})
		}
		if r.Allowed != 0 && r.Allowed <= p.Incarnation { // of a room that has another owner by now, too
			dst = append(dst, Command{Stream: r.Room, Command: disallow(p)})
		}
	}
	return dst, nil
}

func actor(p conversation.Person) conversation.Actor {
	return conversation.Actor{User: p.User, Incarnation: p.Incarnation}
}

func destroyGroup(p conversation.Person) domain.Command {
	return conversation.DestroyGroup{By: actor(p)}
}

func leaveGroup(p conversation.Person) domain.Command { return conversation.LeaveGroup{By: actor(p)} }

func destroyRoom(p conversation.Person) domain.Command {
	return conversation.DestroyRoom{By: actor(p)}
}

// disallow is the app's wish: who is on an allow list may not change it.
func disallow(p conversation.Person) domain.Command {
	return conversation.DisallowUsers{By: conversation.Actor{App: true}, Users: []domain.UserID{p.User}}
}
