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

// groupSend is the body of POST /messages/chatgroups and /messages/chatgroups/users. In To are groups.
type groupSend struct {
	sendRequest
	SyncDevice *bool    `json:"sync_device"`    // to the sender's devices too; absent: yes, other than in direct chats
	Ack        bool     `json:"need_group_ack"` // ask for read receipts
	Users      []string `json:"users"`          // the receivers of a directed message
}

// posting is a message for one group.
type posting struct {
	id       string
	stream   domain.StreamID
	body     []byte
	envelope message.Envelope
}

// groupSending is a request that was found good.
type groupSending struct {
	sending
	directed []domain.UserID
	postings []posting
}

// sendGroups is POST /messages/chatgroups: one message to each group. The sender need not be a member.
func (c *call) sendGroups() error {
	var req groupSend
	if err := c.body(&req); err != nil {
		return err
	}
	req.Users = nil
	return c.post(&req)
}

// sendDirected is POST /messages/chatgroups/users: a message to some of a group's members.
func (c *call) sendDirected() error {
	var req groupSend
	if err := c.body(&req); err != nil {
		return err
	}
	if len(req.To) != 1 {
		return illegalArgument.say("'to' must name one group")
	}
	if len(req.Users) == 0 {
		return illegalArgument.say("users must name at least one user")
	}
	return c.post(&req)
}

func (c *call) post(req *groupSend) error {
	m, err := c.checkPost(req)
	if err != nil {
		return err
	}
	if !c.server.limits.allow(c.app.ID, bucketGroupMessages, c.begin, len(m.postings)) {
		c.server.metrics.limited.WithLabelValues(bucketGroupMessages).Inc()
		return &sendLimit
	}
	ids, err := c.deliverPost(m)
	if err != nil {
		return err
	}
	return c.data(ids)
}

// checkPost reads the request; every refusal of its form comes before anything is sent.
func (c *call) checkPost(req *groupSend) (*groupSending, error) {
	s := &c.server.cfg.Settings
	base, err := req.common(s)
	if err != nil {
		return nil, err
	}
	m := &groupSending{sending: *base}
	m.sync = req.SyncDevice == nil || *req.SyncDevice
	if len(req.To) == 0 || len(req.To) > s.GroupRecipients {
		return nil, illegalArgument.say("'to' must name at least one group and no more than the limit of one call")
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
			Chat: msync.MessageBody_GROUPCHAT, From: string(m.from), To: id, Type: req.Type, Body: req.Body, Ext: req.Ext, GroupAck: req.Ack,
		}, c.server.cfg.Limits)
		if err != nil {
			return nil, err
		}
		m.postings = append(m.postings, posting{id, domain.GroupStream(c.app.ID, id), body, envelope})
	}
	return m, nil
}

// deliverPost sends the message, and answers its ids by group. When no group took it, it is the refusal of the first.
func (c *call) deliverPost(m *groupSending) (map[string]string, error) {
	if m.online {
		return c.postOnline(m)
	}
	people, err := c.persons([]domain.UserID{m.from})
	if err != nil {
		return nil, err
	}
	wishes := make([]wish, len(m.postings))
	for i := range m.postings {
		p := &m.postings[i]
		wishes[i] = wish{p.stream, conversation.SendGroupMessage{
			Sender: conversation.Sender{
				User: m.from, Incarnation: people[0].Incarnation, ClientID: rand.Uint64() | 1, Hash: message.Hash(p.body),
			},
			Envelope: p.envelope, Body: p.body, Directed: m.directed, SyncOwn: m.sync, NoHistory: m.noHistory, Unchecked: true,
		}}
	}
	results := c.server.submit(c.ctx(), wishes)
	ids := make(map[string]string, len(results))
	var first error
	for i, r := range results {
		if r.Err == nil {
			ids[m.postings[i].id] = strconv.FormatUint(uint64(r.T), 10)
			continue
		}
		if first == nil {
			first = r.Err
		}
		c.server.metrics.unsent.WithLabelValues(string(domain.CodeOf(r.Err))).Inc()
	}
	if len(ids) == 0 {
		return nil, sendRefusal(first)
	}
	c.server.settle(c.ctx(), results...)
	return ids, nil
}

// postOnline shows the message to the members who are online now. Nothing is kept.
func (c *call) postOnline(m *groupSending) (map[string]string, error) {
	ids := make([]string, len(m.postings))
	for i := range m.postings {
		ids[i] = m.postings[i].id
	}
	groups, err := c.groups(ids)
	if err != nil {
		return nil, err
	}
	out := make(map[string]string, len(ids))
	for i, g := range groups {
		if g == nil {
			continue
		}
		p := &m.postings[i]
		ev := &domain.Event{T: c.server.cfg.Volatile.NextT(), Body: conversation.MessageSent{
			From: m.from, Kind: p.envelope.Kind, SyncOwn: m.sync, Body: p.body, Audience: m.directed,
		}}
		c.server.cfg.Volatile.Volatile(p.stream, ev)
		out[p.id] = strconv.FormatUint(uint64(ev.T), 10)
	}
	if len(out) == 0 {
		return nil, errNoGroup
	}
	return out, nil
}
