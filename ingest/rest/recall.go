package rest

import (
	"encoding/json"
	"math/rand/v2"
	"strconv"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/message"
	"parley/domain/user"
	"parley/schemas/msync"
)

// recallRequest is the body of POST /messages/msg_recall, or an element of msgs in POST /messages/batch_recall.
type recallRequest struct {
	ID    cursorInt `json:"msg_id"`
	To    string    `json:"to"`
	Chat  string    `json:"chat_type"` // chat, or group_chat or chatroom and their other spellings
	From  string    `json:"from"`      // who recalls; absent: the sender of the message
	Force bool      `json:"force"`     // however old the message is
	Info  string    `json:"recallMessageExtensionInfo"`
}

// recallAnswer is what became of a recall: yes, or why not.
type recallAnswer struct {
	Recalled string `json:"recalled"`
	Chat     string `json:"chattype"`
	From     string `json:"from"`
	To       string `json:"to"`
	ID       string `json:"msg_id"`
}

func (r *recallRequest) answer(recalled string) recallAnswer {
	return recallAnswer{recalled, r.Chat, r.From, r.To, strconv.FormatUint(uint64(r.ID), 10)}
}

// chatKinds are the kinds of streams by chat_type.
var chatKinds = map[string]domain.Kind{
	"chat": domain.KindDirect, "groupchat": domain.KindGroup, "group_chat": domain.KindGroup, "chatgroups": domain.KindGroup,
	"chatroom": domain.KindRoom, "chat_room": domain.KindRoom, "chatrooms": domain.KindRoom,
}

// recall is POST /messages/msg_recall.
func (c *call) recall() error {
	var req recallRequest
	if err := c.body(&req); err != nil {
		return err
	}
	answers, errs := c.recallAll([]recallRequest{req})
	if errs[0] != nil {
		return errs[0]
	}
	return c.data(answers[0])
}

// batchRecall is POST /messages/batch_recall: of each message what became of it.
func (c *call) batchRecall() error {
	var req struct {
		Messages []json.RawMessage `json:"msgs"`
	}
	if err := c.body(&req); err != nil {
		return err
	}
	if len(req.Messages) == 0 || len(req.Messages) > c.server.cfg.Settings.RecallBatch {
		return illegalArgument.say("the number of msgs is not within the limit of one call")
	}
	requests := make([]recallRequest, len(req.Messages))
	for i, raw := range req.Messages {
		if err := decode(raw, &requests[i]); err != nil {
			return err
		}
	}
	answers, errs := c.recallAll(requests)
	for i, err := range errs {
		if err == nil {
			continue
		}
		f := failureOf(err)
		if f.status >= 500 && len(errs) == 1 {
			return err
		}
		answers[i] = requests[i].answer(f.description)
	}
	return c.data(answers)
}

// recallAll recalls messages, all at once, and returns an answer or a refusal for each.
func (c *call) recallAll(requests []recallRequest) ([]recallAnswer, []error) {
	answers, errs := make([]recallAnswer, len(requests)), make([]error, len(requests))
	var wishes []wish
	var places []int
	seen := make(map[cursorInt]bool, len(requests))
	for i := range requests {
		w, err := c.recallWish(&requests[i])
		if err == nil && seen[requests[i].ID] { // by an element before
			err = errNoMessage
		}
		if seen[requests[i].ID] = true; err != nil {
			errs[i] = recallRefusal(err)
			continue
		}
		wishes, places = append(wishes, w), append(places, i)
	}
	results := c.server.submit(c.ctx(), wishes)
	c.server.settle(c.ctx(), results...)
	for k, i := range places {
		if errs[i] = recallRefusal(results[k].Err); errs[i] == nil {
			answers[i] = requests[i].answer("yes")
		}
	}
	return answers, errs
}

// recallRefusal gives a message that is not there, or not any more, the text that callers know.
func recallRefusal(err error) error {
	if domain.CodeOf(err) == domain.NotFound {
		return &noRecall
	}
	return err
}

var errNoMessage = domain.Refuse(domain.NotFound, "no such message")

// recallWish finds the message and makes the command. The message must be where the caller says: an id alone recalls nothing. It fills in who
// recalls when the caller does not say; somebody who is no part of a direct chat recalls in the sender's name.
func (c *call) recallWish(r *recallRequest) (wish, error) {
	kind, ok := chatKinds[r.Chat]
	switch {
	case !ok:
		return wish{}, illegalArgument.say("chat_type must be chat, group_chat or chatroom")
	case r.ID == 0:
		return wish{}, illegalArgument.say("msg_id is not the id of a message")
	}
	by, err := optionalName(r.From)
	if err != nil {
		return wish{}, err
	}
	near, err := c.near(kind, by, r.To)
	if err != nil {
		return wish{}, err
	}
	stream, target, err := c.server.cfg.Messages.Recallable(c.ctx(), near, domain.MessageID(r.ID))
	if err != nil {
		return wish{}, err
	}
	st, _ := stream.Parse()
	if st.App != c.app.ID || !inStream(st, kind, r.To) {
		return wish{}, errNoMessage
	}
	if by == "" || kind == domain.KindDirect && by != domain.UserID(st.A) && by != st.B {
		by = target.From
	}
	r.From = string(by)
	cmd := conversation.RecallMessage{
		Sender: conversation.Sender{User: by, ClientID: rand.Uint64() | 1}, Target: target, Window: c.server.cfg.RecallWindow,
		Force: r.Force, App: true,
	}
	draft := msync.RecallDraft{Chat: msync.MessageBody_GROUPCHAT, From: string(by), To: st.A, ID: uint64(target.Message), Info: r.Info}
	if kind == domain.KindRoom {
		draft.Chat = msync.MessageBody_CHATROOM
	}
	if kind == domain.KindDirect {
		cmd.To = st.Peer(by)
		draft.Chat, draft.To = msync.MessageBody_CHAT, string(cmd.To)
	}
	if cmd.Body, cmd.Ext, err = msync.RecallOf(&draft); err != nil {
		return wish{}, err
	}
	if len(cmd.Body)+len(cmd.Ext) > c.server.cfg.Limits.Size {
		return wish{}, domain.Refuse(domain.TooLarge, "recallMessageExtensionInfo is too large")
	}
	cmd.Sender.Hash = message.Hash(cmd.Body)
	return wish{stream, cmd}, nil
}

// optionalName folds a name that may be absent.
func optionalName(name string) (domain.UserID, error) {
	if name == "" {
		return "", nil
	}
	return user.FoldName(name)
}

// near is the stream that the message should be in, "" when the request does not say.
func (c *call) near(kind domain.Kind, by domain.UserID, to string) (domain.StreamID, error) {
	if kind != domain.KindDirect {
		switch {
		case !validGroup(to):
			return "", illegalArgument.say("group ID illegal, please check it")
		case kind == domain.KindRoom:
			return domain.RoomStream(c.app.ID, to), nil
		default:
			return domain.GroupStream(c.app.ID, to), nil
		}
	}
	peer, err := user.FoldName(to)
	if err != nil || by == "" {
		return "", err
	}
	return domain.DirectStream(c.app.ID, by, peer), nil
}

// inStream tells whether a chat that a caller names is the stream: the group or room, or one of the two users.
func inStream(st domain.Stream, kind domain.Kind, to string) bool {
	if st.Kind != kind {
		return false
	}
	if kind != domain.KindDirect {
		return st.A == to
	}
	u, err := user.FoldName(to)
	return err == nil && (domain.UserID(st.A) == u || st.B == u)
}
