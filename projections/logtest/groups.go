package logtest

import (
	"slices"
	"time"

	"pgregory.net/rapid"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/message"
)

// GroupIDs of random histories.
var GroupIDs = []string{"101", "102", "103"}

// app is the app itself, which may do all.
var app = conversation.Actor{App: true}

// Person returns a user as an edge finds it.
func (w *World) Person(u domain.UserID) conversation.Person {
	return conversation.Person{User: u, Incarnation: w.Incarnation(u)}
}

func (w *World) actor(u domain.UserID) conversation.Actor {
	return conversation.Actor{User: u, Incarnation: w.Incarnation(u), Resource: "web"}
}

// groupStep lets one thing happen in a group, if the rules let it.
func (w *World) groupStep(rt *rapid.T, u, v domain.UserID) {
	id := rapid.SampledFrom(GroupIDs).Draw(rt, "group")
	stream := domain.GroupStream(App, id)
	if w.Group(stream) == nil {
		w.Do(stream, conversation.CreateGroup{
			By: app, Owner: w.Person(u), Members: w.persons(rt), History: rapid.Bool().Draw(rt, "history"), Settings: conversation.GroupSettings{
				Name: "The " + id, Public: rapid.Bool().Draw(rt, "public"), Approval: true, InviteConfirm: rapid.Bool().Draw(rt, "confirm"), MaxUsers: 200,
			},
		})
		return
	}
	if cmd := w.groupCommand(rt, u, v); cmd != nil {
		w.Do(stream, cmd)
	}
}

func (w *World) groupCommand(rt *rapid.T, u, v domain.UserID) domain.Command {
	on := rapid.Bool().Draw(rt, "on")
	switch rapid.IntRange(0, 29).Draw(rt, "group step") {
	case 0:
		if rapid.IntRange(0, 9).Draw(rt, "end") == 0 {
			return conversation.DestroyGroup{By: app}
		}
		return conversation.LeaveGroup{By: w.actor(u)}
	case 1, 2, 3:
		return conversation.AddMembers{By: app, Users: w.persons(rt), History: on}
	case 4, 5:
		return conversation.RemoveMembers{By: app, Users: []conversation.Person{w.Person(u), w.Person(v)}}
	case 6:
		return conversation.LeaveGroup{By: w.actor(v)}
	case 7:
		return conversation.InviteUsers{By: app, Users: w.persons(rt), Reason: "do", History: on}
	case 8:
		return conversation.AnswerInvitation{By: w.actor(v), Accept: on, History: true}
	case 9:
		return conversation.ApplyToJoin{By: w.actor(v), Reason: "please", History: on}
	case 10, 11:
		return conversation.AnswerApplication{By: app, User: v, Accept: on, Reason: "because"}
	case 12:
		name := rapid.StringMatching(`[a-z]{1,5}`).Draw(rt, "name")
		return conversation.ChangeGroup{By: app, Change: conversation.GroupChange{Name: &name, Public: &on}}
	case 13:
		return conversation.TransferOwnership{By: app, To: v}
	case 14, 15, 16:
		return conversation.ShieldGroup{By: w.actor(u), On: on}
	case 17, 18:
		return conversation.ReadGroup{Sender: w.sender(u), Body: message.Bytes("read")}
	default:
		body := rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(rt, "body")
		kind := rapid.SampledFrom([]message.Kind{message.Text, message.Text, message.Cmd, message.Image}).Draw(rt, "kind")
		m := conversation.SendGroupMessage{
			Sender: w.sender(u), Envelope: message.Envelope{Kind: kind, Size: len(body)}, Body: body, SyncOwn: true, Unchecked: on,
		}
		if rapid.IntRange(0, 5).Draw(rt, "directed") == 0 {
			m.Directed = []domain.UserID{v}
		}
		return m
	}
}

// persons are some of the users who have accounts.
func (w *World) persons(rt *rapid.T) (out []conversation.Person) {
	for _, u := range rapid.SliceOfNDistinct(rapid.SampledFrom(Users), 1, 3, rapid.ID).Draw(rt, "users") {
		if w.Incarnation(u) != 0 {
			out = append(out, w.Person(u))
		}
	}
	return out
}

// recallRandom takes one of the last messages back.
func (w *World) recallRandom(rt *rapid.T) {
	back := rapid.IntRange(0, 30).Draw(rt, "back")
	for _, a := range slices.Backward(w.Accepted) {
		for i := range a.Commit.Events {
			if _, ok := a.Commit.Events[i].Body.(conversation.MessageSent); !ok {
				continue
			}
			if back--; back < 0 {
				w.Recall(a.Commit.Stream, &a.Commit.Events[i])
				return
			}
		}
	}
}

// Recall takes a message back as the app does, in the name of its sender. ok is false when it cannot be.
func (w *World) Recall(stream domain.StreamID, ev *domain.Event) (domain.Accepted, bool) {
	w.tb.Helper()
	b, ok := ev.Body.(conversation.MessageSent)
	if !ok {
		return domain.Accepted{}, false
	}
	return w.Do(stream, conversation.RecallMessage{
		Sender: conversation.Sender{User: b.From}, To: b.To, Force: true, App: true, Window: time.Minute, Body: message.Bytes("recall"),
		Target: conversation.Recallable{
			Message: ev.T, Seq: ev.Seq, From: b.From, Kind: b.Kind, Audience: b.Audience, Recalled: w.Recalled(stream)[ev.Seq],
		},
	})
}

// Recalled returns which entries of a stream have been recalled.
func (w *World) Recalled(stream domain.StreamID) map[domain.Seq]bool {
	out := make(map[domain.Seq]bool)
	for _, a := range w.Accepted {
		for i := range a.Commit.Events {
			if b, ok := a.Commit.Events[i].Body.(conversation.MessageRecalled); ok && a.Commit.Stream == stream {
				out[b.MessageSeq] = true
			}
		}
	}
	return out
}

// Group returns the head of a group, nil when there never was one.
func (w *World) Group(stream domain.StreamID) *conversation.GroupHead {
	h, _ := w.rows[stream][domain.PartHead].(*conversation.GroupHead)
	return h
}

// Members returns the Member rows of a stream, of those who are members no more, too.
func (w *World) Members(stream domain.StreamID) (out []*conversation.Member) {
	for _, row := range w.rows[stream] {
		if m, ok := row.(*conversation.Member); ok {
			out = append(out, m)
		}
	}
	return out
}
