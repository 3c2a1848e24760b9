package gateway

import (
	"context"

	"parley/delivery/directory"
	"parley/delivery/lease"
	"parley/domain"
)

// The gateway is the lease.Local: it is told what was done to its users' leases on other nodes. What it is told says only that it is worth
// looking; what the leases say under the user's lock is what goes, so that it may be told late, twice or in another order. Whoever tells does
// not wait: the user's lock may be held by one who waits for the store.
var _ lease.Local = (*Gateway)(nil)

// Ended ends the showing of a room to devices of a user that view it no more.
func (g *Gateway) Ended(room lease.Room, app domain.AppID, u domain.UserID) {
	for _, s := range g.sessionsOf(directory.Key{App: app, User: u}) {
		s.later(func(context.Context) { s.unviewEnded(room) })
	}
}

// Added begins to show a room to the sessions of a user who was added to it.
func (g *Gateway) Added(room lease.Room, app domain.AppID, u domain.UserID, inc domain.Incarnation) {
	for _, s := range g.sessionsOf(directory.Key{App: app, User: u}) {
		if s.info.Incarnation == inc {
			s.later(func(ctx context.Context) { s.viewAdded(ctx, room) })
		}
	}
}

// later runs f for a session unless it ends.
func (s *session) later(f func(context.Context)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.background(f)
}

// unviewEnded ends the showing of a room that the device views no more.
func (s *session) unviewEnded(stream domain.StreamID) {
	mu := s.lockRooms()
	defer mu.Unlock()
	if !s.gw.cfg.Leases.Views(stream, s.key.User, s.info.Resource) {
		s.unview(stream)
	}
}

// viewAdded begins to show a room that the user was added to. A session whose handshake is not answered yet finds it among its leases.
func (s *session) viewAdded(ctx context.Context, stream domain.StreamID) {
	mu := s.lockRooms()
	if !s.views.begun || s.views.over || s.views.rooms[stream] != nil {
		mu.Unlock()
		return
	}
	_, ok := s.gw.cfg.Leases.View(s.key.App, s.key.User, s.info.Incarnation, stream, s.info.Resource)
	v := (*view)(nil)
	if ok {
		v = s.view(stream, 0)
	}
	mu.Unlock()
	if v != nil {
		s.beginShow(ctx, stream, v, s.gw.onJoin(), s.showHistory)
	}
}
