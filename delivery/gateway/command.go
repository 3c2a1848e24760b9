package gateway

import (
	"bytes"
	"strings"
	"time"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/message"
	"parley/domain/user"
	"parley/schemas/msync"
)

// upward is a meta on its way up: what is needed to answer it.
type upward struct {
	id      uint64
	command string
	to      string // as the client wrote it, for the answer's text
	begin   time.Time
}

// meta handles something that the client sends: a message, a receipt, or what is not offered yet. It is answered in any case.
func (s *session) meta(m *msync.MetaView) closeReason {
	up := upward{id: m.ID, to: string(m.To.Name), begin: s.gw.cfg.Now()}
	switch m.NS {
	case msync.Meta_STATISTIC:
		s.answer(&up, domain.Result{})
	case msync.Meta_CHAT:
		s.chat(m, &up)
	case msync.Meta_MUC:
		s.muc(m, &up)
	case msync.Meta_ROSTER, msync.Meta_CONFERENCE, msync.Meta_NOTIFY, msync.Meta_QUERY:
		up.command = "Other"
		s.refuse(&up, domain.Refuse(domain.Unsupported, "this is not offered"))
	default:
		up.command = "Other"
		s.refuse(&up, domain.Refuse(domain.Unsupported, "this is not offered"))
	}
	return ""
}

// chat makes a command of a chat meta and hands it to the owner of its conversation.
func (s *session) chat(m *msync.MetaView, up *upward) {
	up.command = "SendMessage"
	body, err := msync.ScanBody(m.Payload)
	if err != nil {
		s.refuse(up, domain.Refuse(domain.BadRequest, "the message body is malformed"))
		return
	}
	up.command = bodyCommand(body.Type)
	if no := s.admissible(m, &body); no != nil {
		s.refuse(up, no)
		return
	}
	if body.Type == msync.MessageBody_CHATROOM {
		s.toRoom(m, &body, up)
		return
	}
	if string(m.To.Domain) == msync.GroupDomain {
		s.toGroup(m, &body, up)
		return
	}
	to, no := s.recipient(m)
	if no != nil {
		s.refuse(up, no)
		return
	}
	stream := domain.DirectStream(s.key.App, s.key.User, to.User)
	if body.Type == msync.MessageBody_RECALL {
		s.recall(m, &body, stream, to.User, up)
		return
	}
	cmd := s.command(m, &body, to)
	if s.volatile(m, &body) {
		s.sendVolatile(stream, cmd, up)
		return
	}
	s.issue(stream, cmd, up)
}

// issue hands a command to the owner of its stream, behind what waits there already.
func (s *session) issue(stream domain.StreamID, cmd conversation.Command, up *upward) {
	if s.pending == nil {
		s.pending = make(chan struct{}, s.gw.cfg.Settings.MaxPending)
	}
	s.pending <- struct{}{} // waits while too many are unanswered
	if s.closed.Load() {
		<-s.pending // what was sent before it may have been given up
		return
	}
	s.hand.take()
	s.sent++
	a := &attempt{up: *up, number: s.sent, request: domain.Request{Stream: stream, Command: cmd}}
	if !s.again.joins(a) {
		s.submit(a)
	}
}

func bodyCommand(t msync.MessageBody_Type) string {
	switch t {
	case msync.MessageBody_DELIVER_ACK:
		return "MarkDelivered"
	case msync.MessageBody_READ_ACK:
		return "MarkRead"
	case msync.MessageBody_CHANNEL_ACK:
		return "ReadConversation"
	case msync.MessageBody_RECALL:
		return "RecallMessage"
	default:
		return "SendMessage"
	}
}

// admissible refuses what is over a rate, and what is not offered yet, with the texts that the SDKs know.
func (s *session) admissible(m *msync.MetaView, body *msync.Envelope) *domain.Error {
	toGroup := string(m.To.Domain) == msync.GroupDomain
	if m.To.AppKey != nil && string(m.To.AppKey) != string(s.key.App) {
		switch {
		case body.Type == msync.MessageBody_CHATROOM:
			return errNoRoom
		case toGroup:
			return domain.Refuse(domain.GroupNotFound, "")
		default:
			return domain.Refuse(domain.UserNotFound, "")
		}
	}
	switch body.Type {
	case msync.MessageBody_EDIT:
		return domain.Refuse(domain.Unsupported, "Sorry, edit is not available")
	case msync.MessageBody_GROUPCHAT:
		if !toGroup {
			return domain.Refuse(domain.GroupNotFound, "")
		}
	case msync.MessageBody_NORMAL, msync.MessageBody_CHAT, msync.MessageBody_READ_ACK, msync.MessageBody_DELIVER_ACK, msync.MessageBody_CHANNEL_ACK,
		msync.MessageBody_RECALL, msync.MessageBody_CHATROOM:
	default:
		return domain.Refuse(domain.BadRequest, "the message type is unknown")
	}
	if from := body.From.Name; len(from) > 0 && !strings.EqualFold(string(from), string(s.key.User)) {
		return domain.Refuse(domain.Forbidden, "the sender is somebody else")
	}
	if !s.withinRates() {
		return errTraffic
	}
	return nil
}

var errTraffic = domain.Refuse(domain.RateLimited, "traffic limit")

// withinRates counts something that the client sends against the rates of the session and the app.
func (s *session) withinRates() bool {
	if s.sends == nil {
		s.sends = s.gw.cfg.Settings.sendLimiter()
	}
	return s.sends.Allow() && s.app.Allow()
}

// recipient finds the user to whom a meta goes. Whether the account exists is a fact that the rules judge.
func (s *session) recipient(m *msync.MetaView) (conversation.Recipient, *domain.Error) {
	name, err := user.FoldName(string(m.To.Name))
	if err != nil {
		return conversation.Recipient{}, domain.Refuse(domain.UserNotFound, "")
	}
	to := conversation.Recipient{User: name, Resource: domain.Resource(m.To.Resource)}
	account, err := s.gw.peer(s.key.App, name)
	if err != nil {
		return to, domain.Fail(domain.Busy, err)
	}
	if account != nil && account.Exists {
		to.Incarnation = account.Incarnation
	}
	return to, nil
}

// sender is this device as the sender of a meta.
func (s *session) sender(m *msync.MetaView) conversation.Sender {
	return conversation.Sender{
		User: s.key.User, Incarnation: s.info.Incarnation, Resource: s.info.Resource, ClientID: m.ID, Hash: message.Hash(m.Payload),
	}
}

// command makes the command of a chat meta to a user. The frame's buffer is used again: what the command keeps is copied.
func (s *session) command(m *msync.MetaView, body *msync.Envelope, to conversation.Recipient) conversation.Command {
	from := s.sender(m)
	kept := message.Bytes(bytes.Clone(m.Payload))
	switch body.Type {
	case msync.MessageBody_DELIVER_ACK:
		return conversation.MarkDelivered{Sender: from, To: to, Message: domain.MessageID(body.AckMessageID), Body: kept}
	case msync.MessageBody_READ_ACK:
		return conversation.MarkRead{Sender: from, To: to, Message: domain.MessageID(body.AckMessageID), Body: kept}
	case msync.MessageBody_CHANNEL_ACK:
		return conversation.ReadConversation{Sender: from, To: to, Body: kept}
	default:
		return conversation.SendMessage{
			Sender: from, To: to, Envelope: body.Domain(len(m.Ext)), Body: kept, Ext: bytes.Clone(m.Ext), SyncOwn: true,
		}
	}
}

// volatile tells what does not go through the log: online-only messages, and receipts of them.
func (s *session) volatile(m *msync.MetaView, body *msync.Envelope) bool {
	switch body.Type {
	case msync.MessageBody_DELIVER_ACK, msync.MessageBody_READ_ACK:
		return domain.MessageID(body.AckMessageID).Number() >= domain.FirstNode
	case msync.MessageBody_CHANNEL_ACK:
		return false
	default:
		return m.RouteType == msync.Meta_ROUTE_ONLINE
	}
}

// sendVolatile shows a message to who is online now, and answers.
func (s *session) sendVolatile(stream domain.StreamID, cmd conversation.Command, up *upward) {
	var body domain.Body
	switch c := domain.Command(cmd).(type) {
	case conversation.SendMessage:
		if c.To.Incarnation == 0 {
			s.refuse(up, domain.Refuse(domain.UserNotFound, ""))
			return
		}
		if err := message.Check(c.Envelope, s.gw.cfg.Limits); err != nil {
			s.answer(up, domain.Result{Err: err})
			return
		}
		body = conversation.MessageSent{
			From: c.Sender.User, FromResource: c.Sender.Resource, To: c.To.User, ToResource: c.To.Resource, Kind: c.Envelope.Kind,
			SyncOwn: true, Body: c.Body, Ext: c.Ext,
		}
	case conversation.MarkDelivered:
		body = conversation.MessageDelivered{
			By: c.Sender.User, ByResource: c.Sender.Resource, To: c.To.User, Message: c.Message, Body: c.Body,
		}
	case conversation.MarkRead:
		body = conversation.MessageRead{
			By: c.Sender.User, ByResource: c.Sender.Resource, To: c.To.User, Message: c.Message, Body: c.Body,
		}
	default: // only these are volatile
		s.refuse(up, domain.Refuse(domain.Unsupported, "this is not offered online only"))
		return
	}
	t := s.gw.NextT()
	s.gw.cfg.Router.Volatile(stream, &domain.Event{T: t, Body: body})
	s.answer(up, domain.Result{T: t})
}

func (s *session) refuse(up *upward, err *domain.Error) { s.answer(up, domain.Result{Err: err}) }

// answer acknowledges or refuses. What stays unknown is not answered: the SDK ends its wait by itself, and may ask again with the same id.
func (s *session) answer(up *upward, r domain.Result, metas ...[]byte) {
	now := s.gw.cfg.Now()
	code := domain.CodeOf(r.Err)
	outcome := "ok"
	if code != "" {
		outcome = string(code)
	}
	if up.command != "" {
		s.gw.metrics.command(up.command, outcome).Inc()
		s.gw.metrics.ack.Observe(now.Sub(up.begin).Seconds())
	}
	if code == domain.Unknown {
		return
	}
	ack := msync.Ack{MetaID: up.id, ServerID: uint64(r.T), Timestamp: uint64(now.UnixMilli()), Metas: metas}
	if r.T != 0 {
		ack.Timestamp = uint64(r.T.Milli())
	}
	if code != "" {
		if up.command == "RecallMessage" {
			ack.Code, ack.Reason = recallAnswer(code, r.Err, up.to)
		} else {
			ack.Code, ack.Reason = wireAnswer(code, r.Err, up.to)
		}
		if code == domain.Internal {
			s.gw.log.Error("command failed", "command", up.command, "err", r.Err)
		}
	}
	s.write(msync.MSync_SYNC, func(dst []byte) []byte { return msync.AppendAck(dst, &ack) })
}
