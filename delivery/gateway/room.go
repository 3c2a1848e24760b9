package gateway

import (
	"context"
	"fmt"
	"slices"

	"parley/delivery/directory"
	"parley/domain"
	"parley/domain/conversation"
	"parley/schemas/msync"
)

// RoomJoin asks to make a user a viewer of a room, whichever devices the user has.
type RoomJoin struct {
	App         domain.AppID
	User        domain.UserID
	Incarnation domain.Incarnation
	Room        string // the room's id
	Ext         string // shown to the others
	LeaveOthers bool   // the user leaves the other rooms that it views
}

// RoomInfo is what is told to who joins a room.
type RoomInfo struct {
	Count      int      // users who view it, the owner always included
	Created    domain.T // of the room
	Allowed    bool     // the user is on the allow list
	AllMuted   bool
	MutedUntil domain.T // of the user; 0: may speak
}

func roomInfo(head *conversation.RoomHead, who conversation.Person, count int) RoomInfo {
	return RoomInfo{Count: count, Created: head.Created, Allowed: head.Allows(who)}
}

// JoinRoom makes all sessions of a user view a room. A user without any gets a lease for as long as a viewer may be cut off.
// Joining again is no error. Refused with RoomNotFound, RoomFull, TooManyRooms.
func (g *Gateway) JoinRoom(ctx context.Context, j RoomJoin) (RoomInfo, error) {
	stream, ok := roomStream(j.App, j.Room)
	if !ok {
		return RoomInfo{}, errNoRoom
	}
	head, no := g.roomHead(ctx, stream)
	if no != nil {
		return RoomInfo{}, no
	}
	count, shown, err := g.joinAll(stream, head, &j)
	if err != nil {
		return RoomInfo{}, err
	}
	for s, v := range shown {
		s.beginShow(ctx, stream, v, g.onJoin(), s.showHistory)
	}
	return roomInfo(head, conversation.Person{User: j.User, Incarnation: j.Incarnation}, count), nil
}

// joinAll makes leases for the devices of a user, and returns the sessions that are to be shown the room.
func (g *Gateway) joinAll(
	stream domain.StreamID, head *conversation.RoomHead, j *RoomJoin,
) (count int, shown map[*session]*view, err error) {
	k := directory.Key{App: j.App, User: j.User}
	mu := g.users.of(k)
	mu.Lock()
	defer mu.Unlock()
	if j.LeaveOthers {
		for _, le := range g.cfg.Leases.RoomsOf(j.App, j.User) {
			if le.Room != stream {
				g.leaveAll(k, le.Room)
			}
		}
	}
	asked := leaseOf(stream, head, j.App, conversation.Person{User: j.User, Incarnation: j.Incarnation}, j.Ext)
	asked.Everywhere = true
	shown = make(map[*session]*view)
	for _, s := range g.sessionsOf(k) {
		if s.info.Incarnation != j.Incarnation || !s.views.begun || s.views.over {
			continue
		}
		asked.Device = s.info.Resource
		if count, _, err = g.cfg.Leases.Join(asked); err != nil {
			break
		}
		asked.Everywhere = false // one word is enough
		if v := s.view(stream, 0); v != nil {
			shown[s] = v
		}
	}
	if asked.Device == "" {
		count, _, err = g.cfg.Leases.Join(asked)
	}
	if err != nil {
		for s := range shown {
			s.unview(stream)
		}
	}
	return count, shown, err
}

// leaveAll ends the viewing of a room by all sessions of a user. The user is locked.
func (g *Gateway) leaveAll(k directory.Key, stream domain.StreamID) (was bool) {
	for _, s := range g.sessionsOf(k) {
		s.unview(stream)
	}
	return g.cfg.Leases.Leave(k.App, k.User, stream, "")
}

// LeaveRoom makes a user a viewer no more, on all devices. Refused with RoomNotFound, NotMember.
func (g *Gateway) LeaveRoom(ctx context.Context, app domain.AppID, u domain.UserID, room string) error {
	stream, ok := roomStream(app, room)
	if !ok {
		return errNoRoom
	}
	k := directory.Key{App: app, User: u}
	mu := g.users.of(k)
	mu.Lock()
	was := g.leaveAll(k, stream)
	mu.Unlock()
	if was {
		return nil
	}
	if _, no := g.roomHead(ctx, stream); no != nil {
		return no
	}
	return errNotViewing
}

// RemoveFromRoom ends the viewing of users, who are told so, and the others that they have gone. removed are those who viewed the room.
// Refused with RoomNotFound.
func (g *Gateway) RemoveFromRoom(
	ctx context.Context, app domain.AppID, room string, users []domain.UserID, by conversation.Doer,
) (removed []domain.UserID, err error) {
	stream, ok := roomStream(app, room)
	if !ok {
		return nil, errNoRoom
	}
	if _, no := g.roomHead(ctx, stream); no != nil {
		return nil, no
	}
	st, _ := stream.Parse()
	for _, u := range users {
		kick := msync.AppendRoomNotice(nil, &msync.RoomNotice{
			ID: g.NextT(), Room: st, Op: msync.MUCBody_KICK, By: by.User, Users: []domain.UserID{u},
		})
		removed = append(removed, g.removeOne(stream, directory.Key{App: app, User: u}, kick)...)
	}
	return removed, nil
}

// removeOne removes one user: the devices are told, and then shown nothing more.
func (g *Gateway) removeOne(stream domain.StreamID, k directory.Key, kick []byte) (removed []domain.UserID) {
	users := []domain.UserID{k.User}
	mu := g.users.of(k)
	mu.Lock()
	defer mu.Unlock()
	g.cfg.Router.Notify(stream, users, kick)
	for _, s := range g.sessionsOf(k) {
		s.unview(stream)
	}
	return g.cfg.Leases.Remove(stream, users)
}

// checkedRooms is how many rooms are read at once.
const checkedRooms = 500

// CheckRooms brings leases that were loaded in line with the rooms: some may have ended, or got another owner or allow list, right
// before a kill. It comes before Run, when what changes from now on is routed.
func (g *Gateway) CheckRooms(ctx context.Context) error {
	for some := range slices.Chunk(g.cfg.Leases.Rooms(), checkedRooms) {
		heads, err := g.cfg.Owners.Heads(ctx, some)
		if err != nil {
			return fmt.Errorf("read rooms that were viewed: %w", err)
		}
		for i, stream := range some {
			g.checkRoom(stream, heads[i])
		}
	}
	return nil
}

func (g *Gateway) checkRoom(stream domain.StreamID, row domain.Row) {
	head, _ := row.(*conversation.RoomHead)
	if !head.Open() {
		g.cfg.Leases.EndRoom(stream)
		return
	}
	g.cfg.Leases.SetOwner(stream, head.Owner.User)
	allowed := make([]domain.UserID, len(head.Allowed))
	for i := range head.Allowed {
		allowed[i] = head.Allowed[i].User
	}
	g.cfg.Leases.SetAllowed(stream, allowed)
}
