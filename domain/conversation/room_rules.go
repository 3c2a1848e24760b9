package conversation

import (
	"time"

	"parley/domain"
	"parley/domain/message"
)

// RoomRules are the rules of rooms. They implement domain.Rules.
//
// A decision reads the head and the sender's Sends row, never who views. Besides what holds for Rules:
//
//   - The owner is one account: neither an earlier nor a later one of the same name.
//   - The allow list names a user once, and an account made anew takes the place of the one before only by being put on it.
//   - Messages are Own by nobody: rooms have no Member rows, and nothing in them is unread.
//   - Nothing happens after RoomDestroyed; the head's Closed is its seq.
type RoomRules struct{ limits message.Limits }

// NewRoomRules returns the rules with limits on content.
func NewRoomRules(l message.Limits) RoomRules { return RoomRules{limits: l} }

var _ domain.Rules = RoomRules{}

var errNoRoom = domain.Refuse(domain.RoomNotFound, "no such room")

// Needs implements domain.Rules.
func (RoomRules) Needs(dst []domain.PartID, _ domain.Stream, cmd domain.Command) []domain.PartID {
	switch c := cmd.(type) {
	case SendRoomMessage:
		return needSends(dst, &c.Sender)
	case RecallMessage:
		return needSends(dst, &c.Sender)
	default:
		return dst
	}
}

// Decide implements domain.Rules. Besides the codes that the commands name it refuses with RoomNotFound, NotMember (the sender does not
// view), Forbidden (a role that may not do it), TokenRevoked (the actor's account was made anew since), BadRequest and TooLarge.
func (r RoomRules) Decide(st domain.Stream, v domain.View, cmd domain.Command, now time.Time) (domain.Decision, error) {
	o := room{st: st, v: v, now: now}
	o.head, _ = v.Head().(*RoomHead)
	switch c := cmd.(type) {
	case SendRoomMessage:
		return r.send(&o, &c)
	case RecallMessage:
		return o.recall(&c)
	case CreateRoom:
		return o.create(&c)
	}
	if !o.head.Open() {
		return refuse(errNoRoom)
	}
	return o.govern(cmd)
}

// room is what a decision about a room sees.
type room struct {
	st   domain.Stream
	v    domain.View
	head *RoomHead // nil: there is none
	now  time.Time
}

// role returns what the actor is in the room: the app, the owner, or nothing in particular.
func (o *room) role(by *Actor) (Role, error) {
	switch {
	case by.App:
		return RoleApp, nil
	case o.owner(by.User, by.Incarnation): // also when the account was made anew since: then its room ends in its name
		return RoleOwner, nil
	case o.earlier(by.User, by.Incarnation):
		return RoleNone, errAnew
	default:
		return RoleNone, nil
	}
}

// mayGovern refuses everybody but the owner and the app.
func (o *room) mayGovern(by *Actor) error {
	role, err := o.role(by)
	switch {
	case err != nil:
		return err
	case role < RoleOwner:
		return errForbidden
	default:
		return nil
	}
}

// owner tells whether this account owns the room. An incarnation of 0 stands for whichever it is.
func (o *room) owner(u domain.UserID, inc domain.Incarnation) bool {
	return u == o.head.Owner.User && (inc == 0 || inc == o.head.Owner.Incarnation)
}

// earlier tells whether the room knows a later account of the same name.
func (o *room) earlier(u domain.UserID, inc domain.Incarnation) bool {
	if inc == 0 {
		return false
	}
	if u == o.head.Owner.User && inc < o.head.Owner.Incarnation {
		return true
	}
	for i := range o.head.Allowed {
		if p := &o.head.Allowed[i]; p.User == u {
			return inc < p.Incarnation
		}
	}
	return false
}
