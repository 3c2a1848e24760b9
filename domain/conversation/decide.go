package conversation

import (
	"time"
	"unicode/utf8"

	"parley/domain"
	"parley/domain/message"
)

// maxResource is the most bytes that a device's name may have.
const maxResource = 256

// Rules are the rules of direct conversations. They implement domain.Rules.
//
// Events of a conversation are made here only, and the heads and parts that they touch follow from them alone:
//
//   - N of a message is the head's count with it, Own its sender's; both are absolute.
//   - Only members own messages and read: Own is 0 when the sender has no account, and then the message touches no Member row.
//   - A device's receipts share its Sends row with its messages, because the SDK asks for both in the same way.
type Rules struct{ limits message.Limits }

// NewRules returns the rules with limits on content.
func NewRules(l message.Limits) Rules { return Rules{limits: l} }

var _ domain.Rules = Rules{}

// Needs implements domain.Rules.
func (Rules) Needs(dst []domain.PartID, _ domain.Stream, cmd domain.Command) []domain.PartID {
	switch c := cmd.(type) {
	case SendMessage:
		dst = append(dst, MemberPart(c.Sender.User))
		if c.To.User != c.Sender.User {
			dst = append(dst, MemberPart(c.To.User))
		}
		return needSends(dst, &c.Sender)
	case MarkDelivered:
		return needSends(append(dst, MemberPart(c.Sender.User)), &c.Sender)
	case MarkRead:
		return needSends(append(dst, MemberPart(c.Sender.User)), &c.Sender)
	case ReadConversation:
		return needSends(append(dst, MemberPart(c.Sender.User)), &c.Sender)
	case RecallMessage:
		return needSends(append(dst, MemberPart(c.Sender.User)), &c.Sender)
	default:
		return dst
	}
}

func needSends(dst []domain.PartID, s *Sender) []domain.PartID {
	if s.ClientID == 0 {
		return dst
	}
	return append(dst, SendsPart(s.User, s.Resource))
}

// Decide implements domain.Rules. It refuses with BadRequest, TooLarge, UserNotFound, TokenRevoked (the sender's account was made anew since)
// and NotFound (a receipt or recall of what is not there); a recall also with Forbidden, RecallOff and RecallTooLate.
func (r Rules) Decide(st domain.Stream, v domain.View, cmd domain.Command, now time.Time) (domain.Decision, error) {
	switch c := cmd.(type) {
	case SendMessage:
		return r.send(st, v, &c)
	case MarkDelivered:
		return receipt(st, v, &c.Sender, &c.To, c.Message, func() Event {
			return MessageDelivered{
				By: c.Sender.User, ByResource: c.Sender.Resource, To: c.To.User, Message: c.Message,
				ClientID: c.Sender.ClientID, Hash: c.Sender.Hash, Body: c.Body,
			}
		})
	case MarkRead:
		return receipt(st, v, &c.Sender, &c.To, c.Message, func() Event {
			return MessageRead{
				By: c.Sender.User, ByResource: c.Sender.Resource, To: c.To.User, Message: c.Message,
				ClientID: c.Sender.ClientID, Hash: c.Sender.Hash, Body: c.Body,
			}
		})
	case ReadConversation:
		return readAll(st, v, &c)
	case RecallMessage:
		return recallDirect(st, v, &c, now)
	default:
		return domain.Decision{}, domain.Refuse(domain.Unsupported, "not a wish about a direct conversation")
	}
}

// send decides a message: first who takes part because of it, then the message itself.
func (r Rules) send(st domain.Stream, v domain.View, c *SendMessage) (domain.Decision, error) {
	from := memberOf(v, c.Sender.User)
	if d, done, err := admit(st, v, &c.Sender, &c.To, from); done {
		return d, err
	}
	if !c.Unchecked && (c.Sender.Incarnation == 0 || c.To.Incarnation == 0) {
		return domain.Decision{}, domain.Refuse(domain.UserNotFound, "no such user")
	}
	if err := message.Check(c.Envelope, r.limits); err != nil {
		return domain.Decision{}, err
	}
	head := headOf(v)
	bodies := make([]domain.Body, 0, 3)
	if joins(from, c.Sender.Incarnation) {
		from = &Member{}
		bodies = append(bodies, added(c.Sender.User, c.Sender.Incarnation, &head))
	}
	if c.To.User != c.Sender.User && joins(memberOf(v, c.To.User), c.To.Incarnation) {
		bodies = append(bodies, added(c.To.User, c.To.Incarnation, &head))
	}
	return domain.Decision{Bodies: append(bodies, sent(c, &head, from))}, nil
}

// joins tells whether a user of this incarnation is to be added: an account that is not a member yet, or was one under an earlier incarnation.
func joins(m *Member, inc domain.Incarnation) bool {
	return inc > 0 && (m == nil || m.Incarnation < inc)
}

func added(u domain.UserID, inc domain.Incarnation, head *Head) MemberAdded {
	return MemberAdded{User: u, Incarnation: inc, From: head.Seq + 1, N: head.N}
}

func sent(c *SendMessage, head *Head, from *Member) MessageSent {
	shown := c.Envelope.Kind != message.Cmd && c.To.Resource == ""
	m := MessageSent{
		From: c.Sender.User, FromResource: c.Sender.Resource, To: c.To.User, ToResource: c.To.Resource,
		ClientID: c.Sender.ClientID, Hash: c.Sender.Hash, Kind: c.Envelope.Kind, Counted: shown, History: shown,
		SyncOwn: c.SyncOwn, NoHistory: c.NoHistory, Body: c.Body, Ext: c.Ext, N: head.N,
	}
	if from != nil {
		m.Own = from.Own
	}
	if shown {
		m.N++
		if from != nil {
			m.Own++
		}
	}
	return m
}

// receipt decides a receipt for one message.
func receipt(st domain.Stream, v domain.View, s *Sender, to *Recipient, id domain.MessageID, body func() Event) (domain.Decision, error) {
	m := memberOf(v, s.User)
	if d, done, err := admit(st, v, s, to, m); done {
		return d, err
	}
	if id == 0 || id > headOf(v).T || !takesPart(m, s.Incarnation) {
		return domain.Decision{}, domain.Refuse(domain.NotFound, "no such message")
	}
	return domain.Decision{Bodies: []domain.Body{body()}}, nil
}

// readAll decides a conversation's receipt. There always is one, even when nothing was unread: the peer's SDK waits for it.
func readAll(st domain.Stream, v domain.View, c *ReadConversation) (domain.Decision, error) {
	m := memberOf(v, c.Sender.User)
	if d, done, err := admit(st, v, &c.Sender, &c.To, m); done {
		return d, err
	}
	if !takesPart(m, c.Sender.Incarnation) {
		return domain.Decision{}, domain.Refuse(domain.NotFound, "no such conversation")
	}
	return domain.Decision{Bodies: []domain.Body{ConversationRead{
		By: c.Sender.User, ByResource: c.Sender.Resource, To: c.To.User, ClientID: c.Sender.ClientID, Hash: c.Sender.Hash,
		Body: c.Body, ReadN: headOf(v).N, ReadOwn: m.Own,
	}}}, nil
}

// admit is what all commands begin with: the stream is that of the two users, a repeat gets its first answer (whatever has changed since),
// and who was registered anew does not speak with an old session. m is the sender's row. done means that the command is answered.
func admit(st domain.Stream, v domain.View, s *Sender, to *Recipient, m *Member) (d domain.Decision, done bool, err error) {
	if !between(st, s.User, to.User) {
		return d, true, domain.Refuse(domain.BadRequest, "the stream is not that of the two users")
	}
	if !validResource(s.Resource) || !validResource(to.Resource) {
		return d, true, domain.Refuse(domain.BadRequest, "bad resource")
	}
	if d, ok := repeated(v, s); ok {
		return d, true, nil
	}
	if m != nil && s.Incarnation > 0 && s.Incarnation < m.Incarnation {
		return d, true, errAnew
	}
	return d, false, nil
}

// between tells whether st is the conversation of the two users, whichever is named first.
func between(st domain.Stream, a, b domain.UserID) bool {
	if b < a {
		a, b = b, a
	}
	return st.Kind == domain.KindDirect && domain.UserID(st.A) == a && st.B == b
}

func validResource(r domain.Resource) bool {
	return len(r) <= maxResource && utf8.ValidString(string(r))
}

// headOf returns the head, that of a new conversation when there is none.
func headOf(v domain.View) Head {
	if h, ok := v.Head().(*Head); ok && h != nil {
		return *h
	}
	return Head{Kind: domain.KindDirect}
}

// takesPart tells whether a row is that of this incarnation of its user. An incarnation of 0 stands for whichever it is.
func takesPart(m *Member, inc domain.Incarnation) bool {
	return m != nil && (inc == 0 || m.Incarnation == inc)
}

// memberOf returns a user's Member row, nil when there is none.
func memberOf(v domain.View, u domain.UserID) *Member {
	m, _ := v.Part(MemberPart(u)).(*Member)
	return m
}
