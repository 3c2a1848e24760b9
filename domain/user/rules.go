package user

import (
	"time"
	"unicode/utf8"

	"parley/domain"
)

// Rules are the rules of a user's account. They implement domain.Rules.
//
// A name's incarnations are numbered from 1, and its auth epoch never falls: it rises with each password and with each registration, so
// that no token outlives either.
type Rules struct{}

var _ domain.Rules = Rules{}

// Needs implements domain.Rules: all that an account is stands in the head; parts are for notices.
func (Rules) Needs(dst []domain.PartID, _ domain.Stream, cmd domain.Command) []domain.PartID {
	if c, ok := cmd.(Notify); ok {
		dst = append(dst, CausesPart(c.Cause.Partition))
	}
	return dst
}

// Decide implements domain.Rules. It refuses with UserExists, UserNotFound, BadName and TooLarge.
func (Rules) Decide(st domain.Stream, v domain.View, cmd domain.Command, _ time.Time) (domain.Decision, error) {
	var head Head
	if h, ok := v.Head().(*Head); ok && h != nil {
		head = *h
	}
	switch c := cmd.(type) {
	case Register:
		return register(st, &head, &c)
	case Delete:
		if !head.Exists {
			return domain.Decision{}, errNotFound
		}
		return decided(Deleted{Incarnation: head.Incarnation, Registered: head.Registered})
	case SetPassword:
		if !head.Exists {
			return domain.Decision{}, errNotFound
		}
		return decided(PasswordSet{Password: c.Password, AuthEpoch: head.AuthEpoch + 1, Registered: head.Registered})
	case Notify:
		return notify(&head, v, &c)
	default:
		return domain.Decision{}, domain.Refuse(domain.Unsupported, "not a wish about a user")
	}
}

var errNotFound = domain.Refuse(domain.UserNotFound, "no such user")

func decided(body Event) (domain.Decision, error) {
	return domain.Decision{Bodies: []domain.Body{body}}, nil
}

func register(st domain.Stream, head *Head, c *Register) (domain.Decision, error) {
	if head.Exists {
		return domain.Decision{}, domain.Refuse(domain.UserExists, "the name is taken")
	}
	if name, err := FoldName(st.A); err != nil || string(name) != st.A {
		return domain.Decision{}, errBadName
	}
	if err := CheckNickname(c.Nickname); err != nil {
		return domain.Decision{}, err
	}
	if len(c.UUID) > maxUUID || !utf8.ValidString(c.UUID) {
		return domain.Decision{}, domain.Refuse(domain.BadRequest, "bad uuid")
	}
	return decided(Registered{
		Incarnation: head.Incarnation + 1, UUID: c.UUID, Password: c.Password, Nickname: c.Nickname, AuthEpoch: head.AuthEpoch + 1,
		From: head.Seq + 1,
	})
}

// Touches implements domain.Rules.
func (Rules) Touches(dst []domain.PartID, _ domain.Stream, ev *domain.Event) []domain.PartID {
	dst = append(dst, domain.PartHead)
	if b, ok := ev.Body.(Noticed); ok {
		dst = append(dst, CausesPart(b.Cause.Partition))
	}
	return dst
}

// Evolve implements domain.Rules. A row that the event does not touch comes back as it is.
func (Rules) Evolve(_ domain.Stream, id domain.PartID, row domain.Row, ev *domain.Event) domain.Row {
	if id != domain.PartHead {
		return evolveCauses(id, row, ev)
	}
	var head Head
	if h, ok := row.(*Head); ok && h != nil {
		head = *h
	}
	head.T = ev.T
	if ev.Seq != 0 {
		head.Seq = ev.Seq
	}
	switch b := ev.Body.(type) {
	case Registered:
		head.Exists, head.Incarnation, head.AuthEpoch = true, b.Incarnation, b.AuthEpoch
		head.UUID, head.Nickname, head.Password = b.UUID, b.Nickname, b.Password
		head.Registered, head.Modified, head.From = ev.T, ev.T, b.From
	case PasswordSet:
		head.Password, head.AuthEpoch, head.Modified = b.Password, b.AuthEpoch, ev.T
	case Deleted:
		// What is left is what the next incarnation has to be above.
		head = Head{Seq: head.Seq, T: ev.T, Incarnation: b.Incarnation, AuthEpoch: head.AuthEpoch}
	}
	return &head
}
