package msync

import (
	"encoding/json"
	"strings"

	"parley/domain"
	"parley/domain/conversation"
)

// mucOfRoom returns what an event of a room says. ok is false for events that say nothing there.
func mucOfRoom(ev *domain.Event) (m muc, ok bool) {
	switch b := ev.Body.(type) {
	case conversation.RoomCreated:
		return muc{op: MUCBody_CREATE, from: b.By.User, name: b.Settings.Name}, true
	case conversation.RoomChanged:
		return muc{op: MUCBody_UPDATE, from: b.By.User, ext: roomChangeJSON(&b.Change, ev.T)}, true
	case conversation.RoomTransferred:
		return muc{op: MUCBody_ASSIGN_OWNER, from: b.By.User, to: []domain.UserID{b.Owner.User}}, true
	case conversation.RoomDestroyed:
		return muc{op: MUCBody_DESTROY, from: b.By.User, name: b.Name}, true
	case conversation.UsersAllowed:
		return muc{op: MUCBody_ADD_USER_WHITE_LIST, from: b.By.User, to: alone(b.Users)}, true
	case conversation.UsersDisallowed:
		return muc{op: MUCBody_REMOVE_USER_WHITE_LIST, from: b.By.User, to: alone(b.Users)}, true
	default:
		return muc{}, false
	}
}

// alone names a user who is the only one: clients show the first name for all, which of several would be the wrong one to most of them.
// Each of several can be told by a RoomNotice.
func alone(users []conversation.Person) []domain.UserID {
	if len(users) != 1 {
		return nil
	}
	return one(users[0].User)
}

// roomChangeJSON writes what changed of a room's settings. Clients parse it, and show only that there is a change.
func roomChangeJSON(c *conversation.RoomChange, t domain.T) []byte {
	return changeJSON(&conversation.GroupChange{Name: c.Name, Description: c.Description, Custom: c.Custom, MaxUsers: c.MaxUsers}, t)
}

// RoomNotice is an event of a room that is not on the log, or one that each of several users is told on their own.
type RoomNotice struct {
	ID    domain.T // of this notice; its milliseconds are the timestamp
	Room  domain.Stream
	Op    MUCBody_Operation // PRESENCE or ABSENCE of Users; KICK, ADD_ and REMOVE_USER_WHITE_LIST to Users
	By    domain.UserID     // who removed or listed them; empty: the app
	Users []domain.UserID   // clients make one event of each who came or went
	Ext   string            // of PRESENCE: what the joiner said. Of several users it is that of all, so whoever said something comes alone
	Count uint32            // of users in the room then; 0: left out
}

// AppendRoomNotice appends the Meta of a notice. With a nil dst it allocates the result once, at its size.
func AppendRoomNotice(dst []byte, n *RoomNotice) []byte {
	var m muc
	switch n.Op {
	case MUCBody_PRESENCE, MUCBody_ABSENCE:
		m = mucMoved(n.Op, n.Users, n.By, n.Count)
	default:
		m = muc{op: n.Op, from: n.By, count: n.Count}
		if len(n.Users) == 1 {
			m.to = n.Users
		}
	}
	m.said = n.Ext
	return appendMUC(dst, n.ID, n.Room, &m)
}

// appendMUC appends the Meta of what a server says about a group or room.
func appendMUC(dst []byte, id domain.T, st domain.Stream, m *muc) []byte {
	m.app, m.group, m.room = string(st.App), st.A, st.Kind == domain.KindRoom
	h := MetaHeader{
		ID: uint64(id), AppKey: m.app, From: m.sender(), To: m.group, ToDomain: GroupDomain, Timestamp: uint64(id.Milli()), NS: Meta_MUC,
	}
	payload := m.body()
	if dst == nil {
		dst = make([]byte, 0, SizeMeta(&h, payload, nil, nil))
	}
	return AppendMeta(dst, &h, payload, nil, nil)
}

// RoomJoined is what a client is told of the room that it has joined.
type RoomJoined struct {
	ID         domain.T // of the answer
	Room       domain.Stream
	User       domain.UserID
	CalledAs   string // what the client calls its user, in the join's From: it looks for itself under this name, whatever its case
	Created    domain.T
	Count      uint32 // of users in the room, this one included
	Allowed    bool   // on the allow list
	AllMuted   bool
	MutedUntil int64 // ms; 0: not muted
}

// AppendRoomJoined appends the Meta that goes with the answer to a join (Ack.Metas).
func AppendRoomJoined(dst []byte, j *RoomJoined) []byte {
	return appendMUC(dst, j.ID, j.Room, &muc{op: MUCBody_JOIN, from: j.User, joined: j.json()})
}

type roomInfoJSON struct {
	AllMuted   bool   `json:"is_all_mute"`
	Created    int64  `json:"create_timestamp"` // ms
	Allowed    bool   `json:"is_in_white_list"`
	Count      uint32 `json:"member_count"`
	MutedUntil int64  `json:"mute_duration"` // ms; clients take 0 for none
}

func (j *RoomJoined) json() []byte {
	info := roomInfoJSON{AllMuted: j.AllMuted, Created: j.Created.Milli(), Allowed: j.Allowed, Count: j.Count, MutedUntil: j.MutedUntil}
	byName := map[string]roomInfoJSON{string(j.User): info}
	if strings.EqualFold(j.CalledAs, string(j.User)) {
		byName[j.CalledAs] = info
	}
	text, err := json.Marshal(byName)
	if err != nil { // texts, truths and numbers always have a JSON form
		panic("msync: " + err.Error())
	}
	return text
}
