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

// Sends is the part "s/<user>/<resource>": what the device sent lately, oldest first, so that a repeat gets its first answer.
// It keeps the sends of the last 60 s, at least 32 and at most 512.
type Sends struct {
	Sends []Send
}

// Send is one remembered send.
type Send struct {
	ClientID uint64
	Hash     uint64
	Seq      domain.Seq
	T        domain.T
}

// RowName implements domain.Row.
func (*Sends) RowName() string { return "Sends" }

// MemberPart names a user's Member row.
func MemberPart(u domain.UserID) domain.PartID { return domain.PartID("m/" + string(u)) }

// SendsPart names a device's Sends row.
func SendsPart(u domain.UserID, r domain.Resource) domain.PartID {
	return domain.PartID("s/" + string(u) + "/" + string(r))
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
