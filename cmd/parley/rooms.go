package main

import (
	"context"

	"parley/delivery/gateway"
	"parley/delivery/lease"
	"parley/delivery/room"
	"parley/domain"
	"parley/domain/conversation"
	"parley/ingest/rest"
)

// viewing tells REST who views rooms, and lets it change that.
type viewing struct {
	*gateway.Gateway
	leases *lease.Leases
	rooms  *room.Rooms
	synced func(context.Context) // returns when the other nodes know what was changed; the user's next message may reach any of them
}

// Join implements rest.Rooms.
func (v viewing) Join(ctx context.Context, j rest.RoomJoin) (rest.RoomInfo, error) {
	info, err := v.JoinRoom(ctx, gateway.RoomJoin(j))
	v.synced(ctx)
	return rest.RoomInfo(info), err
}

// Leave implements rest.Rooms.
func (v viewing) Leave(ctx context.Context, app domain.AppID, u domain.UserID, id string) error {
	err := v.LeaveRoom(ctx, app, u, id)
	v.synced(ctx)
	return err //nolint:wrapcheck // it is a refusal
}

// Remove implements rest.Rooms.
func (v viewing) Remove(
	ctx context.Context, app domain.AppID, room string, users []domain.UserID, by conversation.Doer,
) ([]domain.UserID, error) {
	removed, err := v.RemoveFromRoom(ctx, app, room, users, by)
	v.synced(ctx)
	return removed, err //nolint:wrapcheck // it is a refusal
}

// Count implements rest.Rooms.
func (v viewing) Count(_ context.Context, app domain.AppID, room string) (int, error) {
	return v.leases.Count(domain.RoomStream(app, room)), nil
}

// Viewing implements rest.Rooms.
func (v viewing) Viewing(_ context.Context, app domain.AppID, room string, u domain.UserID) (bool, error) {
	return v.leases.Viewing(domain.RoomStream(app, room), u), nil
}

// Viewers implements rest.Rooms.
func (v viewing) Viewers(_ context.Context, app domain.AppID, room string, after domain.UserID, limit int) ([]rest.Viewer, error) {
	roster := v.leases.Roster(domain.RoomStream(app, room), after, limit)
	out := make([]rest.Viewer, len(roster))
	for i := range roster {
		out[i] = rest.Viewer{User: roster[i].User, Since: roster[i].Joined}
	}
	return out, nil
}

// Views implements rest.Rooms.
func (v viewing) Views(_ context.Context, app domain.AppID, u domain.UserID) ([]rest.Viewed, error) {
	leases := v.leases.RoomsOf(app, u)
	out := make([]rest.Viewed, 0, len(leases))
	for i := range leases {
		if st, ok := leases[i].Room.Parse(); ok {
			out = append(out, rest.Viewed{Room: st.A, Since: leases[i].Joined})
		}
	}
	return out, nil
}

// Admit implements rest.Rooms.
func (v viewing) Admit(app domain.AppID, room string, p conversation.Priority) error {
	return v.rooms.Admit(domain.RoomStream(app, room), p)
}

// Rooms implements rest.RoomLists.
func (r reads) Rooms(ctx context.Context, app domain.AppID, cursor string, limit int) ([]rest.Room, string, error) {
	page, next, err := r.Queries.Rooms(ctx, app, cursor, limit)
	out := make([]rest.Room, len(page))
	for i := range page {
		out[i] = rest.Room{ID: page[i].ID, Name: page[i].Name, Owner: page[i].Owner}
	}
	return out, next, err
}
