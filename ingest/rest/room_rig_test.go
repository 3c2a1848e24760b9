package rest_test

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"parley/delivery/lease"
	"parley/delivery/room"
	"parley/domain"
	"parley/domain/conversation"
	"parley/ingest/rest"
)

// viewing is who views rooms: the real leases and the real rate of rooms, without the sockets that are delivery's.
type viewing struct {
	rooms *room.Rooms
	mu    sync.Mutex
	joins []rest.RoomJoin
}

// newViewing makes one whose rooms take so many messages a second.
func newViewing(rate int, now func() time.Time) *viewing {
	s := room.DefaultSettings()
	s.Rate = rate
	return &viewing{rooms: must(room.New(room.Config{Settings: s, Now: now, Registerer: prometheus.NewRegistry()}))}
}

func (v *viewing) Join(ctx context.Context, j rest.RoomJoin) (rest.RoomInfo, error) {
	stream := domain.RoomStream(j.App, j.Room)
	rows, err := shared.owners.Heads(ctx, []domain.StreamID{stream})
	if err != nil {
		return rest.RoomInfo{}, err
	}
	head, _ := rows[0].(*conversation.RoomHead)
	if !head.Open() {
		return rest.RoomInfo{}, domain.Refuse(domain.RoomNotFound, "")
	}
	who := conversation.Person{User: j.User, Incarnation: j.Incarnation}
	if j.LeaveOthers {
		for _, l := range shared.leases.RoomsOf(j.App, j.User) {
			shared.leases.Leave(j.App, j.User, l.Room, "")
		}
	}
	count, _, err := shared.leases.Join(lease.Join{
		App: j.App, User: j.User, Incarnation: j.Incarnation, Room: stream, Ext: j.Ext, Owner: head.Owner.User,
		MaxUsers: int(head.Settings.MaxUsers), Stays: head.Allows(who),
	})
	v.mu.Lock()
	defer v.mu.Unlock()
	v.joins = append(v.joins, j)
	return rest.RoomInfo{Count: count, Created: head.Created, Allowed: head.Allows(who)}, err
}

func (v *viewing) Leave(_ context.Context, app domain.AppID, u domain.UserID, room string) error {
	if !shared.leases.Leave(app, u, domain.RoomStream(app, room), "") {
		return domain.Refuse(domain.NotMember, "")
	}
	return nil
}

func (v *viewing) Remove(
	_ context.Context, app domain.AppID, room string, users []domain.UserID, _ conversation.Doer,
) ([]domain.UserID, error) {
	return shared.leases.Remove(domain.RoomStream(app, room), users), nil
}

func (v *viewing) Count(_ context.Context, app domain.AppID, room string) (int, error) {
	return shared.leases.Count(domain.RoomStream(app, room)), nil
}

func (v *viewing) Viewing(_ context.Context, app domain.AppID, room string, u domain.UserID) (bool, error) {
	return shared.leases.Viewing(domain.RoomStream(app, room), u), nil
}

func (v *viewing) Viewers(_ context.Context, app domain.AppID, room string, after domain.UserID, limit int) (out []rest.Viewer, _ error) {
	for _, l := range shared.leases.Roster(domain.RoomStream(app, room), after, limit) {
		out = append(out, rest.Viewer{User: l.User, Since: l.Joined})
	}
	return out, nil
}

func (v *viewing) Views(_ context.Context, app domain.AppID, u domain.UserID) (out []rest.Viewed, _ error) {
	for _, l := range shared.leases.RoomsOf(app, u) {
		st, _ := l.Room.Parse()
		out = append(out, rest.Viewed{Room: st.A, Since: l.Joined})
	}
	return out, nil
}

func (v *viewing) Admit(app domain.AppID, id string, p conversation.Priority) error {
	return v.rooms.Admit(domain.RoomStream(app, id), p)
}

func (r reads) Rooms(ctx context.Context, app domain.AppID, cursor string, limit int) ([]rest.Room, string, error) {
	page, next, err := r.Queries.Rooms(ctx, app, cursor, limit)
	out := make([]rest.Room, len(page))
	for i, g := range page {
		out[i] = rest.Room{ID: g.ID, Name: g.Name, Owner: g.Owner}
	}
	return out, next, err
}

// room makes a room of an owner over REST with viewers, and returns its id.
func (r *rig) room(owner string, members ...string) string {
	r.t.Helper()
	return r.roomWith(map[string]any{"name": "r", "owner": owner, "members": members})
}

func (r *rig) roomWith(body map[string]any) string {
	r.t.Helper()
	if _, ok := body["description"]; !ok {
		body["description"] = ""
	}
	data := r.ok("POST", "~/chatrooms", body)["data"].(map[string]any)
	require.Equal(r.t, []string{"id"}, keys(data))
	return data["id"].(string)
}

// roomHead returns the room as its owner has it.
func (r *rig) roomHead(id string) *conversation.RoomHead {
	r.t.Helper()
	rows, err := shared.owners.Heads(r.t.Context(), []domain.StreamID{domain.RoomStream(r.app, id)})
	require.NoError(r.t, err)
	head, _ := rows[0].(*conversation.RoomHead)
	return head
}

// viewersOf asks for all who are in a room, as SDKs do.
func (r *rig) viewersOf(id string) []string {
	r.t.Helper()
	return affiliations(r.ok("GET", "~/chatrooms/"+id+"/users?limit=1000", nil)["data"])
}
