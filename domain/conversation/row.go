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

// Member is the part "m/<user>". In a group it stays when the user is a member no more, and starts anew when the user joins again.
type Member struct {
	User        domain.UserID
	Incarnation domain.Incarnation
	From        domain.Seq
	FromN       uint64
	Own         uint64 // countable messages sent, since From
	ReadN       uint64
	ReadOwn     uint64
	HistoryFrom domain.Seq // the first entry that the user's history shows; 0: From
	Until       domain.Seq // 0: still a member; else the last entry that reaches the user
	Joined      domain.T   // of the event that made the user a member of the group; 0 in direct conversations
	Shield      bool       // wants the group's messages on no device
	Earlier     []Span     // spans of this incarnation before From, oldest first, the last 3
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
	From    domain.Seq // first entry that reaches the user's devices
	Until   domain.Seq // 0: still a member; else the last
	FromN   uint64
	ReadN   uint64 // starts as FromN
	Own     uint64
	ReadOwn uint64
	T       domain.T // of the event that last changed it

	// Of groups.
	Incarnation domain.Incarnation // of the user who is the member; 0 in direct conversations
	HistoryFrom domain.Seq         // the first entry that the user's history shows; 0: From
	Joined      domain.T           // of the event that began the span
	Shield      bool               // wants the group's messages on no device
	Earlier     []Span             // spans before From, oldest first, the last 3
}

// FirstShown returns the first entry that the user's history shows.
func (m Membership) FirstShown() domain.Seq {
	if m.HistoryFrom != 0 {
		return m.HistoryFrom
	}
	return m.From
}

// Reads tells whether the user's history may show an entry: what came while the user was a member, and what was before as far as HistoryFrom says.
func (m Membership) Reads(seq domain.Seq) bool {
	return m.Covers(seq) || m.HistoryFrom != 0 && seq >= m.HistoryFrom && (m.Until == 0 || seq <= m.Until)
}

// Covers tells whether the user was a member when an entry came, so that it is for the user's devices.
func (m Membership) Covers(seq domain.Seq) bool {
	if seq >= m.From {
		return m.From != 0 && (m.Until == 0 || seq <= m.Until)
	}
	for _, s := range m.Earlier {
		if seq >= s.From && seq <= s.Until {
			return true
		}
	}
	return false
}

// Unread returns how many messages the user has not read in a conversation that counts n: (n - read_n) - (own - read_own), at least 0.
func (m Membership) Unread(n uint64) uint64 {
	all, own := n-m.ReadN, m.Own-m.ReadOwn
	if n < m.ReadN || m.Own < m.ReadOwn || all < own {
		return 0
	}
	return all - own
}
