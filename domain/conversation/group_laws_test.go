package conversation_test

import (
	"fmt"
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

var (
	groupRules = conversation.NewGroupRules(message.DefaultLimits)
	crowd      = []domain.UserID{"ann", "bob", "cid", "dan", "eve"}
)

// drawGroupCommand draws a command of a few users that may be anything from ordinary to refused.
func drawGroupCommand(t *rapid.T, s *ruletest.Stream) domain.Command {
	user := func(name string) domain.UserID { return rapid.SampledFrom(crowd).Draw(t, name) }
	inc := func(name string) domain.Incarnation {
		return domain.Incarnation(rapid.SampledFrom([]uint32{1, 1, 1, 1, 1, 0, 2}).Draw(t, name))
	}
	truth := func(name string) bool { return rapid.Bool().Draw(t, name) }
	by := conversation.Actor{User: user("by"), Incarnation: inc("by incarnation"), Resource: rapid.SampledFrom(devs).Draw(t, "device")}
	if rapid.IntRange(0, 4).Draw(t, "app") == 0 {
		by = conversation.Actor{App: true}
	}
	persons := func() (out []conversation.Person) {
		for range rapid.IntRange(0, 4).Draw(t, "persons") {
			out = append(out, conversation.Person{User: user("person"), Incarnation: inc("incarnation")})
		}
		return out
	}
	sender := conversation.Sender{
		User: user("from"), Incarnation: inc("from incarnation"), Resource: rapid.SampledFrom(devs).Draw(t, "from device"),
		ClientID: rapid.Uint64Range(0, 30).Draw(t, "id"), Hash: 1,
	}
	switch rapid.IntRange(0, 17).Draw(t, "command") {
	case 0:
		return conversation.AddMembers{By: by, Users: persons(), History: truth("history")}
	case 1:
		return conversation.ApplyToJoin{By: by, Reason: rapid.SampledFrom([]string{"", "please"}).Draw(t, "reason"), History: truth("history")}
	case 2:
		return conversation.AnswerApplication{By: by, User: user("applicant"), Accept: truth("accept"), History: truth("history")}
	case 3:
		return conversation.InviteUsers{By: by, Users: persons(), History: truth("history")}
	case 4:
		return conversation.AnswerInvitation{By: by, Accept: truth("accept"), History: truth("history")}
	case 5:
		return conversation.LeaveGroup{By: by}
	case 6:
		return conversation.RemoveMembers{By: by, Users: persons()}
	case 7:
		return conversation.ChangeGroup{By: by, Change: conversation.GroupChange{
			Approval: new(truth("approval")), InviteConfirm: new(truth("confirm")), MemberInvites: new(truth("invites")),
			MaxUsers: new(rapid.Uint32Range(0, 6).Draw(t, "max")),
		}}
	case 8:
		return conversation.TransferOwnership{By: by, To: user("to")}
	case 9:
		return conversation.AddAdmin{By: by, User: user("admin")}
	case 10:
		return conversation.RemoveAdmin{By: by, User: user("admin")}
	case 11:
		return conversation.ShieldGroup{By: by, On: truth("on")}
	case 12:
		return conversation.ReadGroup{Sender: sender}
	case 13:
		return drawRecall(t, s, sender)
	case 14:
		if rapid.IntRange(0, 9).Draw(t, "end") == 0 {
			return conversation.DestroyGroup{By: by}
		}
		fallthrough
	default:
		return conversation.SendGroupMessage{
			Sender: sender, Envelope: message.Envelope{Kind: message.Kind(rapid.ByteRange(0, 7).Draw(t, "kind"))}, SyncOwn: truth("sync"),
			Unchecked: rapid.IntRange(0, 4).Draw(t, "unchecked") == 0, Directed: rapid.SampledFrom([][]domain.UserID{nil, nil, {"bob"}}).Draw(t, "only"),
		}
	}
}

func drawRecall(t *rapid.T, s *ruletest.Stream, sender conversation.Sender) domain.Command {
	ev := rapid.SampledFrom(s.Events).Draw(t, "message")
	target := conversation.Recallable{Message: ev.T, Seq: ev.Seq, Kind: message.Text}
	if m, ok := ev.Body.(conversation.MessageSent); ok {
		target.From, target.Kind, target.Audience = m.From, m.Kind, m.Audience
	}
	return conversation.RecallMessage{Sender: sender, Target: target, Window: time.Minute, App: rapid.IntRange(0, 4).Draw(t, "app recall") == 0}
}

// playGroup draws a group and some commands to it, and calls each after every one of them.
func playGroup(t *rapid.T, each func(*ruletest.Stream, []domain.Event)) *ruletest.Stream {
	s := ruletest.NewStream(groupRules, "demo#chat/g/77")
	now := domain.T(0).Time()
	var cmd domain.Command = conversation.CreateGroup{
		By: conversation.Actor{App: true}, Owner: conversation.Person{User: "ann", Incarnation: 1},
		Settings: conversation.GroupSettings{Public: true, Approval: rapid.Bool().Draw(t, "approval"), MaxUsers: 4},
		Members:  []conversation.Person{{User: "bob", Incarnation: 1}},
	}
	for range rapid.IntRange(1, 90).Draw(t, "commands") {
		now = now.Add(time.Duration(rapid.SampledFrom([]int{0, 1, 40, 900, 70_000, -5000}).Draw(t, "ms")) * time.Millisecond)
		events, err := s.DoLawfully(cmd, now, stored)
		if err != nil {
			t.Fatal(err)
		}
		each(s, events)
		cmd = drawGroupCommand(t, s)
	}
	return s
}

func TestGroupLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := playGroup(t, func(*ruletest.Stream, []domain.Event) {})
		if err := s.CheckFold(stored); err != nil {
			t.Fatal(err)
		}
	})
}

// The head agrees with the Member rows; seqs are dense; nothing follows the end; every membership as a read model folds it is its Member row.
func TestGroupMembers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var seq domain.Seq
		var n uint64
		ended := false
		folded := map[domain.UserID]conversation.Membership{}
		playGroup(t, func(s *ruletest.Stream, events []domain.Event) {
			for i := range events {
				ev := &events[i]
				if ended {
					t.Fatalf("%s after the end", ev.Body.EventName())
				}
				if ev.Seq != 0 {
					if seq++; ev.Seq != seq {
						t.Fatalf("seq %d after %d", ev.Seq, seq-1)
					}
				}
				if m, ok := ev.Body.(conversation.MessageSent); ok && m.Counted {
					n++
				}
				_, ended = ev.Body.(conversation.GroupDestroyed)
				for _, u := range crowd {
					if m, ok := conversation.ApplyMembership(folded[u], u, ev); ok && !ended {
						folded[u] = m
					}
				}
			}
			if problem := checkGroup(s, folded, n); problem != "" {
				t.Fatal(problem)
			}
		})
	})
}

func checkGroup(s *ruletest.Stream, folded map[domain.UserID]conversation.Membership, n uint64) string {
	head := s.Rows[domain.PartHead].(*conversation.GroupHead)
	count := uint32(0)
	for id, row := range s.Rows {
		m, ok := row.(*conversation.Member)
		if !ok {
			continue
		}
		if m.Until == 0 {
			count++
		}
		f := folded[m.User]
		got := conversation.Member{
			User: m.User, Incarnation: f.Incarnation, From: f.From, FromN: f.FromN, Own: f.Own, ReadN: f.ReadN, ReadOwn: f.ReadOwn,
			HistoryFrom: f.HistoryFrom, Until: f.Until, Joined: f.Joined, Shield: f.Shield, Earlier: f.Earlier,
		}
		if stored(&got) != stored(m) {
			return fmt.Sprintf("%s: folded %+v, row %+v", id, f, m)
		}
	}
	member := func(u domain.UserID) bool {
		m, ok := s.Rows[conversation.MemberPart(u)].(*conversation.Member)
		return ok && m.Until == 0
	}
	switch {
	case count != head.Count || head.N != n:
		return fmt.Sprintf("head counts %d members and %d messages, there are %d and %d", head.Count, head.N, count, n)
	case !member(head.Owner) || slices.Contains(head.Admins, head.Owner):
		return fmt.Sprintf("owner %s, admins %v", head.Owner, head.Admins)
	case slices.ContainsFunc(head.Admins, func(u domain.UserID) bool { return !member(u) }):
		return fmt.Sprintf("admins %v are not all members", head.Admins)
	case head.Count > max(head.Settings.MaxUsers, 1):
		return fmt.Sprintf("%d members of %d", head.Count, head.Settings.MaxUsers)
	}
	return ""
}

// Of the last spans, a user is covered by just those entries that came while the user was a member, the one that ended it included.
func TestCovers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		folded := map[domain.UserID]conversation.Membership{}
		in := map[domain.UserID]domain.Incarnation{}
		lived := map[domain.UserID][]domain.Seq{}
		playGroup(t, func(_ *ruletest.Stream, events []domain.Event) {
			for i := range events {
				ev := &events[i]
				for u, inc := range joins(ev) {
					if inc != folded[u].Incarnation {
						lived[u] = nil
					}
					in[u] = inc
				}
				for _, u := range crowd {
					folded[u], _ = conversation.ApplyMembership(folded[u], u, ev)
					if in[u] != 0 && ev.Seq != 0 {
						lived[u] = append(lived[u], ev.Seq)
					}
				}
				if b, ok := ev.Body.(conversation.MembersRemoved); ok {
					for _, u := range b.Users {
						delete(in, u)
					}
				}
			}
		})
		for u, m := range folded {
			if m.From == 0 {
				continue
			}
			first := m.From
			if len(m.Earlier) > 0 {
				first = m.Earlier[0].From
			}
			for seq := first; seq < 200; seq++ {
				if m.Until == 0 && seq > slices.Max(lived[u]) {
					break // not there yet
				}
				if want := slices.Contains(lived[u], seq); m.Covers(seq) != want {
					t.Fatalf("%s: %+v covers %d: %v; was there for %v", u, m, seq, !want, lived[u])
				}
			}
		}
	})
}

func joins(ev *domain.Event) map[domain.UserID]domain.Incarnation {
	out := map[domain.UserID]domain.Incarnation{}
	switch b := ev.Body.(type) {
	case conversation.GroupCreated:
		out[b.Owner.User] = b.Owner.Incarnation
	case conversation.MembersAdded:
		for _, j := range b.Members {
			out[j.User] = j.Incarnation
		}
	}
	return out
}

func TestSeesInGroup(t *testing.T) {
	ann := conversation.Doer{User: "ann", Resource: "web"}
	st := domain.Stream{Kind: domain.KindGroup, A: "77"}
	all := "ann@ios bob@ios bob@web cid@ios cid@web"
	for name, c := range map[string]struct {
		body domain.Body
		sees string
	}{
		"a message":                      {conversation.MessageSent{From: "ann", FromResource: "web", SyncOwn: true}, all},
		"a message not for own devices":  {conversation.MessageSent{From: "ann", FromResource: "web"}, "bob@ios bob@web cid@ios cid@web"},
		"a message for some":             {conversation.MessageSent{From: "ann", FromResource: "web", SyncOwn: true, Audience: []domain.UserID{"bob"}}, "ann@ios bob@ios bob@web"},
		"a message of an outsider":       {conversation.MessageSent{From: "77", FromResource: "web", SyncOwn: true}, "ann@web " + all},
		"a recall":                       {conversation.MessageRecalled{By: "ann", ByResource: "web", From: "ann"}, all},
		"a recall for some, by an admin": {conversation.MessageRecalled{By: "ann", ByResource: "web", From: "bob", Audience: []domain.UserID{"cid"}}, all},
		"a recall for some":              {conversation.MessageRecalled{By: "ann", ByResource: "web", From: "ann", Audience: []domain.UserID{"cid"}}, "ann@ios cid@ios cid@web"},
		"all read":                       {conversation.ConversationRead{By: "ann", ByResource: "web"}, "ann@ios"},
		"a group":                        {conversation.GroupCreated{By: ann}, all},
		"members":                        {conversation.MembersAdded{By: ann, Members: []conversation.Joiner{{User: "bob"}}}, all},
		"members by the app":             {conversation.MembersAdded{Members: []conversation.Joiner{{User: "bob"}}}, "ann@web " + all},
		"members gone":                   {conversation.MembersRemoved{By: ann, Users: []domain.UserID{"bob"}}, all},
		"the end":                        {conversation.GroupDestroyed{By: ann}, all},
		"a change":                       {conversation.GroupChanged{By: ann}, all},
		"an owner":                       {conversation.OwnerChanged{By: ann}, all},
		"an admin":                       {conversation.AdminAdded{By: ann, User: "bob"}, "bob@ios bob@web"},
		"an admin no more":               {conversation.AdminRemoved{By: ann, User: "bob"}, "bob@ios bob@web"},
		"an application":                 {conversation.JoinRequested{Audience: []domain.UserID{"ann", "cid"}}, "ann@web ann@ios cid@ios cid@web"},
		"an answer":                      {conversation.InvitationAnswered{User: "dan", Inviter: "bob"}, "bob@ios bob@web"},
		"an answer to the app":           {conversation.InvitationAnswered{User: "dan"}, ""},
		"a verdict":                      {conversation.JoinAnswered{By: ann}, ""},
		"invitations":                    {conversation.UsersInvited{By: ann}, ""},
		"a shield":                       {conversation.ShieldSet{User: "ann"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			ev := &domain.Event{Body: c.body}
			audience, everybody := conversation.GroupAudience(ev)
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

// What a command costs does not depend on how many members there are: it reads the rows of those whom it names.
func TestGroupIsNeverLoadedWhole(t *testing.T) {
	s := ruletest.NewStream(groupRules, "demo#chat/g/77")
	fill(t, s, 5000)
	for name, c := range map[string]struct {
		cmd   domain.Command
		parts int
	}{
		"a message": {conversation.SendGroupMessage{Sender: conversation.Sender{User: "u1", Resource: "web", ClientID: 1}}, 2},
		"reading":   {conversation.ReadGroup{Sender: conversation.Sender{User: "u1", Resource: "web", ClientID: 1}}, 2},
		"the end":   {conversation.DestroyGroup{By: conversation.Actor{User: "u0"}}, 1},
		"a change":  {conversation.ChangeGroup{By: conversation.Actor{App: true}}, 0},
		"adding":    {conversation.AddMembers{By: conversation.Actor{User: "u0"}, Users: numbered(6000, 10)}, 11},
		"inviting":  {conversation.InviteUsers{By: conversation.Actor{User: "u0"}, Users: numbered(6000, 10)}, 21},
		"too many":  {conversation.AddMembers{By: conversation.Actor{App: true}, Users: numbered(0, 1001)}, 0},
	} {
		if needs := groupRules.Needs(nil, s.ID, c.cmd); len(needs) != c.parts {
			t.Errorf("%s reads %d rows, want %d: %v", name, len(needs), c.parts, needs)
		}
	}
}

func numbered(from, n int) (out []conversation.Person) {
	for i := range n {
		out = append(out, conversation.Person{User: domain.UserID(fmt.Sprintf("u%d", from+i)), Incarnation: 1})
	}
	return out
}

// fill makes a group of u0 with n members, by import.
func fill(t testing.TB, s *ruletest.Stream, n int) {
	t.Helper()
	now, app := domain.T(0).Time(), conversation.Actor{App: true}
	var cmd domain.Command = conversation.CreateGroup{
		By: app, Owner: conversation.Person{User: "u0", Incarnation: 1}, Settings: conversation.GroupSettings{MaxUsers: 100_000},
	}
	for i := 1; ; i += conversation.MaxBulk {
		if _, _, err := s.Do(cmd, now); err != nil {
			t.Fatal(err)
		}
		if i >= n {
			break
		}
		cmd = conversation.AddMembers{By: app, Users: numbered(i, min(conversation.MaxBulk, n-i))}
	}
	if head := s.Rows[domain.PartHead].(*conversation.GroupHead); int(head.Count) != n {
		t.Fatalf("%d members, want %d", head.Count, n)
	}
}

func BenchmarkDecideGroupSend(b *testing.B) {
	s := ruletest.NewStream(groupRules, "demo#chat/g/77")
	fill(b, s, 2000)
	var cmd domain.Command = conversation.SendGroupMessage{
		Sender: conversation.Sender{User: "u7", Incarnation: 1, Resource: "web", ClientID: 1, Hash: 1}, Body: make(message.Bytes, 200),
		Envelope: message.Envelope{Kind: message.Text, Size: 200}, SyncOwn: true,
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Decide(cmd, domain.T(0).Time()); err != nil {
			b.Fatal(err)
		}
	}
}

// One import of MaxBulk members: decided and applied.
func BenchmarkAddThousand(b *testing.B) {
	cmd := conversation.AddMembers{By: conversation.Actor{App: true}, Users: numbered(1, conversation.MaxBulk)}
	made := ruletest.NewStream(groupRules, "demo#chat/g/77")
	fill(b, made, 1)
	b.ReportAllocs()
	for b.Loop() {
		d, err := made.Decide(cmd, domain.T(0).Time())
		if err != nil {
			b.Fatal(err)
		}
		made.Apply(&domain.Event{T: 1 << 50, Seq: 2, Body: d.Bodies[0]})
		clear(made.Rows)
		made.Rows[domain.PartHead] = &conversation.GroupHead{Created: 1, Owner: "u0", Settings: conversation.GroupSettings{MaxUsers: 100_000}}
	}
}

func TestReads(t *testing.T) {
	earlier := []conversation.Span{{From: 3, Until: 4}}
	for name, c := range map[string]struct {
		m     conversation.Membership
		reads []domain.Seq
		gets  []domain.Seq
	}{
		"nobody":                {conversation.Membership{}, nil, nil},
		"a member":              {conversation.Membership{From: 6}, []domain.Seq{6, 7, 8, 9}, []domain.Seq{6, 7, 8, 9}},
		"who was one":           {conversation.Membership{From: 6, Until: 7}, []domain.Seq{6, 7}, []domain.Seq{6, 7}},
		"a member again":        {conversation.Membership{From: 6, Earlier: earlier}, []domain.Seq{3, 4, 6, 7, 8, 9}, []domain.Seq{3, 4, 6, 7, 8, 9}},
		"who reads all":         {conversation.Membership{From: 6, HistoryFrom: 1}, []domain.Seq{1, 2, 3, 4, 5, 6, 7, 8, 9}, []domain.Seq{6, 7, 8, 9}},
		"who reads all till":    {conversation.Membership{From: 6, HistoryFrom: 1, Until: 7}, []domain.Seq{1, 2, 3, 4, 5, 6, 7}, []domain.Seq{6, 7}},
		"who reads all, anew":   {conversation.Membership{From: 6, HistoryFrom: 2, Earlier: earlier}, []domain.Seq{2, 3, 4, 5, 6, 7, 8, 9}, []domain.Seq{3, 4, 6, 7, 8, 9}},
		"a direct conversation": {conversation.Membership{From: 1}, []domain.Seq{1, 2, 3, 4, 5, 6, 7, 8, 9}, []domain.Seq{1, 2, 3, 4, 5, 6, 7, 8, 9}},
	} {
		var reads, gets []domain.Seq
		for seq := domain.Seq(1); seq < 10; seq++ {
			if c.m.Reads(seq) {
				reads = append(reads, seq)
			}
			if c.m.Covers(seq) {
				gets = append(gets, seq)
			}
		}
		if !slices.Equal(reads, c.reads) || !slices.Equal(gets, c.gets) {
			t.Errorf("%s reads %v and gets %v, want %v and %v", name, reads, gets, c.reads, c.gets)
		}
	}
}
