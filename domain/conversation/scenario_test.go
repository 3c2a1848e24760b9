package conversation_test

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/internal/ruletest"
	"parley/domain/message"
)

//go:embed testdata/direct.txt
var direct string

func TestScenarios(t *testing.T) {
	ruletest.RunScenarios(t, direct, ruletest.Vocabulary{
		Rules:   conversation.NewRules(message.DefaultLimits),
		Stream:  domain.DirectStream("demo#chat", "ann", "bob"),
		Command: readCommand,
		Event:   writeEvent,
		Row:     writeRow,
	})
}

var kinds = []string{"none", "text", "image", "video", "location", "voice", "file", "cmd", "custom", "combine"}

func kindOf(name string) message.Kind {
	for i, k := range kinds {
		if k == name {
			return message.Kind(i)
		}
	}
	return message.Text
}

// readCommand reads "<verb> from=<device> to=<device> …". A device is "user.incarnation@resource"; without a number it is the first.
func readCommand(l ruletest.Line) (domain.Command, error) {
	from, to := readDevice(l.Get("from")), readDevice(l.Get("to"))
	payload := message.Bytes(l.Get("body"))
	sender := conversation.Sender{
		User: from.User, Incarnation: from.Incarnation, Resource: from.Resource, ClientID: l.Number("id"), Hash: message.Hash(payload),
	}
	switch l.Word {
	case "send":
		size := len(payload)
		if l.Has("size") {
			size = int(l.Number("size"))
		}
		c := conversation.SendMessage{
			Sender: sender, To: to, Body: payload, SyncOwn: l.Has("sync"), Unchecked: l.Has("unchecked"),
			Envelope: message.Envelope{Kind: kindOf(l.Get("kind")), CustomEvent: l.Get("event"), CustomExts: int(l.Number("exts")), Size: size},
		}
		if l.Has("hide") {
			c.NoHistory = []domain.UserID{domain.UserID(l.Get("hide"))}
		}
		return c, nil
	case "delivered":
		return conversation.MarkDelivered{Sender: sender, To: to, Message: l.ID("message"), Body: payload}, nil
	case "read":
		return conversation.MarkRead{Sender: sender, To: to, Message: l.ID("message"), Body: payload}, nil
	case "readall":
		return conversation.ReadConversation{Sender: sender, To: to, Body: payload}, nil
	case "recall":
		return readRecall(l, sender, to.User, payload), nil
	default:
		return nil, fmt.Errorf("no command %q", l.Word)
	}
}

// readRecall reads a recall of "message=#n"; what the edge would know of the message is in other fields, or made up as for the last one.
func readRecall(l ruletest.Line, sender conversation.Sender, to domain.UserID, payload message.Bytes) conversation.RecallMessage {
	c := conversation.RecallMessage{
		Sender: sender, To: to, Body: payload, Window: 2 * time.Minute, App: l.Has("app"), Force: l.Has("force"),
		Target: conversation.Recallable{
			Message: l.ID("message"), Seq: domain.Seq(l.Number("seq")), From: domain.UserID(l.Get("of")), Kind: message.Text,
			Audience: readUsers(l.Get("only")), Recalled: l.Has("again"),
		},
	}
	if l.Has("kind") {
		c.Target.Kind = kindOf(l.Get("kind"))
	}
	if l.Has("off") {
		c.Window = 0
	}
	return c
}

func readDevice(text string) conversation.Recipient {
	name, resource, _ := strings.Cut(text, "@")
	user, number, ok := strings.Cut(name, ".")
	inc := 1
	if ok {
		inc, _ = strconv.Atoi(number)
	}
	return conversation.Recipient{User: domain.UserID(user), Incarnation: domain.Incarnation(inc), Resource: domain.Resource(resource)}
}

func device(u domain.UserID, r domain.Resource) string {
	if r == "" {
		return string(u)
	}
	return string(u) + "@" + string(r)
}

func writeEvent(l *ruletest.Line, body domain.Body) {
	switch b := body.(type) {
	case conversation.MemberAdded:
		l.Add("user", fmt.Sprintf("%s.%d", b.User, b.Incarnation))
		l.Add("from", b.From)
		l.Add("n", b.N)
	case conversation.MessageSent:
		l.Add("from", device(b.From, b.FromResource))
		l.Add("to", device(b.To, b.ToResource))
		l.Add("id", b.ClientID)
		l.Add("kind", kinds[b.Kind])
		l.Flag("counted", b.Counted)
		l.Flag("history", b.History)
		l.Flag("sync", b.SyncOwn)
		for _, u := range b.NoHistory {
			l.Add("hide", u)
		}
		l.Add("only", names(b.Audience))
		l.Add("body", string(b.Body))
		l.Add("n", b.N)
		l.Add("own", b.Own)
	case conversation.MessageDelivered:
		writeReceipt(l, conversation.MessageRead(b))
	case conversation.MessageRead:
		writeReceipt(l, b)
	case conversation.ConversationRead:
		l.Add("by", device(b.By, b.ByResource))
		l.Add("to", b.To)
		l.Add("id", b.ClientID)
		l.Add("read_n", b.ReadN)
		l.Add("read_own", b.ReadOwn)
	case conversation.MessageRecalled:
		l.Add("by", device(b.By, b.ByResource))
		l.Add("to", b.To)
		l.AddID("message", b.Message)
		l.Add("seq", b.MessageSeq)
		l.Add("of", b.From)
		l.Add("only", names(b.Audience))
		l.Add("id", b.ClientID)
	default:
		writeGroupEvent(l, body)
	}
}

func writeReceipt(l *ruletest.Line, b conversation.MessageRead) {
	l.Add("by", device(b.By, b.ByResource))
	l.Add("to", b.To)
	l.AddID("message", b.Message)
	l.Add("id", b.ClientID)
}

func writeRow(l *ruletest.Line, row domain.Row) {
	switch r := row.(type) {
	case *conversation.Head:
		writeHead(l, r)
	case *conversation.GroupHead:
		writeGroupHead(l, r)
	case *conversation.Application:
		writeAsk(l, conversation.Invitation{User: r.User, Reason: r.Reason, T: r.T, State: r.State})
	case *conversation.Invitation:
		writeAsk(l, *r)
	case *conversation.Member:
		l.Add("user", fmt.Sprintf("%s.%d", r.User, r.Incarnation))
		l.Add("from", r.From)
		l.Add("from_n", r.FromN)
		l.Add("own", r.Own)
		l.Add("read_n", r.ReadN)
		l.Add("read_own", r.ReadOwn)
		l.Add("history", r.HistoryFrom)
		l.Add("until", r.Until)
		l.AddID("joined", r.Joined)
		l.Flag("shield", r.Shield)
		l.Add("earlier", spans(r.Earlier))
	case *conversation.Sends:
		for s := range r.All() {
			l.Add("send", fmt.Sprintf("%d,seq=%d", s.ClientID, s.Seq))
		}
	}
}

func writeHead(l *ruletest.Line, r *conversation.Head) {
	l.Add("seq", r.Seq)
	l.Add("n", r.N)
	l.AddID("t", r.T)
	l.Add("shown", r.ShownSeq)
	l.AddID("shown_t", r.ShownT)
	l.Add("closed", r.Closed)
}
