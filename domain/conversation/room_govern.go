package conversation

import (
	"slices"
	"unicode/utf8"

	"parley/domain"
)

// Bounds of a room's settings, from the SDKs' documentation; the last is ours, edges allow fewer.
const (
	maxRoomName = 128 // characters
	MaxViewers  = 1_000_000
)

// check refuses settings outside the rules.
func (s *RoomSettings) check() error {
	switch {
	case !utf8.ValidString(s.Name) || !utf8.ValidString(s.Description) || !utf8.ValidString(s.Custom):
		return domain.Refuse(domain.BadRequest, "the room's settings are not UTF-8")
	case utf8.RuneCountInString(s.Name) > maxRoomName || utf8.RuneCountInString(s.Description) > maxDescription:
		return domain.Refuse(domain.TooLarge, "the room's name or description is too long")
	case len(s.Custom) > maxCustom:
		return domain.Refuse(domain.TooLarge, "the room's ext is too long")
	case s.MaxUsers == 0:
		return domain.Refuse(domain.BadRequest, "a room has room for somebody")
	case s.MaxUsers > MaxViewers:
		return domain.Refuse(domain.TooLarge, "a room of too many users")
	default:
		return nil
	}
}

// With returns the settings after a change.
func (s RoomSettings) With(c *RoomChange) RoomSettings {
	set(&s.Name, c.Name)
	set(&s.Description, c.Description)
	set(&s.Custom, c.Custom)
	set(&s.MaxUsers, c.MaxUsers)
	return s
}

// news returns what of a change is not so yet.
func (c *RoomChange) news(s *RoomSettings) RoomChange {
	return RoomChange{
		Name: differs(c.Name, s.Name), Description: differs(c.Description, s.Description), Custom: differs(c.Custom, s.Custom),
		MaxUsers: differs(c.MaxUsers, s.MaxUsers),
	}
}

func (o *room) create(c *CreateRoom) (domain.Decision, error) {
	switch {
	case o.st.Kind != domain.KindRoom || !validGroup(o.st.A) || !validResource(c.By.Resource):
		return refuse(domain.Refuse(domain.BadRequest, "bad room or resource"))
	case !c.By.App && c.By.User != c.Owner.User:
		return refuse(domain.Refuse(domain.Forbidden, "a room is made for oneself"))
	case o.head != nil && o.head.Created != 0:
		return refuse(domain.Refuse(domain.RoomExists, "the room's id is taken"))
	case c.Owner.User == "" || c.Owner.Incarnation == 0:
		return refuse(errNoUser)
	}
	if err := c.Settings.check(); err != nil {
		return refuse(err)
	}
	return decide(RoomCreated{By: c.By.doer(), Owner: c.Owner, Settings: c.Settings})
}

// govern decides what only the owner and the app may.
func (o *room) govern(cmd domain.Command) (domain.Decision, error) {
	switch c := cmd.(type) {
	case ChangeRoom:
		return o.change(&c)
	case TransferRoom:
		return o.transfer(&c)
	case DestroyRoom:
		if err := o.mayGovern(&c.By); err != nil {
			return refuse(err)
		}
		return decide(RoomDestroyed{By: c.By.doer(), Name: o.head.Settings.Name})
	case AllowUsers:
		return o.allow(&c)
	case DisallowUsers:
		return o.disallow(&c)
	default:
		return refuse(domain.Refuse(domain.Unsupported, "not a wish about a room"))
	}
}

func (o *room) change(c *ChangeRoom) (domain.Decision, error) {
	if err := o.mayGovern(&c.By); err != nil {
		return refuse(err)
	}
	next := o.head.Settings.With(&c.Change)
	if err := next.check(); err != nil {
		return refuse(err)
	}
	news := c.Change.news(&o.head.Settings)
	if news == (RoomChange{}) {
		return domain.Decision{}, nil
	}
	return decide(RoomChanged{By: c.By.doer(), Change: news})
}

// transfer decides a new owner. The app may give the room of an account that was deleted to one made anew under its name.
func (o *room) transfer(c *TransferRoom) (domain.Decision, error) {
	if err := o.mayGovern(&c.By); err != nil {
		return refuse(err)
	}
	switch {
	case c.To.User == "" || c.To.Incarnation == 0 || o.earlier(c.To.User, c.To.Incarnation):
		return refuse(errNoUser)
	case c.To == o.head.Owner:
		return refuse(domain.Refuse(domain.AlreadySo, "the owner already"))
	}
	return decide(RoomTransferred{By: c.By.doer(), Old: o.head.Owner, Owner: c.To})
}

// allow decides who comes on the allow list. That all are on it already is no refusal: then there is nothing.
func (o *room) allow(c *AllowUsers) (domain.Decision, error) {
	if err := o.mayGovern(&c.By); err != nil {
		return refuse(err)
	}
	users, err := o.named(len(c.Users))
	if err != nil {
		return refuse(err)
	}
	if err := known(c.Users); err != nil {
		return refuse(err)
	}
	count := len(o.head.Allowed)
	for _, p := range distinct(c.Users) {
		i := onList(o.head.Allowed, p.User)
		switch {
		case o.earlier(p.User, p.Incarnation):
			return refuse(errNoUser)
		case i >= 0 && o.head.Allowed[i] == p:
			continue
		case i < 0:
			count++
		}
		users = append(users, p)
	}
	switch {
	case len(users) == 0:
		return domain.Decision{}, nil
	case count > MaxAllowed:
		return refuse(domain.Refuse(domain.TooLarge, "too many users on the allow list"))
	}
	return decide(UsersAllowed{By: c.By.doer(), Users: users})
}

func (o *room) disallow(c *DisallowUsers) (domain.Decision, error) {
	if err := o.mayGovern(&c.By); err != nil {
		return refuse(err)
	}
	users, err := o.named(len(c.Users))
	if err != nil {
		return refuse(err)
	}
	for _, u := range c.Users {
		if i := onList(o.head.Allowed, u); i >= 0 && onList(users, u) < 0 {
			users = append(users, o.head.Allowed[i])
		}
	}
	if len(users) == 0 {
		return refuse(domain.Refuse(domain.NotFound, "not on the allow list"))
	}
	return decide(UsersDisallowed{By: c.By.doer(), Users: users})
}

// named refuses to name nobody or too many, and returns room for those who are left of so many.
func (o *room) named(n int) ([]Person, error) {
	switch {
	case n == 0:
		return nil, errNobody
	case n > MaxBulk:
		return nil, errTooManyAsks
	default:
		return make([]Person, 0, n), nil
	}
}

// onList returns where a name stands in a list, -1 when it does not.
func onList(list []Person, u domain.UserID) int {
	return slices.IndexFunc(list, func(p Person) bool { return p.User == u })
}
