package conversation

import (
	"parley/domain"
	"parley/domain/message"
)

// speak refuses who may say nothing in the room: with outside, only whose account is an earlier one of a name that the room knows.
func (o *room) speak(s *Sender, outside bool) error {
	switch {
	case !validResource(s.Resource):
		return domain.Refuse(domain.BadRequest, "bad resource")
	case !o.head.Open():
		return errNoRoom
	case o.earlier(s.User, s.Incarnation):
		return errAnew
	case outside || o.owner(s.User, s.Incarnation):
		return nil
	default:
		return errNotViewing
	}
}

var errNotViewing = domain.Refuse(domain.NotMember, "not viewing the room")

// send decides a message. One to some viewers only is not counted and not shown in history.
func (r RoomRules) send(o *room, c *SendRoomMessage) (domain.Decision, error) {
	if d, ok := repeated(o.v, &c.Sender); ok {
		return d, nil
	}
	if err := o.speak(&c.Sender, c.Viewer || c.Unchecked); err != nil {
		return refuse(err)
	}
	if err := message.Check(c.Envelope, r.limits); err != nil {
		return refuse(err)
	}
	if len(c.Directed) > MaxDirected {
		return refuse(domain.Refuse(domain.TooManyReceivers, "too many receivers of a directed message"))
	}
	shown := c.Envelope.Kind != message.Cmd && len(c.Directed) == 0
	m := MessageSent{
		From: c.Sender.User, FromResource: c.Sender.Resource, ClientID: c.Sender.ClientID, Hash: c.Sender.Hash,
		Kind: c.Envelope.Kind, Counted: shown, History: shown, SyncOwn: c.SyncOwn, NoHistory: c.NoHistory, Body: c.Body, Ext: c.Ext,
		N: o.head.N, Audience: c.Directed,
	}
	if shown {
		m.N++
	}
	return decide(m)
}

// recall decides a recall in a room: by the sender, who need not view any more, the owner or the app.
func (o *room) recall(c *RecallMessage) (domain.Decision, error) {
	if d, ok := repeated(o.v, &c.Sender); ok {
		return d, nil
	}
	if err := o.speak(&c.Sender, true); err != nil {
		return refuse(err)
	}
	if err := c.check(o.head.Seq, o.now); err != nil {
		return refuse(err)
	}
	if !c.App && c.Target.From != c.Sender.User && !o.owner(c.Sender.User, c.Sender.Incarnation) {
		return refuse(domain.Refuse(domain.Forbidden, "somebody else's message"))
	}
	return decide(c.recalled())
}
