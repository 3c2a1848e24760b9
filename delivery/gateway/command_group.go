package gateway

import (
	"bytes"
	"context"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/message"
	"parley/domain/user"
	"parley/schemas/msync"
)

// toGroup makes a command of a chat meta to a group.
func (s *session) toGroup(m *msync.MetaView, body *msync.Envelope, up *upward) {
	stream := domain.GroupStream(s.key.App, string(m.To.Name))
	if st, ok := stream.Parse(); !ok || st.Kind != domain.KindGroup || st.A != string(m.To.Name) {
		s.refuse(up, domain.Refuse(domain.GroupNotFound, ""))
		return
	}
	switch body.Type {
	case msync.MessageBody_GROUPCHAT:
		up.command = "SendGroupMessage"
		s.sendToGroup(m, body, stream, up)
	case msync.MessageBody_CHANNEL_ACK:
		up.command = "ReadGroup"
		s.issue(stream, conversation.ReadGroup{Sender: s.sender(m), Body: bytes.Clone(m.Payload)}, up)
	case msync.MessageBody_RECALL:
		var no *domain.Error
		if stream, no = s.groupOrRoom(up.to); no != nil {
			s.answer(up, domain.Result{Err: no})
			return
		}
		s.recall(m, body, stream, "", up)
	case msync.MessageBody_READ_ACK, msync.MessageBody_DELIVER_ACK:
		s.refuse(up, domain.Refuse(domain.Forbidden, "receipts of messages are not offered in groups"))
	default:
		s.refuse(up, domain.Refuse(domain.BadRequest, "the message type is not one of groups"))
	}
}

func (s *session) sendToGroup(m *msync.MetaView, body *msync.Envelope, stream domain.StreamID, up *upward) {
	cmd := conversation.SendGroupMessage{Sender: s.sender(m), Envelope: body.Domain(len(m.Ext)), SyncOwn: true}
	if m.RouteType == msync.Meta_ROUTE_DIRECT || len(m.Directed) > 0 {
		var no *domain.Error
		if cmd.Directed, no = directed(m); no != nil {
			s.refuse(up, no)
			return
		}
	}
	cmd.Body, cmd.Ext = bytes.Clone(m.Payload), bytes.Clone(m.Ext)
	if m.RouteType == msync.Meta_ROUTE_ONLINE {
		s.volatileToGroup(stream, &cmd, up)
		return
	}
	s.issue(stream, cmd, up)
}

// directed returns to whom alone a message goes: never nobody, which would mean all. Names that no user can have are left out.
func directed(m *msync.MetaView) ([]domain.UserID, *domain.Error) {
	if len(m.Directed) > conversation.MaxDirected {
		return nil, domain.Refuse(domain.TooManyReceivers, "")
	}
	users := make([]domain.UserID, 0, len(m.Directed))
	for _, d := range m.Directed {
		if name, err := user.FoldName(string(d)); err == nil {
			users = append(users, name)
		}
	}
	if len(users) == 0 {
		return nil, domain.Refuse(domain.BadRequest, "the message names no receiver")
	}
	return users, nil
}

// volatileToGroup shows a message to the members who are online now, and answers.
func (s *session) volatileToGroup(stream domain.StreamID, c *conversation.SendGroupMessage, up *upward) {
	if err := s.memberOf(stream); err != nil {
		s.refuse(up, err)
		return
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

// memberOf refuses when the session's user is in no such group, as far as the session knows: it is subscribed to the user's groups.
func (s *session) memberOf(stream domain.StreamID) *domain.Error {
	s.mu.Lock()
	q := s.queues[stream]
	member := q != nil && q.group != nil && q.group.subscribed
	s.mu.Unlock()
	if member {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.gw.cfg.Settings.LoginTimeout)
	defer cancel()
	rows, err := s.gw.cfg.Owners.Heads(ctx, []domain.StreamID{stream})
	if err != nil {
		return domain.Fail(domain.Busy, err)
	}
	if head, _ := rows[0].(*conversation.GroupHead); head.Open() {
		return domain.Refuse(domain.NotMember, "")
	}
	return domain.Refuse(domain.GroupNotFound, "")
}

// recall makes the command that takes a message back: of a group, or of the conversation with a user. What it is about is read here; whether
// it may be recalled is judged by the rules.
func (s *session) recall(m *msync.MetaView, body *msync.Envelope, stream domain.StreamID, to domain.UserID, up *upward) {
	ctx, cancel := context.WithTimeout(context.Background(), s.gw.cfg.Settings.LoginTimeout)
	defer cancel()
	at, target, err := s.gw.cfg.Reads.Recallable(ctx, stream, domain.MessageID(body.AckMessageID))
	switch {
	case domain.CodeOf(err) == domain.NotFound || err == nil && at != stream:
		target = conversation.Recallable{} // a repeat is answered as before, whatever is there now
	case err != nil:
		s.answer(up, domain.Result{Err: domain.Fail(domain.Busy, err)})
		return
	}
	s.issue(stream, conversation.RecallMessage{
		Sender: s.sender(m), To: to, Target: target, Window: s.gw.cfg.Settings.RecallWindow,
		Ext: bytes.Clone(m.Ext), Body: bytes.Clone(m.Payload),
	}, up)
}
