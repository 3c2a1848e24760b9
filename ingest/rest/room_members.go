package rest

import (
	"slices"
	"strings"

	"parley/domain"
	"parley/domain/conversation"
)

// listRoomMembers is GET /chatrooms/{id}/users: the owner, and then those who view the room. Back ends ask for pages by number, from 1; the
// SDKs do, too, or go on at a cursor. Anybody may look.
func (c *call) listRoomMembers() error {
	r, err := c.room()
	if err != nil {
		return err
	}
	most := c.server.cfg.Settings.MembersPage
	var page []GroupMember
	var next string
	if c.param("limit") != "" || c.param("cursor") != "" {
		limit, err := c.limit("limit", defaultMembersSDK, most)
		if err != nil {
			return err
		}
		page, next, err = c.viewers(r, c.param("cursor"), 0, limit)
		if err != nil {
			return err
		}
	} else if page, err = c.viewersPage(r, most); err != nil {
		return err
	}
	out := make([]map[string]any, len(page))
	for i, m := range page {
		out[i] = c.affiliation(r.role(m.User), m)
	}
	return c.ok(func(e *envelope) { e.Data, e.Count, e.Cursor = out, ptr(len(out)), next })
}

func (c *call) viewersPage(r *room, most int) ([]GroupMember, error) {
	size, err := c.limit("pagesize", defaultMembers, most)
	if err != nil {
		return nil, err
	}
	number, err := c.limit("pagenum", 1, maxPages)
	if err != nil {
		return nil, err
	}
	page, _, err := c.viewers(r, "", (number-1)*size, size)
	return page, err
}

// viewersBehind begins the cursors of viewers; the name of the last one shown follows, none when that was the owner, who comes first.
const viewersBehind = "v"

// viewers reads limit members of a room from a cursor on, without the first ones (skip). Next is empty after the last.
func (c *call) viewers(r *room, cursor string, skip, limit int) (page []GroupMember, next string, err error) {
	name, ok := strings.CutPrefix(cursor, viewersBehind)
	if cursor != "" && !ok {
		return nil, "", illegalArgument.say("the cursor is not valid")
	}
	owner := r.head.Owner.User
	if cursor == "" {
		page = append(page, GroupMember{User: owner, Joined: r.head.Created})
	}
	for after := domain.UserID(name); len(page) <= skip+limit; { // one more tells whether there is a next page
		part, err := c.server.cfg.Rooms.Viewers(c.ctx(), c.app.ID, r.id, after, skip+limit+1-len(page))
		if err != nil {
			return nil, "", err
		}
		if len(part) == 0 {
			break
		}
		for _, v := range part {
			if after = v.User; after != owner {
				page = append(page, GroupMember{User: v.User, Joined: domain.TAt(v.Since)})
			}
		}
	}
	page = page[min(skip, len(page)):]
	if len(page) <= limit {
		return page, "", nil
	}
	page = page[:limit]
	if last := page[limit-1].User; last != owner {
		return page, viewersBehind + string(last), nil
	}
	return page, viewersBehind, nil
}

// addViewer is POST /chatrooms/{id}/users/{u}.
func (c *call) addViewer() error {
	r, err := c.governed()
	if err != nil {
		return err
	}
	u, err := c.user()
	if err != nil {
		return err
	}
	people, err := c.accounts([]domain.UserID{u})
	if err != nil {
		return err
	}
	if _, err := c.addAll(r, people); err != nil {
		return err
	}
	return c.data(&roomOutcome{Result: true, Action: "add_member", ID: r.id, User: string(u)})
}

// governed returns the room that the path names to those who govern it.
func (c *call) governed() (*room, error) {
	r, err := c.room()
	if err != nil {
		return nil, err
	}
	return r, c.governs(r)
}

// addViewers is POST /chatrooms/{id}/users: the answer names those who came into the room.
func (c *call) addViewers() error {
	users, err := c.usernames()
	if err != nil {
		return err
	}
	r, err := c.governed()
	if err != nil {
		return err
	}
	people, err := c.accounts(users)
	if err != nil {
		return err
	}
	added, err := c.addAll(r, people)
	if err != nil {
		return err
	}
	return c.data(map[string]any{"newmembers": added, "id": r.id, "action": "add_member"})
}

// addAll makes users view a room. When nobody is new there, it is the refusal of the first.
func (c *call) addAll(r *room, people []conversation.Person) (added []domain.UserID, err error) {
	var first error
	for _, p := range people {
		in, err := c.in(r, p.User)
		if err == nil && in {
			err = domain.Refuse(domain.AlreadyMember, "")
		}
		if err == nil {
			_, err = c.join(r.id, p, "")
		}
		if err == nil {
			added = append(added, p.User)
		} else if first == nil {
			first = err
		}
	}
	if len(added) == 0 {
		return nil, first
	}
	return added, nil
}

// removeViewers is DELETE /chatrooms/{id}/users/{u,…}: of one user an answer or a refusal, of several what became of each.
func (c *call) removeViewers() error {
	users, err := names(strings.Split(c.Param("user"), ","), c.server.cfg.Settings.BulkMembers)
	if err != nil {
		return err
	}
	r, err := c.governed()
	if err != nil {
		return err
	}
	by := c.actor()
	others := slices.DeleteFunc(slices.Clone(users), func(u domain.UserID) bool { return u == r.head.Owner.User })
	var removed []domain.UserID
	if len(others) > 0 {
		removed, err = c.server.cfg.Rooms.Remove(c.ctx(), c.app.ID, r.id, others, conversation.Doer{User: by.User, Resource: by.Resource})
		if err != nil {
			return err
		}
	}
	out := make([]roomOutcome, len(users))
	for i, u := range users {
		out[i] = roomOutcome{Action: "remove_member", ID: r.id, User: string(u)}
		switch {
		case u == r.head.Owner.User:
			out[i].Reason = errOwnerStays.Reason
		case slices.Contains(removed, u):
			out[i].Result = true
		default:
			out[i].Reason = failureOf(errNotMember).description
		}
	}
	switch {
	case strings.Contains(c.Param("user"), ","):
		return c.data(out)
	case out[0].Result:
		return c.data(&out[0])
	case len(others) == 0:
		return errOwnerStays
	default:
		return errNotMember
	}
}

var errOwnerStays = domain.Refuse(domain.Forbidden, "the owner cannot be removed")

// applyToRoom is POST /chatrooms/{id}/apply: the caller joins, with all of its sessions.
func (c *call) applyToRoom() error {
	id, _, err := c.roomStream()
	if err != nil {
		return err
	}
	var req struct {
		Message     string `json:"message"`
		Ext         string `json:"ext"`
		LeaveOthers bool   `json:"leaveOtherRooms"`
		LeaveOther  bool   `json:"leave_other_rooms"`
	}
	if err := c.body(&req); err != nil {
		return err
	}
	if len(req.Ext) > c.server.cfg.Limits.Size {
		return domain.Refuse(domain.TooLarge, "ext is too large")
	}
	info, err := c.server.cfg.Rooms.Join(c.ctx(), RoomJoin{
		App: c.app.ID, User: c.who.user, Incarnation: c.who.incarnation, Room: id, Ext: req.Ext, LeaveOthers: req.LeaveOthers || req.LeaveOther,
	})
	if err != nil {
		return err
	}
	return c.data(&struct {
		roomOutcome
		roomInfo
	}{roomOutcome{Result: true, Action: "apply", ID: id, User: string(c.who.user), Reason: req.Message}, infoOf(info)})
}

// quitRoom is DELETE /chatrooms/{id}/quit.
func (c *call) quitRoom() error {
	id, _, err := c.roomStream()
	if err != nil {
		return err
	}
	if err := c.server.cfg.Rooms.Leave(c.ctx(), c.app.ID, c.who.user, id); err != nil {
		return err
	}
	return c.data(map[string]bool{"result": true})
}
