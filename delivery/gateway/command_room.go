package gateway

import (
	"bytes"
	"context"
	"strings"

	"parley/delivery/lease"
	"parley/delivery/room"
	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/message"
	"parley/schemas/msync"
)

// roomCall is what a client asks of a room, with what is needed to answer.
type roomCall struct {
	upward

	id       string // the room's
	stream   domain.StreamID
	ext      string
	calledAs string // what the client calls its user
}

// muc handles what clients ask of a room over the socket: to view it, or to view it no more.
func (s *session) muc(m *msync.MetaView, up *upward) {
	up.command = "CallRoom"
	asked, err := msync.ScanRoomCall(m.Payload)
	if err != nil {
		s.refuse(up, domain.Refuse(domain.BadRequest, "the call of the room is malformed"))
		return
	}
	c := roomCall{upward: *up, id: string(asked.Room.Name), ext: string(asked.Ext), calledAs: string(asked.From.Name)}
	c.to = c.id
	var ok bool
	if c.stream, ok = roomStream(s.key.App, c.id); !ok || len(asked.Room.AppKey) > 0 && string(asked.Room.AppKey) != string(s.key.App) {
		s.refuse(&c.upward, errNoRoom)
		return
	}
	if !s.withinRates() {
		s.refuse(&c.upward, errTraffic)
		return
	}
	switch asked.Operation {
	case msync.MUCBody_JOIN:
		c.command = "JoinRoom"
		s.joinRoom(&c, asked.LeaveOthers)
	case msync.MUCBody_LEAVE:
		c.command = "LeaveRoom"
		s.leaveRoom(&c)
	default:
		s.refuse(&c.upward, domain.Refuse(domain.Unsupported, "this is not offered"))
	}
}

var (
	errNoRoom     = domain.Refuse(domain.RoomNotFound, "")
	errNotViewing = domain.Refuse(domain.NotMember, "")
)

// roomStream returns the stream of a room that is named from outside; false when no room has such an id, which is a decimal number.
func roomStream(app domain.AppID, id string) (domain.StreamID, bool) {
	return domain.RoomStream(app, id), id != "" && strings.Trim(id, "0123456789") == ""
}

// roomHead reads a room at its owner. It refuses with RoomNotFound when there is none, or no more.
func (g *Gateway) roomHead(ctx context.Context, stream domain.StreamID) (*conversation.RoomHead, *domain.Error) {
	ctx, cancel := context.WithTimeout(ctx, g.cfg.Settings.LoginTimeout)
	defer cancel()
	rows, err := g.cfg.Owners.Heads(ctx, []domain.StreamID{stream})
	if err != nil {
		return nil, domain.Fail(domain.Busy, err)
	}
	head, _ := rows[0].(*conversation.RoomHead)
	if !head.Open() {
		return nil, errNoRoom
	}
	return head, nil
}

// joinRoom makes this device view a room. One that views it already is answered the same. The answer comes first, then the newest messages,
// then what is new.
func (s *session) joinRoom(c *roomCall, leaveOthers bool) {
	ctx := context.Background()
	head, no := s.gw.roomHead(ctx, c.stream)
	if no != nil {
		s.refuse(&c.upward, no)
		return
	}
	if leaveOthers {
		s.leaveOthers(c.stream)
	}
	me := conversation.Person{User: s.key.User, Incarnation: s.info.Incarnation}
	j := leaseOf(c.stream, head, s.key.App, me, c.ext)
	j.Device = s.info.Resource
	mu := s.lockRooms()
	count, _, err := s.gw.cfg.Leases.Join(j)
	var v *view
	var from room.Start
	if err == nil {
		v, from = s.viewAsked(c.stream)
	}
	mu.Unlock()
	if err != nil {
		s.answer(&c.upward, domain.Result{Err: err})
		return
	}
	answered := false
	if v != nil {
		s.beginShow(ctx, c.stream, v, from, func(history *room.Frame) {
			answered = true
			s.answerJoin(c, roomInfo(head, me, count))
			s.showHistory(history)
		})
	}
	if !answered {
		s.answerJoin(c, roomInfo(head, me, count))
	}
}

// onJoin is what who joins is shown of before.
func (g *Gateway) onJoin() room.Start {
	return room.Start{Newest: g.cfg.OnJoin}
}

// leaseOf is the lease that a join asks for.
func leaseOf(stream domain.StreamID, head *conversation.RoomHead, app domain.AppID, who conversation.Person, ext string) lease.Join {
	return lease.Join{
		App: app, User: who.User, Incarnation: who.Incarnation, Room: stream, Ext: ext, Owner: head.Owner.User,
		MaxUsers: int(head.Settings.MaxUsers), Stays: head.Allows(who),
	}
}

// leaveOthers ends what this device views, except one room.
func (s *session) leaveOthers(but domain.StreamID) {
	mu := s.lockRooms()
	defer mu.Unlock()
	for _, le := range s.gw.cfg.Leases.RoomsOf(s.key.App, s.key.User) {
		if le.Room != but {
			s.quit(le.Room)
		}
	}
}

// quit ends what this socket views, and the device's lease with its last socket. Of a room that has ended there is no lease any more, so
// that nobody has viewed it. The user is locked.
func (s *session) quit(stream domain.StreamID) (was bool) {
	_, was = s.unview(stream)
	for _, o := range s.siblings() {
		if o.views.rooms[stream] != nil {
			return was && s.gw.cfg.Leases.Viewing(stream, s.key.User)
		}
	}
	return s.gw.cfg.Leases.Leave(s.key.App, s.key.User, stream, s.info.Resource)
}

// leaveRoom makes this device view a room no more. One that does not view it is refused: NotMember, or RoomNotFound.
func (s *session) leaveRoom(c *roomCall) {
	mu := s.lockRooms()
	was := s.quit(c.stream)
	mu.Unlock()
	if was {
		s.answer(&c.upward, domain.Result{})
		return
	}
	_, no := s.gw.roomHead(context.Background(), c.stream)
	if no == nil {
		no = errNotViewing
	}
	s.refuse(&c.upward, no)
}

// answerJoin acknowledges a join with what the client wants to know of the room.
func (s *session) answerJoin(c *roomCall, info RoomInfo) {
	st, _ := c.stream.Parse()
	t := s.gw.NextT()
	joined := msync.RoomJoined{
		ID: t, Room: st, User: s.key.User, CalledAs: c.calledAs, Created: info.Created, Count: uint32(info.Count), Allowed: info.Allowed,
		AllMuted: info.AllMuted,
	}
	if info.MutedUntil != 0 {
		joined.MutedUntil = info.MutedUntil.Milli()
	}
	meta := msync.AppendRoomJoined(nil, &joined)
	s.answer(&c.upward, domain.Result{T: t}, meta)
}

// toRoom makes a command of a message to a room. Over the room's rate it is refused before the log, by its priority.
func (s *session) toRoom(m *msync.MetaView, body *msync.Envelope, up *upward) {
	up.command = "SendRoomMessage"
	stream, ok := roomStream(s.key.App, up.to)
	if !ok || string(m.To.Domain) != msync.GroupDomain {
		s.refuse(up, errNoRoom)
		return
	}
	cmd := conversation.SendRoomMessage{
		Sender: s.sender(m), Envelope: body.Domain(len(m.Ext)), SyncOwn: true, Viewer: s.gw.cfg.Leases.Viewing(stream, s.key.User),
	}
	if m.RouteType == msync.Meta_ROUTE_DIRECT || len(m.Directed) > 0 {
		var no *domain.Error
		if cmd.Directed, no = directed(m); no != nil {
			s.refuse(up, no)
			return
		}
	}
	if cmd.Viewer { // what others send the rules refuse, but for the owner, and it takes nothing from the room's rate
		if err := s.gw.cfg.Rooms.Admit(stream, s.priority(stream, m)); err != nil {
			s.answer(up, domain.Result{Err: err})
			return
		}
	}
	cmd.Body, cmd.Ext = bytes.Clone(m.Payload), bytes.Clone(m.Ext)
	if m.RouteType == msync.Meta_ROUTE_ONLINE {
		s.volatileToRoom(stream, &cmd, up)
		return
	}
	s.issue(stream, cmd, up)
}

// priority returns what a message counts as. Those of users who stay in the room count as high, whatever they say.
func (s *session) priority(stream domain.StreamID, m *msync.MetaView) conversation.Priority {
	p := msync.PriorityOf(m.Ext)
	if p != conversation.PriorityHigh && s.gw.cfg.Leases.Stays(stream, s.key.User) {
		return conversation.PriorityHigh
	}
	return p
}

// volatileToRoom shows a message to those who view the room now, and answers.
func (s *session) volatileToRoom(stream domain.StreamID, c *conversation.SendRoomMessage, up *upward) {
	if !c.Viewer {
		head, no := s.gw.roomHead(context.Background(), stream)
		if no == nil && head.Owner != (conversation.Person{User: s.key.User, Incarnation: s.info.Incarnation}) {
			no = errNotViewing
		}
		if no != nil {
			s.refuse(up, no)
			return
		}
	}
	if err := message.Check(c.Envelope, s.gw.cfg.Limits); err != nil {
		s.answer(up, domain.Result{Err: err})
		return
	}
	t := s.gw.NextT()
	s.gw.cfg.Router.Volatile(stream, &domain.Event{T: t, Body: conversation.MessageSent{
		From: c.Sender.User, FromResource: c.Sender.Resource, Kind: c.Envelope.Kind, SyncOwn: true, Body: c.Body, Ext: c.Ext,
		Audience: c.Directed,
	}})
	s.answer(up, domain.Result{T: t})
}

// groupOrRoom returns the stream that an id on the conference domain means: a room while there is one of that id, else a group.
func (s *session) groupOrRoom(id string) (domain.StreamID, *domain.Error) {
	group := domain.GroupStream(s.key.App, id)
	stream, ok := roomStream(s.key.App, id)
	if !ok {
		return group, nil
	}
	switch _, no := s.gw.roomHead(context.Background(), stream); {
	case no == nil:
		return stream, nil
	case no.Code == domain.RoomNotFound:
		return group, nil
	default:
		return "", no
	}
}
