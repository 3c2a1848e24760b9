package rest

import (
	"math/rand/v2"
	"slices"
	"strconv"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/message"
	"parley/domain/user"
	"parley/schemas/msync"
)

// postRequest is the body of POST /messages/chatgroups and /messages/chatrooms, and of those below them. In To are groups or rooms.
type postRequest struct {
	sendRequest
	SyncDevice *bool    `json:"sync_device"`        // to the sender's devices too; absent: yes in groups, no in rooms
	Ack        bool     `json:"need_group_ack"`     // ask for read receipts
	Users      []string `json:"users"`              // the receivers of a directed message
	Level      string   `json:"chatroom_msg_level"` // in rooms: high, normal or low
}

// posting is a message for one group or room.
type posting struct {
	id       string
	stream   domain.StreamID
	body     []byte
	envelope message.Envelope
}

// poster is a request that was found good: how it is sent is for groups and rooms to say.
type poster struct {
	sending
	directed []domain.UserID
	postings []posting
	ext      []byte // encoded fields of Meta.ext: the priority in rooms
}

// hall is what groups and rooms do not have in common when something is posted there.
type hall struct {
	chat   msync.MessageBody_Type
	most   int  // of one call
	sync   bool // to the sender's devices when the caller does not say
	stream func(app domain.AppID, id string) domain.StreamID
}

func (c *call) groupHall() hall {
	return hall{msync.MessageBody_GROUPCHAT, c.server.cfg.Settings.GroupRecipients, true, domain.GroupStream}
}

// sendGroups is POST /messages/chatgroups: one message to each group. The sender need not be a member.
func (c *call) sendGroups() error {
	var req postRequest
	if err := c.body(&req); err != nil {
		return err
	}
	req.Users = nil
	return c.post(&req)
}

// sendDirected is POST /messages/chatgroups/users: a message to some of a group's members.
func (c *call) sendDirected() error {
	var req postRequest
	if err := c.directed(&req); err != nil {
		return err
	}
	return c.post(&req)
}

// directed reads a request for some users of one group or room.
func (c *call) directed(req *postRequest) error {
	switch err := c.body(req); {
	case err != nil:
		return err
	case len(req.To) != 1:
		return illegalArgument.say("'to' must name one group or room")
	case len(req.Users) == 0:
		return illegalArgument.say("users must name at least one user")
	default:
		return nil
	}
}

func (c *call) post(req *postRequest) error {
	m, err := c.checkPost(req, c.groupHall())
	if err != nil {
		return err
	}
	if !c.server.limits.allow(c.app.ID, bucketGroupMessages, c.begin, len(m.postings)) {
		c.server.metrics.limited.WithLabelValues(bucketGroupMessages).Inc()
		return &sendLimit
	}
	ids, err := c.postGroups(m)
	if err != nil {
		return err
	}
	return c.data(ids)
}

// checkPost reads the request; every refusal of its form comes before anything is sent.
func (c *call) checkPost(req *postRequest, h hall) (*poster, error) {
	base, err := req.common(&c.server.cfg.Settings)
	if err != nil {
		return nil, err
	}
	m := &poster{sending: *base}
	if m.sync = h.sync; req.SyncDevice != nil {
		m.sync = *req.SyncDevice
	}
	if len(req.To) == 0 || len(req.To) > h.most {
		return nil, illegalArgument.say("'to' must name at least one group or room and no more than the limit of one call")
	}
	if len(req.Users) > conversation.MaxDirected {
		return nil, domain.Refuse(domain.TooManyReceivers, "")
	}
	for _, name := range req.Users {
		u, err := user.FoldName(name)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(m.directed, u) {
			m.directed = append(m.directed, u)
		}
	}
	for _, id := range req.To {
		if !validGroup(id) {
			return nil, illegalArgument.say("group ID illegal, please check it")
		}
		if slices.ContainsFunc(m.postings, func(p posting) bool { return p.id == id }) {
			continue
		}
		body, envelope, err := content(&msync.Draft{
			Chat: h.chat, From: string(m.from), To: id, Type: req.Type, Body: req.Body, Ext: req.Ext, GroupAck: req.Ack,
		}, c.server.cfg.Limits)
		if err != nil {
			return nil, err
		}
		m.postings = append(m.postings, posting{id, h.stream(c.app.ID, id), body, envelope})
	}
	return m, nil
}

// sender is who sends a message; each try of the same call has the same client id.
func (m *poster) sender(p *posting, inc domain.Incarnation) conversation.Sender {
	return conversation.Sender{User: m.from, Incarnation: inc, ClientID: rand.Uint64() | 1, Hash: message.Hash(p.body)}
}

// postGroups sends the message to groups, and answers its ids by group. When no group took it, it is the refusal of the first.
func (c *call) postGroups(m *poster) (map[string]string, error) {
	ids := make([]string, len(m.postings))
	for i := range m.postings {
		ids[i] = m.postings[i].id
	}
	if m.online {
		groups, err := c.groups(ids)
		if err != nil {
			return nil, err
		}
		return c.posted(m, func(i int) (domain.T, error) {
			if groups[i] == nil {
				return 0, errNoGroup
			}
			return c.postOnline(m, i), nil
		})
	}
	people, err := c.persons([]domain.UserID{m.from})
	if err != nil {
		return nil, err
	}
	wishes := make([]wish, len(m.postings))
	for i := range m.postings {
		p := &m.postings[i]
		wishes[i] = wish{p.stream, conversation.SendGroupMessage{
			Sender: m.sender(p, people[0].Incarnation), Envelope: p.envelope, Body: p.body, Directed: m.directed, SyncOwn: m.sync,
			NoHistory: m.noHistory, Unchecked: true,
		}}
	}
	results := c.server.submit(c.ctx(), wishes)
	c.server.settle(c.ctx(), results...)
	return c.posted(m, func(i int) (domain.T, error) { return results[i].T, results[i].Err })
}

// posted makes the answer of a send from what became of each posting.
func (c *call) posted(m *poster, result func(i int) (domain.T, error)) (map[string]string, error) {
	ids := make(map[string]string, len(m.postings))
	var first error
	for i := range m.postings {
		t, err := result(i)
		if err == nil {
			ids[m.postings[i].id] = strconv.FormatUint(uint64(t), 10)
			continue
		}
		if first == nil {
			first = err
		}
		c.server.metrics.unsent.WithLabelValues(string(domain.CodeOf(err))).Inc()
	}
	if len(ids) == 0 {
		return nil, sendRefusal(first)
	}
	return ids, nil
}

// postOnline shows a message to who is online now in its group or room. Nothing is kept.
func (c *call) postOnline(m *poster, i int) domain.T {
	p := &m.postings[i]
	ev := &domain.Event{T: c.server.cfg.Volatile.NextT(), Body: conversation.MessageSent{
		From: m.from, Kind: p.envelope.Kind, SyncOwn: m.sync, Body: p.body, Ext: m.ext, Audience: m.directed,
	}}
	c.server.cfg.Volatile.Volatile(p.stream, ev)
	return ev.T
}
