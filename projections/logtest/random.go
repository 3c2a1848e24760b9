package logtest

import (
	"time"

	"pgregory.net/rapid"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/message"
	"parley/domain/user"
)

// Users of random histories.
var Users = []domain.UserID{"ann", "bob", "cyd", "dan"}

// most is who acts: two of them mostly, so that their conversation grows long.
var most = []domain.UserID{"ann", "bob", "ann", "bob", "ann", "bob", "cyd", "dan"}

// Random lets a few users live: they register and leave, write, receive, read and recall, alone, in groups and in rooms, while owners change and
// requests repeat.
func (w *World) Random(rt *rapid.T, steps int) {
	for _, u := range Users[:2] {
		w.Do(domain.UserStream(App, u), user.Register{UUID: "uuid-" + string(u)})
	}
	for range steps {
		u := rapid.SampledFrom(most).Draw(rt, "user")
		v := rapid.SampledFrom(most).Draw(rt, "other")
		switch rapid.IntRange(0, 8).Draw(rt, "where") {
		case 0, 1, 2:
			w.groupStep(rt, u, v)
			continue
		case 3, 4:
			w.roomStep(rt, u, v)
			continue
		}
		switch rapid.IntRange(0, 24).Draw(rt, "step") {
		case 0:
			w.Claim()
			w.Deposed()
		case 1:
			w.Repeat()
		case 2:
			w.Do(domain.UserStream(App, u), user.Delete{})
		case 3:
			w.Do(domain.UserStream(App, u), user.SetPassword{Password: user.PasswordHash("h")})
		case 4:
			w.Sleep(time.Duration(rapid.IntRange(1, 50).Draw(rt, "hours")) * time.Hour)
		case 5:
			w.Do(domain.DirectStream(App, u, v), conversation.ReadConversation{
				Sender: w.sender(u), To: conversation.Recipient{User: v, Incarnation: w.Incarnation(v)}, Body: message.Bytes("read"),
			})
		case 6:
			if n := len(w.Accepted); n > 0 {
				w.Do(domain.DirectStream(App, u, v), conversation.MarkDelivered{
					Sender: w.sender(u), To: conversation.Recipient{User: v, Incarnation: w.Incarnation(v)},
					Message: w.Accepted[n-1].Commit.LastT(), Body: message.Bytes("delivered"),
				})
			}
		case 7, 8, 9:
			w.Do(domain.UserStream(App, u), user.Register{UUID: "uuid-" + string(u), Nickname: rapid.StringMatching(`[a-z]{0,5}`).Draw(rt, "nick")})
		case 10, 11:
			w.recallRandom(rt)
		default:
			w.sendRandom(rt, u, v)
		}
	}
}

func (w *World) sendRandom(rt *rapid.T, u, v domain.UserID) {
	body := rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(rt, "body")
	kind := rapid.SampledFrom([]message.Kind{message.Text, message.Cmd, message.Image, message.Custom}).Draw(rt, "kind")
	var hidden []domain.UserID
	if rapid.IntRange(0, 5).Draw(rt, "hide") == 0 {
		hidden = []domain.UserID{v}
	}
	w.Do(domain.DirectStream(App, u, v), conversation.SendMessage{
		Sender: w.sender(u), To: conversation.Recipient{User: v, Incarnation: w.Incarnation(v)},
		Envelope: message.Envelope{Kind: kind, Size: len(body)}, Body: body, SyncOwn: true, NoHistory: hidden,
	})
}

func (w *World) sender(u domain.UserID) conversation.Sender {
	return conversation.Sender{User: u, Incarnation: w.Incarnation(u), Resource: "web"}
}
