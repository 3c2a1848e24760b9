package rest

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"parley/domain"
	"parley/domain/message"
	"parley/domain/user"
	"parley/schemas/msync"
)

// historyRequest is the body of POST /users/{u}/messageroaming.
type historyRequest struct {
	Queue    string    `json:"queue"` // <user>@easemob.com or <group>@conference.easemob.com
	Start    cursorInt `json:"start"` // the last message of the page before; -1: from the beginning
	Limit    *int      `json:"pull_number"`
	Forward  bool      `json:"is_positive"`
	Types    *string   `json:"msgType"`   // "txt,img"; absent or empty: all
	FromTime cursorInt `json:"startTime"` // ms
	ToTime   cursorInt `json:"endTime"`   // ms
	Sender   string    `json:"userId"`    // in a group: only what this user sent
}

// cursorInt is a whole number as the SDKs and their apps write it: a number, a string, null. What is below 0 counts as absent.
type cursorInt uint64

// UnmarshalJSON implements json.Unmarshaler.
func (n *cursorInt) UnmarshalJSON(b []byte) error {
	text := string(b)
	if len(b) > 0 && b[0] == '"' {
		if err := json.Unmarshal(b, &text); err != nil {
			return err
		}
	}
	switch {
	case text == "" || text == "null" || text == "undefined":
		return nil
	case strings.HasPrefix(text, "-"):
		_, err := strconv.ParseInt(text, 10, 64)
		return err
	}
	v, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return errors.New("not a whole number")
	}
	*n = cursorInt(v)
	return nil
}

// kinds are the names of message types in queries.
var kinds = map[string]message.Kind{
	"txt": message.Text, "img": message.Image, "video": message.Video, "loc": message.Location, "audio": message.Voice,
	"file": message.File, "cmd": message.Cmd, "custom": message.Custom, "combine": message.Combine,
}

const defaultHistory = 20

// stream returns whose history it is: that of the user me and another, or of a group.
func (r *historyRequest) stream(app domain.AppID, me domain.UserID) (domain.StreamID, error) {
	name, host, _ := strings.Cut(r.Queue, "@")
	switch {
	case host == msync.UserDomain:
		peer, err := user.FoldName(name)
		return domain.DirectStream(app, me, peer), err
	case host != msync.GroupDomain:
		return "", illegalArgument.say("queue must be <id>@" + msync.UserDomain + " or <id>@" + msync.GroupDomain)
	case !validGroup(name):
		return "", &noGroupHistory
	default:
		return domain.GroupStream(app, name), nil
	}
}

// check reads the request for a caller.
func (r *historyRequest) check(app domain.AppID, me domain.UserID, most int) (q HistoryQuery, err error) {
	stream, err := r.stream(app, me)
	if err != nil {
		return q, err
	}
	q = HistoryQuery{Stream: stream, User: me, Backward: !r.Forward, Start: domain.MessageID(r.Start), Limit: min(defaultHistory, most)}
	if r.Limit != nil {
		if *r.Limit < 1 {
			return q, illegalArgument.say("pull_number must be above 0")
		}
		q.Limit = min(*r.Limit, most)
	}
	if r.Types != nil && *r.Types != "" {
		for name := range strings.SplitSeq(*r.Types, ",") {
			kind, ok := kinds[strings.TrimSpace(name)]
			if !ok {
				return q, illegalArgument.say("msgType names a type that is not one")
			}
			if len(q.Kinds) < len(kinds) {
				q.Kinds = append(q.Kinds, kind)
			}
		}
	}
	q.After, q.Before = instant(r.FromTime, 0), instant(r.ToTime, 1)
	if strings.HasSuffix(r.Queue, msync.GroupDomain) {
		q.Sender, err = optionalName(r.Sender)
	}
	return q, err
}

// instant returns the least id of a time in ms, plus some; 0 when there is no time.
func instant(ms cursorInt, plus int64) domain.T {
	if ms == 0 || ms > maxMilli {
		return 0
	}
	return domain.TAt(time.UnixMilli(int64(ms) + plus))
}

// maxMilli is the year 2200: what is later leaves the range open.
const maxMilli = 7258118400000

// historyAnswer is the data of a page of history.
type historyAnswer struct {
	Messages []historyMessage `json:"msgs"`
	NextKey  string           `json:"next_key"`
	IsLast   bool             `json:"is_last"` // must be set at the end: one SDK asks on without a pause until it is
}

type historyMessage struct {
	Meta string `json:"msg"` // base64 of a Meta
}

// history is POST /users/{u}/messageroaming: a page of a conversation that the user is a member of.
func (c *call) history() error {
	me, err := c.user()
	if err != nil {
		return err
	}
	var req historyRequest
	if err := c.body(&req); err != nil {
		return err
	}
	q, err := req.check(c.app.ID, me, c.server.cfg.Settings.HistoryPage)
	if err != nil {
		return err
	}
	page, err := c.pageOf(&q)
	if err != nil {
		return err
	}
	out := historyAnswer{Messages: []historyMessage{}, IsLast: page.Last}
	if page.Next != 0 {
		out.NextKey = strconv.FormatUint(uint64(page.Next), 10)
	}
	st, _ := q.Stream.Parse()
	for i := range page.Events {
		meta, ok := msync.MetaOfEntry(nil, st, &page.Events[i], msync.FormAll, nil)
		if !ok {
			return domain.Fail(domain.Internal, errors.New("an entry of history has no wire form"))
		}
		out.Messages = append(out.Messages, historyMessage{base64.StdEncoding.EncodeToString(meta)})
	}
	return c.data(&out)
}

// pageOf reads a page of history of what the query names: an id of a group that is a room's means the room.
func (c *call) pageOf(q *HistoryQuery) (HistoryPage, error) {
	if st, _ := q.Stream.Parse(); st.Kind == domain.KindGroup {
		rooms, err := c.rooms([]string{st.A})
		if err != nil {
			return HistoryPage{}, err
		}
		if rooms[0] != nil {
			q.Stream = rooms[0].stream
			return c.roomPage(*q, rooms[0])
		}
	}
	return c.page(*q)
}

// roomPage reads what was said in a room, from its beginning, for who is in it.
func (c *call) roomPage(q HistoryQuery, r *room) (HistoryPage, error) {
	if !c.server.cfg.RoomHistory {
		return HistoryPage{}, &noRoomHistory
	}
	if _, err := c.server.account(c.ctx(), c.app.ID, q.User); err != nil {
		return HistoryPage{}, err
	}
	in, err := c.in(r, q.User)
	if err == nil && !in {
		err = &noGroupHistory
	}
	if err != nil {
		return HistoryPage{}, err
	}
	q.From, q.Until = 1, r.head.LastSeq()
	return c.server.cfg.Reads.History(c.ctx(), q)
}

// page reads what the user may see. Who has no part in a direct chat sees an empty page; who was never in a group is refused.
func (c *call) page(q HistoryQuery) (HistoryPage, error) {
	head, err := c.server.account(c.ctx(), c.app.ID, q.User)
	if err != nil {
		return HistoryPage{}, err
	}
	m, ok, err := c.server.cfg.Reads.Membership(c.ctx(), c.app.ID, q.User, head.Incarnation, q.Stream)
	if st, _ := q.Stream.Parse(); err == nil && !ok && st.Kind == domain.KindGroup {
		err = &noGroupHistory // by its code: the SDKs take the text of other calls for a room's on this path
	}
	if err != nil || !ok {
		return HistoryPage{Last: true}, err
	}
	rows, err := c.server.cfg.Owners.Heads(c.ctx(), []domain.StreamID{q.Stream})
	if err != nil {
		return HistoryPage{}, err
	}
	conv, ok := rows[0].(domain.HeadRow)
	if !ok || conv == nil {
		return HistoryPage{Last: true}, nil
	}
	q.From, q.Until = m.FirstShown(), conv.LastSeq()
	if m.Until != 0 {
		q.Until = min(q.Until, m.Until)
	}
	if q.Until < q.From {
		return HistoryPage{Last: true}, nil
	}
	return c.server.cfg.Reads.History(c.ctx(), q)
}
