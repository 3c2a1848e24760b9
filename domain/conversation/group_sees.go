package conversation

import (
	"slices"

	"parley/domain"
)

// did tells whether it was this device that did it.
func (d Doer) did(u domain.UserID, r domain.Resource) bool { return d.User == u && d.Resource == r }

// seesInGroup is Sees for groups: what is for all is for all but the device that did it.
func seesInGroup(ev *domain.Event, u domain.UserID, r domain.Resource) bool {
	switch b := ev.Body.(type) {
	case MessageSent:
		if u == b.From {
			return b.SyncOwn && r != b.FromResource
		}
		return len(b.Audience) == 0 || slices.Contains(b.Audience, u)
	case MessageRecalled:
		if u == b.By && r == b.ByResource {
			return false
		}
		return len(b.Audience) == 0 || u == b.By || u == b.From || slices.Contains(b.Audience, u)
	case ConversationRead:
		return u == b.By && r != b.ByResource
	case JoinRequested:
		return slices.Contains(b.Audience, u)
	case InvitationAnswered:
		return b.Inviter == u
	case AdminAdded:
		return b.User == u && !b.By.did(u, r)
	case AdminRemoved:
		return b.User == u && !b.By.did(u, r)
	case JoinAnswered, UsersInvited, ShieldSet, MemberAdded:
		return false
	default:
		by, ok := DoerOf(ev.Body)
		return ok && !by.did(u, r)
	}
}

// DoerOf returns who did what an event of a group or room says, for events that have a Doer.
func DoerOf(body domain.Body) (by Doer, ok bool) {
	switch b := body.(type) {
	case GroupCreated:
		return b.By, true
	case MembersAdded:
		return b.By, true
	case MembersRemoved:
		return b.By, true
	case GroupDestroyed:
		return b.By, true
	case GroupChanged:
		return b.By, true
	case OwnerChanged:
		return b.By, true
	case AdminAdded:
		return b.By, true
	case AdminRemoved:
		return b.By, true
	case JoinAnswered:
		return b.By, true
	case UsersInvited:
		return b.By, true
	default:
		return roomDoerOf(body)
	}
}

// GroupAudience returns which members have devices that may see an event of a group: all of them, those whom the event removes included,
// or only users. No users and not all: nobody.
func GroupAudience(ev *domain.Event) (users []domain.UserID, all bool) {
	switch b := ev.Body.(type) {
	case MessageSent:
		if len(b.Audience) == 0 {
			return nil, true
		}
		if b.SyncOwn && !slices.Contains(b.Audience, b.From) {
			return append(slices.Clip(b.Audience), b.From), false
		}
		return b.Audience, false
	case MessageRecalled:
		if len(b.Audience) == 0 {
			return nil, true
		}
		users = slices.Clip(b.Audience)
		for _, u := range []domain.UserID{b.From, b.By} {
			if !slices.Contains(users, u) {
				users = append(users, u)
			}
		}
		return users, false
	case ConversationRead:
		return []domain.UserID{b.By}, false
	case JoinRequested:
		return b.Audience, false
	case AdminAdded:
		return []domain.UserID{b.User}, false
	case AdminRemoved:
		return []domain.UserID{b.User}, false
	case InvitationAnswered:
		if b.Inviter == "" {
			return nil, false
		}
		return []domain.UserID{b.Inviter}, false
	case JoinAnswered, UsersInvited, ShieldSet, MemberAdded:
		return nil, false
	default:
		_, all = DoerOf(ev.Body)
		return nil, all
	}
}

// Shielded tells whether an event is kept from the devices of members who shield the group (Membership.Shield).
func Shielded(ev *domain.Event) bool {
	_, ok := ev.Body.(MessageSent)
	return ok
}

// applyGroup is ApplyMembership for events of groups.
func applyGroup(m Membership, u domain.UserID, ev *domain.Event) (Membership, bool) {
	switch b := ev.Body.(type) {
	case GroupCreated:
		if b.Owner.User != u {
			return m, false
		}
		m = Membership{Stream: m.Stream, From: ev.Seq, Incarnation: b.Owner.Incarnation, Joined: ev.T}
	case MembersAdded:
		i := slices.IndexFunc(b.Members, func(j Joiner) bool { return j.User == u })
		if i < 0 {
			return m, false
		}
		j := &b.Members[i]
		m = Membership{
			Stream: m.Stream, From: b.From, FromN: b.N, ReadN: b.N, Incarnation: j.Incarnation, HistoryFrom: historyCell(&b), Joined: ev.T,
			Earlier: j.Earlier,
		}
	case MembersRemoved:
		if m.From == 0 || m.Until != 0 || !slices.Contains(b.Users, u) {
			return m, false
		}
		m.Until, m.Shield = ev.Seq, false
	case GroupDestroyed:
		if m.From == 0 || m.Until != 0 {
			return m, false
		}
		m.Until = ev.Seq
	case ShieldSet:
		if b.User != u {
			return m, false
		}
		m.Shield = b.On
	default:
		return m, false
	}
	m.T = ev.T
	return m, true
}
