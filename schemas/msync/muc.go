package msync

import (
	"encoding/json"

	"google.golang.org/protobuf/encoding/protowire"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/user"
)

// appName stands where a user's name stands when the app itself did something over REST. No user can have it.
const appName = "@ppAdmin"

// muc is what a MUCBody says. Texts that are empty and a count of 0 are left out.
type muc struct {
	app     string
	group   string // or room
	room    bool
	op      MUCBody_Operation
	from    domain.UserID // empty: the app
	to      []domain.UserID
	reason  string
	name    string // of the group
	ext     []byte // of eventInfo: compact JSON
	count   uint32 // members; clients take 0 for none said
	members []domain.UserID
	said    string // in a room: what the joiner says to the others
	joined  []byte // status.chatroomInfo, compact JSON: what the joiner is told
}

func (m *muc) sender() string {
	if m.from == "" {
		return appName
	}
	return string(m.from)
}

// body encodes the MUCBody.
func (m *muc) body() []byte {
	dst := appendJID(make([]byte, 0, 160+len(m.ext)+len(m.said)+len(m.joined)+24*len(m.members)), 1, m.app, m.group, GroupDomain, "")
	dst = appendUint(dst, 2, uint64(m.op))
	dst = appendJID(dst, 3, m.app, m.sender(), UserDomain, "")
	for _, u := range m.to {
		dst = appendJID(dst, 4, m.app, string(u), UserDomain, "")
	}
	dst = appendText(dst, 6, m.reason)
	dst = appendNonZero(dst, 7, uint64(boolByte(m.room)))
	if len(m.joined) > 0 {
		dst = appendLen(dst, 8, 2+fieldBytes(len(m.joined)))
		dst = appendUint(dst, 1, uint64(MUCBody_Status_OK))
		dst = appendBytes(dst, 3, m.joined)
	}
	dst = appendText(dst, 11, m.name)
	if len(m.ext) > 0 {
		dst = appendLen(dst, 12, fieldBytes(len(m.ext)))
		dst = appendBytes(dst, 2, m.ext)
	}
	dst = appendNonZero(dst, 13, uint64(m.count))
	dst = appendText(dst, 14, m.said)
	for _, u := range m.members {
		dst = protowire.AppendString(protowire.AppendTag(dst, 16, protowire.BytesType), string(u))
	}
	return dst
}

// mucOf returns what an event of a group or room says to readers of a form. ok is false for events that say nothing there.
func mucOf(ev *domain.Event, form Form) (m muc, ok bool) {
	switch b := ev.Body.(type) {
	case conversation.GroupCreated:
		return muc{op: MUCBody_CREATE, from: b.By.User, name: b.Settings.Name}, true
	case conversation.MembersAdded:
		return mucAdded(&b, form), true
	case conversation.MembersRemoved:
		return mucRemoved(&b, form), true
	case conversation.GroupDestroyed:
		return muc{op: MUCBody_DESTROY, from: b.By.User, name: b.Name}, true
	case conversation.GroupChanged:
		return muc{op: MUCBody_UPDATE, from: b.By.User, ext: changeJSON(&b.Change, ev.T)}, true
	case conversation.OwnerChanged:
		return muc{op: MUCBody_ASSIGN_OWNER, from: b.By.User, to: []domain.UserID{b.Owner}}, true
	case conversation.AdminAdded:
		return muc{op: MUCBody_ADD_ADMIN, from: b.By.User, to: []domain.UserID{b.User}}, true
	case conversation.AdminRemoved:
		return muc{op: MUCBody_REMOVE_ADMIN, from: b.By.User, to: []domain.UserID{b.User}}, true
	case conversation.JoinRequested:
		return muc{op: MUCBody_APPLY, from: b.User.User, reason: b.Reason}, true
	case conversation.InvitationAnswered:
		op := MUCBody_INVITE_DECLINE
		if b.Accepted {
			op = MUCBody_INVITE_ACCEPT
		}
		return muc{op: op, from: b.User, to: one(b.Inviter), reason: b.Reason}, true
	default:
		return mucOfRoom(ev)
	}
}

// mucAdded tells those who were added so, and the others who has come. Who came on their own are told like the others.
func mucAdded(b *conversation.MembersAdded, form Form) muc {
	users := make([]domain.UserID, len(b.Members))
	for i := range b.Members {
		users[i] = b.Members[i].User
	}
	if form == FormNamed {
		m := muc{op: MUCBody_DIRECT_JOINED, from: b.By.User, name: b.Name}
		if b.How == conversation.JoinAccepted {
			m.op = MUCBody_APPLY_ACCEPT
		}
		if len(users) == 1 {
			m.to = users
		}
		return m
	}
	return mucMoved(MUCBody_PRESENCE, users, b.By.User, b.Count)
}

// mucRemoved tells those who were removed so, and the others who has gone.
func mucRemoved(b *conversation.MembersRemoved, form Form) muc {
	if form == FormNamed {
		m := muc{op: MUCBody_KICK, from: b.By.User}
		if len(b.Users) == 1 {
			m.to = b.Users
		}
		return m
	}
	return mucMoved(MUCBody_ABSENCE, b.Users, b.By.User, b.Count)
}

// mucMoved is from who came or went when it was one, else it lists them.
func mucMoved(op MUCBody_Operation, users []domain.UserID, by domain.UserID, count uint32) muc {
	if len(users) == 1 {
		return muc{op: op, from: users[0], count: count}
	}
	return muc{op: op, from: by, count: count, members: users}
}

// noticeOf returns what a notice in a user's own stream says.
func noticeOf(b *user.Noticed, to domain.UserID) (m muc, ok bool) {
	m = muc{group: b.Group, from: b.By, to: []domain.UserID{to}, reason: b.Reason, name: b.Name}
	switch b.Kind {
	case user.GroupInvited:
		m.op = MUCBody_INVITE
	case user.GroupDeclined:
		m.op = MUCBody_APPLY_DECLINE
	default:
		return muc{}, false
	}
	return m, true
}

func one(u domain.UserID) []domain.UserID {
	if u == "" {
		return nil
	}
	return []domain.UserID{u}
}

// changeJSON writes what changed of a group's settings, under the names that clients show.
func changeJSON(c *conversation.GroupChange, t domain.T) []byte {
	text, err := json.Marshal(struct {
		Name          *string `json:"name,omitempty"`
		Description   *string `json:"description,omitempty"`
		Public        *bool   `json:"public,omitempty"`
		Approval      *bool   `json:"members_only,omitempty"`
		MemberInvites *bool   `json:"allow_user_invites,omitempty"`
		InviteConfirm *bool   `json:"invite_need_confirm,omitempty"`
		MaxUsers      *uint32 `json:"max_users,omitempty"`
		Custom        *string `json:"custom,omitempty"`
		Avatar        *string `json:"avatar,omitempty"`
		LastModified  int64   `json:"last_modified"` // ms
	}{
		c.Name, c.Description, c.Public, c.Approval, c.MemberInvites, c.InviteConfirm, c.MaxUsers, c.Custom, c.Avatar, t.Milli(),
	})
	if err != nil { // texts, truths and numbers always have a JSON form
		panic("msync: " + err.Error())
	}
	return text
}
