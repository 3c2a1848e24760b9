package conversation

import "parley/domain"

// Touches implements domain.Rules.
func (Rules) Touches(dst []domain.PartID, _ domain.Stream, ev *domain.Event) []domain.PartID {
	dst = append(dst, domain.PartHead)
	if b, ok := ev.Body.(MemberAdded); ok {
		return append(dst, MemberPart(b.User))
	}
	return touchSaid(dst, ev)
}

// touchSaid appends the parts that what is said in a conversation changes.
func touchSaid(dst []domain.PartID, ev *domain.Event) []domain.PartID {
	switch b := ev.Body.(type) {
	case MessageSent:
		if b.Counted && b.Own > 0 {
			dst = append(dst, MemberPart(b.From))
		}
		return touchSends(dst, b.From, b.FromResource, b.ClientID)
	case MessageDelivered:
		return touchSends(dst, b.By, b.ByResource, b.ClientID)
	case MessageRead:
		return touchSends(dst, b.By, b.ByResource, b.ClientID)
	case ConversationRead:
		return touchSends(append(dst, MemberPart(b.By)), b.By, b.ByResource, b.ClientID)
	case MessageRecalled:
		return touchSends(dst, b.By, b.ByResource, b.ClientID)
	default:
		return dst
	}
}

func touchSends(dst []domain.PartID, u domain.UserID, r domain.Resource, clientID uint64) []domain.PartID {
	if clientID == 0 {
		return dst
	}
	return append(dst, SendsPart(u, r))
}

// Evolve implements domain.Rules. A row that the event does not touch comes back as it is.
func (Rules) Evolve(st domain.Stream, id domain.PartID, row domain.Row, ev *domain.Event) domain.Row {
	if id == domain.PartHead {
		head, _ := row.(*Head)
		return evolveHead(st, head, ev)
	}
	if id[0] == 's' {
		sends, _ := row.(*Sends)
		if next := evolveSends(id, sends, ev); next != sends {
			return next
		}
		return row
	}
	member, _ := row.(*Member)
	if next := evolveMember(id, member, ev); next != member {
		return next
	}
	return row
}

func evolveHead(st domain.Stream, row *Head, ev *domain.Event) *Head {
	head := Head{Kind: st.Kind}
	if row != nil {
		head = *row
	}
	head.T = ev.T
	if ev.Seq != 0 {
		head.Seq = ev.Seq
	}
	if m, ok := ev.Body.(MessageSent); ok {
		head.N = m.N
		if m.History {
			head.ShownSeq, head.ShownT = ev.Seq, ev.T
		}
	}
	return &head
}

func evolveMember(id domain.PartID, row *Member, ev *domain.Event) *Member {
	switch b := ev.Body.(type) {
	case MemberAdded:
		if isMember(id, b.User) {
			return &Member{User: b.User, Incarnation: b.Incarnation, From: b.From, FromN: b.N, ReadN: b.N}
		}
	case MessageSent:
		if b.Counted && b.Own > 0 && row != nil && row.User == b.From && isMember(id, b.From) {
			next := *row
			next.Own = b.Own
			return &next
		}
	case ConversationRead:
		if row != nil && isMember(id, b.By) {
			next := *row
			next.ReadN, next.ReadOwn = b.ReadN, b.ReadOwn
			return &next
		}
	}
	return row
}

func evolveSends(id domain.PartID, row *Sends, ev *domain.Event) *Sends {
	send := Send{Seq: ev.Seq, T: ev.T}
	var user domain.UserID
	var device domain.Resource
	switch b := ev.Body.(type) {
	case MessageSent:
		user, device, send.ClientID, send.Hash = b.From, b.FromResource, b.ClientID, b.Hash
	case MessageDelivered:
		user, device, send.ClientID, send.Hash = b.By, b.ByResource, b.ClientID, b.Hash
	case MessageRead:
		user, device, send.ClientID, send.Hash = b.By, b.ByResource, b.ClientID, b.Hash
	case ConversationRead:
		user, device, send.ClientID, send.Hash = b.By, b.ByResource, b.ClientID, b.Hash
	case MessageRecalled:
		user, device, send.ClientID, send.Hash = b.By, b.ByResource, b.ClientID, b.Hash
	}
	if send.ClientID == 0 || !isSends(id, user, device) {
		return row
	}
	return row.add(send)
}
