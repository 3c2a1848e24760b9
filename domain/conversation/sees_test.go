package conversation_test

import (
	"testing"

	"pgregory.net/rapid"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/internal/ruletest"
)

func TestSees(t *testing.T) {
	type devices = []string // "user@resource"
	for name, c := range map[string]struct {
		body domain.Body
		sees devices
	}{
		"a message": {
			conversation.MessageSent{From: "ann", FromResource: "web", To: "bob", SyncOwn: true},
			devices{"ann@ios", "bob@ios", "bob@web"},
		},
		"a message for the receiver alone": {
			conversation.MessageSent{From: "ann", FromResource: "web", To: "bob"},
			devices{"bob@ios", "bob@web"},
		},
		"a message over REST": {
			conversation.MessageSent{From: "ann", To: "bob", SyncOwn: true},
			devices{"ann@ios", "ann@web", "bob@ios", "bob@web"},
		},
		"a message for one device": {
			conversation.MessageSent{From: "ann", FromResource: "web", To: "bob", ToResource: "ios"},
			devices{"bob@ios"},
		},
		"a message for one device, known to the sender's others": {
			conversation.MessageSent{From: "ann", FromResource: "web", To: "bob", ToResource: "ios", SyncOwn: true},
			devices{"ann@ios", "bob@ios"},
		},
		"a note to oneself": {
			conversation.MessageSent{From: "ann", FromResource: "web", To: "ann", SyncOwn: true},
			devices{"ann@ios"},
		},
		"a note to one's other device": {
			conversation.MessageSent{From: "ann", FromResource: "web", To: "ann", ToResource: "ios"},
			devices{"ann@ios"},
		},
		"delivered": {
			conversation.MessageDelivered{By: "bob", ByResource: "ios", To: "ann"},
			devices{"ann@ios", "ann@web"},
		},
		"read": {
			conversation.MessageRead{By: "bob", ByResource: "ios", To: "ann"},
			devices{"ann@ios", "ann@web"},
		},
		"read by oneself": {
			conversation.MessageRead{By: "ann", ByResource: "ios", To: "ann"},
			devices{"ann@web"},
		},
		"all read": {
			conversation.ConversationRead{By: "bob", ByResource: "ios", To: "ann"},
			devices{"ann@ios", "ann@web", "bob@web"},
		},
		"all read by oneself": {
			conversation.ConversationRead{By: "ann", ByResource: "ios", To: "ann"},
			devices{"ann@web"},
		},
		"a member": {conversation.MemberAdded{User: "ann"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got devices
			for _, u := range []domain.UserID{"ann", "bob", "cid"} {
				for _, r := range []domain.Resource{"ios", "web"} {
					if conversation.Sees(domain.Stream{}, &domain.Event{Body: c.body}, u, r) {
						got = append(got, string(u)+"@"+string(r))
					}
				}
			}
			if len(got) != len(c.sees) {
				t.Fatalf("got %v, want %v", got, c.sees)
			}
			for i := range got {
				if got[i] != c.sees[i] {
					t.Fatalf("got %v, want %v", got, c.sees)
				}
			}
		})
	}
}

// The audience is exactly the users of whom some device sees the event (of what a device sends to itself, nobody sees anything); a device never sees what it made; asides are seen by none.
func TestAudience(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := play(t, func(*ruletest.Stream, []domain.Event) {})
		for i := range s.Events {
			ev := &s.Events[i]
			users := conversation.Audience(s.ID, ev)
			for _, u := range []domain.UserID{"ann", "bob", "cid"} {
				sees := false
				for _, r := range []domain.Resource{"web", "ios", "third"} {
					sees = sees || conversation.Sees(s.ID, ev, u, r)
				}
				m, _ := ev.Body.(conversation.MessageSent)
				toItself := m.ToResource != "" && m.To == m.From && m.ToResource == m.FromResource
				if named := u == users[0] || u == users[1]; named != sees && !toItself {
					t.Fatalf("%+v: %s sees it: %v, audience %v", ev.Body, u, sees, users)
				}
			}
			if ev.Seq == 0 && users != [2]domain.UserID{} {
				t.Fatalf("an aside has the audience %v", users)
			}
		}
	})
}

func TestShown(t *testing.T) {
	shown := &domain.Event{Body: conversation.MessageSent{History: true, NoHistory: []domain.UserID{"bob"}}}
	hidden := &domain.Event{Body: conversation.MessageSent{}}
	receipt := &domain.Event{Body: conversation.MessageRead{}}
	if !conversation.Shown(shown) || conversation.Shown(hidden) || conversation.Shown(receipt) {
		t.Error("only messages that are history are shown")
	}
	if !conversation.ShownTo(shown, "ann") || conversation.ShownTo(shown, "bob") || conversation.ShownTo(hidden, "ann") {
		t.Error("a message is shown to those who are not spared it")
	}
}

func TestUnread(t *testing.T) {
	for name, c := range map[string]struct {
		m    conversation.Membership
		n    uint64
		want uint64
	}{
		"all":           {conversation.Membership{}, 5, 5},
		"less own":      {conversation.Membership{Own: 2}, 5, 3},
		"after reading": {conversation.Membership{ReadN: 4, Own: 3, ReadOwn: 2}, 6, 1},
		"behind":        {conversation.Membership{ReadN: 7}, 6, 0},
		"own behind":    {conversation.Membership{ReadOwn: 7}, 6, 0},
	} {
		if got := c.m.Unread(c.n); got != c.want {
			t.Errorf("%s: got %d, want %d", name, got, c.want)
		}
	}
}
