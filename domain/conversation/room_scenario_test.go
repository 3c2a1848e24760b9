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

//go:embed testdata/room.txt
var roomText string

func TestRoomScenarios(t *testing.T) {
	ruletest.RunScenarios(t, roomText, ruletest.Vocabulary{
		Rules: conversation.NewRoomRules(message.DefaultLimits), Stream: "demo#chat/r/77", Command: readRoomCommand,
		Event: writeRoomEvent, Row: writeRoomRow,
	})
}

// readRoomCommand reads "<verb> by=<device> users=<user>,<user> …". Without by it is the app's.
func readRoomCommand(l ruletest.Line) (domain.Command, error) {
	by := readActor(l.Get("by"))
	switch l.Word {
	case "create":
		change := readRoomChange(l)
		settings := conversation.RoomSettings{MaxUsers: 1000}.With(&change)
		return conversation.CreateRoom{By: by, Owner: readPerson(l.Get("owner")), Settings: settings}, nil
	case "change":
		return conversation.ChangeRoom{By: by, Change: readRoomChange(l)}, nil
	case "transfer":
		return conversation.TransferRoom{By: by, To: readPerson(l.Get("to"))}, nil
	case "destroy":
		return conversation.DestroyRoom{By: by}, nil
	case "allow":
		return conversation.AllowUsers{By: by, Users: readPersons(l.Get("users"))}, nil
	case "disallow":
		return conversation.DisallowUsers{By: by, Users: readUsers(l.Get("users"))}, nil
	case "leave":
		return conversation.LeaveGroup{By: by}, nil
	default:
		return readRoomMessage(l)
	}
}

func readRoomMessage(l ruletest.Line) (domain.Command, error) {
	cmd, err := readGroupMessage(l)
	if m, ok := cmd.(conversation.SendGroupMessage); ok {
		return conversation.SendRoomMessage{
			Sender: m.Sender, Envelope: m.Envelope, Body: m.Body, Directed: m.Directed, SyncOwn: m.SyncOwn, NoHistory: m.NoHistory,
			Unchecked: m.Unchecked, Viewer: l.Has("viewer"),
		}, nil
	}
	return cmd, err
}

func readPerson(text string) conversation.Person {
	d := readDevice(text)
	return conversation.Person{User: d.User, Incarnation: d.Incarnation}
}

// readRoomChange reads settings; "-" is an empty text, "a*9" nine of them, and \xff a byte that is no UTF-8.
func readRoomChange(l ruletest.Line) (c conversation.RoomChange) {
	for key, field := range map[string]**string{"name": &c.Name, "description": &c.Description, "custom": &c.Custom} {
		v := l.Get(key)
		if v == "" {
			continue
		}
		if text, times, ok := strings.Cut(v, "*"); ok {
			n, _ := strconv.Atoi(times)
			v = strings.Repeat(text, n)
		}
		*field = new(strings.ReplaceAll(strings.TrimPrefix(v, "-"), `\xff`, "\xff"))
	}
	if l.Has("max") {
		c.MaxUsers = new(uint32(l.Number("max")))
	}
	return c
}

func persons(users []conversation.Person) string {
	var out []string
	for _, p := range users {
		out = append(out, person(p))
	}
	return names(out)
}

func writeRoomEvent(l *ruletest.Line, body domain.Body) {
	if by, ok := conversation.DoerOf(body); ok {
		l.Add("by", device(by.User, by.Resource))
	}
	switch b := body.(type) {
	case conversation.RoomCreated:
		l.Add("owner", person(b.Owner))
		writeRoomSettings(l, b.Settings)
	case conversation.RoomChanged:
		for i, v := range []*string{b.Change.Name, b.Change.Description, b.Change.Custom} {
			if v != nil {
				l.Add([]string{"name", "description", "custom"}[i], "-"+*v)
			}
		}
		if b.Change.MaxUsers != nil {
			l.Add("max", fmt.Sprint(*b.Change.MaxUsers))
		}
	case conversation.RoomTransferred:
		l.Add("old", person(b.Old))
		l.Add("owner", person(b.Owner))
	case conversation.RoomDestroyed:
		l.Add("name", b.Name)
	case conversation.UsersAllowed:
		l.Add("users", persons(b.Users))
	case conversation.UsersDisallowed:
		l.Add("users", persons(b.Users))
	default:
		writeEvent(l, body)
	}
}

func writeRoomSettings(l *ruletest.Line, s conversation.RoomSettings) {
	l.Add("name", s.Name)
	l.Add("description", s.Description)
	l.Add("custom", s.Custom)
	l.Add("max", s.MaxUsers)
}

func writeRoomRow(l *ruletest.Line, row domain.Row) {
	r, ok := row.(*conversation.RoomHead)
	if !ok {
		writeRow(l, row)
		return
	}
	writeHead(l, &r.Head)
	l.AddID("created", r.Created)
	l.AddID("modified", r.Modified)
	l.Add("owner", person(r.Owner))
	writeRoomSettings(l, r.Settings)
	l.Add("allowed", persons(r.Allowed))
}
