package feed

import (
	"parley/domain"
	"parley/domain/conversation"
)

// eventOverhead is about what an event costs in memory beside the client's bytes.
const eventOverhead = 256

// personSize is about what a user in an event's list costs in memory.
const personSize = 64

// Size returns about how many bytes an event takes in memory: the client's own bytes and an overhead.
func Size(ev *domain.Event) int {
	switch b := ev.Body.(type) {
	case conversation.MessageSent:
		return eventOverhead + len(b.Body) + len(b.Ext)
	case conversation.MessageDelivered:
		return eventOverhead + len(b.Body)
	case conversation.MessageRead:
		return eventOverhead + len(b.Body)
	case conversation.ConversationRead:
		return eventOverhead + len(b.Body)
	case conversation.MessageRecalled:
		return eventOverhead + len(b.Body) + len(b.Ext)
	case conversation.MembersAdded:
		return eventOverhead + len(b.Members)*personSize
	case conversation.MembersRemoved:
		return eventOverhead + len(b.Users)*personSize
	case conversation.UsersInvited:
		return eventOverhead + len(b.Users)*personSize
	case conversation.GroupCreated:
		return eventOverhead + len(b.Settings.Custom) + len(b.Settings.Avatar) + len(b.Settings.Description)
	default:
		return eventOverhead
	}
}

func commitSize(c *domain.Commit) int {
	n := 0
	if c == nil {
		return 0
	}
	for i := range c.Events {
		n += Size(&c.Events[i])
	}
	return n
}
