package conversation

import (
	"slices"

	"parley/domain"
)

// Touches implements domain.Rules.
func (GroupRules) Touches(dst []domain.PartID, _ domain.Stream, ev *domain.Event) []domain.PartID {
	dst = append(dst, domain.PartHead)
	switch b := ev.Body.(type) {
	case GroupCreated:
		return append(dst, MemberPart(b.Owner.User))
	case MembersAdded:
		for i := range b.Members {
			dst = append(dst, MemberPart(b.Members[i].User))
		}
	case MembersRemoved:
		for _, u := range b.Users {
			dst = append(dst, MemberPart(u))
		}
	case JoinRequested:
		return append(dst, ApplicationPart(b.User.User))
	case JoinAnswered:
		return append(dst, ApplicationPart(b.User.User))
	case UsersInvited:
		for i := range b.Users {
			dst = append(dst, InvitationPart(b.Users[i].User))
		}
	case InvitationAnswered:
		return append(dst, InvitationPart(b.User))
	case ShieldSet:
		return append(dst, MemberPart(b.User))
	default:
		return touchSaid(dst, ev)
	}
	return dst
}

// Evolve implements domain.Rules. A row that the event does not touch comes back as it is.
func (GroupRules) Evolve(st domain.Stream, id domain.PartID, row domain.Row, ev *domain.Event) domain.Row {
	if id == domain.PartHead {
		head, _ := row.(*GroupHead)
		return evolveGroupHead(st, head, ev)
	}
	switch id[0] {
	case 's':
		sends, _ := row.(*Sends)
		if next := evolveSends(id, sends, ev); next != sends {
			return next
		}
	case 'm':
		member, _ := row.(*Member)
		if next := evolveGroupMember(id, member, ev); next != member {
			return next
		}
	case 'a':
		if next := evolveApplication(id, row, ev); next != nil {
			return next
		}
	case 'i':
		if next := evolveInvitation(id, row, ev); next != nil {
			return next
		}
	}
	return row
}

func evolveGroupHead(st domain.Stream, row *GroupHead, ev *domain.Event) *GroupHead {
	head := GroupHead{}
	if row != nil {
		head = *row
	}
	head.Head = *evolveHead(st, &head.Head, ev)
	head.Kind = st.Kind
	switch b := ev.Body.(type) {
	case GroupCreated:
		head.Created, head.Modified, head.Settings, head.Owner, head.Count = ev.T, ev.T, b.Settings, b.Owner.User, 1
		head.Admins = nil
	case MembersAdded:
		// A new member is no admin, whatever an earlier account of the name was.
		head.Count = b.Count
		for i := range b.Members {
			head.Admins = without(head.Admins, b.Members[i].User)
		}
	case MembersRemoved:
		head.Count = b.Count
		for _, u := range b.Users {
			head.Admins = without(head.Admins, u)
		}
	case GroupDestroyed:
		head.Closed = ev.Seq
	case GroupChanged:
		head.Settings, head.Modified = head.Settings.With(&b.Change), ev.T
	case OwnerChanged:
		head.Owner, head.Modified = b.Owner, ev.T
		head.Admins = without(head.Admins, b.Owner)
	case AdminAdded:
		if !slices.Contains(head.Admins, b.User) {
			head.Admins = append(slices.Clip(head.Admins), b.User)
		}
	case AdminRemoved:
		head.Admins = without(head.Admins, b.User)
	}
	return &head
}

// without returns the users without one; it never changes the slice, which older versions of the row share.
func without(users []domain.UserID, u domain.UserID) []domain.UserID {
	i := slices.Index(users, u)
	switch {
	case i < 0:
		return users
	case len(users) == 1:
		return nil
	default:
		return slices.Delete(slices.Clone(users), i, i+1)
	}
}

func evolveGroupMember(id domain.PartID, row *Member, ev *domain.Event) *Member {
	user := domain.UserID(id[len("m/"):])
	switch b := ev.Body.(type) {
	case GroupCreated:
		if b.Owner.User == user {
			return &Member{User: user, Incarnation: b.Owner.Incarnation, From: ev.Seq, Joined: ev.T}
		}
	case MembersAdded:
		if i := slices.IndexFunc(b.Members, func(j Joiner) bool { return j.User == user }); i >= 0 {
			return joined(&b.Members[i], &b, ev.T)
		}
	case MembersRemoved:
		if row != nil && row.Until == 0 && slices.Contains(b.Users, user) {
			next := *row
			next.Until, next.Shield = ev.Seq, false
			return &next
		}
	case ShieldSet:
		if row != nil && b.User == user {
			next := *row
			next.Shield = b.On
			return &next
		}
	default:
		return evolveMember(id, row, ev)
	}
	return row
}

func joined(j *Joiner, b *MembersAdded, t domain.T) *Member {
	return &Member{
		User: j.User, Incarnation: j.Incarnation, From: b.From, FromN: b.N, ReadN: b.N, HistoryFrom: historyCell(b), Joined: t, Earlier: j.Earlier,
	}
}

// historyCell is a row's HistoryFrom: 0 when it is From.
func historyCell(b *MembersAdded) domain.Seq {
	if b.HistoryFrom == b.From {
		return 0
	}
	return b.HistoryFrom
}

func evolveApplication(id domain.PartID, row domain.Row, ev *domain.Event) domain.Row {
	switch b := ev.Body.(type) {
	case JoinRequested:
		if id == ApplicationPart(b.User.User) {
			return &Application{User: b.User, Reason: b.Reason, T: ev.T, State: AskPending}
		}
	case JoinAnswered:
		if a, _ := row.(*Application); a != nil && id == ApplicationPart(b.User.User) {
			next := *a
			next.State = answerOf(b.Accepted)
			return &next
		}
	}
	return nil
}

func evolveInvitation(id domain.PartID, row domain.Row, ev *domain.Event) domain.Row {
	switch b := ev.Body.(type) {
	case UsersInvited:
		user := domain.UserID(id[len("i/"):])
		if i := slices.IndexFunc(b.Users, func(p Person) bool { return p.User == user }); i >= 0 {
			return &Invitation{User: b.Users[i], By: b.By.User, Reason: b.Reason, T: ev.T, State: AskPending}
		}
	case InvitationAnswered:
		if i, _ := row.(*Invitation); i != nil && id == InvitationPart(b.User) {
			next := *i
			next.State = answerOf(b.Accepted)
			return &next
		}
	}
	return nil
}

func answerOf(accepted bool) AskState {
	if accepted {
		return AskAccepted
	}
	return AskDeclined
}
