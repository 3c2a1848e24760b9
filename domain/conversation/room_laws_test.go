package conversation_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/internal/ruletest"
	"parley/domain/message"
)

var roomRules = conversation.NewRoomRules(message.DefaultLimits)

// drawRoomCommand draws a command of a few users that may be anything from ordinary to refused.
func drawRoomCommand(t *rapid.T, s *ruletest.Stream) domain.Command {
	user := func(name string) domain.UserID { return rapid.SampledFrom(crowd).Draw(t, name) }
	inc := func(name string) domain.Incarnation {
		return domain.Incarnation(rapid.SampledFrom([]uint32{1, 1, 1, 1, 1, 0, 2}).Draw(t, name))
	}
	drawPerson := func() conversation.Person {
		return conversation.Person{User: user("person"), Incarnation: inc("incarnation")}
	}
	by := conversation.Actor{User: user("by"), Incarnation: inc("by incarnation"), Resource: rapid.SampledFrom(devs).Draw(t, "device")}
	if rapid.IntRange(0, 2).Draw(t, "app") == 0 {
		by = conversation.Actor{App: true}
	}
	sender := conversation.Sender{
		User: user("from"), Incarnation: inc("from incarnation"), Resource: rapid.SampledFrom(devs).Draw(t, "from device"),
		ClientID: rapid.Uint64Range(0, 30).Draw(t, "id"), Hash: 1,
	}
	switch rapid.IntRange(0, 9).Draw(t, "command") {
	case 0:
		return conversation.ChangeRoom{By: by, Change: conversation.RoomChange{
			Name: new(rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "name")), MaxUsers: new(rapid.Uint32Range(0, 3).Draw(t, "max")),
		}}
	case 1:
		return conversation.TransferRoom{By: by, To: drawPerson()}
	case 2:
		var users []conversation.Person
		for range rapid.IntRange(0, 4).Draw(t, "users") {
			users = append(users, drawPerson())
		}
		return conversation.AllowUsers{By: by, Users: users}
	case 3:
		return conversation.DisallowUsers{By: by, Users: rapid.SliceOfN(rapid.SampledFrom(crowd), 0, 3).Draw(t, "users")}
	case 4:
		return drawRecall(t, s, sender)
	case 5:
		if rapid.IntRange(0, 9).Draw(t, "end") == 0 {
			return conversation.DestroyRoom{By: by}
		}
		fallthrough
	default:
		return conversation.SendRoomMessage{
			Sender: sender, Envelope: message.Envelope{Kind: message.Kind(rapid.ByteRange(0, 7).Draw(t, "kind"))}, SyncOwn: drawTruth(t, "sync"),
			Unchecked: rapid.IntRange(0, 4).Draw(t, "unchecked") == 0, Viewer: drawTruth(t, "viewer"),
			Directed: rapid.SampledFrom([][]domain.UserID{nil, nil, {"bob"}}).Draw(t, "only"),
		}
	}
}

func drawTruth(t *rapid.T, name string) bool { return rapid.Bool().Draw(t, name) }

// playRoom draws a room and some commands to it, and calls each after every one of them.
func playRoom(t *rapid.T, each func(*ruletest.Stream, []domain.Event)) *ruletest.Stream {
	s := ruletest.NewStream(roomRules, "demo#chat/r/77")
	now := domain.T(0).Time()
	var cmd domain.Command = conversation.CreateRoom{
		By: conversation.Actor{App: true}, Owner: conversation.Person{User: "ann", Incarnation: 1}, Settings: conversation.RoomSettings{MaxUsers: 4},
	}
	for range rapid.IntRange(1, 90).Draw(t, "commands") {
		now = now.Add(time.Duration(rapid.SampledFrom([]int{0, 1, 40, 900, 70_000, -5000}).Draw(t, "ms")) * time.Millisecond)
		events, err := s.DoLawfully(cmd, now, stored)
		if err != nil {
			t.Fatal(err)
		}
		each(s, events)
		cmd = drawRoomCommand(t, s)
	}
	return s
}

func TestRoomLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := playRoom(t, func(*ruletest.Stream, []domain.Event) {})
		if err := s.CheckFold(stored); err != nil {
			t.Fatal(err)
		}
	})
}

// Seqs are dense; nothing follows the end; the head is what a plain reading of the events gives; there are no rows but it and Sends.
func TestRoomHead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var seq domain.Seq
		var n uint64
		var owner conversation.Person
		allowed := map[domain.UserID]domain.Incarnation{}
		ended := false
		playRoom(t, func(s *ruletest.Stream, events []domain.Event) {
			for _, ev := range events {
				if seq++; ended || ev.Seq != seq {
					t.Fatalf("%s of seq %d after %d, ended %v", ev.Body.EventName(), ev.Seq, seq-1, ended)
				}
				switch b := ev.Body.(type) {
				case conversation.MessageSent:
					if b.Counted {
						n++
					}
					if b.N != n || b.Own != 0 || b.Counted && len(b.Audience) > 0 {
						t.Fatalf("%+v is message %d", b, n)
					}
				case conversation.RoomCreated:
					owner = b.Owner
				case conversation.RoomTransferred:
					if b.Old != owner || b.Owner == owner {
						t.Fatalf("%+v, the owner was %v", b, owner)
					}
					owner = b.Owner
				case conversation.UsersAllowed:
					for _, p := range b.Users {
						if p.Incarnation == 0 || p.Incarnation <= allowed[p.User] {
							t.Fatalf("%v is allowed after %d", p, allowed[p.User])
						}
						allowed[p.User] = p.Incarnation
					}
				case conversation.UsersDisallowed:
					for _, p := range b.Users {
						if p.Incarnation != allowed[p.User] {
							t.Fatalf("%v is disallowed, %d was allowed", p, allowed[p.User])
						}
						delete(allowed, p.User)
					}
				case conversation.RoomDestroyed:
					ended = true
				}
			}
			head := s.Rows[domain.PartHead].(*conversation.RoomHead)
			if head.N != n || head.Seq != seq || head.Owner != owner || head.Open() == ended || len(head.Allowed) != len(allowed) {
				t.Fatalf("head %+v, want n %d, seq %d, owner %v, allowed %v, ended %v", head, n, seq, owner, allowed, ended)
			}
			for u, inc := range allowed {
				if !head.Allows(conversation.Person{User: u, Incarnation: inc}) {
					t.Fatalf("%s is not on %v", u, head.Allowed)
				}
			}
			for id := range s.Rows {
				if id != domain.PartHead && !strings.HasPrefix(string(id), "s/") {
					t.Fatalf("a row %q", id)
				}
			}
		})
	})
}

func TestSeesInRoom(t *testing.T) {
	ann := conversation.Doer{User: "ann", Resource: "web"}
	st := domain.Stream{Kind: domain.KindRoom, A: "77"}
	all := "ann@ios bob@ios bob@web cid@ios cid@web"
	for name, c := range map[string]struct {
		body domain.Body
		sees string
	}{
		"a message":                      {conversation.MessageSent{From: "ann", FromResource: "web", SyncOwn: true}, all},
		"a message for some":             {conversation.MessageSent{From: "ann", FromResource: "web", SyncOwn: true, Audience: []domain.UserID{"bob"}}, "ann@ios bob@ios bob@web"},
		"a recall":                       {conversation.MessageRecalled{By: "ann", ByResource: "web", From: "ann"}, all},
		"a recall for some":              {conversation.MessageRecalled{By: "ann", ByResource: "web", From: "ann", Audience: []domain.UserID{"cid"}}, "ann@ios cid@ios cid@web"},
		"a room":                         {conversation.RoomCreated{By: ann}, all},
		"a change by the app":            {conversation.RoomChanged{}, "ann@web " + all},
		"an owner":                       {conversation.RoomTransferred{By: ann}, all},
		"the end":                        {conversation.RoomDestroyed{By: ann}, all},
		"allowed":                        {conversation.UsersAllowed{By: ann, Users: []conversation.Person{{User: "bob"}, {User: "ann"}}}, "ann@ios bob@ios bob@web"},
		"allowed no more":                {conversation.UsersDisallowed{Users: []conversation.Person{{User: "cid"}}}, "cid@ios cid@web"},
		"what does not happen in a room": {conversation.AdminAdded{By: ann, User: "bob"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			ev := &domain.Event{Body: c.body}
			audience, everybody := conversation.RoomAudience(ev)
			var got []string
			for _, u := range []domain.UserID{"ann", "bob", "cid"} {
				for _, r := range []domain.Resource{"ios", "web"} {
					if !conversation.Sees(st, ev, u, r) {
						continue
					}
					got = append(got, string(u)+"@"+string(r))
					if !everybody && !slices.Contains(audience, u) {
						t.Errorf("%s sees it, the audience is %v", u, audience)
					}
				}
			}
			want := strings.Fields(c.sees)
			slices.Sort(want)
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

// roomOf makes a room of ann's with an allow list of n.
func roomOf(tb testing.TB, n int) *ruletest.Stream {
	tb.Helper()
	s, now, app := ruletest.NewStream(roomRules, "demo#chat/r/77"), domain.T(0).Time(), conversation.Actor{App: true}
	for _, cmd := range []domain.Command{
		conversation.CreateRoom{By: app, Owner: conversation.Person{User: "ann", Incarnation: 1}, Settings: conversation.RoomSettings{MaxUsers: 1000}},
		conversation.AllowUsers{By: app, Users: numbered(0, n)},
	} {
		if _, _, err := s.Do(cmd, now); err != nil {
			tb.Fatal(err)
		}
	}
	return s
}

func roomMessage() domain.Command {
	return conversation.SendRoomMessage{
		Sender: conversation.Sender{User: "zed", Incarnation: 1, Resource: "web", ClientID: 1, Hash: 1}, Body: make(message.Bytes, 200),
		Envelope: message.Envelope{Kind: message.Text, Size: 200}, SyncOwn: true, Viewer: true,
	}
}

func BenchmarkDecideRoomSend(b *testing.B) {
	for name, allowed := range map[string]int{"allowed=10": 10, "allowed=1000": conversation.MaxAllowed} {
		b.Run(name, func(b *testing.B) {
			s, cmd := roomOf(b, allowed), roomMessage()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Decide(cmd, domain.T(0).Time()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkEvolveRoomSend(b *testing.B) {
	s := roomOf(b, conversation.MaxAllowed)
	d, err := s.Decide(roomMessage(), domain.T(0).Time())
	if err != nil {
		b.Fatal(err)
	}
	ev := &domain.Event{T: 1 << 50, Seq: 3, Body: d.Bodies[0]}
	row := s.Rows[domain.PartHead]
	b.ReportAllocs()
	for b.Loop() {
		if s.Rules.Evolve(s.ID, domain.PartHead, row, ev) == row {
			b.Fatal("the head did not change")
		}
	}
}
