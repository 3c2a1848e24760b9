package rest

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"

	"parley/domain"
	"parley/domain/conversation"
	"parley/schemas/msync"
)

// channel is a conversation in a user's list.
type channel struct {
	To       string          `json:"session_to"`
	Type     string          `json:"session_type"` // chat, or for a group groupchat
	IsTop    bool            `json:"is_top"`
	TopSince int64           `json:"update_top_status_time"`
	Unread   uint64          `json:"unread_num"`
	Marks    []string        `json:"marks"`
	Meta     json.RawMessage `json:"meta"` // the last message with its payload in a string, or {}
}

// oldChannel is the same in the older calls.
type oldChannel struct {
	ID     string          `json:"channel_id"`
	Unread uint64          `json:"unread_num"`
	Meta   json.RawMessage `json:"meta"`
}

// channelPage is the data of a page of conversations; the cursor after the last is empty, but there.
type channelPage struct {
	Channels []channel `json:"channel_infos"`
	Cursor   string    `json:"cursor"`
}

// talk is a conversation of the user's.
type talk struct {
	membership conversation.Membership
	head       *conversation.Head
	stream     domain.Stream
	to         string // the other user, or the group
}

// name is what the SDKs' short list calls the kind of the conversation.
func (t *talk) name() string {
	if t.stream.Kind == domain.KindGroup {
		return "groupchat"
	}
	return "chat"
}

// host is the domain of its address.
func (t *talk) host() string {
	if t.stream.Kind == domain.KindGroup {
		return msync.GroupDomain
	}
	return msync.UserDomain
}

const defaultConversations = 20

// conversations is GET /sdk/user/{u}/user_channels/list: the newest first. The cursor is the id of the last message of a page.
func (c *call) conversations() error {
	me, err := c.user()
	if err != nil {
		return err
	}
	limit, err := c.limit("limit", defaultConversations, c.server.cfg.Settings.ConversationsPage)
	if err != nil {
		return err
	}
	before, err := readCursor(c.param("cursor"))
	if err != nil {
		return err
	}
	if c.param("is_top") == "true" { // nothing is pinned: pins come later
		return c.data(&channelPage{Channels: []channel{}})
	}
	talks, err := c.talks(me)
	if err != nil {
		return err
	}
	if before != 0 {
		talks = slices.DeleteFunc(talks, func(t talk) bool { return t.head.ShownT >= before })
	}
	out := channelPage{Channels: []channel{}}
	if len(talks) > limit {
		talks = talks[:limit]
		out.Cursor = strconv.FormatUint(uint64(talks[limit-1].head.ShownT), 10)
	}
	for i := range talks {
		meta, err := c.lastMessage(me, &talks[i])
		if err != nil {
			return err
		}
		out.Channels = append(out.Channels, channel{
			To: talks[i].to, Type: talks[i].name(), Unread: talks[i].unread(), Marks: []string{}, Meta: meta,
		})
	}
	return c.data(&out)
}

func readCursor(s string) (domain.T, error) {
	if s == "" {
		return 0, nil
	}
	t, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, illegalArgument.say("cursor is not one of ours")
	}
	return domain.T(t), nil
}

// oldConversations is GET /users/{u}/user_channels, and the same with /page, pageNum from 1 and pageSize.
func (c *call) oldConversations() error {
	me, err := c.user()
	if err != nil {
		return err
	}
	talks, err := c.talks(me)
	if err != nil {
		return err
	}
	if c.param("pageNum") != "" || c.param("pageSize") != "" {
		size, err := c.limit("pageSize", defaultConversations, c.server.cfg.Settings.ConversationsPage)
		if err != nil {
			return err
		}
		number, err := c.limit("pageNum", 1, len(talks)/size+2) // a page behind the last is empty
		if err != nil {
			return err
		}
		from := min((number-1)*size, len(talks))
		talks = talks[from:min(from+size, len(talks))]
	}
	out := []oldChannel{}
	for i := range talks {
		meta, err := c.lastMessage(me, &talks[i])
		if err != nil {
			return err
		}
		out = append(out, oldChannel{
			ID: string(c.app.ID) + "_" + talks[i].to + "@" + talks[i].host(), Unread: talks[i].unread(), Meta: meta,
		})
	}
	return c.data(map[string]any{"channel_infos": out})
}

// talks returns the conversations that the user's list shows: those with a message, newest first, at most as many as a list has. Groups that
// the user is not in any more, and those that have ended, are not in it.
func (c *call) talks(me domain.UserID) ([]talk, error) {
	account, err := c.server.account(c.ctx(), c.app.ID, me)
	if err != nil {
		return nil, err
	}
	memberships, err := c.server.cfg.Reads.Memberships(c.ctx(), c.app.ID, me, account.Incarnation)
	if err != nil || len(memberships) == 0 {
		return nil, err
	}
	ids := make([]domain.StreamID, len(memberships))
	for i := range memberships {
		ids[i] = memberships[i].Stream
	}
	heads, err := c.server.cfg.Owners.Heads(c.ctx(), ids)
	if err != nil {
		return nil, err
	}
	var out []talk
	for i, row := range heads {
		head := conversation.HeadOf(row)
		st, ok := ids[i].Parse()
		if !ok || head == nil || head.ShownSeq == 0 || head.ShownSeq < memberships[i].FirstShown() {
			continue
		}
		t := talk{memberships[i], head, st, st.A}
		switch {
		case st.Kind == domain.KindDirect:
			t.to = string(st.Peer(me))
		case st.Kind != domain.KindGroup || memberships[i].Until != 0 || head.Closed != 0:
			continue
		}
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b talk) int { return cmp.Compare(b.head.ShownT, a.head.ShownT) })
	return out[:min(len(out), c.server.cfg.Settings.Conversations)], nil
}

func (t *talk) unread() uint64 { return t.membership.Unread(t.head.N) }

// noMessage is the meta of a conversation whose last message cannot be shown.
var noMessage = json.RawMessage("{}")

// entryBytes is room for any entry.
const entryBytes = msync.MaxFrameBytes

// lastMessage returns the last message that the user may see.
func (c *call) lastMessage(me domain.UserID, t *talk) (json.RawMessage, error) {
	events, err := c.server.cfg.Reads.Entries(c.ctx(), t.membership.Stream, t.head.ShownSeq, t.head.ShownSeq, 1, entryBytes)
	if err != nil {
		return nil, err
	}
	if len(events) == 0 || !conversation.ShownTo(&events[0], me) { // not readable yet, or left out of this user's history
		page, err := c.server.cfg.Reads.History(c.ctx(), HistoryQuery{
			Stream: t.membership.Stream, User: me, From: t.membership.FirstShown(), Until: t.head.ShownSeq, Backward: true, Limit: 1,
		})
		if err != nil || len(page.Events) == 0 {
			return noMessage, err
		}
		events = page.Events
	}
	meta, ok := msync.MetaOfEntry(nil, t.stream, &events[0], msync.FormAll, nil)
	if !ok {
		return noMessage, nil
	}
	return msync.MessageObject(meta, true)
}
