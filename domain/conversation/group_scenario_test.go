package conversation_test

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/internal/ruletest"
	"parley/domain/message"
)

//go:embed testdata/group.txt
var groupText string

//go:embed testdata/group_messages.txt
var groupMessages string

func TestGroupScenarios(t *testing.T) {
	v := ruletest.Vocabulary{
		Rules: conversation.NewGroupRules(message.DefaultLimits), Stream: "demo#chat/g/77", Command: readGroupCommand,
		Event: writeEvent, Row: writeRow,
	}
	t.Run("members", func(t *testing.T) { ruletest.RunScenarios(t, groupText, v) })
	t.Run("messages", func(t *testing.T) { ruletest.RunScenarios(t, groupMessages, v) })
}

// readGroupCommand reads "<verb> by=<device> users=<user>,<user> …". Without by it is the app's.
func readGroupCommand(l ruletest.Line) (domain.Command, error) {
	by := readActor(l.Get("by"))
	user := readDevice(l.Get("user"))
	users, history, reason := readPersons(l.Get("users")), l.Has("history"), l.Get("reason")
	switch l.Word {
	case "create":
		owner := readDevice(l.Get("owner"))
		return conversation.CreateGroup{
			By: by, Owner: conversation.Person{User: owner.User, Incarnation: owner.Incarnation}, Settings: readSettings(l), Members: users,
			History: history,
		}, nil
	case "add":
		return conversation.AddMembers{By: by, Users: users, History: history}, nil
	case "apply":
		return conversation.ApplyToJoin{By: by, Reason: reason, History: history}, nil
	case "answer":
		return conversation.AnswerApplication{By: by, User: user.User, Accept: !l.Has("no"), Reason: reason, History: history}, nil
	case "invite":
		return conversation.InviteUsers{By: by, Users: users, Reason: reason, History: history}, nil
	case "accept", "decline":
		return conversation.AnswerInvitation{By: by, Accept: l.Word == "accept", Reason: reason, History: history}, nil
	case "leave":
		return conversation.LeaveGroup{By: by}, nil
	case "remove":
		return conversation.RemoveMembers{By: by, Users: users}, nil
	case "destroy":
		return conversation.DestroyGroup{By: by}, nil
	case "change":
		return conversation.ChangeGroup{By: by, Change: readChange(l)}, nil
	case "transfer":
		return conversation.TransferOwnership{By: by, To: user.User}, nil
	case "promote":
		return conversation.AddAdmin{By: by, User: user.User}, nil
	case "demote":
		return conversation.RemoveAdmin{By: by, User: user.User}, nil
	case "shield":
		return conversation.ShieldGroup{By: by, On: !l.Has("off")}, nil
	default:
		return readGroupMessage(l)
	}
}

func readGroupMessage(l ruletest.Line) (domain.Command, error) {
	from, payload := readDevice(l.Get("from")), message.Bytes(l.Get("body"))
	sender := conversation.Sender{
		User: from.User, Incarnation: from.Incarnation, Resource: from.Resource, ClientID: l.Number("id"), Hash: message.Hash(payload),
	}
	switch l.Word {
	case "send":
		kind := message.Text
		if l.Has("kind") {
			kind = kindOf(l.Get("kind"))
		}
		return conversation.SendGroupMessage{
			Sender: sender, Envelope: message.Envelope{Kind: kind, Size: len(payload)}, Body: payload, Directed: readUsers(l.Get("only")),
			SyncOwn: l.Has("sync"), NoHistory: readUsers(l.Get("hide")), Unchecked: l.Has("unchecked"),
		}, nil
	case "readall":
		return conversation.ReadGroup{Sender: sender, Body: payload}, nil
	case "recall":
		return readRecall(l, sender, "", payload), nil
	default:
		return nil, fmt.Errorf("no command %q", l.Word)
	}
}

func readActor(text string) conversation.Actor {
	if text == "" {
		return conversation.Actor{App: true}
	}
	d := readDevice(text)
	return conversation.Actor{User: d.User, Incarnation: d.Incarnation, Resource: d.Resource}
}

// readPersons reads names; "u1..u9" are nine of them.
func readPersons(text string) (out []conversation.Person) {
	for _, u := range readUsers(text) {
		d := readDevice(string(u))
		out = append(out, conversation.Person{User: d.User, Incarnation: d.Incarnation})
	}
	return out
}

func readUsers(text string) (out []domain.UserID) {
	if text == "" {
		return nil
	}
	if _, last, ok := strings.Cut(text, ".."); ok {
		n, _ := strconv.Atoi(last[1:])
		for i := range n {
			out = append(out, domain.UserID(fmt.Sprintf("u%d", i+1)))
		}
		return out
	}
	for name := range strings.SplitSeq(text, ",") {
		out = append(out, domain.UserID(name))
	}
	return out
}

func readSettings(l ruletest.Line) conversation.GroupSettings {
	s := conversation.GroupSettings{
		Name: l.Get("name"), Description: l.Get("description"), Avatar: l.Get("avatar"), Custom: l.Get("custom"), Public: l.Has("public"),
		Approval: l.Has("approval"), MemberInvites: l.Has("invites"), InviteConfirm: l.Has("confirm"), MaxUsers: 200,
	}
	if l.Has("max") {
		s.MaxUsers = uint32(l.Number("max"))
	}
	return s
}

// readChange reads settings; "-" is an empty text, "no" a false.
func readChange(l ruletest.Line) (c conversation.GroupChange) {
	for key, field := range map[string]**string{"name": &c.Name, "description": &c.Description, "avatar": &c.Avatar, "custom": &c.Custom} {
		if v := l.Get(key); v != "" {
			*field = new(strings.TrimPrefix(v, "-"))
		}
	}
	for key, field := range map[string]**bool{
		"public": &c.Public, "approval": &c.Approval, "invites": &c.MemberInvites, "confirm": &c.InviteConfirm,
	} {
		if v := l.Get(key); v != "" {
			*field = new(v != "no")
		}
	}
	if l.Has("max") {
		c.MaxUsers = new(uint32(l.Number("max")))
	}
	return c
}

func person(p conversation.Person) string { return fmt.Sprintf("%s.%d", p.User, p.Incarnation) }

func names[S ~string](users []S) string {
	var out []string
	for _, u := range users {
		out = append(out, string(u))
	}
	if len(out) > 5 {
		return fmt.Sprintf("%d-of-them", len(out))
	}
	return strings.Join(out, ",")
}

func spans(spans []conversation.Span) string {
	var out []string
	for _, s := range spans {
		out = append(out, fmt.Sprintf("%d-%d", s.From, s.Until))
	}
	return strings.Join(out, ",")
}

var (
	joinHow  = []string{"", "added", "open", "accepted", "invited"}
	leaveHow = []string{"", "left", "removed"}
	states   = []string{"", "pending", "accepted", "declined"}
)

func writeGroupEvent(l *ruletest.Line, body domain.Body) {
	if by, ok := conversation.DoerOf(body); ok {
		l.Add("by", device(by.User, by.Resource))
	}
	switch b := body.(type) {
	case conversation.GroupCreated:
		l.Add("owner", person(b.Owner))
		writeSettings(l, b.Settings)
	case conversation.MembersAdded:
		var users []string
		for _, j := range b.Members {
			users = append(users, person(conversation.Person{User: j.User, Incarnation: j.Incarnation}))
		}
		l.Add("users", names(users))
		l.Add("how", joinHow[b.How])
		l.Add("from", b.From)
		l.Add("history", b.HistoryFrom)
		l.Add("n", b.N)
		l.Add("count", b.Count)
		l.Add("name", b.Name)
	case conversation.MembersRemoved:
		l.Add("users", names(b.Users))
		l.Add("how", leaveHow[b.How])
		l.Add("count", b.Count)
	case conversation.GroupDestroyed:
		l.Add("name", b.Name)
	case conversation.GroupChanged:
		writeChange(l, b.Change)
	case conversation.OwnerChanged:
		l.Add("old", b.Old)
		l.Add("owner", b.Owner)
	case conversation.AdminAdded:
		l.Add("user", b.User)
	case conversation.AdminRemoved:
		l.Add("user", b.User)
	default:
		writeAskEvent(l, body)
	}
}

func writeAskEvent(l *ruletest.Line, body domain.Body) {
	switch b := body.(type) {
	case conversation.JoinRequested:
		l.Add("user", person(b.User))
		l.Add("reason", b.Reason)
		l.Add("to", names(b.Audience))
	case conversation.JoinAnswered:
		l.Add("user", person(b.User))
		l.Flag("accepted", b.Accepted)
		l.Add("reason", b.Reason)
		l.Add("name", b.Name)
	case conversation.UsersInvited:
		var users []string
		for _, p := range b.Users {
			users = append(users, person(p))
		}
		l.Add("users", names(users))
		l.Add("reason", b.Reason)
		l.Add("name", b.Name)
	case conversation.InvitationAnswered:
		l.Add("user", device(b.User, b.Resource))
		l.Add("inviter", b.Inviter)
		l.Flag("accepted", b.Accepted)
		l.Add("reason", b.Reason)
	case conversation.ShieldSet:
		l.Add("user", b.User)
		l.Flag("on", b.On)
	}
}

func writeSettings(l *ruletest.Line, s conversation.GroupSettings) {
	l.Add("name", s.Name)
	l.Add("description", s.Description)
	l.Add("avatar", s.Avatar)
	l.Add("custom", s.Custom)
	l.Flag("public", s.Public)
	l.Flag("approval", s.Approval)
	l.Flag("invites", s.MemberInvites)
	l.Flag("confirm", s.InviteConfirm)
	l.Add("max", s.MaxUsers)
}

func writeChange(l *ruletest.Line, c conversation.GroupChange) {
	for i, v := range []*string{c.Name, c.Description, c.Avatar, c.Custom} {
		if v != nil {
			l.Add([]string{"name", "description", "avatar", "custom"}[i], "-"+*v)
		}
	}
	for i, v := range []*bool{c.Public, c.Approval, c.MemberInvites, c.InviteConfirm} {
		if v != nil {
			l.Add([]string{"public", "approval", "invites", "confirm"}[i], map[bool]string{true: "yes", false: "no"}[*v])
		}
	}
	if c.MaxUsers != nil {
		l.Add("max", *c.MaxUsers)
	}
}

func writeGroupHead(l *ruletest.Line, r *conversation.GroupHead) {
	writeHead(l, &r.Head)
	l.AddID("created", r.Created)
	l.AddID("modified", r.Modified)
	l.Add("owner", r.Owner)
	l.Add("admins", names(r.Admins))
	l.Add("count", r.Count)
	writeSettings(l, r.Settings)
}

func writeAsk(l *ruletest.Line, r conversation.Invitation) {
	l.Add("user", person(r.User))
	l.Add("by", r.By)
	l.Add("reason", r.Reason)
	l.AddID("t", r.T)
	l.Add("state", states[r.State])
}
