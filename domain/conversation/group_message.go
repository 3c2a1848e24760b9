package conversation

import (
	"parley/domain"
	"parley/domain/message"
)

// repeated returns the first answer to a command that its device has sent before.
func repeated(v domain.View, s *Sender) (domain.Decision, bool) {
	if s.ClientID == 0 {
		return domain.Decision{}, false
	}
	sends, _ := v.Part(SendsPart(s.User, s.Resource)).(*Sends)
	first, ok := sends.Find(s.ClientID, s.Hash)
	return domain.Decision{Repeat: ok, Seq: first.Seq, T: first.T}, ok
}

// speaker refuses a sender who is no member. It returns the sender's row, nil for who may speak from outside (outside) and is.
func (g *group) speaker(s *Sender, outside bool) (*Member, error) {
	m := memberOf(g.v, s.User)
	switch {
	case !validResource(s.Resource):
		return nil, domain.Refuse(domain.BadRequest, "bad resource")
	case !g.head.Open():
		return nil, errNoGroup
	case m != nil && s.Incarnation > 0 && s.Incarnation < m.Incarnation:
		return nil, errAnew
	case current(m) && takesPart(m, s.Incarnation):
		return m, nil
	case outside:
		return nil, nil
	default:
		return nil, errNotMember
	}
}

// send decides a message. One to some members only is not counted and not shown in history.
func (r GroupRules) send(g *group, c *SendGroupMessage) (domain.Decision, error) {
	if d, ok := repeated(g.v, &c.Sender); ok {
		return d, nil
	}
	from, err := g.speaker(&c.Sender, c.Unchecked)
	if err != nil {
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
		N: g.head.N, Audience: c.Directed,
	}
	if from != nil {
		m.Own = from.Own
	}
	if shown {
		m.N++
		if from != nil {
			m.Own++
		}
	}
	return decide(m)
}

// read decides that a member has read all. It is an aside: in a large group every reader would otherwise cost every member an entry.
func (g *group) read(c *ReadGroup) (domain.Decision, error) {
	if d, ok := repeated(g.v, &c.Sender); ok {
		return d, nil
	}
	m, err := g.speaker(&c.Sender, false)
	if err != nil {
		return refuse(err)
	}
	return decide(ConversationRead{
		By: c.Sender.User, ByResource: c.Sender.Resource, ClientID: c.Sender.ClientID, Hash: c.Sender.Hash, Body: c.Body,
		ReadN: g.head.N, ReadOwn: m.Own,
	})
}

// recall decides a recall in a group: by the sender, the owner, an admin or the app.
func (g *group) recall(c *RecallMessage) (domain.Decision, error) {
	if d, ok := repeated(g.v, &c.Sender); ok {
		return d, nil
	}
	m, err := g.speaker(&c.Sender, c.App)
	if err != nil {
		return refuse(err)
	}
	if err := c.check(g.head.Seq, g.now); err != nil {
		return refuse(err)
	}
	switch {
	case c.App:
	case !readable(m, c.Target.Seq):
		return refuse(errNoMessage)
	case c.Target.From != c.Sender.User && g.head.RoleOf(c.Sender.User) < RoleAdmin:
		return refuse(domain.Refuse(domain.Forbidden, "somebody else's message"))
	}
	return decide(c.recalled())
}

// readable tells whether a member can know an entry.
func readable(m *Member, seq domain.Seq) bool {
	return Membership{From: m.From, Until: m.Until, HistoryFrom: m.HistoryFrom, Earlier: m.Earlier}.Reads(seq)
}
