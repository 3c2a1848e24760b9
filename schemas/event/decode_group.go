package event

import (
	"math"

	"parley/domain"
	"parley/domain/conversation"
	"parley/schemas/internal/wire"
)

// decodeGroupBody reads the body of an event of groups.
func decodeGroupBody(s *wire.Scan) (domain.Body, error) {
	switch s.Tag {
	case fieldMessageRecalled<<3 | wire.Length:
		return decodeMessageRecalled(s.B)
	case fieldGroupCreated<<3 | wire.Length:
		return decodeGroupCreated(s.B)
	case fieldMembersAdded<<3 | wire.Length:
		return decodeMembersAdded(s.B)
	case fieldMembersRemoved<<3 | wire.Length:
		return decodeMembersRemoved(s.B)
	case fieldGroupDestroyed<<3 | wire.Length:
		by, name, _, err := decodeDone(s.B, "GroupDestroyed", 2)
		return conversation.GroupDestroyed{By: by, Name: name}, err
	case fieldGroupChanged<<3 | wire.Length:
		return decodeGroupChanged(s.B)
	case fieldOwnerChanged<<3 | wire.Length:
		by, old, owner, err := decodeDone(s.B, "OwnerChanged", 3)
		return conversation.OwnerChanged{By: by, Old: domain.UserID(old), Owner: domain.UserID(owner)}, err
	case fieldAdminAdded<<3 | wire.Length:
		by, user, _, err := decodeDone(s.B, "AdminAdded", 2)
		return conversation.AdminAdded{By: by, User: domain.UserID(user)}, err
	case fieldAdminRemoved<<3 | wire.Length:
		by, user, _, err := decodeDone(s.B, "AdminRemoved", 2)
		return conversation.AdminRemoved{By: by, User: domain.UserID(user)}, err
	case fieldJoinRequested<<3 | wire.Length:
		return decodeJoinRequested(s.B)
	case fieldJoinAnswered<<3 | wire.Length:
		return decodeJoinAnswered(s.B)
	case fieldUsersInvited<<3 | wire.Length:
		return decodeUsersInvited(s.B)
	case fieldInvitationAnswered<<3 | wire.Length:
		return decodeInvitationAnswered(s.B)
	case fieldShieldSet<<3 | wire.Length:
		return decodeShieldSet(s.B)
	default:
		return decodeRoomBody(s)
	}
}

func decodeMessageRecalled(b []byte) (domain.Body, error) {
	var m conversation.MessageRecalled
	s := wire.NewScan("MessageRecalled", b)
	for s.Next() {
		switch s.Tag {
		case 1<<3 | wire.Fixed64:
			m.Message = domain.T(s.V)
		case 2<<3 | wire.Varint:
			m.MessageSeq = domain.Seq(s.V)
		case 3<<3 | wire.Length:
			m.From = domain.UserID(s.String())
		case 4<<3 | wire.Length:
			m.By = domain.UserID(s.String())
		case 5<<3 | wire.Length:
			m.ByResource = domain.Resource(s.String())
		case 6<<3 | wire.Length:
			m.To = domain.UserID(s.String())
		case 7<<3 | wire.Length:
			m.Audience = append(m.Audience, domain.UserID(s.String()))
		case 8<<3 | wire.Varint:
			m.ClientID = s.V
		case 9<<3 | wire.Fixed64:
			m.Hash = s.V
		case 10<<3 | wire.Length:
			m.Ext = s.Bytes()
		case 11<<3 | wire.Length:
			m.Body = s.Bytes()
		default:
			s.Unknown()
		}
	}
	return m, s.Err
}

func decodeGroupCreated(b []byte) (domain.Body, error) {
	var m conversation.GroupCreated
	s := wire.NewScan("GroupCreated", b)
	for s.Next() {
		switch s.Tag {
		case 1<<3 | wire.Length:
			m.By, s.Err = decodeDoer(s.B)
		case 2<<3 | wire.Length:
			m.Owner = s.Person()
		case 3<<3 | wire.Length:
			m.Settings, s.Err = decodeSettings(s.B)
		default:
			s.Unknown()
		}
	}
	return m, s.Err
}

func decodeMembersAdded(b []byte) (domain.Body, error) {
	var m conversation.MembersAdded
	s := wire.NewScan("MembersAdded", b)
	for s.Next() {
		switch s.Tag {
		case 1<<3 | wire.Length:
			j, err := decodeJoiner(s.B)
			m.Members, s.Err = append(m.Members, j), err
		case 2<<3 | wire.Length:
			m.By, s.Err = decodeDoer(s.B)
		case 3<<3 | wire.Varint:
			m.How = conversation.JoinHow(s.Within(math.MaxUint8))
		case 4<<3 | wire.Varint:
			m.From = domain.Seq(s.V)
		case 5<<3 | wire.Varint:
			m.HistoryFrom = domain.Seq(s.V)
		case 6<<3 | wire.Varint:
			m.N = s.V
		case 7<<3 | wire.Varint:
			m.Count = s.Uint32()
		case 8<<3 | wire.Length:
			m.Name = s.String()
		default:
			s.Unknown()
		}
	}
	return m, s.Err
}

func decodeJoiner(b []byte) (j conversation.Joiner, err error) {
	s := wire.NewScan("Joiner", b)
	for s.Next() {
		switch s.Tag {
		case 1<<3 | wire.Length:
			j.User = domain.UserID(s.String())
		case 2<<3 | wire.Varint:
			j.Incarnation = domain.Incarnation(s.Uint32())
		case 3<<3 | wire.Length:
			j.Earlier = append(j.Earlier, s.Span())
		default:
			s.Unknown()
		}
	}
	return j, s.Err
}

func decodeMembersRemoved(b []byte) (domain.Body, error) {
	var m conversation.MembersRemoved
	s := wire.NewScan("MembersRemoved", b)
	for s.Next() {
		switch s.Tag {
		case 1<<3 | wire.Length:
			m.Users = append(m.Users, domain.UserID(s.String()))
		case 2<<3 | wire.Length:
			m.By, s.Err = decodeDoer(s.B)
		case 3<<3 | wire.Varint:
			m.How = conversation.LeaveHow(s.Within(math.MaxUint8))
		case 4<<3 | wire.Varint:
			m.Count = s.Uint32()
		default:
			s.Unknown()
		}
	}
	return m, s.Err
}

func decodeGroupChanged(b []byte) (domain.Body, error) {
	var m conversation.GroupChanged
	s := wire.NewScan("GroupChanged", b)
	for s.Next() {
		switch s.Tag {
		case 1<<3 | wire.Length:
			m.By, s.Err = decodeDoer(s.B)
		case 2<<3 | wire.Length:
			m.Change, s.Err = decodeChange(s.B)
		default:
			s.Unknown()
		}
	}
	return m, s.Err
}

func decodeChange(b []byte) (c conversation.GroupChange, err error) {
	s := wire.NewScan("GroupChange", b)
	for s.Next() {
		switch s.Tag {
		case 1<<3 | wire.Length:
			c.Name = new(s.String())
		case 2<<3 | wire.Length:
			c.Description = new(s.String())
		case 3<<3 | wire.Length:
			c.Avatar = new(s.String())
		case 4<<3 | wire.Length:
			c.Custom = new(s.String())
		case 5<<3 | wire.Varint:
			c.Public = new(s.V != 0)
		case 6<<3 | wire.Varint:
			c.Approval = new(s.V != 0)
		case 7<<3 | wire.Varint:
			c.MemberInvites = new(s.V != 0)
		case 8<<3 | wire.Varint:
			c.InviteConfirm = new(s.V != 0)
		case 9<<3 | wire.Varint:
			c.MaxUsers = new(s.Uint32())
		default:
			s.Unknown()
		}
	}
	return c, s.Err
}

// decodeDone reads a body that is who did it and, up to the field last, texts.
func decodeDone(b []byte, at string, last uint64) (by conversation.Doer, two, three string, err error) {
	s := wire.NewScan(at, b)
	for s.Next() {
		switch {
		case s.Tag == 1<<3|wire.Length:
			by, s.Err = decodeDoer(s.B)
		case s.Tag == 2<<3|wire.Length:
			two = s.String()
		case s.Tag == 3<<3|wire.Length && last == 3:
			three = s.String()
		default:
			s.Unknown()
		}
	}
	return by, two, three, s.Err
}

func decodeJoinRequested(b []byte) (domain.Body, error) {
	var m conversation.JoinRequested
	s := wire.NewScan("JoinRequested", b)
	for s.Next() {
		switch s.Tag {
		case 1<<3 | wire.Length:
			m.User = s.Person()
		case 2<<3 | wire.Length:
			m.Reason = s.String()
		case 3<<3 | wire.Length:
			m.Audience = append(m.Audience, domain.UserID(s.String()))
		default:
			s.Unknown()
		}
	}
	return m, s.Err
}

func decodeJoinAnswered(b []byte) (domain.Body, error) {
	var m conversation.JoinAnswered
	s := wire.NewScan("JoinAnswered", b)
	for s.Next() {
		switch s.Tag {
		case 1<<3 | wire.Length:
			m.User = s.Person()
		case 2<<3 | wire.Length:
			m.By, s.Err = decodeDoer(s.B)
		case 3<<3 | wire.Varint:
			m.Accepted = s.V != 0
		case 4<<3 | wire.Length:
			m.Reason = s.String()
		case 5<<3 | wire.Length:
			m.Name = s.String()
		default:
			s.Unknown()
		}
	}
	return m, s.Err
}

func decodeUsersInvited(b []byte) (domain.Body, error) {
	var m conversation.UsersInvited
	s := wire.NewScan("UsersInvited", b)
	for s.Next() {
		switch s.Tag {
		case 1<<3 | wire.Length:
			m.Users = append(m.Users, s.Person())
		case 2<<3 | wire.Length:
			m.By, s.Err = decodeDoer(s.B)
		case 3<<3 | wire.Length:
			m.Reason = s.String()
		case 4<<3 | wire.Length:
			m.Name = s.String()
		default:
			s.Unknown()
		}
	}
	return m, s.Err
}

func decodeInvitationAnswered(b []byte) (domain.Body, error) {
	var m conversation.InvitationAnswered
	s := wire.NewScan("InvitationAnswered", b)
	for s.Next() {
		switch s.Tag {
		case 1<<3 | wire.Length:
			m.User = domain.UserID(s.String())
		case 2<<3 | wire.Length:
			m.Resource = domain.Resource(s.String())
		case 3<<3 | wire.Length:
			m.Inviter = domain.UserID(s.String())
		case 4<<3 | wire.Varint:
			m.Accepted = s.V != 0
		case 5<<3 | wire.Length:
			m.Reason = s.String()
		default:
			s.Unknown()
		}
	}
	return m, s.Err
}

func decodeShieldSet(b []byte) (domain.Body, error) {
	var m conversation.ShieldSet
	s := wire.NewScan("ShieldSet", b)
	for s.Next() {
		switch s.Tag {
		case 1<<3 | wire.Length:
			m.User = domain.UserID(s.String())
		case 2<<3 | wire.Varint:
			m.On = s.V != 0
		default:
			s.Unknown()
		}
	}
	return m, s.Err
}

func decodeDoer(b []byte) (d conversation.Doer, err error) {
	s := wire.NewScan("Doer", b)
	for s.Next() {
		switch s.Tag {
		case 1<<3 | wire.Length:
			d.User = domain.UserID(s.String())
		case 2<<3 | wire.Length:
			d.Resource = domain.Resource(s.String())
		default:
			s.Unknown()
		}
	}
	return d, s.Err
}

func decodeSettings(b []byte) (g conversation.GroupSettings, err error) {
	s := wire.NewScan("GroupSettings", b)
	for s.Next() {
		s.GroupSettings(1, &g)
	}
	return g, s.Err
}
