package conversation

import (
	"slices"

	"parley/domain"
)

// Sees tells whether an entry is delivered to a device r of u. Asides are not delivered in order, and never are here.
//
// Who sees an entry never includes the device that made it. From which entry to which a user sees a conversation at all is the membership's
// affair (Membership.Covers), and so is whether a member shields the group (Shielded), not this one's.
func Sees(st domain.Stream, ev *domain.Event, u domain.UserID, r domain.Resource) bool {
	if st.Kind == domain.KindGroup {
		return seesInGroup(ev, u, r)
	}
	if st.Kind == domain.KindRoom {
		return seesInRoom(ev, u, r)
	}
	switch b := ev.Body.(type) {
	case MessageSent:
		if u == b.From && r == b.FromResource {
			return false
		}
		if u == b.To {
			return b.ToResource == "" || b.ToResource == r
		}
		return u == b.From && b.SyncOwn
	case MessageDelivered:
		return seesReceipt(u, r, b.By, b.ByResource, b.To)
	case MessageRead:
		return seesReceipt(u, r, b.By, b.ByResource, b.To)
	case ConversationRead:
		return u == b.To && u != b.By || u == b.By && r != b.ByResource
	case MessageRecalled:
		return u == b.To && u != b.By || u == b.By && r != b.ByResource
	default:
		return false
	}
}

// seesReceipt is for receipts to the other user alone; of those to oneself, for one's other devices.
func seesReceipt(u domain.UserID, r domain.Resource, by domain.UserID, device domain.Resource, to domain.UserID) bool {
	return u == to && (u != by || r != device)
}

// Audience returns the users who have devices that may see an entry of a direct conversation, at most two; the rest is empty. For groups
// there is GroupAudience.
func Audience(_ domain.Stream, ev *domain.Event) (users [2]domain.UserID) {
	switch b := ev.Body.(type) {
	case MessageSent:
		users[0] = b.To
		if b.SyncOwn && b.From != b.To {
			users[1] = b.From
		}
	case MessageDelivered:
		users[0] = b.To
	case MessageRead:
		users[0] = b.To
	case ConversationRead:
		users[0] = b.To
		if b.By != b.To {
			users[1] = b.By
		}
	case MessageRecalled:
		users[0] = b.To
		if b.By != b.To {
			users[1] = b.By
		}
	}
	return users
}

// Shown tells whether an event is shown in history, to those whose history it is in (ShownTo).
func Shown(ev *domain.Event) bool {
	m, ok := ev.Body.(MessageSent)
	return ok && m.History
}

// ShownTo tells whether u's history shows an event.
func ShownTo(ev *domain.Event, u domain.UserID) bool {
	m, ok := ev.Body.(MessageSent)
	return ok && m.History && !slices.Contains(m.NoHistory, u)
}

// ApplyMembership returns m after an event of its stream, and whether the event is about u's membership at all. It folds what the Member
// row holds, so that both agree after the same events; applying an event twice changes nothing.
//
// There is one thing that the Member row does not hold: GroupDestroyed ends every membership without naming it (the head's Closed says so).
func ApplyMembership(m Membership, u domain.UserID, ev *domain.Event) (Membership, bool) {
	switch b := ev.Body.(type) {
	case MemberAdded:
		if b.User != u {
			return m, false
		}
		m = Membership{Stream: m.Stream, From: b.From, FromN: b.N, ReadN: b.N}
	case MessageSent:
		if b.From != u || !b.Counted || b.Own == 0 {
			return m, false
		}
		m.Own = b.Own
	case ConversationRead:
		if b.By != u {
			return m, false
		}
		m.ReadN, m.ReadOwn = b.ReadN, b.ReadOwn
	default:
		return applyGroup(m, u, ev)
	}
	m.T = ev.T
	return m, true
}
