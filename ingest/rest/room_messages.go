package rest

import (
	"parley/domain"
	"parley/domain/conversation"
	"parley/schemas/msync"
)

func (c *call) roomHall() hall {
	return hall{msync.MessageBody_CHATROOM, c.server.cfg.Settings.RoomRecipients, false, domain.RoomStream}
}

// levels are the priorities by chatroom_msg_level.
var levels = map[string]conversation.Priority{
	"": conversation.PriorityNormal, "high": conversation.PriorityHigh, "normal": conversation.PriorityNormal, "low": conversation.PriorityLow,
}

// sendRooms is POST /messages/chatrooms: one message to each room. The sender need not view it.
func (c *call) sendRooms() error {
	var req postRequest
	if err := c.body(&req); err != nil {
		return err
	}
	req.Users = nil
	return c.postToRooms(&req)
}

// sendRoomUsers is POST /messages/chatrooms/users: a message to some of those who view a room.
func (c *call) sendRoomUsers() error {
	var req postRequest
	if err := c.directed(&req); err != nil {
		return err
	}
	return c.postToRooms(&req)
}

func (c *call) postToRooms(req *postRequest) error {
	level, ok := levels[req.Level]
	if !ok {
		return illegalArgument.say("chatroom_msg_level must be high, normal or low")
	}
	m, err := c.checkPost(req, c.roomHall())
	if err != nil {
		return err
	}
	m.ext = msync.AppendRoomExt(nil, level, false)
	if !c.server.limits.allow(c.app.ID, bucketRoomMessages, c.begin, len(m.postings)) {
		c.server.metrics.limited.WithLabelValues(bucketRoomMessages).Inc()
		return domain.Refuse(domain.RateLimited, bucketRoomMessages)
	}
	ids, err := c.postRooms(m, level)
	if err != nil {
		return err
	}
	return c.data(ids)
}

// postRooms sends the message to rooms, and answers its ids by room. A room that sheds it does not get it. When no room took it, it is the
// refusal of the first.
func (c *call) postRooms(m *poster, level conversation.Priority) (map[string]string, error) {
	people, err := c.persons([]domain.UserID{m.from})
	if err != nil {
		return nil, err
	}
	refusals, err := c.admit(m, people[0], level)
	if err != nil {
		return nil, err
	}
	if m.online {
		return c.posted(m, func(i int) (domain.T, error) {
			if refusals[i] != nil {
				return 0, refusals[i]
			}
			return c.postOnline(m, i), nil
		})
	}
	var wishes []wish
	places := make([]int, len(m.postings)) // of the postings among the wishes
	for i := range m.postings {
		places[i] = len(wishes)
		if p := &m.postings[i]; refusals[i] == nil {
			wishes = append(wishes, wish{p.stream, conversation.SendRoomMessage{
				Sender: m.sender(p, people[0].Incarnation), Envelope: p.envelope, Body: p.body, Ext: m.ext, Directed: m.directed, SyncOwn: m.sync,
				NoHistory: m.noHistory, Unchecked: true,
			}})
		}
	}
	results := c.server.submit(c.ctx(), wishes)
	c.server.settle(c.ctx(), results...)
	return c.posted(m, func(i int) (domain.T, error) {
		if refusals[i] != nil {
			return 0, refusals[i]
		}
		return results[places[i]].T, results[places[i]].Err
	})
}

// admit asks of each room whether it takes the message now: what a user on its allow list says counts as high.
func (c *call) admit(m *poster, from conversation.Person, level conversation.Priority) ([]error, error) {
	ids := make([]string, len(m.postings))
	for i := range m.postings {
		ids[i] = m.postings[i].id
	}
	rooms, err := c.rooms(ids)
	if err != nil {
		return nil, err
	}
	refusals := make([]error, len(rooms))
	for i, r := range rooms {
		switch {
		case r == nil:
			refusals[i] = errNoRoom
		case r.head.Allows(from):
			refusals[i] = c.server.cfg.Rooms.Admit(c.app.ID, r.id, conversation.PriorityHigh)
		default:
			refusals[i] = c.server.cfg.Rooms.Admit(c.app.ID, r.id, level)
		}
	}
	return refusals, nil
}
