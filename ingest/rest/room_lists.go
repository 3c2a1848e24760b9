package rest

import (
	"slices"

	"parley/domain"
)

// roomLine is a room in the list of all.
type roomLine struct {
	ID       string        `json:"id"`
	Name     string        `json:"name"`
	Owner    domain.UserID `json:"owner"`
	Count    int           `json:"affiliations_count"`
	Disabled bool          `json:"disabled"`
}

// listRooms is GET /chatrooms: a page of all rooms. Back ends go on at a cursor; the SDKs ask for pages by number, from 1.
func (c *call) listRooms() error {
	page, next, err := c.roomsPage()
	if err != nil {
		return err
	}
	out := make([]roomLine, len(page))
	for i, r := range page {
		count, err := c.server.cfg.Rooms.Count(c.ctx(), c.app.ID, r.ID)
		if err != nil {
			return err
		}
		out[i] = roomLine{ID: r.ID, Name: r.Name, Owner: r.Owner, Count: count}
	}
	return c.ok(func(e *envelope) { e.Data, e.Count, e.Cursor = out, ptr(len(out)), next })
}

const defaultRooms = 10

func (c *call) roomsPage() (page []Room, next string, err error) {
	read := func(cursor string, limit int) ([]Room, string, error) {
		return c.server.cfg.RoomLists.Rooms(c.ctx(), c.app.ID, cursor, limit)
	}
	most := c.server.cfg.Settings.RoomsPage
	if c.param("pagenum") == "" && c.param("pagesize") == "" {
		limit, err := c.limit("limit", defaultRooms, most)
		if err != nil {
			return nil, "", err
		}
		return gather(c.param("cursor"), limit, read)
	}
	size, err := c.limit("pagesize", defaultRooms, most)
	if err != nil {
		return nil, "", err
	}
	number, err := c.limit("pagenum", 1, maxPages)
	for ; err == nil && number > 0; number-- {
		if page, next, err = gather(next, size, read); next == "" {
			break
		}
	}
	if number > 1 { // behind the last page
		page = nil
	}
	return page, "", err
}

// maxPages bounds the number of a page whose list has to be read from its beginning.
const maxPages = 10_000

// gather puts the short pages of a read model together: only the last one is short.
func gather[T any](cursor string, limit int, read func(cursor string, limit int) ([]T, string, error)) (page []T, next string, err error) {
	for next = cursor; ; {
		var part []T
		if part, next, err = read(next, limit-len(page)); err != nil {
			return nil, "", err
		}
		if page = append(page, part...); next == "" || len(page) >= limit {
			return page, next, nil
		}
	}
}

// joinedRoom is one of a user's rooms, as the SDKs expect it.
type joinedRoom struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Title       string `json:"title"`
	Owner       string `json:"owner"` // org#app_user
	Created     int64  `json:"created"`
	Description string `json:"description"`
	MaxUsers    uint32 `json:"max_users"`
}

// joinedRooms is GET /users/{u}/joined_chatrooms: the rooms that a user views. Back ends see ids and names; pages are counted from 1, and
// without a page's size and number it is the latest ones.
func (c *call) joinedRooms() error {
	page, err := c.myRooms()
	if err != nil {
		return err
	}
	out := make([]any, len(page))
	for i, r := range page {
		s := &r.head.Settings
		if c.who.admin && c.param("detail") != "true" {
			out[i] = map[string]string{"id": r.id, "name": s.Name}
			continue
		}
		out[i] = joinedRoom{
			ID: r.id, Name: s.Name, Title: s.Name, Owner: string(c.app.ID) + "_" + string(r.head.Owner.User), Created: r.head.Created.Milli(),
			Description: s.Description, MaxUsers: s.MaxUsers,
		}
	}
	return c.ok(func(e *envelope) { e.Data, e.Count = out, ptr(len(out)) })
}

// latestRooms is how many of a user's rooms are shown to who asks for no page.
const latestRooms = 500

// myRooms reads the rooms that the path's user views, the latest ones first.
func (c *call) myRooms() ([]*room, error) {
	u, err := c.user()
	if err != nil {
		return nil, err
	}
	if _, err := c.server.account(c.ctx(), c.app.ID, u); err != nil {
		return nil, err
	}
	size, number := latestRooms, 1
	if c.param("pagenum") != "" || c.param("pagesize") != "" {
		if size, err = c.limit("pagesize", defaultRooms, c.server.cfg.Settings.RoomsPage); err != nil {
			return nil, err
		}
		if number, err = c.limit("pagenum", 1, maxPages); err != nil {
			return nil, err
		}
	}
	views, err := c.server.cfg.Rooms.Views(c.ctx(), c.app.ID, u)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(views))
	for i := range views {
		ids[len(views)-1-i] = views[i].Room
	}
	ids = ids[min((number-1)*size, len(ids)):]
	rooms, err := c.rooms(ids[:min(size, len(ids))])
	return slices.DeleteFunc(rooms, func(r *room) bool { return r == nil }), err
}
