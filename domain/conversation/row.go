package conversation

import "parley/domain"

// Head is the head row of a conversation.
type Head struct {
	Kind     domain.Kind
	Seq      domain.Seq // of the last entry
	N        uint64     // countable messages
	T        domain.T   // of the last event
	ShownSeq domain.Seq // of the last message that a conversation list may show
	ShownT   domain.T   // its id
	Closed   domain.Seq // not 0: the last entry there will ever be
}

// RowName implements domain.Row.
func (*Head) RowName() string { return "Head" }

// LastSeq implements domain.HeadRow.
func (h *Head) LastSeq() domain.Seq { return h.Seq }

// Member is the part "m/<user>".
type Member struct {
	User        domain.UserID
	Incarnation domain.Incarnation
	From        domain.Seq
	FromN       uint64
	Own         uint64 // countable messages sent, of this incarnation
	ReadN       uint64
	ReadOwn     uint64
}

// RowName implements domain.Row.
func (*Member) RowName() string { return "Member" }

// MemberPart names a user's Member row.
func MemberPart(u domain.UserID) domain.PartID { return domain.PartID("m/" + string(u)) }

// isMember tells whether id is MemberPart(u).
func isMember(id domain.PartID, u domain.UserID) bool {
	return len(id) == len("m/")+len(u) && id[:2] == "m/" && string(id[2:]) == string(u)
}

// Membership is a conversation as one user has it: the row of the memberships read model.
type Membership struct {
	Stream  domain.StreamID
	From    domain.Seq // first entry that the user may see
	Until   domain.Seq // 0: still a member; else the last
	FromN   uint64
	ReadN   uint64 // starts as FromN
	Own     uint64
	ReadOwn uint64
	T       domain.T // of the event that last changed it
}

// Unread returns how many messages the user has not read in a conversation that counts n: (n - read_n) - (own - read_own), at least 0.
func (m Membership) Unread(n uint64) uint64 {
	all, own := n-m.ReadN, m.Own-m.ReadOwn
	if n < m.ReadN || m.Own < m.ReadOwn || all < own {
		return 0
	}
	return all - own
}
