package conversation_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/internal/ruletest"
	"parley/domain/message"
	"parley/schemas/state"
)

// stored renders a row as it would be stored: all that it holds.
func stored(row domain.Row) string { return string(state.EncodeRow(nil, row)) }

var (
	rules  = conversation.NewRules(message.DefaultLimits)
	devs   = []domain.Resource{"", "web", "ios"}
	people = map[string]domain.StreamID{
		"two": domain.DirectStream("demo#chat", "ann", "bob"),
		"one": domain.DirectStream("demo#chat", "ann", "ann"),
	}
)

// drawCommand draws a command that may be anything from ordinary to refused; few ids, so that there are repeats.
func drawCommand(t *rapid.T, s *ruletest.Stream) domain.Command {
	users := []domain.UserID{domain.UserID(s.ID.A), s.ID.B}
	from := rapid.IntRange(0, 1).Draw(t, "from")
	inc := func(name string) domain.Incarnation {
		return domain.Incarnation(rapid.SampledFrom([]uint32{1, 1, 1, 1, 0, 2, 3}).Draw(t, name))
	}
	body := message.Bytes(rapid.SampledFrom([]string{"x", "y"}).Draw(t, "body"))
	sender := conversation.Sender{
		User: users[from], Incarnation: inc("from incarnation"), Resource: rapid.SampledFrom(devs).Draw(t, "device"),
		ClientID: rapid.Uint64Range(0, 60).Draw(t, "id"), Hash: message.Hash(body),
	}
	to := conversation.Recipient{User: users[1-from], Incarnation: inc("to incarnation")}
	id := func() domain.T {
		if len(s.Events) == 0 {
			return 1
		}
		return rapid.SampledFrom(s.Events).Draw(t, "message").T
	}
	switch rapid.IntRange(0, 5).Draw(t, "command") {
	case 0:
		return conversation.MarkDelivered{Sender: sender, To: to, Message: id(), Body: body}
	case 1:
		return conversation.MarkRead{Sender: sender, To: to, Message: id(), Body: body}
	case 2:
		return conversation.ReadConversation{Sender: sender, To: to, Body: body}
	default:
		to.Resource = rapid.SampledFrom([]domain.Resource{"", "", "", "web"}).Draw(t, "to device")
		return conversation.SendMessage{
			Sender: sender, To: to, Body: body, SyncOwn: rapid.Bool().Draw(t, "sync"), Unchecked: rapid.Bool().Draw(t, "unchecked"),
			Envelope: message.Envelope{Kind: message.Kind(rapid.ByteRange(0, 7).Draw(t, "kind")), Size: 1},
		}
	}
}

// play draws a stream of some commands and calls each after every one of them.
func play(t *rapid.T, each func(*ruletest.Stream, []domain.Event)) *ruletest.Stream {
	s := ruletest.NewStream(rules, people[rapid.SampledFrom([]string{"one", "two", "two"}).Draw(t, "users")])
	now := domain.T(0).Time()
	for range rapid.IntRange(1, 90).Draw(t, "commands") {
		// Clocks stand still and jump back, too.
		now = now.Add(time.Duration(rapid.SampledFrom([]int{0, 1, 40, 900, 70_000, -5000}).Draw(t, "ms")) * time.Millisecond)
		events, err := s.DoLawfully(drawCommand(t, s), now, stored)
		if err != nil {
			t.Fatal(err)
		}
		each(s, events)
	}
	return s
}

func TestLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := play(t, func(*ruletest.Stream, []domain.Event) {})
		if err := s.CheckFold(stored); err != nil {
			t.Fatal(err)
		}
	})
}

// Counts in events and rows are those of a plain count over the log, and every user's membership as the read model folds it is its Member row.
func TestCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var n uint64
		var seq domain.Seq
		own := map[domain.UserID]uint64{}
		folded := map[domain.UserID]conversation.Membership{}
		play(t, func(s *ruletest.Stream, events []domain.Event) {
			for i := range events {
				ev := &events[i]
				if ev.Seq != 0 {
					if seq++; ev.Seq != seq {
						t.Fatalf("seq %d after %d", ev.Seq, seq-1)
					}
				}
				switch b := ev.Body.(type) {
				case conversation.MemberAdded:
					own[b.User] = 0
					if b.From != seq+1 || b.N != n {
						t.Fatalf("%+v after seq %d, n %d", b, seq, n)
					}
				case conversation.MessageSent:
					if b.Counted {
						n++
						if _, member := folded[b.From]; member {
							own[b.From]++
						}
					}
					if b.N != n || b.Own != own[b.From] {
						t.Fatalf("n %d own %d, counted %d and %d", b.N, b.Own, n, own[b.From])
					}
				}
				for _, u := range []domain.UserID{"ann", "bob"} {
					if m, ok := conversation.ApplyMembership(folded[u], u, ev); ok {
						folded[u] = m
					}
				}
			}
			for u, m := range folded {
				row := s.Rows[conversation.MemberPart(u)].(*conversation.Member)
				if m.From != row.From || m.FromN != row.FromN || m.Own != row.Own || m.ReadN != row.ReadN || m.ReadOwn != row.ReadOwn {
					t.Fatalf("%s: folded %+v, row %+v", u, m, row)
				}
				if unread := m.Unread(n); unread > n {
					t.Fatalf("%d unread of %d", unread, n)
				}
			}
		})
	})
}

// A row of sends keeps at least what it promises, and never more than it may.
func TestSendsKeep(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var row domain.Row
		var all []conversation.Send
		at, part := domain.T(1<<40), conversation.SendsPart("ann", "web")
		step := rapid.SampledFrom([]time.Duration{time.Millisecond, time.Second, 10 * time.Second}).Draw(t, "step")
		for i := range rapid.IntRange(1, 1200).Draw(t, "sends") {
			at = domain.NextT(at.Time().Add(step), at, ruletest.Number)
			send := conversation.Send{ClientID: uint64(i) + 1, Hash: uint64(i), Seq: domain.Seq(i) + 1, T: at}
			all = append(all, send)
			row = rules.Evolve(domain.Stream{}, part, row, &domain.Event{T: at, Seq: send.Seq, Body: conversation.MessageSent{
				From: "ann", FromResource: "web", ClientID: send.ClientID, Hash: send.Hash,
			}})
		}
		sends := row.(*conversation.Sends)
		i := len(all) - sends.Len()
		for send := range sends.All() {
			if send != all[i] {
				t.Fatalf("got %+v, want %+v", send, all[i])
			}
			i++
		}
		if n := sends.Len(); n > 512 || n < min(len(all), 32) {
			t.Fatalf("%d kept of %d", n, len(all))
		}
		for _, send := range all {
			_, kept := sends.Find(send.ClientID, send.Hash)
			recent := at.Time().Sub(send.T.Time()) <= 60*time.Second
			if recent && !kept && sends.Len() <= 512-16 {
				t.Fatalf("%+v is gone with %d kept", send, sends.Len())
			}
		}
		if same := conversation.NewSends(all[len(all)-sends.Len():]); stored(same) != stored(sends) {
			t.Fatal("a row that was stored and read is another")
		}
	})
}

// Two versions that grow from one row do not share what either adds.
func TestSendsFork(t *testing.T) {
	part := conversation.SendsPart("ann", "web")
	grow := func(row domain.Row, id uint64) domain.Row {
		return rules.Evolve(domain.Stream{}, part, row, &domain.Event{T: domain.T(id) << 12, Seq: domain.Seq(id), Body: conversation.MessageSent{
			From: "ann", FromResource: "web", ClientID: id,
		}})
	}
	var row domain.Row
	for id := range uint64(100) {
		left, right := grow(row, id+1000), grow(row, id+2000)
		text := stored(left)
		right = grow(right, id+2001)
		if stored(left) != text {
			t.Fatalf("after %d sends, one version changed with the other (%s)", id, fmt.Sprint(right.RowName()))
		}
		row = grow(row, id+1)
	}
}

func BenchmarkDecideSend(b *testing.B) {
	s := ruletest.NewStream(rules, people["two"])
	now := domain.T(0).Time()
	send := func(id uint64) conversation.SendMessage {
		return conversation.SendMessage{
			Sender: conversation.Sender{User: "ann", Incarnation: 1, Resource: "web", ClientID: id, Hash: rand.Uint64()},
			To:     conversation.Recipient{User: "bob", Incarnation: 1}, Body: make(message.Bytes, 200), SyncOwn: true,
			Envelope: message.Envelope{Kind: message.Text, Size: 200},
		}
	}
	for id := range uint64(512) {
		if _, _, err := s.Do(send(id+1), now); err != nil {
			b.Fatal(err)
		}
	}
	var cmd domain.Command = send(10_000)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Decide(cmd, now); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEvolveSend(b *testing.B) {
	s := ruletest.NewStream(rules, people["two"])
	at := domain.T(1 << 40)
	b.ReportAllocs()
	for b.Loop() {
		at += 1 << 22
		s.Apply(&domain.Event{T: at, Seq: domain.Seq(at), Body: conversation.MessageSent{
			From: "ann", FromResource: "web", To: "bob", ClientID: uint64(at), Counted: true, History: true, N: 1, Own: 1,
		}})
	}
}
