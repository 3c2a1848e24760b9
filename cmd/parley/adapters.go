package main

import (
	"context"
	"slices"

	"parley/delivery/directory"
	"parley/delivery/gateway"
	"parley/domain"
	"parley/domain/conversation"
	"parley/ingest/control"
	"parley/ingest/rest"
	"parley/projections/groups"
	"parley/projections/memberships"
	"parley/projections/queries"
	"parley/projections/runner"
)

// apps tells the gateway and REST which tenants there are.
type apps struct{ control *control.Control }

// AppExists implements gateway.Apps.
func (a apps) AppExists(id domain.AppID) bool {
	_, ok := a.control.App(id)
	return ok
}

// App implements rest.Apps.
func (a apps) App(id domain.AppID) (rest.App, bool) {
	app, ok := a.control.App(id)
	if !ok {
		return rest.App{}, false
	}
	return restApp(app), true
}

func restApp(a control.App) rest.App {
	return rest.App{
		ID: a.ID, UUID: a.UUID, ClientID: a.ClientID, OpenRegistration: a.OpenRegistration, Created: a.Created, CheckSecret: a.CheckSecret,
	}
}

// reads joins the queries with the positions of the projections.
type reads struct {
	*queries.Queries
	runner *runner.Runner
	passed passed
}

// WaitMemberships implements gateway.Reads.
func (r reads) WaitMemberships(ctx context.Context, positions map[domain.Partition]domain.Index) error {
	open := make(map[domain.Partition]domain.Index)
	for p, index := range positions {
		if index == 0 {
			continue
		}
		if at, ok := r.runner.Position(memberships.Kind.Name, p); ok && at >= index {
			continue
		}
		open[p] = index
	}
	return r.passed.WaitAll(ctx, open, memberships.Kind.Name)
}

// Wait implements rest.Waiter: it returns when every projection has passed a position.
func (r reads) Wait(ctx context.Context, p domain.Partition, index domain.Index) error {
	return r.passed.Wait(ctx, p, index)
}

// History implements rest.Reads.
func (r reads) History(ctx context.Context, q rest.HistoryQuery) (rest.HistoryPage, error) {
	page, err := r.Queries.History(ctx, queries.HistoryQuery(q))
	return rest.HistoryPage(page), err
}

// Recallable implements gateway.Reads and rest.Messages. What was acknowledged on another node a moment ago is waited for.
func (r reads) Recallable(
	ctx context.Context, near domain.StreamID, id domain.MessageID,
) (domain.StreamID, conversation.Recallable, error) {
	stream, target, err := r.Queries.Recallable(ctx, near, id)
	if domain.CodeOf(err) != domain.NotFound || near == "" || !r.passed.arrived(ctx, near) {
		return stream, target, err
	}
	return r.Queries.Recallable(ctx, near, id)
}

// Users implements rest.Reads.
func (r reads) Users(ctx context.Context, app domain.AppID, cursor string, limit int) ([]rest.Profile, string, error) {
	page, next, err := r.Queries.Users(ctx, app, cursor, limit)
	out := make([]rest.Profile, len(page))
	for i := range page {
		out[i] = rest.Profile(page[i])
	}
	return out, next, err
}

// Members implements rest.Groups.
func (r reads) Members(
	ctx context.Context, stream domain.StreamID, cursor string, skip, limit int,
) ([]rest.GroupMember, string, error) {
	page, next, err := r.Queries.Members(ctx, stream, cursor, skip, limit)
	out := make([]rest.GroupMember, len(page))
	for i := range page {
		out[i] = rest.GroupMember{User: page[i].User, Joined: page[i].Joined}
	}
	return out, next, err
}

// Groups implements rest.Groups.
func (r reads) Groups(ctx context.Context, app domain.AppID, public bool, cursor string, limit int) ([]rest.Group, string, error) {
	list := groups.All
	if public {
		list = groups.Public
	}
	page, next, err := r.Queries.Groups(ctx, app, list, cursor, limit)
	out := make([]rest.Group, len(page))
	for i := range page {
		g := &page[i]
		out[i] = rest.Group{ID: g.ID, Name: g.Name, Owner: g.Owner, Changed: g.Changed, Count: g.Count}
	}
	return out, next, err
}

// sessions tells REST who is online.
type sessions struct{ users *directory.Directory }

// Online implements rest.Sessions.
func (s sessions) Online(app domain.AppID, u domain.UserID) bool {
	return s.users.Online(directory.Key{App: app, User: u})
}

// Devices implements rest.Sessions.
func (s sessions) Devices(app domain.AppID, u domain.UserID) []rest.Device {
	var out []rest.Device
	for _, d := range s.users.Devices(directory.Key{App: app, User: u}) {
		out = append(out, rest.Device{Resource: d.Resource, DeviceUUID: d.DeviceUUID, DeviceName: d.DeviceName})
	}
	return out
}

// undelivered tells REST what a user's devices have not acknowledged.
type undelivered struct {
	gateway *gateway.Gateway
	reads   reads
}

// Count implements rest.Undelivered.
func (u undelivered) Count(ctx context.Context, app domain.AppID, name domain.UserID, inc domain.Incarnation) (int, error) {
	return u.gateway.Undelivered(ctx, app, name, inc)
}

var errNoMessage = domain.Refuse(domain.NotFound, "the user has no such message")

// Delivered implements rest.Undelivered.
func (u undelivered) Delivered(
	ctx context.Context, app domain.AppID, name domain.UserID, inc domain.Incarnation, id domain.MessageID,
) (bool, error) {
	stream, ev, err := u.reads.MessageByID(ctx, id)
	if err != nil {
		return false, err
	}
	m, ok := ev.Body.(conversation.MessageSent)
	st, parsed := stream.Parse()
	if !ok || !parsed || st.App != app || !receives(st, &m, name) {
		return false, errNoMessage
	}
	at, ok, err := u.reads.Membership(ctx, app, name, inc, stream)
	if err != nil {
		return false, err
	}
	if !ok || !at.Covers(ev.Seq) {
		return false, errNoMessage
	}
	return u.gateway.Delivered(ctx, app, name, inc, stream, ev.Seq)
}

// receives tells whether a message is for a user, as far as the message says.
func receives(st domain.Stream, m *conversation.MessageSent, u domain.UserID) bool {
	if st.Kind != domain.KindGroup {
		return m.To == u
	}
	return m.From != u && (len(m.Audience) == 0 || slices.Contains(m.Audience, u))
}

// volatile hands what is not logged to the router, with ids of the gateway's.
type volatile struct{ *node }

// NextT implements rest.Volatile.
func (v volatile) NextT() domain.T { return v.gateway.NextT() }

// Volatile implements rest.Volatile.
func (v volatile) Volatile(stream domain.StreamID, ev *domain.Event) { v.router.Volatile(stream, ev) }
